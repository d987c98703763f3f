"""Memory: what awaiting predictions weigh, whether it stays flat, collections, and threads."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from figures import Figure, Goal

from modelmon import Binary, Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from budget import Budget

WEIGHED = {"library": ("library ids", 24), "int": ("int ids", 48), "text": ("uuid texts, the ids known", 130)}
THREADS = 8
LARGE = 10_000_000
FILLING = 5_000_000  # calls after which what is remembered of past predictions is near its bound


def weights(budget: Budget) -> list[Figure]:
    """Weigh awaiting predictions, each kind of id in a process of its own."""
    figures = []
    sizes = [budget.rows(1_000_000, 300_000), *([LARGE] if budget.ten_million else [])]
    for kind, (shown, bound) in WEIGHED.items():
        for size in sizes:
            weighed = child("weigh", kind, size)
            name = f"bytes per awaiting prediction, {shown}, {size:,}"
            large = size >= LARGE  # where the interpreter's own arenas no longer weigh in
            figures.append(Figure(f"{name}: arrays", weighed["arrays"], "B", goal=Goal(bound)))
            figures.append(Figure(f"{name}: resident", weighed["resident"], "B", goal=Goal(bound) if large else None))
    return figures


def steadiness(budget: Budget) -> list[Figure]:
    """Make many calls, label one of a hundred, and watch the process's memory."""
    figures = []
    texts = {"capacity": "at most 100,000 awaiting", "time": "awaiting for 100,000 calls"}
    for kind, shown in texts.items():
        seen = child("steady", kind, budget.rows(budget.steady_calls, min(budget.steady_calls, FILLING // 12)))
        name = f"{seen['calls']:,} calls, 1 % labelled, {shown}"
        goal = Goal(1) if seen["calls"] >= FILLING else None
        name += ": growth of the second half"
        figures.append(Figure(name, seen["slope"], "B per call", goal=goal, note=seen["note"]))
    return figures


def collections(budget: Budget) -> list[Figure]:
    """Count extra garbage collections of calls that return scalars, drains included."""
    calls = budget.rows(1_000_000, 300_000)
    monitor = Monitor()
    counted = monitor(model="counted", task=Binary())(lambda order: 0.5)  # noqa: ARG005
    kept = monitor(model="kept", task=Binary(), id="order")(lambda order: 0.5)  # noqa: ARG005
    figures = []
    for shown, function in (("with prediction", counted), ("with prediction and id", kept)):
        for order in range(40_000):
            function(order)
        extra = collected(function, calls) - collected(lambda order: 0.5, calls)  # noqa: ARG005
        figures.append(Figure(f"extra collections in {calls:,} calls {shown}", float(extra), "", goal=Goal(0)))
    return figures


def threads(budget: Budget) -> list[Figure]:
    """Compare the wall time of a call in eight threads with that in one."""
    monitor = Monitor()
    watched = monitor(model="m", task=Binary())(lambda order: 0.5)  # noqa: ARG005
    calls = budget.rows(160_000, 80_000)
    single, eight = [], []
    for _ in range(budget.rows(15, 7)):
        single.append(wall(watched, calls, 1))
        eight.append(wall(watched, calls, THREADS))
    return [
        Figure(
            "wall time per call, 8 threads",
            min(eight),
            median=sorted(eight)[len(eight) // 2],
            peer="1 thread",
            peers=min(single),
            goal=Goal(1.2, "ratio"),
        )
    ]


def wall(function: Callable[[int], object], calls: int, count: int) -> float:
    """Return nanoseconds of wall time per call, so many calls spread over threads."""
    ready = threading.Barrier(count + 1)

    def work() -> None:
        ready.wait()
        for order in range(calls // count):
            function(order)

    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    ready.wait()
    started = perf_counter_ns()
    for worker in workers:
        worker.join()
    return (perf_counter_ns() - started) / calls


def collected(function: Callable[[int], object], calls: int) -> int:
    """Return how many collections of any generation ran during so many calls."""
    gc.collect()
    before = sum(stat["collections"] for stat in gc.get_stats())
    for order in range(calls):
        function(order)
    return sum(stat["collections"] for stat in gc.get_stats()) - before


def child(*arguments: Any) -> dict[str, Any]:
    """Run one weighing in a process of its own."""
    line = [sys.executable, str(Path(__file__).parent / "weighing.py"), *map(str, arguments)]
    return json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
