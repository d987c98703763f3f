"""Sections about events of CUDA: what they cost, how true they are, and what may break a graph that is captured."""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

from ground import Ground, fastest, micro, quantile, spread

if TYPE_CHECKING:
    from collections.abc import Callable


def unwaited(ground: Ground) -> dict[str, Any]:
    """Compare the host's time of a call that does not wait with the events' and with the host's that waits."""
    torch = ground.torch
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    rows = []
    for _ in range(25):
        torch.cuda.synchronize()
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begun = time.perf_counter()
        before.record()
        for _ in range(10):
            torch.mm(a, a)
        after.record()
        returned = time.perf_counter()
        torch.cuda.synchronize()
        ended = time.perf_counter()
        rows.append((1e3 * (returned - begun), before.elapsed_time(after), 1e3 * (ended - begun)))
    host, event, waited = (round(statistics.median(column), 3) for column in zip(*rows[5:], strict=True))
    return {"host_ms": host, "event_ms": event, "host_that_waits_ms": waited, "factor": round(waited / host, 1)}


def event_cost(ground: Ground) -> dict[str, Any]:
    """Time what timers do at each call, in microseconds."""
    torch = ground.torch
    cuda = torch.cuda
    x = torch.zeros(1024, device="cuda")
    one, other = (cuda.Event(enable_timing=True) for _ in range(2))
    one.record()
    other.record()
    cuda.synchronize()
    pool = [cuda.Event(enable_timing=True) for _ in range(64)]
    turn = [0]

    def pooled() -> None:
        turn[0] = (turn[0] + 2) % 64
        pool[turn[0]].record()
        x.add_(1)
        pool[turn[0] + 1].record()

    def fresh() -> None:
        before, after = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        before.record()
        x.add_(1)
        after.record()

    asked: dict[str, Callable[[], Any]] = {
        "is_initialized": cuda.is_initialized,
        "is_current_stream_capturing": cuda.is_current_stream_capturing,
        "current_stream": cuda.current_stream,
        "record": one.record,
        "query": one.query,
        "elapsed_time": lambda: one.elapsed_time(other),
        "max_memory_allocated": cuda.max_memory_allocated,
        "kernel": lambda: x.add_(1),
        "kernel, pair from a pool": pooled,
        "kernel, fresh pair": fresh,
    }
    return {f"{name}_us": fastest(function, torch) for name, function in asked.items()}


def host_clock(ground: Ground) -> dict[str, Any]:
    """Place events on the host's clock as the library does: how often at once, and how far off?"""
    from modelmon.probes.bases import Bases  # noqa: PLC0415  (what this section is about)

    torch = ground.torch
    bases = Bases(torch.cuda, time.monotonic_ns)
    torch.cuda.synchronize()
    taken = [base for base in (bases._taken(0) for _ in range(50)) if base is not None]
    errors = []
    for _ in range(200 if taken else 0):
        time.sleep(0.005)
        torch.cuda.synchronize()
        event = torch.cuda.Event(enable_timing=True)
        before = time.monotonic_ns()
        event.record()
        event.synchronize()
        after = time.monotonic_ns()
        at = taken[-1].at + taken[-1].event.elapsed_time(event) * 1e6
        errors.append(abs(at - (before + after) / 2) / 1e9)
    off = {f"off_p{share}_us": micro(quantile(errors, share / 100)) for share in (50, 99)}
    return {"seen at once": f"{len(taken)} of 50", **off}


def interference(ground: Ground) -> dict[str, Any]:
    """Time a small kernel and its end with the sampler's calls at no, 2, 10 and 50 Hz beside it."""
    torch, n, h = ground.torch, ground.nvml, ground.handle
    x = torch.randn(1024, 1024, device="cuda")
    fields = [n.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, n.NVML_FI_DEV_POWER_INSTANT]

    def kernels() -> dict[str, Any]:
        took, end = [], time.perf_counter() + ground.seconds
        while time.perf_counter() < end:
            begun = time.perf_counter()
            torch.mm(x, x)
            torch.cuda.synchronize()
            took.append(time.perf_counter() - begun)
        return spread(took)

    def beside(hertz: float) -> dict[str, Any]:
        stop = threading.Event()
        cpu: list[float] = []

        def sample() -> None:
            while not stop.wait(1 / hertz):
                ground.asked(n.nvmlDeviceGetFieldValues, h, fields)
                ground.asked(n.nvmlDeviceGetUtilizationRates, h)
                ground.asked(n.nvmlDeviceGetMemoryInfo, h, version=n.nvmlMemory_v2)
            cpu.append(time.thread_time())

        thread = threading.Thread(target=sample)
        thread.start()
        found = kernels()
        stop.set()
        thread.join()
        return {**found, "sampler_cpu_share": round(cpu[0] / ground.seconds, 5)}

    kernels()
    return {"off": kernels(), **{f"{hertz} Hz": beside(hertz) for hertz in (2, 10, 50)}, "off again": kernels()}


def capture_hazard(ground: Ground) -> dict[str, Any]:
    """Ask an event from another thread while a graph is captured, with and without exchanging that thread's mode.

    The last trial is expected to fail, and may leave CUDA unusable.
    """
    from modelmon.copies.captures import aside  # noqa: PLC0415  (what this section is about)

    torch = ground.torch

    def trial(exchange: bool, mode: str) -> dict[str, Any]:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        torch.cuda.synchronize()
        stop, found = threading.Event(), {"queries": 0}

        def ask() -> None:
            while not stop.is_set():
                try:
                    aside(event.query) if exchange else event.query()
                    found["queries"] += 1
                except Exception as error:  # noqa: PERF203  (the first ends the loop)
                    found["error"] = type(error).__name__
                    return

        x = torch.zeros(1 << 20, device="cuda")
        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.05)
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode=mode):
                for _ in range(500):
                    x.add_(1)
                    time.sleep(1e-5)
            graph.replay()
            torch.cuda.synchronize()
            found["capture"] = "ok"
        except Exception as error:
            found["capture"] = f"{type(error).__name__}: {str(error)[:120]}"
        stop.set()
        thread.join()
        return found

    return {
        "exchanged, global capture": trial(exchange=True, mode="global"),
        "plain, thread-local capture": trial(exchange=False, mode="thread_local"),
        "plain, global capture (expected to fail)": trial(exchange=False, mode="global"),
    }


SECTIONS = (unwaited, event_cost, host_clock, interference, capture_hazard)
