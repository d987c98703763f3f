"""Points about calls and what they predicted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from modelmon.accumulators.counts import Counts
from modelmon.identity import class_texts
from modelmon.points.sheets import CLASSES, OTHER

if TYPE_CHECKING:
    from modelmon.points.sheets import Sheet
    from modelmon.readings.model import ModelSnapshot

_OUTCOMES = ("ok", "cancelled", "abandoned")


def fill_calls(sheet: Sheet, model: ModelSnapshot) -> None:
    """Add what happened when the model was called; outcomes other than errors are there from the start."""
    ended = dict.fromkeys(((outcome, "") for outcome in _OUTCOMES), 0)
    for (outcome, error), n in (model.selection.gather("calls", Counts) or Counts()).items():
        ended[str(outcome), str(error)] = n
    for (outcome, error), n in ended.items():
        sheet.add("modelmon.calls", n, outcome, error)
    sheet.add("modelmon.call.active", model.in_flight)
    for outcome, duration in model.durations.items():
        sheet.distribute(
            "modelmon.call.duration", duration, outcome, exemplars=model.selection.exemplars("duration", outcome)
        )
    for name, values in (
        ("modelmon.call.batch_size", model.batch_size),
        ("modelmon.stream.time_to_first_item", model.time_to_first_item),
        ("modelmon.stream.time_per_item", model.time_per_item),
    ):
        if values.count:
            sheet.distribute(name, values)
    if model.items:
        sheet.add("modelmon.stream.items", model.items)
    _fill_timings(sheet, model)


def fill_predictions(sheet: Sheet, model: ModelSnapshot) -> None:
    """Add predicted values by class, where there are classes, and what could not be read."""
    counted = model.selection.gather("predicted", Counts) or Counts()
    by_class = {key[0]: n for key, n in counted.items() if key}
    declared = (model.task.declared if model.task is not None else None) or ()
    classes = tuple(dict.fromkeys((*declared, *by_class)))
    texts = dict(zip(classes, class_texts(classes), strict=True))
    beyond = 0
    for place, value in enumerate(classes):
        if place < CLASSES and texts[value] != OTHER:
            sheet.add("modelmon.predictions", by_class.get(value, 0), texts[value])
        else:
            beyond += by_class.get(value, 0)
    if beyond:
        sheet.add("modelmon.predictions", beyond, OTHER)
    if not classes:
        sheet.add("modelmon.predictions", counted.total, "")
    for reason, n in model.rejected.items():
        sheet.add("modelmon.predictions.rejected", n, reason)


def _fill_timings(sheet: Sheet, model: ModelSnapshot) -> None:
    """Add what devices told, where there are any."""
    for timing, durations in model.device_durations.items():
        sheet.distribute("modelmon.call.device_duration", durations, timing)
    for name, values in (
        ("modelmon.gpu.call.queue_delay", model.queue_delay),
        ("modelmon.gpu.stream.time_to_first_item", model.device_time_to_first_item),
    ):
        if values.count:
            sheet.distribute(name, values)
    peak = model.memory_peak
    if not math.isnan(peak):
        sheet.add("modelmon.gpu.memory.peak", round(peak), "torch")
    for reason, n in model.untimed.items():
        sheet.add("modelmon.gpu.timers.dropped", n, reason)
