"""Ids issued by the library, written out for the store: as ``modelmon.probes.auto_ids`` does, but many at once.

A record holds its call's number; a row is numbered ``number << 21 | place + 1``, a lone prediction's place is -1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from modelmon.columns import Ids
from modelmon.probes.auto_ids import rows_issued
from modelmon.probes.seats import PLAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.tasks import Task

_PLACE_BITS: Final = 21
_PLACES: Final = (1 << _PLACE_BITS) - 1
LONE: Final = PLAIN | {str}


def lone_numbers(numbers: Sequence[int]) -> NDArray[np.int64]:
    """Number calls of which each has one lone prediction."""
    return np.fromiter(numbers, np.int64, len(numbers)) << _PLACE_BITS


def numbered(values: Sequence[Any], numbers: Sequence[int], task: Task | None) -> list[Any]:
    """Number the rows of calls, as ids that integers can carry through a reading by a task."""
    if set(map(type, values)) <= LONE:
        return [number << _PLACE_BITS for number in numbers]
    found: list[Any] = []
    for value, number in zip(values, numbers, strict=True):
        rows = rows_issued(value, task)
        first = number << _PLACE_BITS
        found.append(first if rows is None else np.arange(first + 1, first + 1 + min(rows, _PLACES)))
    return found


def written(prefix: str, numbered_rows: NDArray[np.int64]) -> Ids:
    """Write out the ids of numbered rows.

    >>> written("a", np.array([7 << 21, (12 << 21) + 1, (12 << 21) + 11])).texts()
    ['a-7', 'a-12-0', 'a-12-10']
    """
    calls, places = numbered_rows >> _PLACE_BITS, (numbered_rows & _PLACES) - 1
    stem = np.frombuffer(f"{prefix}-".encode(), np.uint8)
    texts = np.zeros(len(calls), "S1")
    digits, more = _lengths(calls), np.where(places >= 0, 1 + _lengths(np.maximum(places, 0)), 0)
    shapes = digits * 32 + more
    alike = bool(len(shapes)) and int(shapes.min()) == int(shapes.max())
    for shape in [int(shapes[0])] if alike else sorted(set(shapes.tolist())):
        rows = np.arange(len(calls)) if alike else np.flatnonzero(shapes == shape)
        width, tail = divmod(shape, 32)
        text = np.empty((len(rows), len(stem) + width + tail), np.uint8)
        text[:, : len(stem)] = stem
        _write(text, calls[rows], len(stem) + width)
        if tail:
            text[:, len(stem) + width] = ord("-")
            _write(text, places[rows], text.shape[1], first=len(stem) + width + 1)
        written_rows = text.view(f"S{text.shape[1]}").reshape(-1)
        if len(rows) == len(calls):
            texts = written_rows
        else:
            texts = texts.astype(f"S{max(text.shape[1], texts.dtype.itemsize)}")
            texts[rows] = written_rows
    return Ids(None, texts, np.ones(len(calls), np.bool_))


def _lengths(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many decimal digits each number has."""
    most = len(str(int(numbers.max(initial=0))))
    if numbers.size and len(str(int(numbers.min()))) == most:
        return np.full(numbers.size, most)
    powers = 10 ** np.arange(1, 19, dtype=np.int64)
    return np.searchsorted(powers, numbers, side="right") + 1


def _write(text: NDArray[np.uint8], numbers: NDArray[np.int64], end: int, first: int | None = None) -> None:
    """Write decimal digits right-aligned before column ``end``, as many as the largest number needs."""
    rest = numbers.copy()
    begin = end - int(_lengths(rest[:1])[0]) if first is None else first
    for column in range(end - 1, begin - 1, -1):
        rest, digit = np.divmod(rest, 10)
        text[:, column] = digit + ord("0")
