"""One pretended processor: what a test says about it, and what a driver would make of that."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError
from modelmon.fakedriver.timelines import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GIB: Final = 1 << 30
_RING: Final = 100
_SECOND: Final = 1_000_000_000


class FakeGpu:
    """A processor whose load, memory and health a test decides; everything plain here may be set at any time.

    Args:
        name: what the driver calls it.
        uuid: who it is; one is made up if left out.
        memory: bytes in all.
        idle_watts: drawn without a load.
        busy_watts: drawn under a load that says nothing else.
        instances: MIG instances it is divided into; 0 is not divided.
        energy_period: seconds between steps of the energy counter.
        util_period: seconds of one sample of utilisation.
        ring_ahead: seconds that the ring's time stamps are ahead of the clock; no document says what they count from.

    Attributes:
        used: bytes allocated.
        reserved: bytes that the driver keeps.
        processes: bytes by process id, of those that compute on it.
        temperature: degrees Celsius.
        throttle: the bit mask of reasons why clocks are low.
        throttled_ns: nanoseconds slowed down, by the driver's field number.
        corrected: memory errors that were corrected.
        uncorrected: memory errors that were not.
        lost: whether it fell off the bus.
        unsupported: functions and field numbers that it does not have.
    """

    def __init__(
        self,
        name: str = "Fake H100",
        *,
        uuid: str | None = None,
        memory: int = 80 * _GIB,
        idle_watts: float = 70.0,
        busy_watts: float = 700.0,
        instances: int = 0,
        energy_period: float = 0.1,
        util_period: float = 1 / 6,
        ring_ahead: float = 0.0,
    ) -> None:
        """Stand idle, with nothing allocated.

        Raises:
            ConfigurationError: for a number that no processor can have.
        """
        given = {"memory": memory, "idle_watts": idle_watts, "busy_watts": busy_watts, "instances": instances}
        for what, number in {**given, "energy_period": energy_period, "util_period": util_period}.items():
            if not 0 <= number < float("inf") or (what == "util_period" and not number):
                message = f"{what}={number!r}: a processor cannot have that"
                raise ConfigurationError(message)
        self.name = name
        self.uuid = uuid or ""
        self.memory = memory
        self.used = 0
        self.reserved = 600 << 20
        self.idle_watts = idle_watts
        self.busy_watts = busy_watts
        self.parent: FakeGpu | None = None
        self.instances = [FakeGpu(f"{name} MIG 1g.10gb", memory=memory // 8) for _ in range(instances)]
        self.processes: dict[int, int] = {}
        self.temperature = 35
        self.throttle = 0
        self.throttled_ns: dict[int, int] = {}
        self.corrected = self.uncorrected = 0
        self.lost = False
        self.ring_ahead = ring_ahead
        self.unsupported: set[str | int] = set()
        self._energy_period = round(energy_period * _SECOND)
        self._util_period = round(util_period * _SECOND)
        self._clock: Callable[[], int] = perf_counter_ns
        self._booted = self._clock()
        self._timeline = Timeline(idle_watts)
        self._loads: list[float] = []
        self._lock = Lock()

    def power_on(self, place: int, clock: Callable[[], int]) -> None:
        """Begin at this instant of a clock, as the processor of that number; ``fake_nvml`` does so."""
        self.uuid = self.uuid or f"GPU-fa4e0000-0000-0000-0000-{place:012d}"
        self._clock = clock
        self.reset_counter()
        for number, instance in enumerate(self.instances):
            instance.uuid = f"MIG-fa4e0000-0000-0000-{number:04d}-{place:012d}"
            instance.parent, instance.reserved, instance._clock = self, 0, clock  # noqa: SLF001  (its own kind)

    def reset_counter(self) -> None:
        """Count energy from 0, as after the driver was loaded again."""
        self._booted = self._clock()

    def renew(self) -> None:
        """Take a new lock in a forked child."""
        self._lock = Lock()

    @contextmanager
    def load(self, watts: float | None = None) -> Iterator[None]:
        """Be under load for a block; loads may overlap in threads, and the greatest decides what is drawn."""
        drawn = self.busy_watts if watts is None else watts
        with self._lock:
            self._loads.append(drawn)
            self._timeline.begin(self._clock(), max(self._loads))
        try:
            yield
        finally:
            with self._lock:
                self._loads.remove(drawn)
                if self._loads:
                    self._timeline.begin(self._clock(), max(self._loads))
                else:
                    self._timeline.end(self._clock())

    def busy(self, start: float, end: float, watts: float | None = None) -> None:
        """Be under load from one second of the clock to another, each such time later than the last."""
        with self._lock:
            self._timeline.begin(round(start * _SECOND), self.busy_watts if watts is None else watts)
            self._timeline.end(round(end * _SECOND))

    @property
    def joules(self) -> float:
        """What was truly drawn so far; the driver's counter follows in steps of ``energy_period``."""
        return self._joules(self._clock())

    @property
    def busy_seconds(self) -> float:
        """How long it truly was under load so far."""
        return self._timeline.busy_ns(self._clock()) / _SECOND

    def energy_mj(self) -> int:
        """Return the driver's counter."""
        now = self._clock()
        return int(self._joules(now - now % self._energy_period if self._energy_period else now) * 1000)

    def power_mw(self) -> int:
        """Return what is drawn now."""
        return round(self._timeline.watts(self._clock()) * 1000)

    def utilization(self) -> int:
        """Return the per cent of the last whole period under load."""
        now = self._clock()
        return self._percent(now - now % self._util_period)

    def samples(self, after_us: int) -> list[tuple[int, int]]:
        """Return the ring's samples after an instant, oldest first: microseconds of its clock, per cent."""
        period, now = self._util_period, self._clock()
        ends = range(max(period, (now // period - _RING + 1) * period), now + 1, period)
        ahead_us = round(self.ring_ahead * 1_000_000)
        stamped = [(end // 1000 + ahead_us, self._percent(end)) for end in ends]
        return [sample for sample in stamped if sample[0] > after_us]

    def _joules(self, now: int) -> float:
        since = max(0, now - self._booted)
        extra = self._timeline.extra_j(now) - self._timeline.extra_j(self._booted)
        return max(0.0, since / _SECOND * self.idle_watts + extra)

    def _percent(self, end_ns: int) -> int:
        busy = self._timeline.busy_ns(end_ns) - self._timeline.busy_ns(end_ns - self._util_period)
        return round(100 * busy / self._util_period)
