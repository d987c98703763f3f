"""Segments: stretches of 1,024 records, and when the first record of each may be due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Floats = NDArray[np.float64]

_BITS = 10
_WIDTH = 1 << _BITS


class Segments:
    """Know for each segment a time before which none of its records is due."""

    __slots__ = ("_earliest",)

    def __init__(self) -> None:
        """Start empty."""
        self._earliest = np.full(0, np.inf)

    def remind(self, numbers: Numbers, due: float, top: int) -> None:
        """Note that one of these records may be due from ``due`` on; all records are below ``top``."""
        segments = numbers >> _BITS
        missing = (top >> _BITS) + 1 - len(self._earliest)
        if missing > 0:
            self._earliest = np.concatenate([self._earliest, np.full(missing + len(self._earliest) // 2, np.inf)])
        self._earliest[segments] = np.minimum(self._earliest[segments], due)

    def hasten(self) -> None:
        """Note that any record may be due, because the rules of deadlines have changed."""
        self._earliest[:] = -np.inf

    def before(self, now: float) -> Numbers:
        """Return the segments that may hold a record due before ``now``."""
        return np.flatnonzero(self._earliest < now)

    def within(self, segments: Numbers, top: int) -> Numbers:
        """Return the numbers of all records of the segments."""
        numbers = (segments[:, None] * _WIDTH + np.arange(_WIDTH)).ravel()
        return numbers[numbers < top]

    def tighten(self, segments: Numbers, due: Floats) -> None:
        """Note when segments are due next: ``due`` holds the deadlines of the records `within` them."""
        every = np.full(len(segments) * _WIDTH, np.inf)
        every[: len(due)] = due
        self._earliest[segments] = every.reshape(len(segments), _WIDTH).min(axis=1)
