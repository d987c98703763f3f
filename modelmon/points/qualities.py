"""Points about quality: which metrics a task has, with the intervals they lie in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modelmon.identity import class_texts
from modelmon.points.sheets import CELL_CLASSES
from modelmon.readings.rows import rows_behind
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.parts import ClassValue
    from modelmon.points.sheets import Sheet
    from modelmon.readings.classes import Average
    from modelmon.readings.model import ModelSnapshot

_MATRIX = ("accuracy", "balanced_accuracy", "mcc", "kappa")
_SCORES = ("auc", "average_precision", "log_loss", "brier", "calibration_error")
RATIOS = ("precision", "recall", "f1")
AVERAGES: tuple[Average, ...] = ("micro", "macro", "weighted")
SHARED = frozenset({"auc", "average_precision"})
SCALARS: dict[type, tuple[str, ...]] = {
    Binary: (*_MATRIX, *_SCORES),
    Multiclass: (*_MATRIX, *_SCORES),
    Multilabel: ("accuracy", "hamming_loss"),
    Regression: ("mae", "rmse", "r2", "bias", "mape"),
}


def fill_quality(sheet: Sheet, model: ModelSnapshot, *, window: str, shared: bool) -> None:
    """Add the metrics that the task has and that are defined, and both ends of those that have an interval.

    ``shared`` picks the metrics that exist for the whole of a series only, else all others.
    """
    for metric in SCALARS.get(type(model.task), ()):
        if (metric in SHARED) is shared:
            _fill(sheet, model, (metric, "", "", window))
    if shared or isinstance(model.task, Regression) or model.task is None:
        return
    for average in AVERAGES:
        for metric in RATIOS:
            _fill(sheet, model, (metric, average, "", window), average=average)
    for of, text in _classes(model):
        for metric in RATIOS:
            _fill(sheet, model, (metric, "", text, window), of=of)


def _classes(model: ModelSnapshot) -> Iterator[tuple[ClassValue, str]]:
    """Yield the classes that get metrics of their own, with their texts: all up to 32, above none."""
    classes = model.classes
    if len(classes) <= CELL_CLASSES:
        yield from zip(classes, class_texts(classes), strict=True)


def _fill(
    sheet: Sheet,
    model: ModelSnapshot,
    own: tuple[str, str, str, str],
    *,
    of: Any = None,
    average: Average | None = None,
) -> None:
    value = model.value(own[0], of=of, average=average)
    if math.isnan(value):
        return
    low, high = model.interval(own[0], of=of, average=average)
    sheet.add("modelmon.quality", float(value), *own)
    sheet.add("modelmon.quality.low", float(low), *own)
    sheet.add("modelmon.quality.high", float(high), *own)
    sheet.add("modelmon.quality.support", rows_behind(model, own[0], of, average), *own)
