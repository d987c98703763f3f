"""Weigh one thing in a process of its own; prints JSON."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import numpy as np

from modelmon import Binary, Monitor

BATCH = 16_384
AWAITING = 100_000
CHECKS = 40


def weigh(kind: str, size: int) -> dict[str, float]:
    """Let so many predictions await their labels, and return bytes for each: held by arrays, and resident."""
    monitor = Monitor(max_awaiting=2 * size)
    feed = {"library": by_calls, "int": by_integers, "text": by_texts}[kind](monitor)
    feed(BATCH)
    before = resident()
    for first in range(0, size, BATCH):
        feed(min(BATCH, size - first))
    monitor.snapshot()
    gc.collect()
    awaiting = monitor.snapshot()["m"].awaiting
    gauges = monitor._recorder.store.part().gauges
    return {"resident": (resident() - before) / size, "arrays": gauges["bytes_per_row"], "awaiting": awaiting}


def by_integers(monitor: Monitor) -> Any:
    """Feed predictions under random integers."""
    rng = np.random.default_rng(1)

    def feed(n: int) -> None:
        monitor.predictions(rng.integers(0, 1 << 62, n), np.full(n, 1), model="m", task=Binary())

    return feed


def by_texts(monitor: Monitor) -> Any:
    """Feed predictions under uuids."""

    def feed(n: int) -> None:
        monitor.predictions([str(uuid.uuid4()) for _ in range(n)], np.full(n, 1), model="m", task=Binary())

    return feed


def by_calls(monitor: Monitor) -> Any:
    """Feed predictions by calls whose ids the library issues."""
    watched = monitor(model="m", task=Binary(), id="auto")(lambda: 1)

    def feed(n: int) -> None:
        for _ in range(n):
            watched()
        monitor.flush()

    return feed


class FastClock:
    """Let a second pass at every reading of a call's start, so that deadlines come by themselves."""

    def __init__(self) -> None:
        """Start now."""
        self._started = time.time()
        self._readings = 0

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._started + self._readings / 2

    def monotonic_ns(self) -> int:
        """Return nanoseconds; every call reads twice."""
        self._readings += 1
        return self._readings * 500_000_000


def steady(kind: str, calls: int) -> dict[str, Any]:
    """Make calls with ids, label one of a hundred, and return how memory grew over the second half."""
    if kind == "capacity":
        monitor = Monitor(max_awaiting=AWAITING)
    else:
        spans = {"ttl": AWAITING, "correction_horizon": AWAITING / 4, "forget_after": AWAITING / 4}
        monitor = Monitor(clock=FastClock(), window=3600, history=2 * AWAITING, early_ttl=3600, **spans)
    watched = monitor(model="m", task=Binary(), id="order")(lambda order: 0.5 if order & 1 else 0.25)
    each = calls // CHECKS
    seen = []
    for check in range(CHECKS):
        first = check * each
        for order in range(first, first + each):
            watched(order)
        wanted = list(range(first, first + each, 100))
        monitor.labels(wanted, [order // 100 & 1 for order in wanted])
        monitor.snapshot()
        gc.collect()
        seen.append(resident())
    half = seen[CHECKS // 2 :]
    slope = float(np.polyfit(np.arange(len(half)) * each, half, 1)[0])
    monitor._recorder.check_invariants()
    note = (
        f"{seen[0] >> 20} MiB after the first {each:,}, {seen[CHECKS // 2] >> 20} at half, {seen[-1] >> 20} at the end"
    )
    return {"slope": slope, "calls": calls, "note": note}


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    what, kind, size = sys.argv[1:]
    sys.stdout.write(json.dumps({"weigh": weigh, "steady": steady}[what](kind, int(size))))
