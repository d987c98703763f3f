"""Histories: a short ring of what was counted at earlier moments, so that a window is a difference of two."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Sample = TypeVar("Sample")
_TOLERANCE_S = 1e-6


class History(Generic[Sample]):
    """Keep samples of something that only grows, for one window back.

    Samples that come closer together than ``window / most`` are thinned out, so that at most ``most + 2`` are kept.
    """

    __slots__ = ("_kept", "_spacing", "_window")

    def __init__(self, window: float, most: int) -> None:
        """Start empty, for a window in seconds."""
        self._window = window
        self._spacing = window / most
        self._kept: deque[tuple[float, Sample | None]] = deque()

    def __len__(self) -> int:
        """Return how many samples are kept."""
        return len(self._kept)

    def push(self, now: float, sample: Sample | None) -> tuple[float, Sample | None]:
        """Take a sample in, and return the one to compare it with, with its age in seconds.

        That is the newest that is at least one window old, or else the oldest there is; None stands for nothing.
        """
        if not self._kept or now - self._kept[-1][0] >= self._spacing - _TOLERANCE_S:
            self._kept.append((now, sample))
        while len(self._kept) > 1 and self._kept[1][0] <= now - self._window + _TOLERANCE_S:
            self._kept.popleft()
        then, before = self._kept[0]
        return now - then, before
