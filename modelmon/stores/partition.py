"""Partition a batch by two numbers per row; nearly always there are few distinct pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW = 8


def partition(first: NDArray[np.int64], second: NDArray[np.int64]) -> list[tuple[tuple[int, int], Any]]:
    """Return each distinct pair with an index (a slice or positions) of its rows.

    >>> [(pair, rows.tolist()) for pair, rows in partition(np.array([0, 0, 1]), np.array([5, 5, 5]))]
    [((0, 5), [0, 1]), ((1, 5), [2])]
    """
    if not len(first):
        return []
    low_first, low_second = int(first.min()), int(second.min())
    span = int(second.max()) - low_second + 1
    pairs = (int(first.max()) - low_first + 1) * span
    if pairs == 1:
        return [((low_first, low_second), slice(None))]
    code = (first - low_first) * span + (second - low_second)
    if pairs > 4 * len(code) + 1024:
        found, code = np.unique(code, return_inverse=True)
    else:
        there = np.zeros(pairs, np.bool_)
        there[code] = True
        found = np.flatnonzero(there)
        place = np.empty(pairs, np.int64)
        place[found] = np.arange(len(found))
        code = place[code]
    keys = [(low_first + pair // span, low_second + pair % span) for pair in found.tolist()]
    if len(keys) <= _FEW:
        return [(key, np.flatnonzero(code == which)) for which, key in enumerate(keys)]
    narrow = code.astype(np.uint16) if len(keys) < 1 << 16 else code
    order = np.argsort(narrow, kind="stable")  # a radix sort where there are at most 16 bits
    ends = np.cumsum(np.bincount(code, minlength=len(keys)))
    return list(zip(keys, np.split(order, ends[:-1]), strict=True))
