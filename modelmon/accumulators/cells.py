"""Counts of pairs (true class, predicted class) that only ever rise.

Few classes: one dense array.
Many classes: sorted pairs, or a dense array again once a quarter of the pairs of up to 256 classes occur.
Past 16,384 distinct pairs of more classes, only what each class sums to is kept;
accuracy, precision, recall, F1, MCC and kappa need no more and stay exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.sparse import add_tables, count_keys, group_table

if TYPE_CHECKING:
    from modelmon.accumulators.sparse import Ints, State

DENSE_CLASSES = 64
CROWDED_CLASSES = 256
MOST_PAIRS = 1 << 14
_CODE_BITS = 32
_CODE_MASK = (1 << _CODE_BITS) - 1


class Cells:
    """Count pairs of class codes."""

    __slots__ = ("_counts", "_dense", "_keys", "_margins", "size")

    def __init__(self, size: int = 0) -> None:
        """Begin empty.

        Args:
            size: Number of classes known so far; it grows with the codes that come.
        """
        self.size = size
        # One of three holds the counts: true x predicted, or pairs, or (right, support, predicted) x class.
        self._dense: Ints | None = np.zeros((size, size), np.int64) if size <= DENSE_CLASSES else None
        self._keys, self._counts = _no_pairs()
        self._margins: Ints | None = None

    @property
    def is_complete(self) -> bool:
        """Whether single cells are known, not only the sums of each class."""
        return self._margins is None

    @property
    def total(self) -> int:
        """Number of rows counted."""
        if self._margins is not None:
            return int(self._margins[1].sum())
        return int((self._counts if self._dense is None else self._dense).sum())

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        tables = (self._dense, self._keys, self._counts, self._margins)
        return sum(table.nbytes for table in tables if table is not None)

    def update(self, actual: Ints, predicted: Ints) -> None:
        """Count rows.

        Args:
            actual: int[n] true codes, none negative.
            predicted: int[n] predicted codes, none negative.
        """
        self.grow(1 + max(int(actual.max()), int(predicted.max())))
        if self._dense is not None:
            size = self.size
            self._dense += np.bincount(actual * np.intp(size) + predicted, minlength=size * size).reshape(size, size)
        elif self._margins is not None:
            right = np.bincount(actual[actual == predicted], minlength=self.size)
            self._margins[0] += right
            self._margins[1] += np.bincount(actual, minlength=self.size)
            self._margins[2] += np.bincount(predicted, minlength=self.size)
        else:
            # Right rows need no sorting, and most rows are right.
            wrong = actual != predicted
            codes, counts = count_keys(actual[~wrong].astype(np.int64))
            self.add_pairs((codes << _CODE_BITS) | codes, counts)
            self.add_pairs(*count_keys((actual[wrong].astype(np.int64) << _CODE_BITS) | predicted[wrong]))

    def grow(self, size: int) -> None:
        """Make room for ``size`` classes."""
        more = size - self.size
        if more <= 0:
            return
        self.size = size
        if self._margins is not None:
            self._margins = np.pad(self._margins, ((0, 0), (0, more)))
        elif self._dense is not None and size <= DENSE_CLASSES:
            self._dense = np.pad(self._dense, (0, more))
        elif self._dense is not None:
            keys, counts = self.pairs()
            self._dense = None
            self.add_pairs(keys, counts)

    def pairs(self) -> tuple[Ints, Ints]:
        """Return the counted pairs, as keys (true code x 2**32 + predicted code) and counts."""
        if self._dense is None:
            return self._keys, self._counts[0]
        actual, predicted = np.nonzero(self._dense)
        return (actual.astype(np.int64) << _CODE_BITS) | predicted, self._dense[actual, predicted]

    def add_pairs(self, keys: Ints, counts: Ints) -> None:
        """Add counts under strictly ascending keys, whose codes are below ``size``."""
        if self._dense is not None:
            self._dense[keys >> _CODE_BITS, keys & _CODE_MASK] += counts
            return
        if self._margins is not None:
            self._margins += _sum_pairs(keys, counts, self.size)
            return
        self._keys, self._counts = add_tables(self._keys, self._counts, keys, counts[None, :])
        if self.size <= CROWDED_CLASSES and 4 * self._keys.size > self.size**2:
            self._dense = self.matrix(self.size)
        elif self._keys.size > MOST_PAIRS:
            self._margins = _sum_pairs(self._keys, self._counts[0], self.size)
        else:
            return
        self._keys, self._counts = _no_pairs()

    def matrix(self, size: int) -> Ints:
        """Return the counts, int64[size, size], true classes down, predicted across; ``size`` covers all classes.

        Raises:
            ValueError: Only the sums of each class are kept.
        """
        if self._margins is not None:
            message = f"past {MOST_PAIRS} distinct pairs of classes single cells are not kept; read the marginals"
            raise ValueError(message)
        matrix = np.zeros((size, size), np.int64)
        if self._dense is not None:
            matrix[: self.size, : self.size] = self._dense
        else:
            matrix[self._keys >> _CODE_BITS, self._keys & _CODE_MASK] = self._counts[0]
        return matrix

    def margins(self, size: int) -> Ints:
        """Return right rows, true rows and predicted rows per class, int64[3, size]; ``size`` covers all classes."""
        if self._dense is None and self._margins is None:
            return _sum_pairs(self._keys, self._counts[0], size)
        margins = np.zeros((3, size), np.int64)
        known = margins[:, : self.size]
        if self._margins is not None:
            known[:] = self._margins
        elif self._dense is not None:
            known[0], known[1], known[2] = self._dense.diagonal(), self._dense.sum(axis=1), self._dense.sum(axis=0)
        return margins

    def merge(self, other: Cells) -> None:
        """Add the counts of ``other``, whose codes must mean the same classes."""
        self.grow(other.size)
        if self._dense is not None and other._dense is not None:
            self._dense[: other.size, : other.size] += other._dense
        elif other.is_complete:
            self.add_pairs(*other.pairs())
        else:
            self._margins = self.margins(self.size) + other.margins(self.size)
            self._dense = None
            self._keys, self._counts = _no_pairs()

    def relabelled(self, mapping: Ints, size: int) -> Cells:
        """Return the counts under new codes.

        Args:
            mapping: int64[k], new code of every old one.
            size: Number of classes afterwards.
        """
        twin = Cells(size)
        if self._margins is None:
            keys, counts = self.pairs()
            keys = (mapping[keys >> _CODE_BITS].astype(np.int64) << _CODE_BITS) | mapping[keys & _CODE_MASK]
            order = np.argsort(keys, kind="stable")
            grouped, sums = group_table(keys[order], counts[None, order])
            twin.add_pairs(grouped, sums[0])
            return twin
        twin._dense, twin._margins = None, np.zeros((3, size), np.int64)
        for old, new in zip(self._margins, twin._margins, strict=True):
            np.add.at(new, mapping[: self.size], old)
        return twin

    def copy(self) -> Cells:
        """Return an independent copy."""
        twin = Cells()
        twin.size = self.size
        twin._dense = None if self._dense is None else self._dense.copy()
        twin._keys, twin._counts = self._keys.copy(), self._counts.copy()
        twin._margins = None if self._margins is None else self._margins.copy()
        return twin

    def to_state(self) -> State:
        """Return the counts as plain lists: of pairs while those are known, else the sums of each class."""
        if self._margins is not None:
            return {"size": self.size, "margins": self._margins.tolist()}
        keys, counts = self.pairs()
        return {
            "size": self.size,
            "actual": (keys >> _CODE_BITS).tolist(),
            "predicted": (keys & _CODE_MASK).tolist(),
            "counts": counts.tolist(),
        }

    @classmethod
    def from_state(cls, state: State) -> Cells:
        """Rebuild the counts that ``to_state`` wrote."""
        cells = cls(state["size"])
        if "margins" in state:
            cells._dense, cells._margins = None, np.array(state["margins"], np.int64)
            return cells
        keys = (np.array(state["actual"], np.int64) << _CODE_BITS) | np.array(state["predicted"], np.int64)
        cells.add_pairs(keys, np.array(state["counts"], np.int64))
        return cells

    def __eq__(self, other: object) -> bool:
        """Compare the counts, whatever number of classes is known beside them."""
        if not isinstance(other, Cells):
            return NotImplemented
        if self.is_complete and other.is_complete:
            return all(map(np.array_equal, self.pairs(), other.pairs()))
        size = max(self.size, other.size)
        return self.is_complete == other.is_complete and np.array_equal(self.margins(size), other.margins(size))

    __hash__ = None  # type: ignore[assignment]


def _no_pairs() -> tuple[Ints, Ints]:
    return np.empty(0, np.int64), np.empty((1, 0), np.int64)


def _sum_pairs(keys: Ints, counts: Ints, size: int) -> Ints:
    actual, predicted = keys >> _CODE_BITS, keys & _CODE_MASK
    right = actual == predicted
    margins = np.zeros((3, size), np.int64)
    np.add.at(margins[0], actual[right], counts[right])
    np.add.at(margins[1], actual, counts)
    np.add.at(margins[2], predicted, counts)
    return margins
