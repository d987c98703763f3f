"""Counts of predictions that give several labels at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.exact import ExactSum

if TYPE_CHECKING:
    import numpy.typing as npt

    from modelmon.accumulators.sparse import Floats, Ints, State

UNKNOWN = 255


class LabelMatrix:
    """Count each label's flags by truth and prediction, and what whole rows score.

    Whole-row figures (``hits``, sample-averaged precision, recall and F1) take in the rows whose truth is complete.

    >>> matrix = LabelMatrix(2)
    >>> matrix.update(np.array([[1, 0]], np.uint8), np.array([[1, 1]], np.uint8))
    >>> matrix.matrix().tolist()
    [[[0, 0], [0, 1]], [[0, 1], [0, 0]]]
    """

    __slots__ = (
        "_cells",
        "complete",
        "f1",
        "f1_rows",
        "hits",
        "precision",
        "precision_rows",
        "recall",
        "recall_rows",
        "rows",
    )

    def __init__(self, size: int = 0) -> None:
        """Begin empty.

        Args:
            size: Number of labels.
        """
        # (added, removed) x label x true x predicted.
        self._cells: Ints = np.zeros((2, size, 2, 2), np.int64)
        self.rows = 0
        """Number of rows."""
        self.complete = 0
        """Number of rows whose truth is known for every label."""
        self.hits = 0
        """Number of complete rows that are right in every label."""
        self.precision, self.precision_rows = ExactSum(), 0
        """Sum over the complete rows that predict any label, and their number."""
        self.recall, self.recall_rows = ExactSum(), 0
        """Sum over the complete rows that have any label, and their number."""
        self.f1, self.f1_rows = ExactSum(), 0
        """Sum over the complete rows that have or predict any label, and their number."""

    @property
    def size(self) -> int:
        """Number of labels."""
        return int(self._cells.shape[1])

    def update(self, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], sign: int = 1) -> None:
        """Count rows as added, or as removed.

        Args:
            truth: uint8[n, L], 1 where the row has the label, 0 where not, 255 where that is unknown.
            predicted: uint8[n, L], 1 or 0.
            sign: +1 or -1.
        """
        rows, width = truth.shape
        self._grow(width)
        known = truth != UNKNOWN
        cells = np.arange(width) * 4 + (truth.astype(np.int64) * 2 + predicted)
        counts = np.bincount(cells[known], minlength=4 * width)
        self._cells[0 if sign > 0 else 1, :width] += counts.reshape(width, 2, 2)
        self.rows += sign * rows
        complete = known.all(axis=1)
        if not complete.all():
            truth, predicted = truth[complete], predicted[complete]
        self._update_rows(truth, predicted, sign)

    def _update_rows(self, truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], sign: int) -> None:
        self.complete += sign * truth.shape[0]
        self.hits += sign * int(np.count_nonzero((truth == predicted).all(axis=1)))
        both = np.count_nonzero(truth & predicted, axis=1).astype(np.float64)
        had, said = np.count_nonzero(truth, axis=1), np.count_nonzero(predicted, axis=1)
        self.precision_rows += sign * _add_ratios(self.precision, both, said, sign)
        self.recall_rows += sign * _add_ratios(self.recall, both, had, sign)
        self.f1_rows += sign * _add_ratios(self.f1, 2.0 * both, had + said, sign)

    def _grow(self, size: int) -> None:
        if size > self.size:
            self._cells = np.pad(self._cells, ((0, 0), (0, size - self.size), (0, 0), (0, 0)))

    def matrix(self) -> Ints:
        """Return what counts now, int64[L, 2, 2]: label, then true 0 or 1, then predicted 0 or 1."""
        net: Ints = self._cells[0] - self._cells[1]
        return net

    def added_matrix(self) -> Ints:
        """Return what was ever added, int64[L, 2, 2]."""
        added: Ints = self._cells[0].copy()
        return added

    def removed_matrix(self) -> Ints:
        """Return what was ever removed, int64[L, 2, 2]."""
        removed: Ints = self._cells[1].copy()
        return removed

    @property
    def is_empty(self) -> bool:
        """Whether no row was ever added or removed."""
        return not self.rows and not self._cells.any()

    def relabel(self, mapping: Ints, size: int) -> None:
        """Give every label a new place.

        Args:
            mapping: int64[L], new place of every old one.
            size: Number of labels afterwards.
        """
        cells = np.zeros((2, size, 2, 2), np.int64)
        for old, new in enumerate(mapping[: self.size].tolist()):
            cells[:, new] += self._cells[:, old]
        self._cells = cells

    def merge(self, other: LabelMatrix) -> None:
        """Add the counts of ``other``, whose labels must stand in the same places."""
        self._grow(other.size)
        self._cells[:, : other.size] += other._cells
        self.rows += other.rows
        self.complete += other.complete
        self.hits += other.hits
        self.precision.merge(other.precision)
        self.recall.merge(other.recall)
        self.f1.merge(other.f1)
        self.precision_rows += other.precision_rows
        self.recall_rows += other.recall_rows
        self.f1_rows += other.f1_rows

    def copy(self) -> LabelMatrix:
        """Return an independent copy."""
        twin = LabelMatrix(self.size)
        twin.merge(self)
        return twin

    def to_state(self) -> State:
        """Return the counts as plain numbers and lists."""
        return {
            "cells": self._cells.tolist(),
            "rows": [self.rows, self.complete, self.hits, self.precision_rows, self.recall_rows, self.f1_rows],
            "precision": self.precision.to_state(),
            "recall": self.recall.to_state(),
            "f1": self.f1.to_state(),
        }

    @classmethod
    def from_state(cls, state: State) -> LabelMatrix:
        """Rebuild the counts that ``to_state`` wrote."""
        matrix = cls()
        matrix._cells = np.array(state["cells"], np.int64).reshape(2, -1, 2, 2)
        matrix.rows, matrix.complete, matrix.hits, matrix.precision_rows, matrix.recall_rows, matrix.f1_rows = state[
            "rows"
        ]
        matrix.precision = ExactSum.from_state(state["precision"])
        matrix.recall = ExactSum.from_state(state["recall"])
        matrix.f1 = ExactSum.from_state(state["f1"])
        return matrix

    def __eq__(self, other: object) -> bool:
        """Compare everything kept."""
        return self.to_state() == other.to_state() if isinstance(other, LabelMatrix) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the number of labels and rows."""
        return f"LabelMatrix(size={self.size}, rows={self.rows})"


def _add_ratios(total: ExactSum, numerators: Floats, denominators: Ints, sign: int) -> int:
    defined = denominators > 0
    total.add(numerators[defined] / denominators[defined], sign)
    return int(np.count_nonzero(defined))
