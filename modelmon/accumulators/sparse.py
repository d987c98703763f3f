"""Counts under sorted integer keys: the storage that histograms and sparse matrices share.

A table is a pair (keys, columns): ``keys`` are int64[n], strictly ascending;
``columns`` are int64[c, n], one row per kind of count.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
State: TypeAlias = dict[str, Any]

_WIDEST_SPAN = 1 << 16
_FEW = 12


def count_keys(keys: Ints) -> tuple[Ints, Ints]:
    """Count equal keys.

    Args:
        keys: int64[n] in any order.

    Returns:
        The distinct keys, ascending, and how often each occurs.
    """
    if not keys.size:
        return keys, keys
    lowest = int(keys.min())
    span = int(keys.max()) - lowest + 1
    if span <= max(4 * keys.size, 1024) and span <= _WIDEST_SPAN:
        counts = np.bincount(keys - lowest)
        present = np.flatnonzero(counts)
        return present + lowest, counts[present].astype(np.int64, copy=False)
    ordered = np.sort(keys)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[starts], np.diff(starts, append=ordered.size)


def unite(left: Ints, right: Ints) -> Ints:
    """Unite two strictly ascending key arrays into one."""
    if not left.size:
        return right
    if not right.size:
        return left
    both = np.concatenate((left, right))
    both.sort(kind="stable")
    fresh = np.empty(both.size, np.bool_)
    fresh[0] = True
    np.not_equal(both[1:], both[:-1], out=fresh[1:])
    return both[fresh]


def add_tables(keys: Ints, columns: Ints, more_keys: Ints, more_columns: Ints) -> tuple[Ints, Ints]:
    """Add the second table to the first; the first's columns are changed in place where its keys suffice.

    Returns:
        The keys and columns of the sum.
    """
    if not more_keys.size:
        return keys, columns
    if not keys.size:
        return more_keys.copy(), more_columns.copy()
    places = np.searchsorted(keys, more_keys)
    known = keys[np.minimum(places, keys.size - 1)] == more_keys
    if known.all():
        columns[:, places] += more_columns
        return keys, columns
    columns[:, places[known]] += more_columns[:, known]
    fresh = np.flatnonzero(~known)
    inserted = places[fresh] + np.arange(fresh.size)
    old = np.ones(keys.size + fresh.size, np.bool_)
    old[inserted] = False
    united = np.empty(old.size, np.int64)
    united[inserted], united[old] = more_keys[fresh], keys
    total = np.empty((columns.shape[0], old.size), np.int64)
    for row, more_row, total_row in zip(columns, more_columns, total, strict=True):
        total_row[inserted], total_row[old] = more_row[fresh], row
    return united, total


def group_table(keys: Ints, columns: Ints) -> tuple[Ints, Ints]:
    """Add up neighbours of equal key in a table whose keys ascend but may repeat."""
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if keys.size else np.empty(0, np.int64)
    if starts.size == keys.size:
        return keys, columns
    return keys[starts], np.add.reduceat(columns, starts, axis=1)


def drop_empty(keys: Ints, columns: Ints) -> tuple[Ints, Ints]:
    """Leave out the keys under which every count is zero."""
    kept = columns.any(axis=0)
    if kept.all():
        return keys, columns
    return keys[kept], np.ascontiguousarray(columns[:, kept])


def count_codes(table: Ints, codes: Ints, sign: int = 1) -> None:
    """Count codes into a table in place.

    Args:
        table: int64[size].
        codes: int64[n], 0 to size - 1.
        sign: +1 or -1.
    """
    if codes.size > _FEW:
        table += sign * np.bincount(codes, minlength=table.size)
        return
    for code in codes.tolist():
        table[code] += sign
