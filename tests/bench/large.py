"""Let very many predictions await their labels in one SQLite file, and see what that weighs and how labels fare."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import numpy as np
from contests import Ours
from figures import Figure, Goal
from joins import uuids
from weighing import resident

from modelmon import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 10_000_000
BATCH = 8192
LATE = {1: 300, 1000: 100}
MEBI = 1 << 20


def large(seconds: float) -> list[Figure]:
    """Fill a file for so long, or until it has ten million; return what came out."""
    line = [sys.executable, __file__, str(ROWS), str(seconds)]
    found = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    about = f"SQLite, {found['rows']:,} awaiting uuids"
    rss = found["resident"]
    note = "resident " + ", ".join(f"{held:.0f}" for held in rss) + f" MiB at each tenth; {found['seconds']:.0f} s"
    figures = [
        Figure(f"{about}: predictions per second, batches of {BATCH:,}", found["rate"], "k/s"),
        Figure(f"{about}: slowest batch", found["slowest"], "ms"),
        Figure(f"{about}: bytes of the file for each", found["bytes"], "B"),
        Figure(
            f"{about}: growth of resident memory in the second half", rss[-1] - rss[len(rss) // 2], "MiB", note=note
        ),
        Figure(f"{about}: resident memory at the end", rss[-1], "MiB", goal=Goal(256)),
    ]
    for size, times in found["labels"].items():
        what = "one label" if size == "1" else f"{int(size):,} labels"
        figures += [Figure(f"{about}: {what}, {name}", times[name], "ms") for name in ("p50", "p99")]
    return figures


def fill(rows: int, seconds: float) -> dict[str, Any]:
    """Fill a file in batches, then deliver labels at random."""
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        path = Path(folder) / "labels" / "labels.db"
        ours = Ours(SQLiteStore(path))
        batches, tenths, spent = 0, [resident() / MEBI], []
        started = perf_counter()
        while batches * BATCH < rows and perf_counter() - started < seconds:
            ids, scores = uuids(BATCH, seed=batches), np.random.default_rng(batches).random(BATCH)
            classes = (scores >= 0.5).astype(int)
            spent.append(_timed(lambda: ours.predict(ids, classes, scores)))  # noqa: B023  (called at once)
            batches += 1
            if batches * BATCH * 10 // rows >= len(tenths):
                tenths.append(resident() / MEBI)
        tenths.append(resident() / MEBI)
        labels = {str(size): _late(ours, size, n, batches) for size, n in LATE.items()}
        return {
            "rows": batches * BATCH,
            "seconds": sum(spent),
            "rate": batches * BATCH / sum(spent) / 1e3,
            "slowest": max(spent) * 1e3,
            "bytes": sum(file.stat().st_size for file in path.parent.glob("*")) / (batches * BATCH),
            "resident": tenths,
            "labels": labels,
        }


def _late(ours: Ours, size: int, n: int, batches: int) -> dict[str, float]:
    """Deliver labels for ids drawn from everywhere; return quantiles of how long it takes, in milliseconds."""
    random, times = Random(size), []
    for _ in range(n):
        drawn = uuids(BATCH, seed=random.randrange(batches))
        ids = random.sample(drawn, size)
        truths = random.choices((0, 1), k=size)
        times.append(_timed(lambda: ours.label(ids, truths)) * 1e3)  # noqa: B023  (called at once)
    return {"p50": float(np.quantile(times, 0.5)), "p99": float(np.quantile(times, 0.99))}


def _timed(act: Callable[[], object]) -> float:
    started = perf_counter()
    act()
    return perf_counter() - started


if __name__ == "__main__":
    sys.stdout.write(json.dumps(fill(int(sys.argv[1]), float(sys.argv[2]))))
