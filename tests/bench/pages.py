"""What a scrape and an import cost."""

from __future__ import annotations

import subprocess
import sys
from random import Random
from statistics import median
from typing import TYPE_CHECKING

from figures import Figure, Goal, missing
from timing import Variant, race

from modelmon import Binary, Monitor
from modelmon.exporters.exposition import Exposition
from modelmon.points.reading import points

if TYPE_CHECKING:
    from budget import Budget

SERIES = 1000
CALLS = 50
IMPORTS = {
    "ours": "import modelmon",
    "decorator": "from modelmon import monitor",
    "bare three": "import numpy, wrapt, opentelemetry.metrics",
    "prometheus_client": "import prometheus_client",
}


def scrapes(budget: Budget) -> list[Figure]:
    """Time the text of a page per line, and a whole scrape, beside prometheus_client's."""
    monitor, models = scraped_monitor(lines_wanted=SERIES)
    many, many_models = scraped_monitor(lines_wanted=10 * SERIES)
    exposition, found_points = Exposition(), points(monitor.snapshot())
    page = exposition.render(found_points)
    lines, many_lines = lines_of(page), lines_of(Exposition().render(points(many.snapshot())))
    kept, kept_many = Exposition(), Exposition()
    variants = {
        "render": Variant(lambda: exposition.render(found_points), lines),
        "scrape": Variant(lambda: kept.render(points(monitor.snapshot())), 1),
        "snapshot": Variant(monitor.snapshot, 1),
        "points": Variant(lambda: points(snapshot), 1),
        "many": Variant(lambda: kept_many.render(points(many.snapshot())), 1, every=3),
    }
    snapshot = monitor.snapshot()
    absent = []
    try:
        from prometheus_client import generate_latest  # noqa: PLC0415  (a peer)

        registry = prometheus_registry(lines)
        theirs = lines_of(generate_latest(registry))
        variants["prom"] = Variant(lambda: generate_latest(registry), theirs)
    except ImportError:
        absent = [missing("scrape", "prometheus_client")]
    timed = race(variants, rounds=budget.rounds(41))
    peer = timed.get("prom")
    per_page = None if peer is None else peer.minimum * lines / 1e6

    def milliseconds(name: str, shown: str, goal: Goal | None = None, peers: float | None = None) -> Figure:
        spent = timed[name]
        label = "" if peers is None else "prometheus_client"
        return Figure(shown, spent.minimum / 1e6, "ms", median=spent.median / 1e6, peer=label, peers=peers, goal=goal)

    line = Figure(
        "exposition per line",
        timed["render"].minimum / 1e3,
        "µs",
        median=timed["render"].median / 1e3,
        peer="prometheus_client",
        peers=None if peer is None else peer.minimum / 1e3,
        goal=Goal(2),
    )
    return [
        line,
        milliseconds("scrape", f"scrape of {lines:,} series ({models} models)", Goal(20), per_page),
        milliseconds("snapshot", "… of which the snapshot"),
        milliseconds("points", "… of which the points"),
        milliseconds("many", f"scrape of {many_lines:,} series ({many_models} models)"),
        *absent,
    ]


def imports(budget: Budget) -> list[Figure]:
    """Time imports in new interpreters, processor time of the import alone."""
    costs: dict[str, list[float]] = {name: [] for name in IMPORTS}
    order = Random(5)
    names = list(IMPORTS)
    for _ in range(budget.rows(15, 5)):
        order.shuffle(names)
        for name in names:
            costs[name].append(import_time(IMPORTS[name]))
    least = {name: min(values) for name, values in costs.items()}
    three = "numpy + wrapt + OTel API"
    return [
        Figure(
            "import modelmon",
            least["ours"],
            "ms",
            median=median(costs["ours"]),
            peer=three,
            peers=least["bare three"],
            goal=Goal(0.25, "ratio"),
        ),
        Figure(
            "from modelmon import monitor",
            least["decorator"],
            "ms",
            median=median(costs["decorator"]),
            peer=three,
            peers=least["bare three"],
            goal=Goal(0.25, "ratio"),
        ),
        Figure(
            "from modelmon import monitor",
            least["decorator"],
            "ms",
            peer="prometheus_client",
            peers=least["prometheus_client"],
        ),
    ]


def import_time(program: str) -> float:
    """Return milliseconds of processor time that an import takes in a new interpreter."""
    code = f"from time import process_time_ns as now\nstarted = now()\n{program}\nprint(now() - started)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1e6


def scraped_monitor(lines_wanted: int) -> tuple[Monitor, int]:
    """Return a monitor whose page has at least so many lines, and how many models it watches."""
    monitor, models, lines = Monitor(), 0, 0
    random = Random(1)
    while lines < lines_wanted:
        function = monitor(model=f"model-{models}", version="1", task=Binary(), id="order")(
            lambda order: order % 10 / 10
        )
        for order in range(CALLS):
            function(order + CALLS * models)
        wanted = range(CALLS * models, CALLS * (models + 1))
        monitor.labels(list(wanted), [random.randrange(2) for _ in wanted])
        models += 1
        lines = (
            models * lines // (models - 1) if models > 2 else lines_of(Exposition().render(points(monitor.snapshot())))
        )
    return monitor, models


def prometheus_registry(lines: int) -> object:
    """Return a registry of prometheus_client with about so many lines, counters and histograms as ours."""
    from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: PLC0415  (a peer)

    registry = CollectorRegistry()
    calls = Counter("calls", "Calls.", ["model", "version", "outcome", "error_type"], registry=registry)
    durations = Histogram("duration_seconds", "Durations.", ["model", "version", "outcome"], registry=registry)
    for number in range(lines // 19):  # a counter has 2 lines there, a histogram of 15 buckets 18
        calls.labels(f"model-{number}", "1", "ok", "").inc()
        durations.labels(f"model-{number}", "1", "ok").observe(0.1)
    return registry


def lines_of(page: bytes) -> int:
    """Return how many lines of a page are samples."""
    return sum(not line.startswith(b"#") for line in page.splitlines())
