"""Learning what each model draws: least squares over windows of a second, the past fading.

A window says: energy = idle power x time without calls + sum over models of power x exposure.
The sums behind the normal equations are kept, not the windows, so this costs the same after a year.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FADING: Final = 0.999
"""What a window counts after the next one came."""
WINDOW_S: Final = 0.99
"""Shortest window, about ten times the lag of a counter that is brought up to date every 100 ms.

Two readings half a second apart make one, however their times are rounded.
"""
SURE: Final = 0.1
"""Greatest relative standard error with which a power is used."""
_FEWEST: Final = 7
_IDLE_KEPT: Final = 64
_NOISE: Final = 0.005
_APART: Final = 3.0
_LEAST: Final = 1e-6
"""Square seconds; fewer say nothing."""


class Power(NamedTuple):
    """What a model draws while it has the device.

    Attributes:
        watts: the estimate.
        error: its standard error in watts.
    """

    watts: float
    error: float

    @property
    def is_sure(self) -> bool:
        """Whether it is sure enough to split energy by."""
        return self.watts > 0 and self.error < SURE * self.watts


def differ(powers: Sequence[Power]) -> bool:
    """Tell whether some powers are surely not what all have in common.

    >>> differ([Power(700, 9), Power(690, 9)]), differ([Power(700, 9), Power(300, 9)])
    (False, True)
    """
    weights = [1 / power.error**2 for power in powers]
    common = sum(weight * power.watts for weight, power in zip(weights, powers, strict=True)) / sum(weights)
    return any(abs(power.watts - common) > _APART * power.error for power in powers)


class IdlePower:
    """Learn what a device draws when no call runs, from the times when none did.

    A counter lags, so the intervals before and after a call are in doubt; they are used while there are no others.
    """

    __slots__ = ("_before", "_clean", "_doubtful")

    def __init__(self) -> None:
        """Know nothing."""
        self._before: list[float | None] = [None, None]
        self._clean: deque[float] = deque(maxlen=_IDLE_KEPT)
        self._doubtful: deque[float] = deque(maxlen=_IDLE_KEPT)

    def see(self, watts: float | None) -> None:
        """Take the next interval: its power where no call ran, else None."""
        first, second = self._before
        if watts is not None:
            self._doubtful.append(watts)
            if first is not None and second is not None:
                self._clean.append(second)
        self._before = [second, watts]

    @property
    def clean(self) -> float | None:
        """Watts, beyond doubt."""
        return median(self._clean) if self._clean else None

    @property
    def doubtful(self) -> float | None:
        """Watts, perhaps too many."""
        return median(self._doubtful) if self._doubtful else None


class Learner:
    """Learn the power of up to ``width - 1`` models, and of the device without calls, which is column 0."""

    __slots__ = ("_energy", "_found", "_idle", "_n", "_products", "_seconds", "_square", "_squares")

    def __init__(self, width: int) -> None:
        """Know nothing."""
        self._squares = np.zeros((width, width))
        self._products = np.zeros(width)
        self._square = 0.0
        self._n = 0.0
        self._energy = 0.0
        self._seconds = [0.0] * width
        self._found: dict[int, Power] | None = {}
        self._idle: float | None = None

    def see(self, joules: float, seconds: Iterable[tuple[int, float]]) -> None:
        """Take an interval: what was drawn, and seconds by column; together they are how long it was."""
        self._energy += joules
        for column, more in seconds:
            self._seconds[column] += more
        if sum(self._seconds) >= WINDOW_S:
            energy, times = self._energy, np.array(self._seconds)
            self._squares = FADING * self._squares + np.outer(times, times)
            self._products = FADING * self._products + times * energy
            self._square = FADING * self._square + energy * energy
            self._n = FADING * self._n + 1
            self.skip()
            self._found = None

    def skip(self) -> None:
        """Forget the window under way, of which an interval is missing."""
        self._energy = 0.0
        self._seconds = [0.0] * len(self._seconds)

    def powers(self, idle: float | None) -> dict[int, Power]:
        """Return what is known, by column; ``idle`` are the watts without calls, where those are known already."""
        if self._found is None or idle != self._idle:
            self._idle = idle
            self._found = self._solved(idle)
        return self._found

    def _solved(self, idle: float | None) -> dict[int, Power]:
        known = np.zeros(len(self._products))
        known[0] = idle or 0.0
        wanted = self._squares.diagonal() > _LEAST
        wanted[0] &= idle is None
        seen = np.flatnonzero(wanted)
        freedom = self._n - len(seen)
        if not len(seen) or freedom < _FEWEST:
            return {}
        squares = self._squares[np.ix_(seen, seen)]
        scale = np.outer(*[np.sqrt(squares.diagonal())] * 2)
        inverse = np.linalg.inv(squares / scale + 1e-9 * np.eye(len(seen))) / scale
        known[seen] = inverse @ (self._products - self._squares @ known)[seen]
        left = self._square - 2 * known @ self._products + known @ self._squares @ known
        noise = max(left / freedom, (_NOISE**2) * self._square / self._n)
        errors = np.sqrt(noise * np.maximum(inverse.diagonal(), 0)).tolist()
        found = zip(seen.tolist(), known[seen].tolist(), errors, strict=True)
        return {column: Power(power, error) for column, power, error in found}
