"""How many rows stand behind a metric: those that it divides by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.accumulators.losses import Losses
from modelmon.quality.matrix import terms
from modelmon.readings.metrics import METRICS

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
    if subject == "probabilities":
        losses = readings.selection.gather("losses", Losses)
        return 0 if losses is None else losses.scored
    if metric in _RATIOS:
        place, how = readings.resolve(of, average or "default")
        if place is not None and how is None:
            return int(terms(_RATIOS[metric], readings.margins)[1][place])
    return readings.labelled
