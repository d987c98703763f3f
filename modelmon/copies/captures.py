"""Captures: how an event of CUDA is asked while a graph may be captured, by this thread or another one.

By default a capture forbids every thread of the process to ask an event, and is spoilt by the question.
NVIDIA's driver lets a thread lift that for a while, since the event of a copy has no part in any capture; the mode is
the thread's own, and is put back at once.
The driver is called itself, since CUDA's runtime would make a context for it.
AMD's has no such mode that works: there an event is asked as it is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

_LIBRARY: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_RELAXED: Final = 2


class _Driver:
    """Hold what exchanges the mode of this thread: None where there is none, and before it was looked for."""

    exchange: Any = None
    sought = False


def aside(ask: Callable[[], T]) -> T:
    """Return what ``ask`` returns, called so that it spoils no capture.

    Args:
        ask: asks or awaits an event that was recorded outside captures.
    """
    if not _Driver.sought:
        _Driver.exchange, _Driver.sought = _found(), True
    exchange = _Driver.exchange
    if exchange is None:
        return ask()
    import ctypes  # noqa: PLC0415  (for those who have a device)

    mode, changed = ctypes.c_int(_RELAXED), False
    try:
        changed = exchange(ctypes.byref(mode)) == 0
        return ask()
    finally:
        if changed:
            exchange(ctypes.byref(mode))


def _found() -> Any:
    try:
        import ctypes  # noqa: PLC0415

        return ctypes.CDLL(_LIBRARY).cuThreadExchangeStreamCaptureMode
    except (ImportError, OSError, AttributeError):  # a Python without it, no driver, or one that is too old
        return None
