"""Points about calls and what they predicted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from modelmon.accumulators.counts import Counts
from modelmon.identity import class_order, class_texts
from modelmon.points.sheets import CLASSES, OTHER
from modelmon.tasks import Multilabel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.parts import ClassValue
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


def predicted_names(whole: ModelSnapshot) -> dict[ClassValue, str]:
    """Return the texts of the predicted classes that get points of their own, in all slices alike.

    They are the declared ones, then the others in their order: where several processes count undeclared classes, which
    are shown does not depend on who reads, and one that gave way to others never comes back, so no counter falls.
    """
    declared = _declared(whole)
    seen = {key[0] for key, _ in _predicted(whole).items() if key}.difference(declared)
    classes = (*declared, *sorted(seen, key=class_order))
    named = dict(zip(classes, class_texts(classes), strict=True))
    return {value: text for value, text in list(named.items())[:CLASSES] if text != OTHER}


def fill_predictions(sheet: Sheet, model: ModelSnapshot, names: Mapping[ClassValue, str]) -> None:
    """Add predicted values by class, where there are classes, and what could not be read."""
    counted = _predicted(model)
    by_class = {key[0]: n for key, n in counted.items() if key}
    classes = dict.fromkeys((*_declared(model), *by_class))
    for value in classes:
        if value in names:
            sheet.add("modelmon.predictions", by_class.get(value, 0), names[value])
    beyond = sum(n for value, n in by_class.items() if value not in names)
    if beyond:
        sheet.add("modelmon.predictions", beyond, OTHER)
    if not classes:
        sheet.add("modelmon.predictions", counted.total, "")
    for reason, n in model.rejected.items():
        sheet.add("modelmon.predictions.rejected", n, reason)


def _predicted(model: ModelSnapshot) -> Counts:
    return model.selection.gather("predicted", Counts) or Counts()


def _declared(model: ModelSnapshot) -> tuple[ClassValue, ...]:
    """Return the declared classes, each of which a prediction is of; several labels per row are none."""
    task = model.task
    return () if task is None or isinstance(task, Multilabel) else task.declared or ()


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
