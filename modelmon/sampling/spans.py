"""Spans: when the calls of a seat began and ended, kept from the drain until the sampler takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: Final = 1_000_000


class Spans:
    """Keep the beginnings and ends of calls; used with the recorder's lock held.

    Attributes:
        missed: calls whose times found no room.
    """

    __slots__ = ("_ends", "_held", "_starts", "missed")

    def __init__(self) -> None:
        """Start empty."""
        self.missed = self._held = 0
        self._starts: list[Any] = []
        self._ends: list[Any] = []

    def add(self, starts: Any, ends: Any) -> None:
        """Take the times of calls that were drained."""
        n = len(starts)
        if self._held + n > MOST:
            self.missed += n
        elif n:
            self._held += n
            self._starts.append(np.asarray(starts, np.int64))
            self._ends.append(np.asarray(ends, np.int64))

    def take(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return all times kept, and forget them."""
        starts, ends, self._starts, self._ends, self._held = self._starts, self._ends, [], [], 0
        if not starts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate(starts), np.concatenate(ends)
