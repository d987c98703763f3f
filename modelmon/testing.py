"""Doubles for users' own tests: a clock that stands still, a driver without a GPU, a capture of what a monitor sees."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelmon.errors import ConfigurationError
from modelmon.fakedriver.gpus import FakeGpu
from modelmon.fakedriver.installing import FakeNvml, fake_nvml
from modelmon.labelling import Labelling
from modelmon.monitoring import Monitor
from modelmon.monitoring import monitor as default_monitor
from modelmon.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = ["Captured", "FakeClock", "FakeGpu", "FakeNvml", "capture", "fake_nvml"]

_NANOSECONDS = 1_000_000_000


class FakeClock:
    """A clock that moves only when told to; both of its readings move together.

    >>> clock = FakeClock(start=100.0)
    >>> clock.advance(0.5)
    >>> clock.time(), clock.monotonic_ns()
    (100.5, 100500000000)
    """

    __slots__ = ("_now",)

    def __init__(self, start: float = 0.0) -> None:
        """Stand at ``start`` seconds since the epoch."""
        self._now = round(start * _NANOSECONDS)

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._now / _NANOSECONDS

    def monotonic_ns(self) -> int:
        """Return nanoseconds; they never go back."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds.

        Raises:
            ConfigurationError: when asked to go back.
        """
        if seconds < 0:
            msg = f"a clock cannot advance by {seconds} seconds"
            raise ConfigurationError(msg)
        self._now += round(seconds * _NANOSECONDS)

    def set(self, seconds: float) -> None:
        """Move on to a time, seconds since the epoch.

        Raises:
            ConfigurationError: when that time has passed already.
        """
        wanted = round(seconds * _NANOSECONDS)
        if wanted < self._now:
            msg = f"the clock stands at {self.time()} and cannot be set back to {seconds}"
            raise ConfigurationError(msg)
        self._now = wanted


class Captured(Labelling):
    """What a monitor saw during a capture; readable, and open to labels, after it too.

    Attributes:
        clock: the clock that calls and labels follow.
    """

    __slots__ = ("_recorder", "clock")

    def __init__(self, recorder: Recorder, clock: Any) -> None:
        """Read what this recorder records."""
        self._recorder = recorder
        self.clock = clock


@contextmanager
def capture(clock: Any = None, monitor: Monitor = default_monitor) -> Iterator[Captured]:
    """Redirect a monitor, in all threads, into an empty memory store; its exporters stay silent.

    Args:
        clock: what calls and labels follow; a ``FakeClock`` if left out.
        monitor: the one to redirect; the default monitor if left out.

    Yields:
        What is seen: ``label``, ``labels``, ``retract``, ``snapshot`` and ``clock``.
        Afterwards the monitor goes on where it stood.
    """
    followed = FakeClock() if clock is None else clock
    settings = monitor.settings.changed(store=None, directory=None, clock=followed)
    recorder = Recorder(settings, monitor.memory_store)
    previous = monitor.install(recorder)
    try:
        yield Captured(recorder, followed)
    finally:
        monitor.install(previous)
