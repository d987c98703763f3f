"""A real Prometheus server scrapes us, and what it computes is what the snapshot says."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from fake_sources import FakeSource
from prometheus_client import CollectorRegistry, start_http_server
from servers import PrometheusServer, needs, prometheus
from small_worlds import BINARY, WORLDS, class_ledger, of_parts, process_ledger

from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.identity import class_texts
from modelmon.parts import SeriesPart
from modelmon.points.catalogue import CATALOGUE
from modelmon.points.families import family_of
from modelmon.rules import prometheus as rule_file
from modelmon.tasks import Multiclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.snapshot import Snapshot

P99 = 'histogram_quantile(0.99, sum by (le) (modelmon_call_duration_seconds_bucket{model="fraud",outcome="ok"}))'


def world() -> Snapshot:
    """Return a binary model in two slices, and two versions of one with four classes, one of them never predicted."""
    slices = ((("country", "DE"),), (("country", "FR"),))
    fraud = {page: class_ledger(2, 300 + 100 * seed, seed=seed)[0] for seed, page in enumerate(slices)}
    process = {page: process_ledger(50) for page in slices}
    animals = ("cat", 'do"g\n\\', 3, "3")
    parts = {
        ("animal", str(v)): SeriesPart(Multiclass(), animals, {(): class_ledger(4, 500, seed=v)[0]}) for v in (1, 2)
    }
    lonely = Multiclass(classes=("seen", "never"))
    sure = class_ledger(1, 20)[0]
    return of_parts(
        {("fraud", "1"): SeriesPart(BINARY, (), process)},
        {
            ("fraud", "1"): SeriesPart(BINARY, ("ok", "fraud"), fraud),
            **parts,
            ("sure", ""): SeriesPart(lonely, ("seen", "never"), {(): sure}),
        },
    )


PROCESS = """
import sys
from modelmon import Binary, Monitor
from modelmon.exporters.prometheus import PrometheusExporter
monitor = Monitor()
exporter = monitor.add(PrometheusExporter(port=0))
@monitor(model="shop", version="1", task=Binary(positive="fraud", negative="ok"), id="order")
def score(order):
    return "fraud" if order % 3 == 0 else "ok"
for order in range(300):
    score(order)
monitor.labels(list(range(200)), ["fraud" if order % 4 == 0 else "ok" for order in range(200)])
monitor.labels(list(range(20)), ["ok"] * 20, revs=[1] * 20)
monitor.label(1000, "ok")
read = monitor.snapshot()["shop", "1"]
figures = (read.accuracy, read.precision(), read.recall(), read.f1(), read.coverage, read.calls)
print(exporter.port, *map(repr, figures), flush=True)
sys.stdin.read()
"""


@contextmanager
def serving_process() -> Iterator[list[str]]:
    """Run a process that serves a model, and give the port it listens on and the figures it reads itself."""
    line = [sys.executable, "-c", PROCESS]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout.readline().split()
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(10)
    assert process.returncode == 0


@dataclass
class Running:
    """What runs, and what it should show."""

    server: PrometheusServer
    snapshot: Snapshot
    figures: list[float]

    def recorded(self, name: str) -> dict[tuple[str, str, str], float]:
        """Return a recorded number by model, version and class."""
        found = self.server.query(f"last_over_time(modelmon:{name}[1m])")  # a busy machine misses a scrape or two
        return {(m["model"], m.get("version", ""), m.get("class", "")): n for m, n in found}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run one server that scrapes a small world, our collector under prometheus_client, and a process of its own."""
    snapshot, registry = world(), CollectorRegistry()
    exporter, both = PrometheusExporter(port=0), PrometheusExporter(port=0, registry=registry)
    exporter.attach(FakeSource(snapshot))
    both.attach(FakeSource(WORLDS["binary"]))
    theirs, thread = start_http_server(0, "127.0.0.1", registry)
    with ExitStack() as stack:
        stack.callback(exporter.close, 5)
        stack.callback(both.close, 5)
        stack.callback(thread.join)
        stack.callback(theirs.server_close)
        stack.callback(theirs.shutdown)
        port, *figures = stack.enter_context(serving_process())
        ports = {"world": exporter.port, "ours": both.port, "theirs": theirs.server_port, "process": port}
        targets = {job: f"127.0.0.1:{number}" for job, number in ports.items()}
        folder = tmp_path_factory.mktemp("prometheus")
        rules = folder / "rules.yml"
        rules.write_text(rule_file(), "utf-8")
        server = stack.enter_context(prometheus(folder, targets, rules))
        server.until("count(up == 1) == 4")
        server.until('modelmon:roc_auc:halfwidth{model="fraud",version="2026.10"}')
        server.until('modelmon:kappa{model="shop"}')
        for model, version in snapshot:
            server.until(f'modelmon:accuracy{{model="{model}",version="{version}"}}')
        for name in "balanced_accuracy f1_macro precision_weighted mcc kappa precision recall f1".split():
            server.until(f'modelmon:{name}{{model="fraud",version="1"}}')
        yield Running(server, snapshot, [float(figure) for figure in figures])


def same(left: float, right: float) -> bool:
    """Return whether two numbers agree to 1e-12, or are both undefined."""
    return math.isclose(left, right, rel_tol=1e-12) or (math.isnan(left) and math.isnan(right))


@needs("prometheus")
@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1_macro", "precision_weighted", "mcc", "kappa"])
def test_recorded_quality_is_the_snapshot_s(running, name):
    """Metrics of the whole matrix in PromQL equal the snapshot's, undefined ones are absent."""
    recorded = running.recorded(name)
    for (model, version), read in running.snapshot.items():
        metric, _, average = name.rpartition("_")
        average = average if average in {"macro", "weighted"} else None
        expected = read.value(metric if average else name, average=average)
        assert same(recorded.get((model, version, ""), math.nan), expected), (model, version)


@needs("prometheus")
@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_recorded_quality_of_classes_is_the_snapshot_s(running, name):
    """Precision, recall and F1 of every class in PromQL equal the snapshot's, whatever the class is called."""
    recorded = running.recorded(name)
    for (model, version), read in running.snapshot.items():
        for value, text in zip(read.classes, class_texts(read.classes), strict=True):
            assert same(recorded.get((model, version, text), math.nan), read.value(name, of=value)), (model, text)


@needs("prometheus")
def test_gauges_and_quantiles_are_the_snapshot_s(running):
    """Quality gauges are the snapshot's to the last digit; a quantile from the buckets lies in the right bucket."""
    found = running.server.query(
        'last_over_time(modelmon_quality{job="world",metric="accuracy",window="total",model!="fraud"}[1m])'
    )
    gauges = {(m["model"], m.get("version", "")): n for m, n in found}
    assert gauges == {key: read.accuracy for key, read in running.snapshot.items() if key[0] != "fraud"}
    ((_, quantile),) = running.server.until(f"last_over_time(({P99})[1m:1s])")
    assert 0.1 < quantile <= 0.25


@needs("prometheus")
def test_the_server_reads_us_as_it_reads_prometheus_client(running):
    """What the server got from our OpenMetrics is what it got from prometheus_client over our collector."""
    found = {}
    for job in ("ours", "theirs"):
        series = running.server.query(f'last_over_time({{__name__=~"modelmon_.*",job="{job}"}}[1m])')
        found[job] = {tuple(sorted((k, v) for k, v in m.items() if k not in {"job", "instance"})): n for m, n in series}
    assert found["ours"] == found["theirs"]
    assert len(found["ours"]) > 300


@needs("prometheus")
def test_a_real_process(running):
    """A process with late, wrong and corrected labels is scraped, and the server's quality is its own."""
    answers = []
    for question in (
        'modelmon:accuracy{model="shop"}',
        'modelmon:precision{model="shop",class="fraud"}',
        'modelmon:recall{model="shop",class="fraud"}',
        'modelmon:f1{model="shop",class="fraud"}',
        'modelmon_label_coverage_ratio{model="shop"}',
        'modelmon_calls_total{model="shop",outcome="ok"}',
    ):
        answers += running.server.query(f"last_over_time({question}[1m])")
    assert [number for _, number in answers] == pytest.approx(running.figures, rel=1e-12)


@needs("prometheus")
def test_recorded_area_bounds_the_snapshot_s(running):
    """The area under the ROC curve that the server has from bins lies within its half-width of the exact one."""
    key = ("fraud", "2026.10", "")
    area, half = running.recorded("roc_auc")[key], running.recorded("roc_auc:halfwidth")[key]
    assert abs(area - WORLDS["binary"]["fraud"].auc) <= half < 0.02


@needs("promtool")
def test_rules_are_sound(tmp_path):
    """``promtool check rules`` takes our recording rules, and they read only what the catalogue exports."""
    file = tmp_path / "rules.yml"
    file.write_text(rule_file(), "utf-8")
    tool = shutil.which("promtool") or ""
    checked = subprocess.run([tool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    used = set(re.findall(r"\bmodelmon_\w+", rule_file())) - {"modelmon_quality"}
    assert used <= {family_of(name).sample for name in CATALOGUE}
