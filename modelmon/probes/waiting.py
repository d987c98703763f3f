"""Waiting for the device within the call, for who asks for it by ``sync="device"``: in benchmarks, not in service.

A call begins when the devices have finished what came before, and ends when they have finished what it asked of them.
So the host's clock tells the truth, at the cost of all overlap between host and device.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from modelmon.faults import is_signalled

HOST_SYNC: Final = "host_sync"
_UNKNOWN: Final = -1


class Waiting:
    """Stand where timers stand, and wait."""

    __slots__ = ()

    def begin(self, _seat: Any) -> str:
        """Wait for what came before; return whether and how that went."""
        return _waited(None)

    def first(self, _how: str | None) -> None:
        """Do nothing: the host's clock tells when the first item came."""

    def end(self, how: str | None, seat: Any, start: int, result: Any, page: Any) -> int:
        """Wait for what the call asked of devices, then read the clock.

        Args:
            how: what ``begin`` returned; None where the stack had no room for it.
            seat: of the call.
            start: when the call began, on the seat's clock.
            result: what it returned; None for a stream.
            page: its slice.

        Returns:
            When the call ended, on the seat's clock.
        """
        after = _waited(result)
        end: int = seat.clock()
        lapses = [one for one in (how, after) if one not in ("", HOST_SYNC)]
        found = "recursion" if how is None else str(lapses[0]) if lapses else after
        if found:
            seat.time((start, end, end - start, _UNKNOWN, _UNKNOWN, _UNKNOWN, found, page))
        return end


class Resting:
    """Stand where timers stood before a wrapper was pickled with the lines that call them, until there are some."""

    __slots__ = ()

    def begin(self, _seat: Any) -> None:
        """Do nothing."""

    def first(self, _nothing: None) -> None:
        """Do nothing."""

    def end(self, _nothing: None, seat: Any, _start: int, _result: Any, _page: Any) -> int:
        """Read the clock."""
        end: int = seat.clock()
        return end


def _waited(result: Any) -> str:
    """Wait for all devices that are in use; return ``"host_sync"``, why that failed, or nothing where none is."""
    try:
        found = _wait_for_torch()
        jax = sys.modules.get("jax")
        if jax is not None and result is not None and _is_of(result, "jax"):
            jax.block_until_ready(result)
            found = found or HOST_SYNC
        if result is not None and _is_of(result, "cupy"):
            result.device.synchronize()
            found = found or HOST_SYNC
    except Exception as fault:  # what the call left broken raises again where the user looks at it
        if is_signalled(fault):
            raise
        return "error"
    return found


def _wait_for_torch() -> str:
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return ""
    if cuda.is_current_stream_capturing():
        return "capturing"
    cuda.synchronize()
    for device in range(cuda.device_count()):
        if device != cuda.current_device() and cuda.memory_reserved(device):
            cuda.synchronize(device)
    return HOST_SYNC


def _is_of(result: Any, library: str) -> bool:
    """Tell whether a result, or the first of several, is an array of a library."""
    while type(result) in {tuple, list} and result:
        result = result[0]
    if type(result) is dict and result:
        result = next(iter(result.values()))
    module = type.__getattribute__(type(result), "__module__")
    return type(module) is str and module.partition(".")[0] in {library, f"{library}lib"}


WAITING: Final = Waiting()
RESTING: Final = Resting()
