"""Sections about the driver: what it tells, how often, at what price, and how far it can be believed."""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ground import Ground, Load, each, micro, quantile

if TYPE_CHECKING:
    from collections.abc import Callable


def machine(ground: Ground) -> dict[str, Any]:
    """Name device, driver, versions and modes, which are read and never changed."""
    n, h = ground.nvml, ground.handle
    return {
        "name": ground.asked(n.nvmlDeviceGetName, h),
        "driver": ground.asked(n.nvmlSystemGetDriverVersion),
        "torch": ground.torch.__version__,
        "python": sys.version.split()[0],
        "devices": ground.torch.cuda.device_count(),
        "mig": ground.asked(n.nvmlDeviceGetMigMode, h),
        "persistence": ground.asked(n.nvmlDeviceGetPersistenceMode, h),
    }


def driver_cost(ground: Ground) -> dict[str, Any]:
    """Time each call that the sampler makes, with the device idle and busy."""
    n, h = ground.nvml, ground.handle
    fields = [n.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, n.NVML_FI_DEV_POWER_INSTANT]
    calls: dict[str, Callable[[], Any]] = {
        "energy": lambda: n.nvmlDeviceGetTotalEnergyConsumption(h),
        "fields": lambda: n.nvmlDeviceGetFieldValues(h, fields),
        "utilization": lambda: n.nvmlDeviceGetUtilizationRates(h),
        "memory": lambda: n.nvmlDeviceGetMemoryInfo(h, version=n.nvmlMemory_v2),
        "samples": lambda: n.nvmlDeviceGetSamples(h, n.NVML_GPU_UTILIZATION_SAMPLES, 0),
        "processes": lambda: n.nvmlDeviceGetComputeRunningProcesses(h),
        "temperature": lambda: n.nvmlDeviceGetTemperature(h, 0),
    }
    idle = {name: each(lambda call=call: ground.asked(call)) for name, call in calls.items()}
    with Load(ground):
        busy = {name: each(lambda call=call: ground.asked(call)) for name, call in calls.items()}
    return {"idle": idle, "busy": busy}


def refresh(ground: Ground) -> dict[str, Any]:
    """Poll flat out: how often does each reading change?"""
    n, h = ground.nvml, ground.handle

    def polled(read: Callable[[], Any]) -> dict[str, Any]:
        changes, last, end = [], None, time.perf_counter() + ground.seconds
        while time.perf_counter() < end:
            value = read()
            if value != last:
                changes.append(time.perf_counter())
                last = value
        gaps = [1e3 * (b - a) for a, b in pairwise(changes)]
        return {"changes": len(changes), "gap_ms": [quantile(gaps, share) for share in (0.1, 0.5, 0.9)]}

    readings = {
        "energy": ground.energy,
        "power_instant": lambda: (ground.field(n.NVML_FI_DEV_POWER_INSTANT) or (0,))[0],
        "power_average": lambda: (ground.field(n.NVML_FI_DEV_POWER_AVERAGE) or (0,))[0],
        "utilization": lambda: n.nvmlDeviceGetUtilizationRates(h).gpu,
    }
    with Load(ground, duty=0.5, period=0.3):
        return {name: ground.asked(polled, read) for name, read in readings.items()}


def rings(ground: Ground) -> dict[str, Any]:
    """Find depth, spacing and clock of the driver's rings of samples."""
    n, h = ground.nvml, ground.handle
    clocks = {
        "realtime": time.time,
        "monotonic": time.monotonic,
        "boottime": lambda: time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)),
    }
    found: dict[str, Any] = {}
    for name, kind in (("utilization", n.NVML_GPU_UTILIZATION_SAMPLES), ("power", n.NVML_TOTAL_POWER_SAMPLES)):
        with Load(ground):
            answer = ground.asked(n.nvmlDeviceGetSamples, h, kind, 0)
        if isinstance(answer, str):
            found[name] = answer
            continue
        stamps = sorted(sample.timeStamp for sample in answer[1])
        gaps = [(b - a) / 1e3 for a, b in pairwise(stamps)]
        behind = {clock: round(read() - stamps[-1] / 1e6, 3) for clock, read in clocks.items()} if stamps else None
        found[name] = {"n": len(stamps), "gap_ms": quantile(gaps, 0.5), "newest_behind_s": behind}
    return found


def energy(ground: Ground) -> dict[str, Any]:
    """Compare the counter with power integrated over the same seconds."""
    n = ground.nvml

    def window(seconds: float) -> dict[str, Any]:
        points, before, begun = [], ground.energy(), time.monotonic()
        while time.monotonic() - begun < seconds:
            stamp, value = time.monotonic(), ground.field(n.NVML_FI_DEV_POWER_INSTANT)
            if value is not None:
                points.append((stamp, value[0] / 1e3))
            time.sleep(0.02)
        took, counted = time.monotonic() - begun, ground.energy() - before
        pairs = list(pairwise(points))
        area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairs)
        return {"seconds": round(took, 3), "counter_J": round(counted, 3), "integral_J": round(area, 3)}

    found = {"idle": window(ground.seconds)}
    with Load(ground):
        found["full"] = window(3 * ground.seconds)
    with Load(ground, duty=0.5, period=0.1):
        found["half, 100 ms"] = window(3 * ground.seconds)
    return found


def memory(ground: Ground) -> dict[str, Any]:
    """Say what each source says while 4 GiB are allocated, then free in torch's cache."""
    n, h, torch = ground.nvml, ground.handle, ground.torch

    def view() -> dict[str, Any]:
        free, total = torch.cuda.mem_get_info()
        info = n.nvmlDeviceGetMemoryInfo(h, version=n.nvmlMemory_v2)
        processes = ground.asked(n.nvmlDeviceGetComputeRunningProcesses, h)
        mine = processes if isinstance(processes, str) else sum(one.pid == os.getpid() for one in processes)
        gib = 2**30
        return {
            "driver_GiB": round(info.used / gib, 3),
            "cuda_GiB": round((total - free) / gib, 3),
            "torch_GiB": round(torch.cuda.memory_allocated() / gib, 3),
            "own_process_listed": mine,
        }

    found = {"before": view()}
    held = torch.empty(4 << 30, dtype=torch.uint8, device="cuda")
    found["allocated"] = view()
    del held
    found["in the cache"] = view()
    torch.cuda.empty_cache()
    found["given back"] = view()
    return found


def forked(ground: Ground) -> dict[str, Any]:
    """Ask the driver in a forked child: by the inherited handle, and after initialising anew."""
    n, h, torch = ground.nvml, ground.handle, ground.torch
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        found = {"inherited": str(ground.asked(n.nvmlDeviceGetTotalEnergyConsumption, h))}
        n.nvmlInit()
        found["anew"] = str(ground.asked(n.nvmlDeviceGetTotalEnergyConsumption, n.nvmlDeviceGetHandleByIndex(0)))
        found["torch_initialized"] = str(torch.cuda.is_initialized())
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        text = file.read()
    os.waitpid(child, 0)
    found = json.loads(text or b'{"child": "died"}')
    return dict(found)


def init_again(ground: Ground) -> dict[str, Any]:
    """Time initialising a driver that is initialised already."""
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        ground.nvml.nvmlInit()
        took.append(micro(time.perf_counter() - begun))
        ground.nvml.nvmlShutdown()
    return {"us": took}


SECTIONS = (machine, driver_cost, refresh, rings, energy, memory, forked, init_again)
