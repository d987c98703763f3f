"""Which devices the driver knows, who they are, and how to take hold of them."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, NamedTuple

from modelmon.devices.facts import DeviceId
from modelmon.devices.nvml.codes import Verdict
from modelmon.devices.nvml.driver import DriverFault
from modelmon.devices.nvml.layouts import TEXT_BYTES, Handle
from modelmon.devices.visible import Physical

if TYPE_CHECKING:
    from modelmon.devices.nvml.driver import Driver

_ENDING = (Verdict.CLOSED, Verdict.GONE)


class Found(NamedTuple):
    """The devices that could be asked who they are, and whether these are all."""

    devices: tuple[Physical, ...]
    complete: bool


def enumerate_devices(driver: Driver) -> Found:
    """Return every device of the driver's, in the order of the bus; one that is lost cannot say who it is.

    Raises:
        DriverFault: when the driver does not work.
    """
    number = ctypes.c_uint()
    driver.require("nvmlDeviceGetCount_v2", ctypes.byref(number))
    asked = [_asked(driver, index) for index in range(number.value)]
    found = tuple(physical for physical in asked if physical is not None)
    return Found(found, len(found) == len(asked))


def hold(driver: Driver, device: DeviceId) -> Handle:
    """Return a handle of a device.

    Raises:
        DriverFault: when it cannot be had.
    """
    handle = Handle()
    driver.require("nvmlDeviceGetHandleByUUID", ctypes.c_char_p(device.id.encode()), ctypes.byref(handle))
    return handle


def driver_version(driver: Driver) -> str | None:
    """Return the driver's version, where it says so."""
    return _text(driver, "nvmlSystemGetDriverVersion")


def _asked(driver: Driver, index: int) -> Physical | None:
    try:
        return _physical(driver, index)
    except DriverFault as fault:
        if fault.verdict in _ENDING:
            raise
        return None


def _physical(driver: Driver, index: int) -> Physical:
    handle = Handle()
    driver.require("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
    device = _identity(driver, handle, None)
    current, pending = ctypes.c_uint(), ctypes.c_uint()
    divided = not driver.call("nvmlDeviceGetMigMode", handle, ctypes.byref(current), ctypes.byref(pending))
    if not divided or not current.value:
        return Physical(device)
    return Physical(device, tuple(_instances(driver, handle, device)))


def _instances(driver: Driver, parent: Handle, device: DeviceId) -> list[DeviceId]:
    most = ctypes.c_uint()
    if driver.call("nvmlDeviceGetMaxMigDeviceCount", parent, ctypes.byref(most)):
        return []
    found = []
    for place in range(most.value):
        handle = Handle()
        if driver.call("nvmlDeviceGetMigDeviceHandleByIndex", parent, ctypes.c_uint(place), ctypes.byref(handle)):
            continue
        found.append(_identity(driver, handle, device.id))
    return found


def _identity(driver: Driver, handle: Handle, parent: str | None) -> DeviceId:
    uuid = ctypes.create_string_buffer(TEXT_BYTES)
    driver.require("nvmlDeviceGetUUID", handle, uuid, ctypes.c_uint(TEXT_BYTES))
    name = _text(driver, "nvmlDeviceGetName", handle) or "NVIDIA GPU"
    return DeviceId(uuid.value.decode("utf-8", "replace"), "nvidia", name, parent)


def _text(driver: Driver, function: str, *arguments: Handle) -> str | None:
    buffer = ctypes.create_string_buffer(TEXT_BYTES)
    failed = driver.call(function, *arguments, buffer, ctypes.c_uint(TEXT_BYTES))
    return None if failed else buffer.value.decode("utf-8", "replace")
