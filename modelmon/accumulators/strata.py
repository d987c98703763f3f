"""Rows by coarse score and predicted class: those that await a truth together with those that have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.keys import coarse_keys
from modelmon.accumulators.sparse import add_tables, drop_empty

if TYPE_CHECKING:
    from modelmon.accumulators.sparse import Flags, Floats, Ints, State

SHIFT = 51
"""Bits cut off the keys: 32 bins across [0, 1], and two more for every halving of the distance to either end."""
_ACCEPTED, _LABELLED = 0, 2
_COLUMNS = 6


class Strata:
    """Count binary rows by bin of their score, by predicted class and, once labelled, by true class.

    The bins are the same everywhere, so that any two counts can be added, and are few.

    >>> strata = Strata()
    >>> strata.accept(np.array([0.1, 0.1, 0.9]), np.array([False, False, True]))
    >>> strata.label(np.array([0.9]), np.array([True]), np.array([True]))
    >>> strata.accepted.tolist(), strata.labelled[:, 1, 1].tolist()
    ([[2, 0], [0, 1]], [0, 1])
    """

    __slots__ = ("_columns", "_keys")

    def __init__(self) -> None:
        """Begin empty."""
        self._keys: Ints = np.empty(0, np.int64)
        self._columns: Ints = np.empty((_COLUMNS, 0), np.int64)

    def accept(self, scores: Floats, predicted: Flags, sign: int = 1) -> None:
        """Count rows that may get a label, or take them away.

        Args:
            scores: float64[n]; a row whose score is nan is left out.
            predicted: bool[n], whether the positive class was predicted.
            sign: +1 or -1.
        """
        self._update(scores, predicted + np.int64(_ACCEPTED), sign)

    def label(self, scores: Floats, predicted: Flags, positive: Flags, sign: int = 1) -> None:
        """Count rows that have a label, or take them away.

        Args:
            scores: float64[n]; a row whose score is nan is left out.
            predicted: bool[n], whether the positive class was predicted.
            positive: bool[n], whether it is true.
            sign: +1 or -1.
        """
        self._update(scores, 2 * positive.astype(np.int64) + predicted + _LABELLED, sign)

    def _update(self, scores: Floats, column: Ints, sign: int) -> None:
        unknown = np.isnan(scores)
        if unknown.any():
            scores, column = scores[~unknown], column[~unknown]
        if not scores.size:
            return
        keys = coarse_keys(np.ascontiguousarray(scores, np.float64)) >> SHIFT
        lowest = int(keys.min())
        span = int(keys.max()) - lowest + 1  # all floats together span a few thousand bins
        table = np.bincount((keys - lowest) * _COLUMNS + column, minlength=span * _COLUMNS).reshape(span, _COLUMNS)
        found = np.flatnonzero(table.any(axis=1))
        self._add(found + lowest, sign * np.ascontiguousarray(table[found].T.astype(np.int64, copy=False)))

    def _add(self, keys: Ints, columns: Ints) -> None:
        self._keys, self._columns = drop_empty(*add_tables(self._keys, self._columns, keys, columns))

    @property
    def keys(self) -> Ints:
        """The bins that hold rows, int64[n], ascending with the score."""
        return self._keys

    @property
    def accepted(self) -> Ints:
        """Rows that may get a label, or have one: int64[n, 2], by bin and predicted class."""
        accepted: Ints = self._columns[_ACCEPTED:_LABELLED].T
        return accepted

    @property
    def labelled(self) -> Ints:
        """Rows that have a label: int64[n, 2, 2], by bin, true class and predicted class."""
        labelled: Ints = self._columns[_LABELLED:].T.reshape(-1, 2, 2)
        return labelled

    @property
    def is_empty(self) -> bool:
        """Whether no row counts."""
        return not self._keys.size

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return self._keys.nbytes + self._columns.nbytes

    def merge(self, other: Strata) -> None:
        """Add the rows of ``other``."""
        self._add(other._keys, other._columns)

    def copy(self) -> Strata:
        """Return an independent copy."""
        twin = Strata()
        twin._keys, twin._columns = self._keys.copy(), self._columns.copy()
        return twin

    def to_state(self) -> State:
        """Return the counts as plain lists."""
        return {"shift": SHIFT, "keys": self._keys.tolist(), "columns": self._columns.tolist()}

    @classmethod
    def from_state(cls, state: State) -> Strata:
        """Rebuild the counts that ``to_state`` wrote.

        Raises:
            ValueError: The state was written with other bins.
        """
        if state["shift"] != SHIFT:
            message = f"strata of {state['shift']} bits cut off cannot be read as strata of {SHIFT}"
            raise ValueError(message)
        strata = cls()
        strata._keys = np.array(state["keys"], np.int64)
        strata._columns = np.array(state["columns"], np.int64).reshape(_COLUMNS, -1)
        return strata

    def __eq__(self, other: object) -> bool:
        """Compare count by count."""
        return self.to_state() == other.to_state() if isinstance(other, Strata) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the number of bins and rows."""
        return (
            f"Strata(bins={self._keys.size}, accepted={int(self.accepted.sum())}, labelled={int(self.labelled.sum())})"
        )
