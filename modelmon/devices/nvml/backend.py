"""NVIDIA's processors as a backend: what becomes of a device, or a driver, that fails.

1. A device that is lost is tried again with a fresh handle after 1, 2, 4 … 60 s; the others are read meanwhile.
2. A driver that somebody else in the process shut down is opened anew, once per 1, 2, 4 … 60 s.
3. A driver that was replaced under us is given up for this process.
4. What a handle is good for is found out when it is taken; a call that is not supported is not made again.
"""

from __future__ import annotations

import os
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from modelmon import notices
from modelmon.devices import torch_allocator
from modelmon.devices.backend import BackendLost, BackendUnavailable, DeviceLost
from modelmon.devices.backoff import Backoff
from modelmon.devices.facts import BackendState
from modelmon.devices.integral import PowerIntegral
from modelmon.devices.nvml.codes import Verdict, title
from modelmon.devices.nvml.driver import Driver, DriverFault
from modelmon.devices.nvml.enumeration import Found, driver_version, enumerate_devices, hold
from modelmon.devices.nvml.unit import Unit
from modelmon.devices.visible import Visible, choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.facts import DeviceId, Reading, Tier

_CALM_NS: Final = 60_000_000_000
"""After so long without it, being shut down by others is new again."""


class _Slot:
    """A visible device: its unit while it can be read, and when to try again while it cannot."""

    __slots__ = ("backoff", "code", "integral", "unit")

    def __init__(self) -> None:
        self.unit: Unit | None = None
        self.backoff = Backoff()
        self.code = 0
        self.integral = PowerIntegral()


class NvmlBackend:
    """Read NVIDIA's processors."""

    name = "nvml"

    def __init__(self, monotonic_ns: Callable[[], int] = perf_counter_ns) -> None:
        """Touch nothing yet."""
        self._clock = monotonic_ns
        self._driver = Driver()
        self._found = Found((), complete=True)
        self._visible = Visible(())
        self._slots: dict[str, _Slot] = {}
        self._reopening = Backoff()
        self._searching = Backoff()
        self._reopened = 0
        self._reopened_ns = -_CALM_NS
        self._version: str | None = None
        self._gone = 0
        self._is_open = False

    def open(self) -> None:
        """Initialise the driver and find the devices.

        Raises:
            BackendUnavailable: when there is no driver, no ``nvidia-ml-py``, no permission or no device.
        """
        code = self._driver.initialise()
        if code:
            reason = f"the driver cannot be opened: {title(code)}"
            raise BackendUnavailable(reason)
        self._is_open = True
        try:
            self._version = driver_version(self._driver)
            self._search()
        except DriverFault as fault:
            self.close()
            reason = f"the driver does not work: {title(fault.code)}"
            raise BackendUnavailable(reason) from fault
        if not self._found.devices and self._found.complete:
            self.close()
            reason = "the driver knows no device"
            raise BackendUnavailable(reason)
        for device in self.devices():
            self.capabilities(device)

    def devices(self) -> list[DeviceId]:
        """Return the devices of this process in CUDA's order, then the whole devices whose instances are among them."""
        if self._is_open and not self._found.complete and self._searching.is_due(self._clock()):
            try:
                self._search()
            except DriverFault:
                self._searching.fail(self._clock())
        elif self._visible.mapping == "assumed":
            self._see()
        shown = list(self._visible.devices)
        parents = {device.parent for device in shown}
        return shown + [physical.device for physical in self._found.devices if physical.device.id in parents]

    def capabilities(self, device: DeviceId) -> frozenset[str]:
        """Return what a device can tell; nothing while it is lost."""
        try:
            slot = self._slot(device)
            return self._unit(device, slot).capabilities()
        except DriverFault as fault:
            self._lose(device, slot, fault)
        except (DeviceLost, BackendLost):
            pass
        return frozenset()

    def read(self, device: DeviceId, tier: Tier) -> Reading:
        """Return a reading of a device.

        Raises:
            DeviceLost: while it cannot be read; most of these make no driver call.
            BackendLost: once the driver is gone for this process.
        """
        slot = self._slot(device)
        try:
            return self._read(device, slot, tier)
        except DriverFault as fault:
            if fault.verdict is not Verdict.CLOSED or not self._reopen():
                raise self._lose(device, slot, fault) from fault
        try:
            return self._read(device, slot, tier)
        except DriverFault as fault:
            raise self._lose(device, slot, fault) from fault

    def close(self) -> None:
        """Undo ``open``; the driver stays initialised for whoever else opened it."""
        if self._is_open:
            self._is_open = False
            self._slots.clear()
            self._driver.shut_down()

    def state(self) -> BackendState:
        """Return what was counted so far."""
        driver = self._driver
        return BackendState(
            driver.calls,
            dict(driver.errors),
            {what: n for what, n in driver.sentinels.items() if n},
            self._reopened,
            self._version,
            self._visible.mapping,
        )

    def _slot(self, device: DeviceId) -> _Slot:
        if self._gone:
            raise BackendLost(title(self._gone))
        return self._slots.setdefault(device.id, _Slot())

    def _unit(self, device: DeviceId, slot: _Slot) -> Unit:
        if slot.unit is None:
            if not slot.backoff.is_due(self._clock()):
                raise DeviceLost(device.id, title(slot.code))
            slot.unit = Unit(self._driver, hold(self._driver, device), slot.integral, self._clock)
        return slot.unit

    def _read(self, device: DeviceId, slot: _Slot, tier: Tier) -> Reading:
        reading = self._unit(device, slot).read(tier)
        slot.backoff.succeed()
        return reading

    def _lose(self, device: DeviceId, slot: _Slot, fault: DriverFault) -> DeviceLost | BackendLost:
        slot.unit = None
        slot.code = fault.code
        slot.backoff.fail(self._clock())
        word = title(fault.code)
        if fault.verdict is Verdict.GONE:
            self._gone = fault.code
            return BackendLost(word)
        notices.warn(
            f"gpu:{device.id}",
            f"{device.name} ({device.id}) cannot be read: {word}; it is tried again, ever more rarely",
        )
        return DeviceLost(device.id, word)

    def _reopen(self) -> bool:
        """Initialise the driver that somebody shut down; every handle is to be taken anew."""
        now = self._clock()
        if not self._reopening.is_due(now):
            return False
        if now - self._reopened_ns > _CALM_NS:
            self._reopening.succeed()
        self._reopened_ns = now
        self._reopening.fail(now)
        for slot in self._slots.values():
            slot.unit = None
        if self._driver.initialise():
            return False
        self._reopened += 1
        return True

    def _search(self) -> None:
        self._found = enumerate_devices(self._driver)
        if self._found.complete:
            self._searching.succeed()
        else:
            self._searching.fail(self._clock())
        self._see()

    def _see(self) -> None:
        """Find out which devices are visible: CUDA itself knows best, once something initialised it."""
        there = {one.id: one for whole in self._found.devices for one in (whole.device, *whole.instances)}
        known = torch_allocator.uuids()
        if known and all(uuid in there for uuid in known):
            self._visible = Visible(tuple(there[uuid] for uuid in known))
        else:
            self._visible = choose(os.environ, self._found.devices)
