"""All back ends show the same numbers of the same moment: to the last digit they keep, point by point."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_sources import FakeSource
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from otel_pipelines import Kept, Pipeline, named
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from modelmon import Binary, Monitor, Multiclass, Regression, Snapshot
from modelmon.exporters.log import LogExporter
from modelmon.exporters.opentelemetry import OpenTelemetryExporter, PreAggregated
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.exporters.tensorboard import TensorBoardExporter, tag_of
from modelmon.points.catalogue import CATALOGUE, Point
from modelmon.points.instruments import HistogramValue
from modelmon.points.reading import points

if TYPE_CHECKING:
    from pathlib import Path

Key = tuple[str, frozenset[tuple[str, str]]]
SUFFIXES = {"s": "_seconds", "1": "_ratio", "By": "_bytes", "J": "_joules", "W": "_watts", "Cel": "_celsius"}


@pytest.fixture(scope="module")
def moment() -> Snapshot:
    """One moment of models of every task: labels late, missing, corrected, calls that failed."""
    own, chance = Monitor(), np.random.default_rng(11)

    @own(model="fraud", version="2", task=Binary(positive="fraud", negative="ok"), id="ids")
    def score(ids: list[str], scores: Any) -> Any:
        if len(ids) == 1:
            raise LookupError
        return scores

    scores = chance.beta(2, 2, 700)
    for at in range(0, 700, 70):
        score([f"a{n}" for n in range(at, at + 70)], scores[at : at + 70])
    with pytest.raises(LookupError):
        score(["a"], scores[:1])
    truths = np.where(chance.random(700) < scores, "fraud", "ok")
    own.labels([f"a{n}" for n in range(500)], truths[:500])
    own.labels(["a3", "a4"], ["fraud", "ok"], at=own.snapshot().taken_at)
    own.predictions(range(333), chance.integers(0, 5, 333), model="kinds", version="1", task=Multiclass())
    own.labels(range(222), chance.integers(0, 5, 222), model="kinds")
    own.predictions([f"r{n}" for n in range(99)], chance.normal(size=99), model="price", task=Regression())
    own.labels([f"r{n}" for n in range(90)], chance.normal(size=90), model="price")
    return own.snapshot()


def numbers(moment: Snapshot) -> dict[Key, float]:
    """Return every number of a moment that is no distribution."""
    found = {(point.name, frozenset(point.attributes)): point for point in points(moment)}
    return {key: float(point.value) for key, point in found.items() if not isinstance(point.value, HistogramValue)}


def distributions(moment: Snapshot) -> dict[Key, HistogramValue]:
    """Return every distribution of a moment."""
    found = {(point.name, frozenset(point.attributes)): point.value for point in points(moment)}
    return {key: value for key, value in found.items() if isinstance(value, HistogramValue)}


def close(found: dict[Any, float], expected: dict[Any, float], rel: float = 1e-12) -> None:
    """Assert that two tables of numbers are one."""
    assert set(found) == set(expected)
    off = {
        key: (found[key], expected[key]) for key in expected if not math.isclose(found[key], expected[key], rel_tol=rel)
    }
    assert not off


def test_there_is_something_to_compare(moment: Snapshot) -> None:
    """The moment has hundreds of numbers, of all kinds, and several distributions."""
    assert len(numbers(moment)) > 300
    assert {CATALOGUE[name].kind for name, _ in numbers(moment)} == {"counter", "updown", "gauge"}
    assert len(distributions(moment)) >= 4


def test_prometheus(moment: Snapshot) -> None:
    """What Prometheus reads, by its own parser."""
    exporter = PrometheusExporter(registry=CollectorRegistry())
    exporter.attach(FakeSource(moment))
    families = text_string_to_metric_families(exporter.render("text").decode())
    read = {
        (s.name, frozenset(pair for pair in s.labels.items() if pair[1])): s.value
        for family in families
        for s in family.samples
    }

    def spelled(key: Key, tail: str = "") -> Key:
        name, attributes = key
        row = CATALOGUE[name]
        ending = "_total" if row.kind == "counter" else ""
        whole = name.replace(".", "_") + SUFFIXES.get(row.unit, "") + ending + tail
        return whole, frozenset((given.replace(".", "_"), text) for given, text in attributes if text)

    expected = {spelled(key): value for key, value in numbers(moment).items()}
    close({key: value for key, value in read.items() if key in expected}, expected)
    for key, value in distributions(moment).items():
        assert read[spelled(key, "_count")] == value.count
        assert math.isclose(read[spelled(key, "_sum")], value.sum, rel_tol=1e-12)


def test_opentelemetry_observed(moment: Snapshot) -> None:
    """What the application's own provider collects."""
    pipeline = Pipeline()
    exporter = OpenTelemetryExporter(meter_provider=pipeline.provider)
    exporter.attach(FakeSource(moment))
    close(_of(pipeline.collect(), moment), numbers(moment))


def test_opentelemetry_preaggregated(moment: Snapshot) -> None:
    """What is exported beside the application's own metrics, distributions included."""
    kept = Kept()
    exporter = PreAggregated(kept)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    exporter._addition._provider = provider
    exporter.attach(FakeSource(moment))
    provider.force_flush()
    metrics = named(kept.batches[-1])
    close(_of(metrics, moment), numbers(moment))
    for (name, attributes), value in distributions(moment).items():
        (point,) = [p for p in metrics[name].data.data_points if frozenset(p.attributes.items()) == attributes]
        assert (point.count, math.isclose(point.sum, value.sum, rel_tol=1e-12)) == (value.count, True)
        assert list(np.cumsum(point.bucket_counts)) == list(value.counts)


def _of(metrics: dict[str, Any], moment: Snapshot) -> dict[Key, float]:
    names = {name for name, _ in numbers(moment)}
    return {
        (name, frozenset(point.attributes.items())): float(point.value)
        for name in names
        for point in metrics[name].data.data_points
    }


def test_log(moment: Snapshot, caplog: pytest.LogCaptureFixture) -> None:
    """What stands in the structured record."""
    with caplog.at_level(logging.INFO, "modelmon"):
        LogExporter().export(moment)
    records = {(r.modelmon["model"], r.modelmon["version"]): r.modelmon for r in caplog.records}
    shown = numbers(moment)
    assert set(records) == set(moment)
    for (model, version), record in records.items():
        own = {("model", model), ("version", version)}
        total = {("window", "total")}
        for metric, value in record["quality"].items():
            key = ("modelmon.quality", frozenset(own | total | {("metric", metric)}))
            assert math.isclose(value, shown[key], rel_tol=1e-12)
        for metric, (low, high) in record["interval"].items():
            for end, value in (("low", low), ("high", high)):
                key = (f"modelmon.quality.{end}", frozenset(own | total | {("metric", metric)}))
                assert value is None or math.isclose(value, shown[key], rel_tol=1e-12)
        assert record["coverage"] == shown["modelmon.label.coverage", frozenset(own | total)]
        for outcome, n in record["outcomes"].items():
            errors = {("outcome", outcome)}
            found = [v for (name, at), v in shown.items() if name == "modelmon.calls" and own | errors <= set(at)]
            assert sum(found) == n
        pending = shown["modelmon.join.occupancy", frozenset(own | {("state", "pending")})]
        assert record["awaiting"] == pending


def test_tensorboard(moment: Snapshot, tmp_path: Path) -> None:
    """What stands in event files, which keep single precision: the float32 nearest to each number."""
    exporter = TensorBoardExporter(tmp_path)
    exporter.export(moment)
    exporter.close(1)
    runs: dict[str, dict[str, float]] = {}
    for point in points(moment):
        if isinstance(point.value, HistogramValue) or point.name.startswith(LEFT_OUT):
            continue
        runs.setdefault(_run(point), {})[tag_of(point)] = float(np.float32(point.value))
    assert set(runs) == {"fraud/2", "kinds/1", "price", "process"}
    for run, expected in runs.items():
        events = EventAccumulator(str(tmp_path / run))
        events.Reload()
        assert {tag: events.Scalars(tag)[0].value for tag in expected} == expected


LEFT_OUT = ("modelmon.confusion", "modelmon.class.", "modelmon.score.")


def _run(point: Point) -> str:
    given = dict(point.attributes)
    return "/".join(given[name] for name in ("model", "version") if given.get(name)) or "process"
