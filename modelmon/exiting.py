"""Exiting: what is done when the program ends, in the process that asked for it."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import MethodType


def at_exit(act: MethodType) -> None:
    """Have a method called when the program ends, while its object lives; it must not raise, nor start threads.

    A forked child inherits what is registered, and passes over it.
    """
    ending = _Ending(act)
    atexit.register(ending)
    workers = sys.modules.get("multiprocessing.util")  # its children may end without what is registered there
    if workers is not None:
        workers.Finalize(None, ending, exitpriority=0)


class _Ending:
    """Call a method of an object that nothing else here keeps alive."""

    def __init__(self, act: MethodType) -> None:
        self._act: Callable[[], MethodType | None] = weakref.WeakMethod(act)
        self._pid = os.getpid()

    def __call__(self) -> None:
        act = self._act()
        if act is not None and os.getpid() == self._pid:
            act()
