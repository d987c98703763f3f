"""What reading graphics processors takes: CPU time of the sampler's thread, over the simulated driver of our tests.

Calls are drained before, since counting them is no work of the sampler's.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from figures import Figure, Goal

from modelmon import Monitor
from modelmon.devices.selection import choose
from modelmon.sampling.sampler import Sampler
from modelmon.testing import FakeClock

if TYPE_CHECKING:
    from budget import Budget

SOURCE = Path(__file__).parents[1] / "devices" / "driver" / "nvml_simulator.c"
CALLS = 20
"""Calls between two readings."""


def sampler(budget: Budget) -> list[Figure]:
    """Measure rounds of reading as a part of one core."""
    shapes = [
        ("sampler, 1 device at 2 Hz", 1, 2.0, Goal(0.1)),
        ("sampler, 8 devices at 10 Hz", 8, 10.0, Goal(1.2)),
    ]
    if shutil.which("cc") is None:
        return [Figure(name, None, "% of a core", goal=goal, note="no C compiler") for name, _, _, goal in shapes]
    n = budget.rows(2000, 500)
    return [share(name, devices, hertz, n, goal) for name, devices, hertz, goal in shapes]


def driver(devices: int) -> Any:
    """Put a simulated driver where the real one is looked for."""
    import pynvml  # noqa: PLC0415  (this group alone needs it)

    with tempfile.TemporaryDirectory() as folder:
        built = str(Path(folder, "libnvidia-ml.so.1"))
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", built, str(SOURCE), "-lpthread"], check=True)
        library = ctypes.CDLL(built)
    library.sim_reset.argtypes = (ctypes.c_uint, ctypes.c_int, ctypes.c_ulonglong)
    library.sim_clock.argtypes = (ctypes.c_ulonglong,)
    library.sim_span.argtypes = (ctypes.c_uint, ctypes.c_ulonglong, ctypes.c_ulonglong)
    library.sim_reset(devices, 1, 1_000_000_000)
    pynvml.nvmlLib = library
    pynvml._nvmlGetFunctionPointer_cache.clear()
    return library


def share(name: str, devices: int, hertz: float, n: int, goal: Goal) -> Figure:
    """Return the per cent of a core that a sampler takes, its slow rounds as often as they come."""
    clock, library = FakeClock(start=1000.0), driver(devices)
    monitor = Monitor(gpu=False, clock=clock)

    @monitor(model="m")
    def predict(seconds: float) -> None:
        clock.advance(seconds)

    for number in range(devices):
        library.sim_span(number, 1_000_000_000, 1 << 60)
    one = Sampler(lambda now: choose("nvml", now), clock.monotonic_ns, hertz, None)
    one.serve(weakref.ref(monitor.home))
    one.tick()
    spent = []
    for _ in range(n):
        for _ in range(CALLS):
            predict(0.5 / hertz / CALLS)
        clock.advance(0.5 / hertz)
        library.sim_clock(clock.monotonic_ns() // 1000)
        monitor.flush()
        begun = time.thread_time_ns()
        one.tick()
        spent.append(time.thread_time_ns() - begun)
    one.close()
    per_cent = hertz / 1e7
    return Figure(name, sum(spent) / n * per_cent, "% of a core", median(spent) * per_cent, goal=goal)
