"""Tables: named columns that grow together, with rows that are used again once released.

The columns lie row by row in one block of memory, so that reading several columns of one row costs one access to
memory; whoever needs several reads and writes whole rows (`read`, `write`), which also is one pass instead of many.
Blocks grow in place, which for large ones moves no bytes; so nobody may keep a column, or a slice of one, over an
`allocate`: it would point to memory given back. Picking rows by number makes copies, and is safe.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

_SMALLEST = 64
_DOUBLED = 1 << 16
_WORD = 8


class Table:
    """Hold columns by name; a row is a number, the same in every column.

    There is always a row, so that the number -1, which is none, may be read (and means nothing).

    >>> table = Table({"due": np.float64})
    >>> rows = table.allocate(2)
    >>> table["due"][rows] = [1.5, 2.5]
    >>> table.release(rows[:1])
    >>> table.allocate(1).tolist(), len(table)
    ([0], 2)
    """

    __slots__ = ("_block", "_bytes", "_capacity", "_columns", "_free", "_n_free", "_words", "top")

    def __init__(self, dtypes: Mapping[str, Any]) -> None:
        """Start empty.

        Args:
            dtypes: dtype of each column; a pair (dtype, width) makes a column of rows of that width.
        """
        self._capacity = _SMALLEST
        self._free = np.empty(0, np.int32)
        self._n_free = 0
        self.top = 0
        self._use(np.zeros(self._capacity, _laid(tuple(dtypes.items()))))

    def _use(self, block: NDArray[Any]) -> None:
        """Go over to a block at once: what a signal breaks off before leaves the one there was."""
        columns = {name: block[name] for name in block.dtype.names or ()}
        as_bytes = block.view(f"V{block.dtype.itemsize}")  # copies rows without looking at their columns
        words = block.view(np.uint64) if block.dtype.itemsize % _WORD == 0 else None
        self._block, self._columns, self._bytes, self._words = block, columns, as_bytes, words

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column, to read and write at row numbers until the next `allocate`."""
        return self._columns[name]

    def __contains__(self, name: str) -> bool:
        """Tell whether there is such a column."""
        return name in self._columns

    def __len__(self) -> int:
        """Return how many rows are in use."""
        return self.top - self._n_free

    @property
    def width(self) -> int:
        """Bytes of one row."""
        return self._block.dtype.itemsize

    def add_column(self, name: str, dtype: Any) -> None:
        """Add a column; the rows there are get zeros."""
        self._rebuild({name: dtype})

    def widen(self, name: str, dtype: Any) -> None:
        """Give a column a wider dtype."""
        self._rebuild({name: dtype})

    def _rebuild(self, dtypes: Mapping[str, Any]) -> None:
        fields: Mapping[str, Any] = self._block.dtype.fields or {}
        wanted = {field: fields[field][0] for field in fields} | dict(dtypes)
        block = np.zeros(self._capacity, _laid(tuple(wanted.items())))
        for field in fields if self.top else ():
            block[field] = self._block[field]
        self._use(block)

    def read(self, rows: Numbers) -> NDArray[Any]:
        """Return copies of whole rows, as a structured array; a number below 0 gives some row."""
        copies: NDArray[Any] = self._bytes.take(rows, mode="clip").view(self._block.dtype)
        return copies

    def words(self, name: str, rows: Numbers) -> NDArray[np.uint64]:
        """Return a column of uint64 at rows; a number below 0 gives some row.

        To pick from a column that is not contiguous costs twice as much, so this picks from the block as a whole.
        """
        if self._words is None:
            return self._columns[name].take(rows, mode="clip")
        fields: Mapping[str, Any] = self._block.dtype.fields or {}
        place = rows * (self._block.dtype.itemsize // _WORD)
        place += fields[name][1] // _WORD
        return self._words.take(place, mode="clip")

    def blank(self, n: int) -> NDArray[Any]:
        """Return a structured array of ``n`` rows of zeros, to fill and `write`."""
        return np.zeros(n, self._block.dtype)

    def write(self, rows: Numbers, copies: NDArray[Any]) -> None:
        """Write whole rows; fastest where they follow one another, as those that `allocate` found at the end do."""
        n = len(rows)
        if n and int(rows[-1]) - int(rows[0]) == n - 1 and (rows[1:] > rows[:-1]).all():
            self._bytes[int(rows[0]) : int(rows[0]) + n] = copies.view(self._bytes.dtype)
        else:
            self._bytes[rows] = copies.view(self._bytes.dtype)

    def allocate(self, n: int) -> Numbers:
        """Return ``n`` rows to use, whose contents are undefined."""
        reused = min(n, self._n_free)
        self._n_free -= reused
        rows = np.empty(n, np.int64)
        rows[:reused] = self._free[self._n_free : self._n_free + reused]
        fresh = n - reused
        if fresh:
            if self.top + fresh > self._capacity:
                self._grow(self.top + fresh)
            rows[reused:] = np.arange(self.top, self.top + fresh)
            self.top += fresh
        return rows

    def release(self, rows: Numbers) -> None:
        """Give rows back."""
        needed = self._n_free + len(rows)
        if needed > len(self._free):
            grown = np.empty(max(_SMALLEST, needed + needed // 2), np.int32)
            grown[: self._n_free] = self._free[: self._n_free]
            self._free = grown
        self._free[self._n_free : needed] = rows
        self._n_free = needed

    def _grow(self, needed: int) -> None:
        step = max(min(self._capacity, _DOUBLED), self._capacity // 8)  # little slack once it is large
        try:
            self._columns, self._bytes, self._words = {}, np.empty(0), None
            self._block.resize(max(needed, self._capacity + step), refcheck=False)
        finally:  # a signal may have struck before
            self._capacity = len(self._block)
            self._use(self._block)


@cache
def _laid(fields: tuple[tuple[str, Any], ...]) -> np.dtype[np.void]:
    """Return the dtype of a row, widest columns first, for least padding."""
    ordered = sorted(fields, key=lambda item: -np.dtype(item[1]).itemsize)
    return np.dtype([(name, kind) for name, kind in ordered], align=True)
