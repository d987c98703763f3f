"""The errors that NVIDIA's driver knows, and what each one means for us."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final


class Code(IntEnum):
    """The numbers of NVIDIA's header; the names there begin with ``NVML_ERROR_``."""

    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    ALREADY_INITIALIZED = 5
    NOT_FOUND = 6
    INSUFFICIENT_SIZE = 7
    INSUFFICIENT_POWER = 8
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    IRQ_ISSUE = 11
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    CORRUPTED_INFOROM = 14
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    OPERATING_SYSTEM = 17
    LIB_RM_VERSION_MISMATCH = 18
    IN_USE = 19
    MEMORY = 20
    NO_DATA = 21
    VGPU_ECC_NOT_SUPPORTED = 22
    INSUFFICIENT_RESOURCES = 23
    FREQ_NOT_SUPPORTED = 24
    ARGUMENT_VERSION_MISMATCH = 25
    DEPRECATED = 26
    NOT_READY = 27
    GPU_NOT_FOUND = 28
    INVALID_STATE = 29
    RESET_TYPE_NOT_SUPPORTED = 30
    UNKNOWN = 999


class Verdict(Enum):
    """What an error means."""

    EMPTY = "nothing to say this time"
    UNSUPPORTED = "this call will not work until the driver is opened anew"
    FAILING = "this call did not work, and may work later"
    DEVICE = "no call about this device works for now"
    CLOSED = "somebody shut the driver down; it is to be opened anew, once"
    GONE = "nothing works until this process is restarted"


_VERDICTS: Final = {
    Code.NOT_FOUND: Verdict.EMPTY,
    Code.NO_DATA: Verdict.EMPTY,
    Code.NOT_SUPPORTED: Verdict.UNSUPPORTED,
    Code.FUNCTION_NOT_FOUND: Verdict.UNSUPPORTED,
    Code.ARGUMENT_VERSION_MISMATCH: Verdict.UNSUPPORTED,
    Code.DEPRECATED: Verdict.UNSUPPORTED,
    Code.INVALID_ARGUMENT: Verdict.UNSUPPORTED,
    Code.NO_PERMISSION: Verdict.UNSUPPORTED,
    Code.VGPU_ECC_NOT_SUPPORTED: Verdict.UNSUPPORTED,
    Code.FREQ_NOT_SUPPORTED: Verdict.UNSUPPORTED,
    Code.RESET_TYPE_NOT_SUPPORTED: Verdict.UNSUPPORTED,
    Code.GPU_IS_LOST: Verdict.DEVICE,
    Code.RESET_REQUIRED: Verdict.DEVICE,
    Code.GPU_NOT_FOUND: Verdict.DEVICE,
    Code.UNKNOWN: Verdict.DEVICE,
    Code.UNINITIALIZED: Verdict.CLOSED,
    Code.DRIVER_NOT_LOADED: Verdict.CLOSED,
    Code.LIBRARY_NOT_FOUND: Verdict.CLOSED,
    Code.LIB_RM_VERSION_MISMATCH: Verdict.GONE,
}


def verdict(code: int) -> Verdict:
    """Return what an error means; one that is in no table may pass."""
    try:
        return _VERDICTS.get(Code(code), Verdict.FAILING)
    except ValueError:
        return Verdict.FAILING


def title(code: int) -> str:
    """Return an error's name as ``pynvml`` writes it.

    >>> title(15), title(12345)
    ('GpuIsLost', 'Error12345')
    """
    try:
        return Code(code).name.title().replace("_", "")
    except ValueError:
        return f"Error{code}"
