"""Confusion counts of any number of classes.

Up to 64 classes the counts are one dense array; above, sorted pairs (true class, predicted class);
past 32,768 distinct pairs only what each class sums to is kept, from which accuracy, precision, recall, F1, MCC and kappa stay exact.
Rows added and rows removed are counted apart, because exported counters must never fall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.sparse import add_tables, count_keys, drop_empty, group_table

if TYPE_CHECKING:
    from modelmon.accumulators.sparse import Ints, State

DENSE_CLASSES = 64
MOST_PAIRS = 1 << 15
_CODE_BITS = 32
_CODE_MASK = (1 << _CODE_BITS) - 1


class Confusion:
    """Count rows by true and predicted class code.

    >>> confusion = Confusion()
    >>> confusion.update(np.array([0, 1, 1]), np.array([0, 1, 0]))
    >>> confusion.matrix(2).tolist()
    [[1, 0], [1, 1]]
    """

    __slots__ = ("_cells", "_dense", "_keys", "_margins", "_size")

    def __init__(self, size: int = 0) -> None:
        """Begin empty.

        Args:
            size: Number of classes known so far; it grows with the codes that come.
        """
        self._size = size
        # (added, removed) x true x predicted, or None above 64 classes.
        self._dense: Ints | None = np.zeros((2, size, size), np.int64) if size <= DENSE_CLASSES else None
        self._keys: Ints = np.empty(0, np.int64)
        self._cells: Ints = np.empty((2, 0), np.int64)
        # (added, removed) x (true positives, support, predicted) x class, or None while pairs suffice.
        self._margins: Ints | None = None

    @property
    def size(self) -> int:
        """Number of classes known so far."""
        return self._size

    @property
    def is_complete(self) -> bool:
        """Whether single cells are known, not only the sums of each class."""
        return self._margins is None

    def update(self, actual: Ints, predicted: Ints, sign: int = 1) -> None:
        """Count rows as added, or as removed.

        Args:
            actual: int[n] true codes, none negative.
            predicted: int[n] predicted codes, none negative.
            sign: +1 or -1.
        """
        if not actual.size:
            return
        self._grow(1 + max(int(actual.max()), int(predicted.max())))
        side = 0 if sign > 0 else 1
        if self._dense is not None:
            size = self._size
            cells = np.bincount(actual * np.intp(size) + predicted, minlength=size * size)
            self._dense[side] += cells.reshape(size, size)
        elif self._margins is not None:
            self._margins[side] += _count_margins(actual, predicted, self._size)
        else:
            keys, counts = count_keys((actual.astype(np.int64) << _CODE_BITS) | predicted)
            cells = np.zeros((2, keys.size), np.int64)
            cells[side] = counts
            self._add_pairs(keys, cells)

    def _grow(self, size: int) -> None:
        more = size - self._size
        if more <= 0:
            return
        self._size = size
        if self._margins is not None:
            self._margins = np.pad(self._margins, ((0, 0), (0, 0), (0, more)))
        elif self._dense is not None and size <= DENSE_CLASSES:
            self._dense = np.pad(self._dense, ((0, 0), (0, more), (0, more)))
        elif self._dense is not None:
            self._keys, self._cells = _pairs_of(self._dense)
            self._dense = None

    def _add_pairs(self, keys: Ints, cells: Ints) -> None:
        self._keys, self._cells = add_tables(self._keys, self._cells, keys, cells)
        if self._keys.size > MOST_PAIRS:
            self._margins = self._sum_margins(self._size)
            self._keys, self._cells = np.empty(0, np.int64), np.empty((2, 0), np.int64)

    def _pairs(self) -> tuple[Ints, Ints]:
        return (self._keys, self._cells) if self._dense is None else _pairs_of(self._dense)

    def _sum_margins(self, size: int) -> Ints:
        if self._margins is not None:
            return np.pad(self._margins, ((0, 0), (0, 0), (0, size - self._size)))
        margins = np.zeros((2, 3, size), np.int64)
        if self._dense is not None:
            known = margins[:, :, : self._size]
            known[:, 0] = self._dense.diagonal(axis1=1, axis2=2)
            known[:, 1] = self._dense.sum(axis=2)
            known[:, 2] = self._dense.sum(axis=1)
            return margins
        actual, predicted = self._keys >> _CODE_BITS, self._keys & _CODE_MASK
        right = actual == predicted
        for side in (0, 1):
            np.add.at(margins[side, 0], actual[right], self._cells[side, right])
            np.add.at(margins[side, 1], actual, self._cells[side])
            np.add.at(margins[side, 2], predicted, self._cells[side])
        return margins

    @property
    def added_total(self) -> int:
        """Number of rows ever added."""
        return self._total(0)

    @property
    def removed_total(self) -> int:
        """Number of rows ever removed."""
        return self._total(1)

    @property
    def total(self) -> int:
        """Number of rows that count now."""
        return self._total(0) - self._total(1)

    def _total(self, side: int) -> int:
        if self._margins is not None:
            return int(self._margins[side, 1].sum())
        return int((self._cells if self._dense is None else self._dense)[side].sum())

    @property
    def is_empty(self) -> bool:
        """Whether no row was ever added or removed."""
        return not self.added_total and not self.removed_total

    def matrix(self, size: int = 0) -> Ints:
        """Return the rows that count now, int64[size, size], true classes down, predicted across.

        Raises:
            ValueError: Only the sums of each class are kept.
        """
        return self.added_matrix(size) - self.removed_matrix(size)

    def added_matrix(self, size: int = 0) -> Ints:
        """Return the rows ever added, int64[size, size]; raises as ``matrix``."""
        return self._matrix(0, size)

    def removed_matrix(self, size: int = 0) -> Ints:
        """Return the rows ever removed, int64[size, size]; raises as ``matrix``."""
        return self._matrix(1, size)

    def _matrix(self, side: int, size: int) -> Ints:
        if self._margins is not None:
            message = f"past {MOST_PAIRS} distinct pairs of classes single cells are not kept; read the marginals"
            raise ValueError(message)
        size = max(size, self._size)
        matrix = np.zeros((size, size), np.int64)
        if self._dense is not None:
            matrix[: self._size, : self._size] = self._dense[side]
        else:
            matrix[self._keys >> _CODE_BITS, self._keys & _CODE_MASK] = self._cells[side]
        return matrix

    def marginals(self, size: int = 0) -> tuple[Ints, Ints, Ints]:
        """Return what counts now per class.

        Returns:
            True positives, support (rows of that true class) and predicted (rows predicted as it), int64[size] each.
        """
        margins = self._sum_margins(max(size, self._size))
        net = margins[0] - margins[1]
        return net[0], net[1], net[2]

    def added_marginals(self, size: int = 0) -> tuple[Ints, Ints, Ints]:
        """Return ``marginals`` of the rows ever added."""
        added = self._sum_margins(max(size, self._size))[0]
        return added[0], added[1], added[2]

    def removed_marginals(self, size: int = 0) -> tuple[Ints, Ints, Ints]:
        """Return ``marginals`` of the rows ever removed."""
        removed = self._sum_margins(max(size, self._size))[1]
        return removed[0], removed[1], removed[2]

    def merge(self, other: Confusion) -> None:
        """Add the rows of ``other``, whose codes must mean the same classes."""
        self._grow(other._size)
        if self._dense is not None and other._dense is not None:
            self._dense[:, : other._size, : other._size] += other._dense
        elif self._margins is not None or other._margins is not None:
            self._margins = self._sum_margins(self._size) + other._sum_margins(self._size)
            self._keys, self._cells = np.empty(0, np.int64), np.empty((2, 0), np.int64)
        else:
            self._add_pairs(*other._pairs())

    def relabel(self, mapping: Ints, size: int) -> None:
        """Give every class a new code.

        Args:
            mapping: int64[k], new code of every old one.
            size: Number of classes afterwards.
        """
        twin = Confusion(size)
        if self._margins is not None:
            margins = np.zeros((2, 3, size), np.int64)
            np.add.at(margins, (slice(None), slice(None), mapping[: self._size]), self._margins)
            twin._dense, twin._margins = None, margins
        else:
            keys, cells = self._pairs()
            keys = (mapping[keys >> _CODE_BITS].astype(np.int64) << _CODE_BITS) | mapping[keys & _CODE_MASK]
            order = np.argsort(keys, kind="stable")
            twin._load(*group_table(keys[order], np.ascontiguousarray(cells[:, order])))
        self._size, self._dense, self._keys, self._cells = twin._size, twin._dense, twin._keys, twin._cells
        self._margins = twin._margins

    def _load(self, keys: Ints, cells: Ints) -> None:
        if self._dense is None:
            self._add_pairs(keys, cells)
        else:
            self._dense[:, keys >> _CODE_BITS, keys & _CODE_MASK] += cells

    def copy(self) -> Confusion:
        """Return an independent copy."""
        twin = Confusion(0)
        twin._size = self._size
        twin._dense = None if self._dense is None else self._dense.copy()
        twin._keys, twin._cells = self._keys.copy(), self._cells.copy()
        twin._margins = None if self._margins is None else self._margins.copy()
        return twin

    def to_state(self) -> State:
        """Return the counts as plain lists: of cells while those are known, else of the sums of each class."""
        if self._margins is not None:
            return {"size": self._size, "margins": self._margins.tolist()}
        keys, cells = drop_empty(*self._pairs())
        return {
            "size": self._size,
            "actual": (keys >> _CODE_BITS).tolist(),
            "predicted": (keys & _CODE_MASK).tolist(),
            "added": cells[0].tolist(),
            "removed": cells[1].tolist(),
        }

    @classmethod
    def from_state(cls, state: State) -> Confusion:
        """Rebuild the counts that ``to_state`` wrote."""
        confusion = cls(state["size"])
        if "margins" in state:
            confusion._dense, confusion._margins = None, np.array(state["margins"], np.int64)
            return confusion
        keys = (np.array(state["actual"], np.int64) << _CODE_BITS) | np.array(state["predicted"], np.int64)
        confusion._load(keys, np.array([state["added"], state["removed"]], np.int64))
        return confusion

    def __eq__(self, other: object) -> bool:
        """Compare the counts, whatever number of classes is known beside them."""
        if not isinstance(other, Confusion):
            return NotImplemented
        mine, theirs = self.to_state(), other.to_state()
        if mine.keys() != theirs.keys() or "margins" in mine:
            size = max(self._size, other._size)
            alike = self.is_complete == other.is_complete
            return alike and np.array_equal(self._sum_margins(size), other._sum_margins(size))
        return {**mine, "size": 0} == {**theirs, "size": 0}

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the number of classes and of rows."""
        return f"Confusion(size={self._size}, total={self.total})"


def _pairs_of(dense: Ints) -> tuple[Ints, Ints]:
    actual, predicted = np.nonzero(dense.any(axis=0))
    keys = (actual.astype(np.int64) << _CODE_BITS) | predicted
    return keys, np.ascontiguousarray(dense[:, actual, predicted])


def _count_margins(actual: Ints, predicted: Ints, size: int) -> Ints:
    right = np.bincount(actual[actual == predicted], minlength=size)
    return np.stack((right, np.bincount(actual, minlength=size), np.bincount(predicted, minlength=size)))
