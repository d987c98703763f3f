"""Points on the application's own MeterProvider, through the API alone."""

from __future__ import annotations

import sys

import pytest
from fake_sources import FakeSource
from opentelemetry import metrics
from opentelemetry.metrics import NoOpMeterProvider
from otel_pipelines import Pipeline, parity, values

from modelmon import Monitor, Multiclass, Snapshot, notices
from modelmon.errors import ConfigurationError
from modelmon.exporters.opentelemetry import OpenTelemetryExporter, feeding, limits
from modelmon.exporters.opentelemetry import pages as boards
from modelmon.exporters.opentelemetry.observed import QUANTILES
from modelmon.suppression import is_suppressed, suppressed


@pytest.fixture(autouse=True)
def _quiet(caplog):
    notices.forget()
    with caplog.at_level("ERROR", "modelmon"):
        yield


def test_shows_counts_sums_and_quantiles():
    """Counters, up-down counters and gauges are the snapshot's; a distribution is its count, sum and quantiles."""
    pipeline, monitor = Pipeline(), Monitor()
    monitor.add(OpenTelemetryExporter(pipeline.provider))
    parity(monitor)
    found = pipeline.collect()
    digits = monitor.snapshot()["digits"]
    assert values(found["modelmon.calls"], "outcome") == {("ok",): 30, ("cancelled",): 0, ("abandoned",): 0}
    assert values(found["modelmon.call.duration.count"], "outcome") == {("ok",): 30}
    assert values(found["modelmon.call.duration.sum"], "outcome") == {("ok",): digits.duration.sum}
    assert values(found["modelmon.call.duration.quantile"], "quantile") == {
        (str(q),): digits.duration.quantile(q) for q in QUANTILES
    }
    assert values(found["modelmon.confusion"], "actual", "predicted")["0", "1"] == 7
    assert values(found["modelmon.quality"], "metric", "average", "class")["accuracy", "", ""] == digits.accuracy
    assert found["modelmon.calls"].data.is_monotonic
    assert not found["modelmon.call.active"].data.is_monotonic
    assert found["modelmon.call.duration.sum"].unit == "s"
    assert monitor.flush()
    monitor.close()
    assert pipeline.collect() == {}


def test_one_snapshot_for_each_collection():
    """All instruments of a collection are answered out of one snapshot, and the next collection gets another."""
    monitor = Monitor()
    parity(monitor)
    source, pipeline = FakeSource(monitor.snapshot), Pipeline()
    OpenTelemetryExporter(pipeline.provider).attach(source)
    pipeline.collect()
    assert source.asked == 1
    pipeline.collect()
    assert source.asked == 2
    assert source.successes["opentelemetry"] == 3


def test_an_implementation_that_asks_one_instrument_gets_fresh_numbers(monkeypatch):
    """What was written long ago is not shown, whichever instruments are asked for it."""
    source, pipeline = FakeSource(Snapshot()), Pipeline()
    OpenTelemetryExporter(pipeline.provider).attach(source)
    pipeline.collect()
    monkeypatch.setattr(boards, "_AGE_S", -1.0)
    pipeline.collect()
    assert source.asked > 2


def test_true_histograms_by_option_are_fed_at_collections():
    """With ``histograms`` the SDK's histograms hold every value, each once, under the bounds of the catalogue."""
    pipeline, monitor = Pipeline(), Monitor()
    monitor.add(OpenTelemetryExporter(pipeline.provider, histograms=True))
    parity(monitor)
    for calls in (30, 30, 60):
        if calls == 60:
            parity(monitor)
        found = pipeline.collect()
        (point,) = found["modelmon.call.duration"].data.data_points
        assert point.count == calls
        assert point.sum == pytest.approx(monitor.snapshot()["digits"].duration.sum, rel=0.01)
        assert "modelmon.call.duration.count" not in found
        assert "modelmon.call.duration.quantile" in found


def test_true_histograms_take_a_bounded_number_of_values_each_time(monkeypatch):
    """What is too much for one collection comes with the next."""
    monkeypatch.setattr(feeding, "MOST", 50)
    pipeline, monitor = Pipeline(), Monitor()
    monitor.add(OpenTelemetryExporter(pipeline.provider, histograms=True))

    @monitor(model="m")
    def work():
        return None

    for _ in range(55):
        work()
    counts = [pipeline.collect()["modelmon.call.duration"].data.data_points[0].count for _ in range(2)]
    assert counts == [50, 55]


def delayed(monitor, start=0):
    """Label 30 predictions of each of three models."""
    for model in "abc":
        ids = [f"{model}{row}" for row in range(start, start + 30)]
        monitor.predictions(ids, ["x"] * 30, model=model, task=Multiclass())
        monitor.labels(ids, ["x"] * 30)


def delays(pipeline):
    """Return how many delays of labels each model has, as collected now."""
    found = pipeline.collect().get("modelmon.label.delay")
    return {} if found is None else {point.attributes["model"]: point.count for point in found.data.data_points}


def test_true_histograms_have_the_delays_of_every_model_in_memory():
    """What a process counted itself is recorded, of the model that came first as of all others."""
    for early in (True, False):
        pipeline, monitor = Pipeline(), Monitor()
        monitor.add(OpenTelemetryExporter(pipeline.provider, histograms=True))
        if early:
            assert delays(pipeline) == {}
        delayed(monitor)
        assert [delays(pipeline) for _ in range(2)] == [{"a": 30, "b": 30, "c": 30}] * 2
        monitor.close()


def test_true_histograms_leave_out_what_a_lasting_store_held(tmp_path):
    """Delays of an earlier life are recorded again for no model; those that come now are, and those of other stores."""
    path = tmp_path / "labels.db"
    earlier = Monitor(store=path)
    delayed(earlier)
    earlier.close()
    pipeline, monitor, beside = Pipeline(), Monitor(store=path), Monitor()
    monitor.add(OpenTelemetryExporter(pipeline.provider, histograms=True))
    assert delays(pipeline) == {}
    delayed(monitor, 30)
    assert delays(pipeline) == {"a": 30, "b": 30, "c": 30}
    monitor.close()
    pipeline, monitor = Pipeline(), Monitor(store=path)
    beside.add(OpenTelemetryExporter(pipeline.provider, histograms=True))
    delayed(beside)
    assert delays(pipeline) == {"a": 30, "b": 30, "c": 30}
    delayed(beside, 30)
    monitor.add(OpenTelemetryExporter(pipeline.provider, histograms=True))
    assert delays(pipeline) == {"a": 60, "b": 60, "c": 60}
    monitor.close()
    beside.close()


def test_slices_give_way_to_the_whole_before_the_limit_of_the_sdk(monkeypatch):
    """An instrument with too many sets of attributes is shown without slices, from then on."""
    monkeypatch.setattr(limits, "SLICED", 8)
    pipeline, monitor = Pipeline(), Monitor()
    monitor.add(OpenTelemetryExporter(pipeline.provider))
    parity(monitor, attributes=("country",))
    for _ in range(3):
        found = pipeline.collect()
        assert all("country" not in point.attributes for point in found["modelmon.confusion"].data.data_points)
        assert sum(values(found["modelmon.confusion"], "actual", "predicted").values()) == 20
        assert values(found["modelmon.call.duration.count"], "country") == {("DE",): 15, ("FR",): 15}
        assert "modelmon.class.support" not in found


def test_cells_give_way_to_sums_of_each_class(monkeypatch):
    """Confusion matrices of more cells than fit are shown as the sums of each class."""
    monkeypatch.setattr(limits, "WHOLE", 20)
    monkeypatch.setattr(limits, "SLICED", 8)
    pipeline, monitor = Pipeline(), Monitor()
    monitor.add(OpenTelemetryExporter(pipeline.provider))

    @monitor(model="wide", task=Multiclass(classes=tuple(range(6))), id="order")
    def classify(order):
        return order % 6

    for order in range(12):
        classify(order)
    monitor.labels(range(12), [0] * 12)
    for _ in range(2):
        found = pipeline.collect()
        assert "modelmon.confusion" not in found
        assert values(found["modelmon.class.support"], "class")[("0",)] == 12
        assert values(found["modelmon.class.predicted"], "class")[("5",)] == 2


def test_what_is_still_too_much_is_added_up(monkeypatch, caplog):
    """Counters past the limit are added up under one set of attributes; gauges past it are left out."""
    monkeypatch.setattr(limits, "WHOLE", 4)
    pipeline, monitor = Pipeline(), Monitor()
    monitor.add(OpenTelemetryExporter(pipeline.provider))
    for model in "abcdef":
        monitor(lambda: None, model=model)()
    with caplog.at_level("WARNING", "modelmon"):
        found = pipeline.collect()
    calls = values(found["modelmon.calls"], "model", "otel.metric.overflow")
    assert len(calls) == 2
    assert calls["", "true"] == 5
    assert sum(point.value for point in found["modelmon.calls"].data.data_points) == 6
    assert len(found["modelmon.call.active"].data.data_points) == 4
    assert "otel.metric.overflow" in caplog.text


def test_several_monitors_share_the_instruments():
    """Exporters on one provider show all their monitors, and each leaves alone."""
    pipeline, first, second = Pipeline(), Monitor(), Monitor()
    exporters = [monitor.add(OpenTelemetryExporter(pipeline.provider, windows=("1h",))) for monitor in (first, second)]
    first(lambda: None, model="a")()
    second(lambda: None, model="b")()
    assert values(pipeline.collect()["modelmon.call.active"], "model") == {("a",): 0, ("b",): 0}
    second.close()
    assert values(pipeline.collect()["modelmon.call.active"], "model") == {("a",): 0}
    assert "MeterProvider" in repr(exporters[0])


def test_a_snapshot_that_fails_shows_nothing_and_is_counted():
    """Nothing raises into a collection; the failure is counted under its class."""

    def broken():
        raise LookupError

    source, pipeline = FakeSource(broken), Pipeline()
    OpenTelemetryExporter(pipeline.provider).attach(source)
    assert pipeline.collect() == {}
    assert source.failures == {("opentelemetry", "LookupError"): 1}


@pytest.mark.fault("X11")
def test_without_a_provider_nothing_is_asked_for():
    """A provider that does nothing, or breaks, is survived; it costs no snapshot."""
    source = FakeSource(Snapshot())
    OpenTelemetryExporter(NoOpMeterProvider()).attach(source)

    class Broken(NoOpMeterProvider):
        def get_meter(self, *_args, **_kwargs):
            raise RuntimeError

    OpenTelemetryExporter(Broken()).attach(source)
    assert source.asked == 0
    assert source.failures == {("opentelemetry", "RuntimeError"): 1}


@pytest.mark.fault("X11")
def test_a_provider_that_was_shut_down_is_survived(caplog):
    """Calls, collections and closing go on; nothing is raised."""
    pipeline, monitor = Pipeline(), Monitor()
    monitor.add(OpenTelemetryExporter(pipeline.provider))
    pipeline.provider.shutdown()
    late = OpenTelemetryExporter(pipeline.provider)
    monitor.add(late)
    parity(monitor)
    assert monitor.flush()
    assert monitor.snapshot()["digits"].calls == 30
    monitor.close()


def test_settings_that_cannot_work_are_refused():
    """A provider that is none and windows that are no spans raise when the exporter is made."""
    with pytest.raises(ConfigurationError, match="MeterProvider"):
        OpenTelemetryExporter("global")
    with pytest.raises(ConfigurationError, match="one text"):
        OpenTelemetryExporter(windows="1h")
    with pytest.raises(ConfigurationError, match="windows"):
        OpenTelemetryExporter(windows=("soon",))
    assert "global" in repr(OpenTelemetryExporter())


def test_suppression_needs_nothing_and_raises_nothing(monkeypatch):
    """Without OpenTelemetry, and with a context that breaks, what runs within runs all the same."""
    with monkeypatch.context() as broken:
        broken.setattr("opentelemetry.context.attach", lambda _: 1 / 0)
        with suppressed():
            assert not is_suppressed()
    monkeypatch.delitem(sys.modules, "opentelemetry.context")
    with suppressed():
        assert not is_suppressed()


def test_our_own_work_is_kept_from_instrumentations():
    """While a collection reads the snapshot, instrumented libraries leave it out; afterwards they do not."""
    seen = []
    pipeline = Pipeline()
    OpenTelemetryExporter(pipeline.provider).attach(FakeSource(lambda: seen.append(is_suppressed()) or Snapshot()))
    pipeline.collect()
    assert seen == [True]
    assert not is_suppressed()
    with suppressed():
        assert is_suppressed()


def test_the_global_provider_of_these_tests_is_untouched():
    """No test here, and nothing of ours, has set a global provider."""
    assert type(metrics.get_meter_provider()).__name__ == "_ProxyMeterProvider"
