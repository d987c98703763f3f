"""Instruments that were made coarse on the application's own MeterProvider: every sum stays true."""

from __future__ import annotations

import logging

import pytest
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from otel_pipelines import Pipeline, values

from modelmon import Monitor, notices
from modelmon.exporters.opentelemetry import OpenTelemetryExporter, limits
from modelmon.exporters.opentelemetry.remains import Remains

DELTA = {ObservableCounter: AggregationTemporality.DELTA}


@pytest.fixture(autouse=True)
def _quiet(caplog):
    notices.forget()
    with caplog.at_level("ERROR", "modelmon"):
        yield


@pytest.fixture
def sliced(monkeypatch):
    """Return a monitor, and what calls its sliced model once for each of so many countries."""
    monkeypatch.setattr(limits, "SLICED", 12)
    monitor = Monitor(gpu=False)

    @monitor(model="m", version="1", attributes=("country",))
    def work(country):
        return country

    def step(countries):
        for country in range(countries):
            work(f"c{country}")

    yield monitor, step
    monitor.close()


def total(metric, field="value"):
    """Return the sum of a metric over all its sets of attributes."""
    return sum(getattr(point, field) for point in metric.data.data_points)


def test_a_coarse_counter_shows_each_call_once_by_totals_and_by_differences(sliced):
    """Slices stay as they were last shown and the whole shows what came since, to every reader of a provider."""
    monitor, step = sliced
    totals, differences = InMemoryMetricReader(), InMemoryMetricReader(preferred_temporality=DELTA)
    pipeline = Pipeline()
    pipeline.provider = MeterProvider([totals, differences], shutdown_on_exit=False)
    monitor.add(OpenTelemetryExporter(pipeline.provider))
    sent, calls = dict.fromkeys(("modelmon.calls", "modelmon.call.duration.count"), 0), 0
    for countries in (1, 2, 5, 5):
        step(countries)
        calls += countries
        pipeline.reader = totals
        shown = pipeline.collect()
        pipeline.reader = differences
        gained = pipeline.collect()
        for name in sent:
            sent[name] += total(gained[name])
            assert (total(shown[name]), sent[name]) == (calls, calls)
    assert total(shown["modelmon.call.duration.sum"]) == pytest.approx(monitor.snapshot()["m"].duration.sum)
    ended = {key: n for key, n in values(shown["modelmon.calls"], "country", "outcome").items() if key[1] == "ok"}
    assert ended == {("c0", "ok"): 2, ("c1", "ok"): 1, ("", "ok"): 10}


def test_a_coarse_histogram_records_each_call_once(sliced):
    """What slices were recorded under is not recorded again under the whole model."""
    monitor, step = sliced
    pipeline, calls = Pipeline(), 0
    monitor.add(OpenTelemetryExporter(pipeline.provider, histograms=True))
    for countries in (1, 2, 5, 5):
        step(countries)
        calls += countries
        assert total(pipeline.collect()["modelmon.call.duration"], "count") == calls


def test_what_is_not_sliced_goes_on_as_the_whole_and_what_fell_begins_anew():
    """Remains are of slices alone, go where the whole model goes, and are forgotten when it falls below them."""

    def page(*held):
        return {"modelmon.stream.items": [(value, {"model": "m", **given}) for value, given in held]}

    remains, coarse = Remains(), {"modelmon.stream.items"}
    assert remains.beside(page((3, {}), (4, {"country": "DE"})), ()) == page((3, {}), (4, {"country": "DE"}))
    assert remains.beside(page(), ()) == page()
    assert remains.beside(page((9, {})), coarse) == page((4, {"country": "DE"}), (5, {}))
    assert remains.beside(page(), coarse) == page()
    assert remains.beside(page((10, {})), coarse) == page((4, {"country": "DE"}), (6, {}))
    assert remains.beside(page((2, {})), coarse) == page((2, {}))
    assert remains.beside(page((10, {})), coarse) == page((10, {}))


def test_distributions_past_the_limit_are_added_up_but_for_their_quantiles(monkeypatch, caplog):
    """Counts and sums past the limit are added up; what is no sum is said to be left out."""
    monkeypatch.setattr(limits, "WHOLE", 16)
    pipeline, monitor = Pipeline(), Monitor(gpu=False)
    monitor.add(OpenTelemetryExporter(pipeline.provider))
    for model in "abcdef":
        monitor(lambda: None, model=model)()
    with caplog.at_level(logging.WARNING, "modelmon"):
        found = pipeline.collect()
    assert values(found["modelmon.call.duration.count"], "model", "otel.metric.overflow")["", "true"] == 3
    assert total(found["modelmon.call.duration.count"]) == 6
    taken = sum(model.duration.sum for model in monitor.snapshot().values())
    assert total(found["modelmon.call.duration.sum"]) == pytest.approx(taken)
    shown = {point.attributes.get("model") for point in found["modelmon.call.duration.quantile"].data.data_points}
    assert shown == set("abc")
    assert "left out" in caplog.text
    monitor.close()


def test_what_was_shown_under_its_own_attributes_is_not_added_up_later(monkeypatch):
    """A model that comes before others in order takes no place of theirs, so differences hold each call once."""
    monkeypatch.setattr(limits, "WHOLE", 16)
    pipeline, monitor, sent = Pipeline(preferred_temporality=DELTA), Monitor(gpu=False), 0
    monitor.add(OpenTelemetryExporter(pipeline.provider))
    for calls, models in ((2, "yz"), (5, "wvx"), (8, "abc")):
        for model in models:
            monitor(lambda: None, model=model)()
        found = pipeline.collect()["modelmon.call.duration.count"]
        sent += total(found)
        assert sent == calls
    assert {point.attributes.get("model", "") for point in found.data.data_points} == {"v", "y", "z", ""}
    monitor.close()


def test_histograms_take_what_is_past_the_limit_of_observations(monkeypatch):
    """Values of models past the limit are recorded, each once: the SDK bounds its own histograms."""
    monkeypatch.setattr(limits, "WHOLE", 16)
    pipeline, monitor = Pipeline(), Monitor(gpu=False)
    monitor.add(OpenTelemetryExporter(pipeline.provider, histograms=True))
    for model in "abcdef":
        monitor(lambda: None, model=model)()
    assert [total(pipeline.collect()["modelmon.call.duration"], "count") for _ in range(2)] == [6, 6]
    monitor.close()


def test_exporters_of_one_provider_that_differ_about_histograms_are_told(caplog):
    """The instruments are those of the first; that the second gets no histograms is said, and said once."""
    pipeline, first, second = Pipeline(), Monitor(gpu=False), Monitor(gpu=False)
    with caplog.at_level(logging.WARNING, "modelmon"):
        first.add(OpenTelemetryExporter(pipeline.provider))
        first.add(OpenTelemetryExporter(pipeline.provider))
        assert not caplog.records
        second.add(OpenTelemetryExporter(pipeline.provider, histograms=True))
        second.flush()
    (said,) = [record.getMessage() for record in caplog.records]
    assert "histograms=" in said
    assert "first" in said
    first.close()
    second.close()
