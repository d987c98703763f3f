"""A sampler whose every tick a test decides, over a pretended driver and a clock that stands still."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelmon import Monitor
from modelmon.devices.selection import choose
from modelmon.sampling.sampler import Sampler
from modelmon.testing import FakeClock, FakeGpu, FakeNvml, fake_nvml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelmon.points.catalogue import Point


class Driven:
    """A monitor whose calls last as long as a test says, and a sampler that reads when a test says."""

    def __init__(self, fake: FakeNvml, clock: FakeClock, directory: Path, hertz: float = 2.0) -> None:
        """Serve one monitor."""
        self.fake = fake
        self.clock = clock
        self.monitor = self.new_monitor()
        self.sampler = Sampler(lambda now: choose("nvml", now), clock.monotonic_ns, hertz, str(directory))
        self.sampler.serve(weakref.ref(self.monitor.home))
        self._functions: dict[Any, Any] = {}

    def new_monitor(self) -> Monitor:
        """Return a monitor on the same clock, without a thread of its own."""
        return Monitor(gpu=False, clock=self.clock)

    def call(self, model: str, seconds: float, *, watts: float | None = 700.0, monitor: Monitor | None = None) -> None:
        """Call a model, and have the first processor draw power meanwhile."""
        chosen = monitor or self.monitor
        found = self._functions.get((chosen, model))
        if found is None:

            @chosen(model=model)
            def found(seconds: float, watts: float | None) -> str:
                if watts is None:
                    self.clock.advance(seconds)
                    return "a"
                with self.fake.gpus[0].load(watts):
                    self.clock.advance(seconds)
                return "a"

            self._functions[chosen, model] = found
        found(seconds, watts)

    def tick(self, seconds: float = 0.0) -> None:
        """Let so much time pass, and read."""
        self.clock.advance(seconds)
        self.sampler.tick()

    def energy(self, monitor: Monitor | None = None) -> dict[str, int]:
        """Return microjoules by model."""
        snapshot = (monitor or self.monitor).snapshot()
        return {key[0]: one._counts("gpu_energy").total for key, one in snapshot.items()}

    def count(self, name: str) -> dict[Any, int]:
        """Return counts that belong to no model."""
        return dict(self.monitor.snapshot().counts(name).items())

    def points(self, prefix: str) -> list[Point]:
        """Return points whose names begin so."""
        return [point for point in self.monitor.snapshot().points() if point.name.startswith(prefix)]

    def names(self, prefix: str) -> set[str]:
        """Return the names of points that begin so."""
        return {point.name for point in self.points(prefix)}


@contextmanager
def driven(directory: Path, *gpus: FakeGpu, **options: Any) -> Iterator[Driven]:
    """Yield a sampler over pretended processors; it lets go of the driver afterwards."""
    clock = FakeClock(start=1000.0)
    with fake_nvml(*gpus, clock=clock) as fake:
        made = Driven(fake, clock, directory, **options)
        try:
            yield made
        finally:
            made.sampler.close()
