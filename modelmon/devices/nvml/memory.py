"""How much memory a device has and holds."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, NamedTuple

from modelmon.devices.nvml.layouts import MEMORY_V2, NOT_AVAILABLE, Handle, Memory, MemoryV2
from modelmon.devices.nvml.questions import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.nvml.driver import Driver


class Bytes(NamedTuple):
    """Bytes of a device; None where not known."""

    used: int | None = None
    total: int | None = None
    reserved: int | None = None


class DeviceMemory:
    """Read memory by one call: with what is reserved apart, or by the older call with it counted as used."""

    __slots__ = ("_driver", "_first", "_handle", "_second")

    def __init__(self, driver: Driver, handle: Handle, clock: Callable[[], int]) -> None:
        """Ask the newer call once, and the older one where that is missing."""
        self._driver = driver
        self._handle = handle
        self._second = Question(driver, "nvmlDeviceGetMemoryInfo_v2", clock)
        self._first = Question(driver, "nvmlDeviceGetMemoryInfo", clock)
        self.read()
        if not self._second.supported:
            self.read()

    @property
    def works(self) -> bool:
        """Whether memory is known at all."""
        return self._second.works or self._first.works

    @property
    def reserves(self) -> bool:
        """Whether what is reserved is known apart."""
        return self._second.works

    def read(self) -> Bytes:
        """Return what is used, there, and reserved."""
        if self._second.supported:
            newer = MemoryV2(version=MEMORY_V2)
            asked = self._second.ask(self._handle, ctypes.byref(newer))
            return self._believable(newer.used, newer.total, newer.reserved) if asked else Bytes()
        older = Memory()
        asked = self._first.ask(self._handle, ctypes.byref(older))
        return self._believable(older.used, older.total, None) if asked else Bytes()

    def _believable(self, used: int, total: int, reserved: int | None) -> Bytes:
        if total in (0, NOT_AVAILABLE) or used > total:
            self._driver.sentinels["memory"] += 1
            return Bytes()
        return Bytes(used, total, reserved)
