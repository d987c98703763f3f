"""Clocks: the machine's own, and the store's, which never goes back.

Durations and deadlines of calls use the monotonic reading only; wall time serves to say *when* a prediction was made.
"""

from __future__ import annotations

from time import perf_counter_ns
from time import time as wall_time
from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(Protocol):
    """What the library asks of a clock."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back."""
        ...


class SystemClock:
    """Read the machine's clocks; both are C functions, so that reading one costs no Python frame."""

    __slots__ = ()
    time = staticmethod(wall_time)
    monotonic_ns = staticmethod(perf_counter_ns)


def ageing(clock: Clock) -> Callable[[], float]:
    """Return what tells how many seconds ago this was called, however the wall clock is set meanwhile."""
    begun = clock.monotonic_ns()
    return lambda: max(0, clock.monotonic_ns() - begun) / 1e9


class StoreClock:
    """Turn a clock into one that never goes back and does not believe a lone jump ahead.

    Time advances by the monotonic reading.
    The wall clock may correct it forwards: at once by up to ``tolerance`` seconds, further only after ``readings``
    consecutive readings (at least a second of monotonic time apart in all) agree on the same offset.
    A wall clock behind us is ignored, so nothing expires early and no age is negative.
    ``steps`` counts the jumps seen.
    """

    __slots__ = ("_agreeing", "_candidate", "_clock", "_first_seen", "_last", "_mono", "_stepping", "steps")

    tolerance = 1.0
    readings = 3
    apart_ns = 1_000_000_000

    def __init__(self, clock: Clock) -> None:
        """Start at the clock's own time."""
        self._clock = clock
        self._last = clock.time()
        self._mono = clock.monotonic_ns()
        self._candidate = 0.0
        self._agreeing = 0
        self._first_seen = 0
        self._stepping = False
        self.steps = 0

    def now(self) -> float:
        """Return seconds since the epoch, never less than before."""
        wall, mono = self._clock.time(), self._clock.monotonic_ns()
        expected = self._last + max(0, mono - self._mono) / 1e9
        self._mono = mono
        ahead = wall - expected
        if abs(ahead) <= self.tolerance:
            self._agreeing, self._stepping = 0, False
            self._last = max(self._last, wall)
            return self._last
        if not self._stepping:
            self._stepping = True
            self.steps += 1
        self._last = self._believe(ahead, expected, mono)
        return self._last

    def _believe(self, ahead: float, expected: float, mono: int) -> float:
        if ahead < 0:
            self._agreeing = 0
            return expected
        if self._agreeing and abs(ahead - self._candidate) <= self.tolerance:
            self._agreeing += 1
        else:
            self._agreeing, self._first_seen = 1, mono
        self._candidate = ahead
        if self._agreeing >= self.readings and mono - self._first_seen >= self.apart_ns:
            self._agreeing, self._stepping = 0, False
            return expected + ahead
        return expected
