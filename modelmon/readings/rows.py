"""How many rows stand behind a metric: those that it divides by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.accumulators.losses import Losses
from modelmon.accumulators.multilabel import LabelMatrix
from modelmon.quality.matrix import terms
from modelmon.readings.metrics import METRICS
from modelmon.tasks import Multilabel

if TYPE_CHECKING:
    from modelmon.quality.matrix import Ratio
    from modelmon.readings.combined import Readings

_RATIOS: dict[str, Ratio] = {
    "precision": "precision",
    "recall": "recall",
    "f1": "recall",  # what is asked is how many rows of the class there are
    "specificity": "specificity",
    "negative_predictive_value": "negative_predictive_value",
    "jaccard": "jaccard",
}


def rows_behind(readings: Readings, metric: str, of: Any = None, average: Any = None) -> int:
    """Return how many rows stand behind a metric of that name."""
    subject = METRICS[metric].subject
    if subject == "join":
        return readings.accepted
    if subject == "errors":
        return int(readings.error_sums.rows)
    if subject in {"probabilities", "ranks"}:
        losses = readings.selection.gather("losses", Losses) or Losses()
        return losses.ranked if subject == "ranks" else losses.scored
    if subject == "ranking":
        places = readings.scored_places() if of is None else [readings.place(of)]
        return max(map(readings.scored_rows, places), default=0)
    if metric in _RATIOS:
        place, how = readings.resolve(of, average or "default")
        if place is not None and how is None:
            return int(terms(_RATIOS[metric], readings.margins)[1][place])
    return _of_labels(readings, metric, average) if isinstance(readings.task, Multilabel) else _of_matrix(readings)


def _of_matrix(readings: Readings) -> int:
    """Return the rows of the matrix, those whose truth was assumed among them."""
    return int(readings.margins.support.sum())


def _of_labels(readings: Readings, metric: str, average: Any) -> int:
    """Return the rows with several labels each: those of which every label is known, where whole rows are judged."""
    held = readings.selection.gather("multilabel", LabelMatrix) or LabelMatrix()
    if average == "samples":
        return int(getattr(held, f"{metric}_rows", 0))
    return held.complete if metric == "accuracy" else held.rows
