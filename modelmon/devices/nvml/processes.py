"""Who else computes on a device, and what this process holds of it.

In a container the driver may list no process, or list them by the numbers that the host knows them by.
There a number of ours proves nothing unless every process listed is one that we see.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from modelmon.devices.nvml.codes import Code
from modelmon.devices.nvml.layouts import NOT_AVAILABLE, Handle, Process, Share
from modelmon.devices.nvml.questions import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.nvml.driver import Driver

_FULL: Final = 100
_ROOM: Final = 64
_HOST: Final = "pid:[4026531836]"
"""The namespace of process numbers that a machine starts with; Linux gives it this number always."""


class Held(NamedTuple):
    """What is known of the processes on a device; None where not known."""

    memory: int | None = None
    processes: int | None = None
    share: float | None = None


def sees_all() -> bool:
    """Tell whether this process knows others by the numbers that the driver knows them by."""
    try:
        return os.readlink("/proc/self/ns/pid") == _HOST  # noqa: PTH115  (no path, a word)
    except OSError:
        return not os.path.isdir("/proc/self")  # noqa: PTH112  (not Linux: there are no such namespaces)


class Processes:
    """Read the processes on a device by two calls."""

    __slots__ = ("_driver", "_handle", "_newest", "_older", "_shares", "_sharing", "_table", "_third")

    def __init__(self, driver: Driver, handle: Handle, clock: Callable[[], int]) -> None:
        """Ask each once."""
        self._driver = driver
        self._handle = handle
        self._third = Question(driver, "nvmlDeviceGetComputeRunningProcesses_v3", clock)
        self._older = Question(driver, "nvmlDeviceGetComputeRunningProcesses_v2", clock)
        self._sharing = Question(driver, "nvmlDeviceGetProcessUtilization", clock)
        self._table: Any = (Process * _ROOM)()
        self._shares: Any = (Share * _ROOM)()
        self._newest = 0
        self._list()
        self._share()

    @property
    def works(self) -> bool:
        """Whether processes are listed at all."""
        return self._third.works or self._older.works

    @property
    def shares(self) -> bool:
        """Whether the driver says how busy each process is."""
        return self._sharing.works or self._sharing.code == Code.INSUFFICIENT_SIZE

    def read(self) -> Held:
        """Return this process's memory, how many compute on the device, and this one's share of its time."""
        listed = self._list()
        if listed is None:
            return Held()
        whole, own = sees_all(), os.getpid()
        if not listed and not whole:
            return Held()
        trusted = whole or all(os.path.exists(f"/proc/{pid}") for pid in listed)  # noqa: PTH110
        memory = listed.get(own) if trusted else None
        share = self._share() if trusted and own in listed else None
        return Held(memory, len(listed), share)

    def _list(self) -> dict[int, int | None] | None:
        question = self._third if self._third.supported else self._older
        room = ctypes.c_uint(len(self._table))
        asked = question.ask(self._handle, ctypes.byref(room), self._table)
        if not asked and question.code == Code.INSUFFICIENT_SIZE and question.supported:
            self._table = (Process * (2 * room.value + _ROOM))()
            room = ctypes.c_uint(len(self._table))
            asked = question.ask(self._handle, ctypes.byref(room), self._table)
        if not asked:
            return self._list() if question is self._third and not question.supported else None
        rows = self._table[: room.value]
        return {row.pid: None if row.usedGpuMemory == NOT_AVAILABLE else row.usedGpuMemory for row in rows}

    def _share(self) -> float | None:
        """Return this process's part of the busy time of all of them since the last reading."""
        room, since = ctypes.c_uint(len(self._shares)), ctypes.c_ulonglong(self._newest)
        if not self._sharing.ask(self._handle, self._shares, ctypes.byref(room), since):
            if self._sharing.code == Code.INSUFFICIENT_SIZE:
                self._shares = (Share * (2 * room.value + _ROOM))()
            return None
        rows = [row for row in self._shares[: room.value] if row.timeStamp > self._newest and row.pid]
        true = [row for row in rows if row.smUtil <= _FULL]
        self._driver.sentinels["sm_share"] += len(rows) - len(true)
        self._newest = max((row.timeStamp for row in true), default=self._newest)
        busy = sum(row.smUtil for row in true)
        own = os.getpid()
        return sum(row.smUtil for row in true if row.pid == own) / busy if busy else None
