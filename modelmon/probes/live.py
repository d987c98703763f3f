"""Looking for a device that calls may be timed on.

A call in a process without a device pays nothing for it: the lines that time calls are not in its wrapper.
Now and then (at the first call of each function, every thousand calls, at a drain) somebody looks whether torch was
imported and its CUDA initialised meanwhile; from then on the wrapper runs code that has those lines.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from modelmon.faults import is_signalled
from modelmon.forking import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelmon.probes.cuda import Timers
    from modelmon.probes.seats import Seat


VARIABLE: Final = "MODELMON_GPU"
_OFF: Final = ("off", "0", "false", "no")


class _Live:
    """Hold the one set of timers of this process, and whether it is in vain to look for a device."""

    timers: Timers | None = None
    vain = False


def look(seats: Iterable[Seat]) -> None:
    """Have the calls of these seats timed from now on, where torch drives a CUDA device; never imports or wakes it.

    ``MODELMON_GPU=off`` forbids it.
    """
    if "torch" not in sys.modules or _Live.vain or os.environ.get(VARIABLE, "").strip().lower() in _OFF:
        return
    try:
        cuda: Any = getattr(sys.modules.get("torch"), "cuda", None)
        if cuda is not None and hasattr(cuda, "is_initialized") and cuda.is_initialized():
            if _Live.timers is None:
                _Live.timers = load("modelmon.probes.cuda").Timers(sys.modules["torch"])
            for seat in list(seats):
                if seat.site.untimed:
                    load("modelmon.probes.rewriting").time_calls(seat.site, _Live.timers)
    except Exception as fault:
        if is_signalled(fault):
            raise
        _Live.vain = True


def resolve() -> None:
    """Read what devices have finished; only for threads that the user calls us from."""
    if _Live.timers is not None:
        _Live.timers.resolve()


def trouble() -> str:
    """Return why calls are timed by the host alone though there is a device, in words; empty where they are not."""
    if _Live.timers is not None and _Live.timers.off == "error":
        return "CUDA reported an error, so calls of this process are no longer timed on the device"
    return ""
