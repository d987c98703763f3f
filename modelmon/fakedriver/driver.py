"""A Python object in the place of the driver's library, as ``pynvml`` would have loaded it.

``pynvml`` calls functions of the library with ctypes' values, and ``byref(x)`` for what they fill in.
CPython keeps ``x`` at ``byref(x)._obj``, so that Python can fill it in as well as C.
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from modelmon.devices.nvml.codes import Code
from modelmon.fakedriver import functions
from modelmon.fakedriver.faults import Faults
from modelmon.forking import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelmon.fakedriver.gpus import FakeGpu

OLD: Final = frozenset(
    (
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetProcessUtilization",
    )
)
"""What a driver of 2021 lacks."""


class FakeLibrary:
    """Answer as the driver's library does.

    Attributes:
        gpus: the processors, in the order of the bus.
        driver_version: what the driver says it is.
        missing: functions that this library does not have.
        faults: the calls so far, and what is to become of the next.
        opened: how often it was initialised, less how often it was shut down.
        counting: to be held while ``opened`` changes; many threads may initialise and shut down.
    """

    def __init__(self, gpus: Sequence[FakeGpu], clock: Callable[[], int], driver_version: str) -> None:
        """Hold the processors, all of them idle."""
        self.gpus = list(gpus)
        self.driver_version = driver_version
        self.missing: set[str] = set()
        self.faults = Faults()
        self.opened = 0
        self.counting = Lock()
        for place, gpu in enumerate(self.gpus):
            gpu.power_on(place, clock)
        renew_in_child(self)

    def renew(self) -> None:
        """Take new locks in a forked child; another thread of the parent may have held the old ones."""
        self.counting = Lock()
        self.faults.renew()
        for gpu in self.gpus:
            gpu.renew()

    def __getattr__(self, name: str) -> Any:
        """Return a function of the library, as ctypes does; one that it lacks is an AttributeError."""
        function = functions.FUNCTIONS.get(name)
        if function is None or name in self.missing:
            raise AttributeError(name)
        return partial(self._call, name, function)

    def find(self, handle: int) -> FakeGpu | None:
        """Return the processor or instance of a handle."""
        number, instance = divmod(handle - functions.HANDLES, functions.INSTANCES)
        if not 0 <= number < len(self.gpus):
            return None
        gpu = self.gpus[number]
        if instance == 0:
            return gpu
        return gpu.instances[instance - 1] if instance <= len(gpu.instances) else None

    def _call(self, name: str, function: Callable[..., int | None], *arguments: Any) -> int:
        target, rest = None, arguments
        if name.startswith("nvmlDevice") and name not in functions.FINDING:
            target, rest = self.find(functions.handle_of(arguments[0])), arguments[1:]
        code = self.faults.enter(name, target.uuid if target is not None else None)
        if code:
            return code
        if name not in functions.OPENING and not self.opened:
            return int(Code.UNINITIALIZED)
        if name in functions.PER_DEVICE:
            return int(self._of_device(name, function, target, rest))
        return int(function(self, *arguments) or 0)

    @staticmethod
    def _of_device(name: str, function: Callable[..., int | None], gpu: FakeGpu | None, rest: tuple[Any, ...]) -> int:
        if gpu is None:
            return Code.INVALID_ARGUMENT
        if gpu.lost or (gpu.parent is not None and gpu.parent.lost):
            return Code.GPU_IS_LOST
        return Code.NOT_SUPPORTED if name in gpu.unsupported else function(gpu, *rest) or 0
