"""Quality estimated for all accepted predictions, from those that are labelled.

Each labelled prediction is weighed by how many accepted ones it stands for: those of the same predicted class and, of a
binary task with scores, of like score.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from modelmon.accumulators.strata import Strata
from modelmon.quality import matrix as quality
from modelmon.quality import missing
from modelmon.readings.uncertainty import has_cells
from modelmon.tasks import Binary, Multiclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from modelmon.readings.combined import Readings
    from modelmon.readings.metrics import Metric

Method: TypeAlias = Literal["poststratified"]
METHODS = ("poststratified",)
MERGED = (
    "undeclared classes past the 256th are counted as one, '__other__', and nobody knows which of its rows are right: "
    "declare the classes"
)
_OF_MATRIX: dict[str, Callable[[quality.Margins], float]] = {
    "accuracy": quality.accuracy,
    "balanced_accuracy": quality.balanced_accuracy,
    "mcc": quality.matthews,
    "kappa": quality.kappa,
}


def estimate(readings: Readings, metric: Metric, of: Any, average: Any, method: str) -> float:
    """Return a metric estimated for all accepted predictions; nan where it cannot be.

    Raises:
        KeyError: when there is no such class.
        ValueError: when there is no such method.
    """
    check(method)
    if reason(readings, metric):
        return math.nan
    margins = quality.margins(missing.whole(weighed(readings)))
    if metric.takes == "nothing":
        return float(_OF_MATRIX[metric.name](margins))
    place, how = readings.resolve(of, average)
    ratio: Any = metric.name
    if place is not None:
        return float(quality.by_class(ratio, margins)[place])
    return float(quality.averaged(ratio, margins, how)) if how in {"micro", "macro", "weighted"} else math.nan


def reason(readings: Readings, metric: Metric) -> str:
    """Return why a metric cannot be estimated; nothing when it can, though its denominator may still be 0."""
    if not isinstance(readings.task, (Binary, Multiclass)) or metric.subject != "matrix":
        return f"{metric.name} of the task {type(readings.task).__name__} is not estimated from strata"
    if not readings.labelled and not readings.assumed:
        return "no prediction is labelled yet"
    if not has_cells(readings):
        return "so many classes met that single cells are not kept"
    if readings.merged is not None:
        return MERGED
    bare = [value for value, share in readings.coverage_by_class.items() if share == 0]
    if bare:
        return f"no prediction of {', '.join(map(repr, bare[:5]))} is labelled, so nothing is known of them"
    return ""


def check(method: str) -> None:
    """Check the name of a method.

    Raises:
        ValueError: when there is no such method.
    """
    if method not in METHODS:
        msg = f"method={method!r}: there is {', '.join(METHODS)}"
        raise ValueError(msg)


def weighed(readings: Readings) -> NDArray[np.float64]:
    """Return the confusion matrix weighed to all accepted predictions, true classes down, predicted across."""
    cells = readings.confusion.matrix
    accepted = np.array(list(readings.accepted_by_class.values()), np.int64)
    strata = readings.selection.gather_shared("strata", Strata)
    # Where some predictions came without scores, the strata of scores do not hold all of them.
    if strata is None or strata.labelled.sum() != cells.sum() or strata.accepted.sum() != accepted.sum():
        return missing.weighed_by_class(cells, accepted)
    return missing.weighed_by_score(strata.labelled, strata.accepted)
