"""One device, from the moment its handle was taken: what it can tell, and what it tells."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from modelmon.devices.facts import Reading
from modelmon.devices.nvml.fields import Fields
from modelmon.devices.nvml.memory import DeviceMemory
from modelmon.devices.nvml.processes import Held, Processes
from modelmon.devices.nvml.questions import Question
from modelmon.devices.nvml.utilization import Utilization

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.facts import EnergySource, Tier
    from modelmon.devices.integral import PowerIntegral
    from modelmon.devices.nvml.driver import Driver
    from modelmon.devices.nvml.layouts import Handle

_HOTTEST: Final = 200


class Unit:
    """Read one device by at most three driver calls on the fast tier, and a few more on the slow one."""

    __slots__ = (
        "_clock",
        "_driver",
        "_event_reasons",
        "_fields",
        "_handle",
        "_integral",
        "_memory",
        "_processes",
        "_temperature",
        "_throttle_reasons",
        "_utilization",
    )

    def __init__(self, driver: Driver, handle: Handle, integral: PowerIntegral, clock: Callable[[], int]) -> None:
        """Ask for everything once.

        Raises:
            DriverFault: when the device or the driver is gone.
        """
        self._driver = driver
        self._handle = handle
        self._clock = clock
        self._integral = integral
        self._fields = Fields(driver, handle, clock)
        self._utilization = Utilization(driver, handle, clock)
        self._memory = DeviceMemory(driver, handle, clock)
        self._processes = Processes(driver, handle, clock)
        self._temperature = Question(driver, "nvmlDeviceGetTemperature", clock)
        self._event_reasons = Question(driver, "nvmlDeviceGetCurrentClocksEventReasons", clock)
        self._throttle_reasons = Question(driver, "nvmlDeviceGetCurrentClocksThrottleReasons", clock)
        self._degrees()
        self._throttle()

    def capabilities(self) -> frozenset[str]:
        """Return what this device can tell."""
        able = {
            "energy": self._fields.counts,
            "power": self._fields.scope,
            "util": self._utilization.works,
            "util_ring": self._utilization.rings,
            "memory": self._memory.works,
            "memory_reserved": self._memory.reserves,
            "processes": self._processes.works,
            "process_memory": self._processes.works,
            "sm_share": self._processes.shares,
            "temperature": self._temperature.works,
            "throttle": self._event_reasons.works or self._throttle_reasons.works,
            "throttled_time": self._fields.throttles,
            "errors": self._fields.errs,
        }
        return frozenset(word for word, holds in able.items() if holds)

    def read(self, tier: Tier) -> Reading:
        """Return a reading.

        Raises:
            DriverFault: when the device or the driver is gone.
        """
        slow = tier == "slow"
        at = self._clock()
        draw = self._fields.read(slow=slow)
        energy, source = self._energy(at, draw.energy_j, draw.power_w)
        util = self._utilization.read()
        memory = self._memory.read()
        held = self._processes.read() if slow else Held()
        return Reading(
            at,
            energy_j=energy,
            energy_t_ns=None if energy is None else at,
            energy_source=source,
            power_w=draw.power_w,
            power_scope=self._fields.scope,
            util=util,
            mem_used=memory.used,
            mem_total=memory.total,
            mem_reserved=memory.reserved,
            proc_mem=held.memory,
            n_procs=held.processes,
            sm_share=held.share,
            throttle=self._throttle() if slow else None,
            throttled_ns=self._fields.throttled_ns() if slow else None,
            errors=self._fields.errors() if slow else None,
            temp_c=self._degrees() if slow else None,
        )

    def _energy(self, at: int, counted: float | None, watts: float | None) -> tuple[float | None, EnergySource | None]:
        if self._fields.counts is None:
            return None, None
        if self._fields.counts:
            return (None, None) if counted is None else (counted, "counter")
        joules = self._integral.add(at, watts)
        return (None, None) if joules is None else (joules, "power_integral")

    def _degrees(self) -> float | None:
        degrees = ctypes.c_uint()
        if not self._temperature.ask(self._handle, ctypes.c_uint(0), ctypes.byref(degrees)):
            return None
        if degrees.value > _HOTTEST:
            self._driver.sentinels["temperature"] += 1
            return None
        return float(degrees.value)

    def _throttle(self) -> int | None:
        mask = ctypes.c_ulonglong()
        for question in (self._event_reasons, self._throttle_reasons):
            if question.ask(self._handle, ctypes.byref(mask)):
                return mask.value
            if question.supported:
                return None
        return None
