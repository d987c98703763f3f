"""What a pretended processor did, and when: stretches of load, from which energy and utilisation follow exactly."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple


class Stretch(NamedTuple):
    """A stretch of time under one load; watts are those drawn, the idle ones among them.

    ``busy_ns`` and ``extra`` (watts above idle, times nanoseconds) are what all stretches before this one add up to.
    """

    start_ns: int
    end_ns: int | None
    watts: float
    busy_ns: int
    extra: float


class Timeline:
    """Stretches of load in order, without overlap; the last one may still be going on."""

    __slots__ = ("_idle", "_starts", "_stretches")

    def __init__(self, idle_watts: float) -> None:
        """Start idle."""
        self._idle = idle_watts
        self._starts: list[int] = []
        self._stretches: list[Stretch] = []

    def begin(self, at_ns: int, watts: float) -> None:
        """Begin a stretch, which ends the one that is going on.

        Raises:
            ValueError: when it would begin before the end of the last one.
        """
        self.end(at_ns)
        last = self._stretches[-1] if self._stretches else None
        if last is not None and (last.end_ns or 0) > at_ns:
            message = "loads are given in order of time"
            raise ValueError(message)
        busy, extra = (0, 0.0) if last is None else self._through(last, at_ns)
        self._starts.append(at_ns)
        self._stretches.append(Stretch(at_ns, None, watts, busy, extra))

    def end(self, at_ns: int) -> None:
        """End the stretch that is going on, if one is."""
        if self._stretches and self._stretches[-1].end_ns is None:
            self._stretches[-1] = self._stretches[-1]._replace(end_ns=at_ns)

    def watts(self, at_ns: int) -> float:
        """Return what is drawn at an instant."""
        place = bisect_right(self._starts, at_ns) - 1
        if place < 0:
            return self._idle
        stretch = self._stretches[place]
        over = stretch.end_ns is not None and stretch.end_ns <= at_ns
        return self._idle if over else stretch.watts

    def busy_ns(self, until_ns: int) -> int:
        """Return the nanoseconds under load up to an instant."""
        return self._before(until_ns)[0]

    def extra_j(self, until_ns: int) -> float:
        """Return the joules drawn above idle up to an instant."""
        return self._before(until_ns)[1] / 1e9

    def _before(self, until_ns: int) -> tuple[int, float]:
        place = bisect_right(self._starts, until_ns) - 1
        return (0, 0.0) if place < 0 else self._through(self._stretches[place], until_ns)

    def _through(self, stretch: Stretch, until_ns: int) -> tuple[int, float]:
        """Return the sums up to an instant that lies in or after a stretch."""
        end = until_ns if stretch.end_ns is None else min(stretch.end_ns, until_ns)
        length = max(0, end - stretch.start_ns)
        return stretch.busy_ns + length, stretch.extra + length * (stretch.watts - self._idle)
