"""Bases: events whose time on the host's clock is known, so that others of their device can be placed on it.

An event measures from another one in single precision: after a minute to 4 microseconds, after a day to 8 milliseconds.
So each device has a new base every minute.
It is recorded on a stream of our own, on which nothing else waits, and looked at a few times; never waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_FRESH_NS: Final = 60_000_000_000
_AGAIN_NS: Final = 1_000_000_000
_BRACKET_NS: Final = 1_000_000
_LOOKS: Final = 32
_NS_PER_MS: Final = 1e6


class Base:
    """Hold an event and when it happened, on the host's clock in nanoseconds."""

    __slots__ = ("at", "event")

    def __init__(self, event: Any, at: int) -> None:
        """Take a complete event."""
        self.event = event
        self.at = at

    def delay(self, event: Any, submitted: int) -> int:
        """Return the nanoseconds from when a complete event was submitted to when the device reached it; at least 0."""
        after = round(float(self.event.elapsed_time(event)) * _NS_PER_MS)
        return max(0, self.at + after - submitted)


class Bases:
    """Hold the base of each device."""

    __slots__ = ("_clock", "_cuda", "_due", "_held", "_streams")

    def __init__(self, cuda: Any, clock: Callable[[], int]) -> None:
        """Take ``torch.cuda`` and the host's clock."""
        self._cuda = cuda
        self._clock = clock
        self._held: dict[int, Base] = {}
        self._due: dict[int, int] = {}
        self._streams: dict[int, Any] = {}

    def of(self, device: int, quiet_until: int) -> Base | None:
        """Return the base of a device, not older than about a minute, or None where none could be had yet.

        Args:
            device: its number.
            quiet_until: until when no event may be asked anything.
        """
        now = self._clock()
        if now >= self._due.get(device, 0) and now >= quiet_until:
            found = self._taken(device)
            if found is not None:
                self._held[device] = found
            elif now >= self._due.get(device, 0) + _FRESH_NS:
                self._held.pop(device, None)
            self._due[device] = now + (_AGAIN_NS if found is None else _FRESH_NS)
        return self._held.get(device)

    def _taken(self, device: int) -> Base | None:
        """Record an event and see it complete at once, or give up."""
        stream = self._streams.get(device)
        if stream is None:
            stream = self._streams[device] = self._cuda.Stream(device)
        event = self._cuda.Event(enable_timing=True)
        before = self._clock()
        event.record(stream)
        for _ in range(_LOOKS):
            if event.query():
                after = self._clock()
                return Base(event, (before + after) // 2) if after - before <= _BRACKET_NS else None
        return None
