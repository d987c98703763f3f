"""Pausing: how long to leave alone what just failed."""

from __future__ import annotations

import os
from time import monotonic
from typing import Final

FIRST_S: Final = 0.1
LAST_S: Final = 30.0


class Backoff:
    """Wait longer after each failure in a row, up to a bound, and never in step with other processes."""

    __slots__ = ("_pause", "_until")

    def __init__(self) -> None:
        """Start without a pause."""
        self._pause = self._until = 0.0

    @property
    def waiting(self) -> bool:
        """Whether the pause lasts."""
        return monotonic() < self._until

    def failed(self) -> None:
        """Begin a pause twice as long as the last, give or take a quarter."""
        self._pause = min(max(2 * self._pause, FIRST_S), LAST_S)
        self._until = monotonic() + self._pause * (0.75 + os.urandom(1)[0] / 512)

    def clear(self) -> None:
        """End the pause: something worked."""
        self._pause = self._until = 0.0
