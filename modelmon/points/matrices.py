"""Points about how predicted classes met true ones: cells or sums of the confusion matrix, and scores in bins.

What a correction takes back is counted apart, so that every counter only grows and its rate can be asked for.
Every cell among the known classes is there from the first reading of the store: a cell that appeared with its first row
would lose that row to every rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelmon.accumulators.confusion import Confusion
from modelmon.accumulators.losses import SCORE_EDGES, Losses
from modelmon.accumulators.multilabel import LabelMatrix
from modelmon.identity import class_texts
from modelmon.points.sheets import CELL_CLASSES, CLASSES, OTHER
from modelmon.tasks import Binary, Multilabel, Regression

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelmon.parts import ClassValue
    from modelmon.points.sheets import Sheet
    from modelmon.readings.model import ModelSnapshot

    Ints = NDArray[np.int64]

_SIDES = ("", ".retracted")
_SUMS = ("true_positives", "support", "predicted")
_EDGES = (*(repr(float(edge)) for edge in SCORE_EDGES), "+Inf")


def fill_matrices(sheet: Sheet, model: ModelSnapshot, most: int = CELL_CLASSES) -> None:
    """Add the confusion matrix, as cells up to so many classes and as sums of each class above."""
    task = model.task
    if task is None or isinstance(task, Regression):
        return
    if isinstance(task, Multilabel):
        _fill_labels(sheet, model)
        return
    counted = model.selection.gather("confusion", Confusion)
    if counted is not None or task.declared:
        counted = counted or Confusion()
        if len(model.classes) <= most:
            _fill_cells(sheet, model, counted)
        else:
            _fill_sums(sheet, model, counted)


def _fill_cells(sheet: Sheet, model: ModelSnapshot, counted: Confusion) -> None:
    size, texts = len(model.classes), class_texts(model.classes)
    for side, matrix in zip(_SIDES, (counted.added_matrix(size), counted.removed_matrix(size)), strict=True):
        name = f"modelmon.confusion{side}"
        wrong = {} if side else {exemplar.own: exemplar for exemplar in model.selection.exemplars("confusion")}
        for actual, row in enumerate(matrix.tolist()):
            for predicted, n in enumerate(row):
                found = wrong.get((model.classes[actual], model.classes[predicted])) if wrong else None
                own = (texts[actual], texts[predicted], "true" if actual == predicted else "false")
                sheet.add(name, n, *own, exemplars=() if found is None else (found,))


def _fill_sums(sheet: Sheet, model: ModelSnapshot, counted: Confusion) -> None:
    size = len(model.classes)
    for side, sums in zip(_SIDES, (counted.added_marginals(size), counted.removed_marginals(size)), strict=True):
        if model.shared_place is not None:
            sums[0][model.shared_place] = 0  # of one class past the bound and predicted as one: nobody knows if as it
        _fill_classes(sheet, model, side, sums)


def _fill_labels(sheet: Sheet, model: ModelSnapshot) -> None:
    """Add the sums of each label of a task with several labels per row, whatever their number."""
    counted = model.selection.gather("multilabel", LabelMatrix)
    if counted is None and not (model.task and model.task.declared):
        return
    matrix = counted or LabelMatrix(len(model.classes))
    for side, cells in zip(_SIDES, (matrix.added_matrix(), matrix.removed_matrix()), strict=True):
        sums = (cells[:, 1, 1], cells[:, 1, :].sum(axis=1), cells[:, :, 1].sum(axis=1))
        _fill_classes(sheet, model, side, sums)


def _fill_classes(sheet: Sheet, model: ModelSnapshot, side: str, sums: tuple[Ints, Ints, Ints]) -> None:
    texts = class_texts(model.classes)
    shown = _shown(model)
    for name, values in zip(_SUMS, sums, strict=True):
        full = f"modelmon.class.{name}{side}"
        for place in shown:
            sheet.add(full, int(values[place]), texts[place])
        rest = int(values.sum()) - sum(int(values[place]) for place in shown)
        if len(shown) < len(texts):
            sheet.add(full, rest, OTHER)


def _shown(model: ModelSnapshot) -> list[int]:
    """Return the places of the classes that get points of their own: the first ones that came, so that they stay."""
    places: dict[ClassValue, int] = {value: place for place, value in enumerate(model.classes)}
    declared = (model.task.declared if model.task is not None else None) or ()
    came = (value for source in model.selection.sources for value in source.part.classes)
    order = dict.fromkeys((*declared, *came))
    return [places[value] for value in list(order)[:CLASSES] if value in places and value != OTHER]


def fill_scores(sheet: Sheet, model: ModelSnapshot) -> None:
    """Add the scores of a binary task in bins, for the whole model: 240 lines are too many for every slice."""
    counted = model.selection.gather("losses", Losses)
    if counted is None or not isinstance(model.task, Binary):
        return
    for side, bins in zip(_SIDES, counted.score_bins.tolist(), strict=True):
        for actual, row in zip("01", bins, strict=True):
            for edge, n in zip(_EDGES, row, strict=True):
                sheet.add(f"modelmon.score.bins{side}", n, actual, edge)
