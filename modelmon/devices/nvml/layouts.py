"""How NVIDIA's driver lays out what it fills in, and the numbers it goes by; both are part of its binary interface."""

from __future__ import annotations

import ctypes
from typing import Final

Handle = ctypes.c_void_p
NOT_AVAILABLE: Final = 2**64 - 1
"""The driver's word for "no value" in a field of 64 bits."""
UTILIZATION_SAMPLES: Final = 1
MEMORY_V2: Final = 40 | 2 << 24
TEXT_BYTES: Final = 96
ENERGY: Final = 83
POWER_INSTANT: Final = 186
CORRECTED: Final = 3
UNCORRECTED: Final = 4
THROTTLED: Final = {
    74: "power_cap",
    75: "thermal",
    76: "sync_boost",
    77: "board_limit",
    79: "reliability",
    269: "sw_thermal",
    270: "hw_thermal",
    271: "power_brake",
}
"""Counters of nanoseconds with low clocks, by field number."""


class Value(ctypes.Union):
    """A number of one of seven types."""

    _fields_ = (
        ("dVal", ctypes.c_double),
        ("uiVal", ctypes.c_uint),
        ("ulVal", ctypes.c_ulong),
        ("ullVal", ctypes.c_ulonglong),
        ("sllVal", ctypes.c_longlong),
        ("siVal", ctypes.c_int),
        ("usVal", ctypes.c_ushort),
    )


_MEMBERS: Final = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


def number(kind: int, value: Value) -> float:
    """Return the number of a value, by the driver's number of its type."""
    found: float = getattr(value, _MEMBERS[kind] if 0 <= kind < len(_MEMBERS) else "ullVal")
    return found


class Field(ctypes.Structure):
    """One field of ``nvmlDeviceGetFieldValues``, each with an error of its own."""

    _fields_ = (
        ("fieldId", ctypes.c_uint32),
        ("scopeId", ctypes.c_uint32),
        ("timestamp", ctypes.c_int64),
        ("latencyUsec", ctypes.c_int64),
        ("valueType", ctypes.c_uint),
        ("nvmlReturn", ctypes.c_uint),
        ("value", Value),
    )


class Sample(ctypes.Structure):
    """One entry of the driver's ring."""

    _fields_ = (("timeStamp", ctypes.c_ulonglong), ("sampleValue", Value))


class Memory(ctypes.Structure):
    """Memory with what is reserved counted as used."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class MemoryV2(ctypes.Structure):
    """Memory with what is reserved apart."""

    _fields_ = (
        ("version", ctypes.c_uint),
        ("total", ctypes.c_ulonglong),
        ("reserved", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class Rates(ctypes.Structure):
    """Per cent of the last period with a kernel running, and with memory being read or written."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Process(ctypes.Structure):
    """A process that computes, as of the second and third version of the call."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("usedGpuMemory", ctypes.c_ulonglong),
        ("gpuInstanceId", ctypes.c_uint),
        ("computeInstanceId", ctypes.c_uint),
    )


class Share(ctypes.Structure):
    """What a process did in one period, in per cent."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("timeStamp", ctypes.c_ulonglong),
        ("smUtil", ctypes.c_uint),
        ("memUtil", ctypes.c_uint),
        ("encUtil", ctypes.c_uint),
        ("decUtil", ctypes.c_uint),
    )
