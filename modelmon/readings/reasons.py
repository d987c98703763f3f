"""Reasons why a number is undefined, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.accumulators.losses import Losses
from modelmon.readings.scores import BEST_KEPT
from modelmon.tasks import Multilabel, Regression

if TYPE_CHECKING:
    from modelmon.readings.combined import Readings
    from modelmon.readings.metrics import Metric


def reason(readings: Readings, metric: Metric, of: Any, average: Any) -> str:
    """Return why a metric is nan; nothing when it is not."""
    value = metric.read(readings, of, average)
    if value == value:  # noqa: PLR0124 - only nan differs from itself
        return ""
    return _of_task(readings, metric) or _of_labels(readings) or _of_subject(readings, metric, of)


def _of_task(readings: Readings, metric: Metric) -> str:
    if metric.subject == "join":
        return ""
    task = readings.task
    kind = type(task).__name__
    wants_errors, wants_sets = metric.subject == "errors", metric.subject == "several labels"
    if wants_errors != isinstance(task, Regression) and task is not None:
        return f"{metric.name} is not defined for the task {kind}"
    sets = isinstance(task, Multilabel)
    single = metric.subject not in {"matrix", "several labels"} or metric.name in {"balanced_accuracy", "mcc", "kappa"}
    if (wants_sets and not sets) or (sets and single):
        return f"{metric.name} is not defined for the task {kind}"
    return ""


def _of_labels(readings: Readings) -> str:
    if not readings.prediction_events.total():
        refused = {name: n for name, n in readings.rejected.items() if n}
        if refused:
            return f"predictions were rejected: {', '.join(f'{n:,} {name}' for name, n in refused.items())}"
        return "no prediction came with an id, so no label can be joined to one"
    if not readings.accepted:
        return "no prediction with an id was accepted; prediction_events says why"
    return "" if readings.labelled or readings.assumed else "no prediction is labelled yet"


def _of_subject(readings: Readings, metric: Metric, of: Any) -> str:
    if metric.subject == "ranking":
        return _of_ranking(readings)
    if metric.subject == "ranks":
        return f"only the {BEST_KEPT} best classes of a prediction are kept" if _has_ranks(readings) else _NO_SCORES
    if metric.subject == "probabilities":
        losses = readings.selection.gather("losses", Losses)
        return (
            "most scores lie outside [0, 1], so they are no probabilities"
            if losses is not None and losses.unscored
            else _NO_SCORES
        )
    if metric.subject == "errors":
        return "the truth has not varied"
    if metric.takes == "class or average" and of is not None:
        return (
            f"its denominator is 0: class {of!r} was {'never predicted' if metric.name == 'precision' else 'not met'}"
        )
    return "its denominator is 0: all labelled predictions have one class, or one class is all that was predicted"


_NO_SCORES = "predictions came as classes, without scores"


def _has_ranks(readings: Readings) -> bool:
    losses = readings.selection.gather("losses", Losses)
    return losses is not None and losses.ranked > 0


def _of_ranking(readings: Readings) -> str:
    if readings.selection.is_sliced:
        return "score histograms are kept for the whole model, not by slice"
    bins = [readings.score_bins(place) for place in readings.scored_places()]
    if any(found.positives.any() or found.negatives.any() for found in bins):
        return "all labelled predictions are of one class"
    if _has_ranks(readings):
        return "above 32 classes only the best scores of a prediction are kept, not its row of probabilities"
    return _NO_SCORES
