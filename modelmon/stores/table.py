"""Tables: named numpy columns that grow together, with rows that are used again once released.

Columns grow in place, which for large ones moves no bytes; so nobody may keep a view (a slice) of a column, which would
point to memory given back. Picking rows by number makes copies, and is safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

_SMALLEST = 64


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

    __slots__ = ("_capacity", "_columns", "_free", "_n_free", "top")

    def __init__(self, dtypes: Mapping[str, Any]) -> None:
        """Start empty.

        Args:
            dtypes: dtype of each column; a pair (dtype, width) makes a column of rows of that width.
        """
        self._columns: dict[str, NDArray[Any]] = {}
        self._capacity = _SMALLEST
        self._free = np.empty(0, np.int32)
        self._n_free = 0
        self.top = 0
        for name, dtype in dtypes.items():
            self.add_column(name, dtype)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column, to read and write at row numbers."""
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
        return sum(column.dtype.itemsize * int(np.prod(column.shape[1:])) for column in self._columns.values())

    def add_column(self, name: str, dtype: Any, fill: Any = None) -> None:
        """Add a column; the rows there are get ``fill``."""
        kind, shape = (dtype[0], (self._capacity, dtype[1])) if isinstance(dtype, tuple) else (dtype, (self._capacity,))
        column = np.zeros(shape, kind)
        if fill is not None:
            column[: self.top] = fill
        self._columns[name] = column

    def widen(self, name: str, dtype: Any) -> None:
        """Give a column a wider dtype."""
        self._columns[name] = self._columns[name].astype(dtype)

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
        self._capacity = max(needed, self._capacity + self._capacity // 4)
        for column in self._columns.values():
            column.resize((self._capacity, *column.shape[1:]), refcheck=False)
