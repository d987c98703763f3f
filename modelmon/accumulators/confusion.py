"""Confusion counts of any number of classes.

Rows added and rows removed are counted apart, because exported counters must never fall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelmon.accumulators.cells import Cells

if TYPE_CHECKING:
    from modelmon.accumulators.sparse import Ints, State


class Confusion:
    """Count rows by true and predicted class code.

    >>> import numpy as np
    >>> confusion = Confusion()
    >>> confusion.update(np.array([0, 1, 1]), np.array([0, 1, 0]))
    >>> confusion.matrix(2).tolist()
    [[1, 0], [1, 1]]
    """

    __slots__ = ("_added", "_removed")

    def __init__(self, size: int = 0) -> None:
        """Begin empty.

        Args:
            size: Number of classes known so far; it grows with the codes that come.
        """
        self._added = Cells(size)
        self._removed = Cells()

    @property
    def size(self) -> int:
        """Number of classes known so far."""
        return max(self._added.size, self._removed.size)

    @property
    def is_complete(self) -> bool:
        """Whether single cells are known, not only the sums of each class (see ``cells``)."""
        return self._added.is_complete and self._removed.is_complete

    @property
    def added_total(self) -> int:
        """Number of rows ever added."""
        return self._added.total

    @property
    def removed_total(self) -> int:
        """Number of rows ever removed."""
        return self._removed.total

    @property
    def total(self) -> int:
        """Number of rows that count now."""
        return self.added_total - self.removed_total

    @property
    def is_empty(self) -> bool:
        """Whether no row was ever added or removed."""
        return not self.added_total and not self.removed_total

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return self._added.nbytes + self._removed.nbytes

    def update(self, actual: Ints, predicted: Ints, sign: int = 1) -> None:
        """Count rows as added, or as removed.

        Args:
            actual: int[n] true codes, none negative.
            predicted: int[n] predicted codes, none negative.
            sign: +1 or -1.
        """
        if actual.size:
            (self._added if sign > 0 else self._removed).update(actual, predicted)

    def matrix(self, size: int = 0) -> Ints:
        """Return the rows that count now.

        Args:
            size: Number of classes to show, all known ones at least.

        Returns:
            int64[size, size], true classes down, predicted across.

        Raises:
            ValueError: Only the sums of each class are kept.
        """
        return self.added_matrix(size) - self.removed_matrix(size)

    def added_matrix(self, size: int = 0) -> Ints:
        """Return the rows ever added, as ``matrix``."""
        return self._added.matrix(max(size, self.size))

    def removed_matrix(self, size: int = 0) -> Ints:
        """Return the rows ever removed, as ``matrix``."""
        return self._removed.matrix(max(size, self.size))

    def marginals(self, size: int = 0) -> tuple[Ints, Ints, Ints]:
        """Return what counts now per class.

        Args:
            size: Number of classes to show, all known ones at least.

        Returns:
            True positives, support (rows of that true class) and predicted (rows predicted as it), int64[size] each.
        """
        size = max(size, self.size)
        right, support, predicted = self._added.margins(size) - self._removed.margins(size)
        return right, support, predicted

    def added_marginals(self, size: int = 0) -> tuple[Ints, Ints, Ints]:
        """Return ``marginals`` of the rows ever added."""
        right, support, predicted = self._added.margins(max(size, self.size))
        return right, support, predicted

    def removed_marginals(self, size: int = 0) -> tuple[Ints, Ints, Ints]:
        """Return ``marginals`` of the rows ever removed."""
        right, support, predicted = self._removed.margins(max(size, self.size))
        return right, support, predicted

    def merge(self, other: Confusion) -> None:
        """Add the rows of ``other``, whose codes must mean the same classes."""
        self._added.merge(other._added)
        self._removed.merge(other._removed)

    def relabel(self, mapping: Ints, size: int) -> None:
        """Give every class a new code; classes given one code become one.

        Args:
            mapping: int64[k], new code of every old one.
            size: Number of classes afterwards.
        """
        self._added = self._added.relabelled(mapping, size)
        self._removed = self._removed.relabelled(mapping, size if self._removed.size else 0)

    def copy(self) -> Confusion:
        """Return an independent copy."""
        twin = Confusion()
        twin._added, twin._removed = self._added.copy(), self._removed.copy()
        return twin

    def to_state(self) -> State:
        """Return the counts as plain lists."""
        return {"added": self._added.to_state(), "removed": self._removed.to_state()}

    @classmethod
    def from_state(cls, state: State) -> Confusion:
        """Rebuild the counts that ``to_state`` wrote."""
        confusion = cls()
        confusion._added = Cells.from_state(state["added"])
        confusion._removed = Cells.from_state(state["removed"])
        return confusion

    def __eq__(self, other: object) -> bool:
        """Compare the counts, whatever number of classes is known beside them."""
        if not isinstance(other, Confusion):
            return NotImplemented
        return self._added == other._added and self._removed == other._removed

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the number of classes and of rows."""
        return f"Confusion(size={self.size}, total={self.total})"
