"""Reasons why a number is undefined, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.accumulators.losses import Losses
from modelmon.readings.estimated import MERGED
from modelmon.readings.rows import rows_behind
from modelmon.readings.scores import BEST_KEPT, MOST_WHOLE
from modelmon.tasks import Multilabel, Regression

if TYPE_CHECKING:
    from modelmon.readings.combined import Readings
    from modelmon.readings.metrics import Metric


def reason(readings: Readings, metric: Metric, of: Any, average: Any) -> str:
    """Return why a metric is nan; nothing when it is not."""
    value = metric.read(readings, of, average)
    if value == value:  # noqa: PLR0124 - only nan differs from itself
        return ""
    told = _of_task(readings, metric) or _of_labels(readings)
    return told or (_of_matrix if metric.subject == "matrix" else _of_subject)(readings, metric, of, average)


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


def _of_subject(readings: Readings, metric: Metric, of: Any, _average: Any) -> str:
    if metric.subject == "ranking":
        return _of_ranking(readings, of)
    if metric.subject == "ranks":
        if readings.merged is not None:
            return MERGED
        return f"only the {BEST_KEPT} best classes of a prediction are kept" if _has_ranks(readings) else _NO_SCORES
    if metric.subject == "probabilities":
        return _of_probabilities(readings)
    return "the truth has not varied" if readings.error_sums.rows > 1 else "of one row, or none, nothing varies"


def _of_probabilities(readings: Readings) -> str:
    losses = readings.selection.gather("losses", Losses)
    if losses is None or not losses.unscored:
        return _NO_SCORES
    return _BEST_ONLY if _best_only(readings) else "most scores lie outside [0, 1], so they are no probabilities"


def _of_matrix(readings: Readings, metric: Metric, of: Any, average: Any) -> str:
    place, how = readings.resolve(of, average) if metric.takes == "class or average" else (None, None)
    if readings.merged is not None and not readings.tells(place, how):
        return MERGED
    if isinstance(readings.task, Multilabel) and (metric.name == "accuracy" or how == "samples"):
        return _of_whole_rows(readings, metric)
    if place is not None:
        text = _ZEROS.get(metric.name, "was neither met nor predicted")
        return f"its denominator is 0: class {readings.classes[place]!r} {text}"
    if isinstance(readings.task, Multilabel):
        return "its denominator is 0 for every label"
    return "its denominator is 0: all labelled predictions have one class, or one class is all that was predicted"


def _of_whole_rows(readings: Readings, metric: Metric) -> str:
    if metric.name not in {"accuracy", "precision", "recall", "f1"}:
        return f"no average over rows is kept of {metric.name}"
    if not rows_behind(readings, "accuracy"):
        return "it judges whole rows, and of none the truth of every label is known"
    return "its denominator is 0 for every row"


_ZEROS = {
    "precision": "was never predicted",
    "recall": "was not met",
    "specificity": "is all that was met",
    "negative_predictive_value": "is all that was predicted",
}
_NO_SCORES = "predictions came as classes, without scores"
_BEST_ONLY = f"above {MOST_WHOLE} classes only the best scores of a prediction are kept, not its row of probabilities"


def _best_only(readings: Readings) -> bool:
    return _has_ranks(readings) and len(readings.classes) > MOST_WHOLE


def _has_ranks(readings: Readings) -> bool:
    losses = readings.selection.gather("losses", Losses)
    return losses is not None and losses.ranked > 0


def _of_ranking(readings: Readings, of: Any) -> str:
    if readings.selection.is_sliced:
        return "score histograms are kept for the whole model, not by slice"
    bins = [readings.score_bins(place) for place in readings.scored_places()]
    if any(found.positives.any() or found.negatives.any() for found in bins):
        return "all labelled predictions are of one class" if of is None else f"all or none with scores are of {of!r}"
    return _BEST_ONLY if _has_ranks(readings) else _NO_SCORES
