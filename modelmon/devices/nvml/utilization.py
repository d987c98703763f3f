"""How busy a device was: from the driver's ring of samples, which misses nothing, or from its last period.

The ring's time stamps are of a clock that no document names: since boot on some machines, since 1970 on others.
The newest sample is as good as now, so the host's clock that is nearest to it is taken to be the one.
"""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING, Any, Final

from modelmon.devices.nvml.codes import Code
from modelmon.devices.nvml.layouts import UTILIZATION_SAMPLES, Handle, Rates, Sample, number
from modelmon.devices.nvml.questions import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.nvml.driver import Driver

_FULL: Final = 100
_NEAR_US: Final = 60_000_000
_STALE_US: Final = 5_000_000
_LONGEST_US: Final = 1_000_000
_ROOM: Final = 128


def _boot_ns() -> int:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)


class Utilization:
    """Read utilisation by one call."""

    __slots__ = ("_clock", "_clocks", "_driver", "_handle", "_newest", "_quiet", "_rates", "_ring", "_samples")

    def __init__(self, driver: Driver, handle: Handle, clock: Callable[[], int]) -> None:
        """Ask each way once."""
        self._driver = driver
        self._handle = handle
        self._rates = Question(driver, "nvmlDeviceGetUtilizationRates", clock)
        self._ring = Question(driver, "nvmlDeviceGetSamples", clock)
        self._clocks = (clock, time.time_ns, _boot_ns)
        self._clock: Callable[[], int] | None = None
        self._samples: Any = (Sample * _ROOM)()
        self._newest = 0
        self._quiet = False
        self._last_period()
        self._since_last()

    @property
    def works(self) -> bool:
        """Whether utilisation is known at all."""
        return self._rates.works or self._ring.works

    @property
    def rings(self) -> bool:
        """Whether the driver keeps samples."""
        return self._ring.works

    def read(self) -> float | None:
        """Return the share of time under load since the last reading, or in the driver's last period."""
        if not self._ring.supported or (self._quiet and self._rates.supported):
            busy = self._last_period()
            self._quiet = not busy
            if self._clock is not None:  # the ring is to go on from here
                self._newest = max(self._newest, self._clock() // 1000)
            return busy
        return self._since_last()

    def _last_period(self) -> float | None:
        rates = Rates()
        return self._share([(rates.gpu, 1)]) if self._rates.ask(self._handle, ctypes.byref(rates)) else None

    def _since_last(self) -> float | None:
        """Return the mean of the new samples, each weighed by its length; an idle ring may hold none."""
        kind, room = ctypes.c_uint(), ctypes.c_uint(len(self._samples))
        what, since = ctypes.c_uint(UTILIZATION_SAMPLES), ctypes.c_ulonglong(self._newest)
        if not self._ring.ask(self._handle, what, since, ctypes.byref(kind), ctypes.byref(room), self._samples):
            if self._ring.code == Code.INSUFFICIENT_SIZE:
                self._samples = (Sample * max(room.value, 2 * len(self._samples)))()
            self._quiet = True
            return None
        found = sorted(
            (sample.timeStamp, number(kind.value, sample.sampleValue))
            for sample in self._samples[: room.value]
            if sample.timeStamp > self._newest
        )
        if not found or self._is_stale(found[-1][0]):
            self._quiet = True
            return None
        before, self._newest = self._newest or found[-1][0], found[-1][0]
        weighed = []
        for at, value in found:
            weighed.append((value, min(_LONGEST_US, at - before)))
            before = max(before, at)
        return self._share([pair for pair in weighed if pair[1] > 0] or [(found[-1][1], 1)])

    def _is_stale(self, newest_us: int) -> bool:
        if self._clock is None:
            near = min(self._clocks, key=lambda clock: abs(clock() // 1000 - newest_us))
            if abs(near() // 1000 - newest_us) > _NEAR_US:
                return False
            self._clock = near
        return self._clock() // 1000 - newest_us > _STALE_US

    def _share(self, weighed: list[tuple[float, int]]) -> float | None:
        true = [(value, weight) for value, weight in weighed if 0 <= value <= _FULL]
        if len(true) < len(weighed):
            self._driver.sentinels["util"] += len(weighed) - len(true)
        if not true:
            return None
        return sum(value * weight for value, weight in true) / sum(weight for _, weight in true) / _FULL
