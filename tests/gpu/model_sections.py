"""Sections about this library on a real device: what a watched call costs, and whether its figures are true."""

from __future__ import annotations

import random
import statistics
import threading
import time
from typing import Any

from ground import Ground, fastest, module


def watched_cost(ground: Ground) -> dict[str, Any]:
    """Time a call that launches one small kernel: bare, watched, and timed on the device."""
    modelmon, torch = module("modelmon"), ground.torch
    x = torch.zeros(1024, device="cuda")

    def bare() -> None:
        x.add_(1)

    def watched(gpu: Any) -> Any:
        found = modelmon.Monitor(gpu=gpu)(model="m")(lambda: bare())  # noqa: PLW0108  (one frame, as others have)
        found()
        return found

    figures = {"bare": fastest(bare, torch), "watched": fastest(watched(False), torch)}
    return {f"{name}_us": value for name, value in {**figures, "timed": fastest(watched("auto"), torch)}.items()}


def device_time(ground: Ground) -> dict[str, Any]:
    """Compare the device time that the library tells with the host's time of the same calls, waited for."""
    modelmon, torch = module("modelmon"), ground.torch
    monitor = modelmon.Monitor()
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def multiply() -> None:
        for _ in range(10):
            torch.mm(a, a)

    timed, waited = monitor(model="timed")(multiply), monitor(model="waited", sync="device")(multiply)
    for _ in range(5):
        multiply()
    timed()
    for _ in range(20):
        torch.cuda.synchronize()
        timed()
        torch.cuda.synchronize()
        waited()
    monitor.flush()
    snapshot = monitor.snapshot()
    one, other = snapshot["timed"], snapshot["waited"]
    return {
        "host_s": one.duration.quantile(0.5),
        "device_event_s": one.device_duration.quantile(0.5),
        "host_sync_s": other.device_duration.quantile(0.5),
        "queue_delay_s": one.queue_delay.quantile(0.5),
        "timed": f"{one.device_duration.count} of {one.calls}",
        "untimed": dict(one.untimed),
    }


def attribution(ground: Ground) -> dict[str, Any]:
    """Run three models at once: whose energy was it, and does the sum agree with the counter?"""
    modelmon, torch = module("modelmon"), ground.torch
    monitor = modelmon.Monitor(gpu=10)
    a = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
    stop = threading.Event()

    def serve(name: str, times: int, gap: float) -> None:
        stream = torch.cuda.Stream()

        @monitor(model=name)
        def predict() -> None:
            for _ in range(times):
                torch.mm(a, a)
            stream.synchronize()

        chance = random.Random(name)
        with torch.cuda.stream(stream):
            while not stop.is_set():
                predict()
                time.sleep(chance.expovariate(1 / gap))

    models = (("long", 60, 0.02), ("middle", 20, 0.02), ("short", 2, 0.004))
    threads = [threading.Thread(target=serve, args=model) for model in models]
    before = ground.energy()
    for thread in threads:
        thread.start()
    time.sleep(5 * ground.seconds)
    stop.set()
    for thread in threads:
        thread.join()
    time.sleep(1.5)
    counted, snapshot = ground.energy() - before, monitor.snapshot()
    found: dict[str, Any] = {"counter_J": round(counted, 3)}
    for name, _, _ in models:
        reading = snapshot[name]
        found[name] = {
            "calls": reading.calls,
            "energy_J": getattr(reading, "gpu_energy", None),
            "busy_s": getattr(reading, "gpu_busy", None),
            "device_s": reading.device_duration.sum,
        }
    monitor.close()
    return found


def memory_peaks(ground: Ground) -> dict[str, Any]:
    """Allocate 1 GiB within a call: the peak that is told, and the allocator's own."""
    modelmon, torch = module("modelmon"), ground.torch
    monitor = modelmon.Monitor()

    @monitor(model="m")
    def allocate(size: int) -> None:
        torch.empty(size, dtype=torch.uint8, device="cuda")

    allocate(1)
    allocate(torch.cuda.max_memory_allocated() + (1 << 30))
    monitor.flush()
    return {"told": monitor.snapshot()["m"].memory_peak, "allocator": torch.cuda.max_memory_allocated()}


def pool_or_fresh(ground: Ground) -> dict[str, Any]:
    """Count the events that ten thousand calls make."""
    modelmon, torch = module("modelmon"), ground.torch
    live = module("modelmon.probes.live")
    x = torch.zeros(1024, device="cuda")
    predict = modelmon.Monitor()(model="m")(lambda: x.add_(1))
    took = []
    for _ in range(10):
        begun = time.perf_counter()
        for _ in range(1000):
            predict()
        took.append((time.perf_counter() - begun) / 1000)
    held = {str(device): len(pool) for device, pool in live._Live.timers._pools.items()}
    return {"pooled_events": held, "call_us": round(1e6 * statistics.median(took), 2)}


SECTIONS = (watched_cost, device_time, attribution, memory_peaks, pool_or_fresh)
