"""Points about the join: what became of predictions that came with an id, and of their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelmon.identity import class_texts
from modelmon.points.sheets import CELL_CLASSES, TOTAL
from modelmon.readings.joins import STATES

if TYPE_CHECKING:
    from modelmon.points.sheets import Sheet
    from modelmon.readings.model import ModelSnapshot


def fill_joins(sheet: Sheet, model: ModelSnapshot) -> None:
    """Add events, transitions, occupancy and delays, once a prediction came with an id."""
    for outcome, n in model.prediction_events.items():
        sheet.add("modelmon.prediction.events", n, outcome)
    for outcome, n in model.label_events.items():
        sheet.add("modelmon.label.events", n, outcome)
    for event, n in model.assumption_events.items():
        sheet.add("modelmon.label.assumed", n, event)
    transitions = model.transitions
    for (before, after), n in transitions.items():
        sheet.add("modelmon.join.transitions", n, before, after)
    if transitions:
        held = model.occupancy
        for state in STATES:
            sheet.add("modelmon.join.occupancy", held[state], state)
        sheet.distribute("modelmon.label.delay", model.label_delay)


def fill_coverage(sheet: Sheet, model: ModelSnapshot, window: str) -> None:
    """Add how many predictions have their label: of all, and up to 32 classes of each predicted class."""
    sheet.add("modelmon.label.coverage", model.coverage, window)
    if model.accepted or window != TOTAL:  # a window that is shown has a line, so that one can tell that it is
        sheet.add("modelmon.quality.support", model.accepted, "coverage", "", "", window)
    shares = model.coverage_by_class
    if len(shares) <= CELL_CLASSES:
        for text, share in zip(class_texts(tuple(shares)), shares.values(), strict=True):
            sheet.add("modelmon.label.class_coverage", share, text, window)
