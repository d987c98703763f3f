"""Points that join what the application exports, counted already."""

from __future__ import annotations

import math

import pytest
from fake_sources import FakeSource
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from otel_pipelines import SERVICE, Kept, Pipeline, named, parity, values

from modelmon import Binary, Monitor, notices
from modelmon.errors import ConfigurationError
from modelmon.exporters.opentelemetry import GenAI, PreAggregated
from modelmon.exporters.opentelemetry.exponential import exponential
from modelmon.points.instruments import DURATION_BOUNDS
from modelmon.sources import Source

DELTA = {ObservableCounter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}


@pytest.fixture(autouse=True)
def _quiet(caplog):
    notices.forget()
    with caplog.at_level("ERROR"):
        yield


class Wrapped:
    """A pipeline whose exporter is wrapped, and a monitor whose points join it."""

    def __init__(self, *, store=None, **given):
        """Wire them; what is ``preferred`` is of the exporter, the rest of the wrapper."""
        self.kept = Kept(**{name: given.pop(name) for name in list(given) if name.startswith("preferred")})
        self.exporter = PreAggregated(self.kept, **given)
        self.provider = MeterProvider(
            [PeriodicExportingMetricReader(self.exporter, export_interval_millis=math.inf)],
            resource=SERVICE,
            shutdown_on_exit=False,
        )
        self.exporter._addition._provider = self.provider
        self.monitor = Monitor(store=store)
        self.monitor.add(self.exporter)

    def export(self):
        """Have the pipeline export, and return our metrics by name; None where nothing went out."""
        before = len(self.kept.batches)
        self.provider.force_flush()
        return named(self.kept.batches[-1]) if len(self.kept.batches) > before else None


@pytest.fixture
def wrapped():
    """Wrap pipelines, and shut them down in the end."""
    made = []

    def wrap(**given):
        made.append(Wrapped(**given))
        return made[-1]

    yield wrap
    for one in made:
        one.provider.shutdown()
        one.monitor.close()


def test_our_points_join_what_the_application_exports(wrapped):
    """One export holds both, under the provider's resource; what wakes the SDK is taken out again."""
    one = wrapped()
    one.provider.get_meter("app").create_counter("orders").add(7)
    parity(one.monitor)
    found = one.export()
    (part,) = one.kept.batches[-1].resource_metrics
    assert part.resource.attributes["service.name"] == "fraud-service"
    assert [scope.scope.name for scope in part.scope_metrics] == ["app", "modelmon"]
    assert values(named(one.kept.batches[-1], "app")["orders"]) == {(): 7}
    assert values(found["modelmon.calls"], "outcome")[("ok",)] == 30
    assert "DE" not in str(found)


def test_an_application_without_instruments_is_exported_too(wrapped):
    """The SDK exports nothing where nothing was measured; our points go out all the same."""
    one = wrapped()
    parity(one.monitor)
    assert one.export()["modelmon.calls"].data.is_monotonic
    one.monitor.close()
    assert one.export() is None


def test_histograms_are_true_under_the_bounds_of_the_catalogue(wrapped):
    """Counts, sum, least and greatest are exact; buckets hold what lies between two bounds."""
    one = wrapped(windows=("1h",))
    parity(one.monitor)
    (point,) = one.export()["modelmon.call.duration"].data.data_points
    duration = one.monitor.snapshot()["digits"].duration
    assert (point.count, point.sum) == (30, duration.sum)
    assert (point.min, point.max) == (duration.minimum, duration.maximum)
    assert tuple(point.explicit_bounds) == DURATION_BOUNDS
    assert sum(point.bucket_counts) == 30
    assert point.start_time_unix_nano < point.time_unix_nano


def test_exponential_histograms_where_the_exporter_prefers_them(wrapped):
    """They have at most as many buckets as it asks for, and hold every value."""
    aggregation = ExponentialBucketHistogramAggregation(max_size=20, max_scale=3)
    one = wrapped(preferred_aggregation={Histogram: aggregation})
    parity(one.monitor)
    (point,) = one.export()["modelmon.call.duration"].data.data_points
    assert point.scale <= 3
    assert len(point.positive.bucket_counts) <= 20
    assert sum(point.positive.bucket_counts) + point.zero_count == point.count == 30


@pytest.mark.parametrize("scale", [6, 3, 0, -2])
def test_exponential_buckets_hold_what_lies_between_their_bounds(scale):
    """Every bin goes into the bucket of its middle, at whatever scale."""
    bins = [(x * 0.99, x * 1.01, 1) for x in (1e-6, 0.003, 0.5, 7.0, 80.0)]
    found = exponential([*bins, (0.0, 0.0, 4)], buckets=10_000, finest=scale)
    assert (found.scale, found.zeros, sum(found.counts)) == (scale, 4, 5)
    base = 2**2**-scale
    for x in (1e-6, 0.003, 0.5, 7.0, 80.0):
        place = math.ceil(round(math.log(x, base), 9)) - 1
        assert found.counts[place - found.offset] >= 1
    assert exponential([]) == exponential([(0.0, 0.0, 0)])


def test_cumulative_is_the_default_and_what_falls_begins_anew(wrapped):
    """Streams start when counting began; a counter that fell starts where it was last seen."""
    one = wrapped()
    parity(one.monitor)
    first = one.export()["modelmon.calls"].data
    second = one.export()["modelmon.calls"].data
    assert first.aggregation_temporality is AggregationTemporality.CUMULATIVE
    starts = {point.start_time_unix_nano for data in (first, second) for point in data.data_points}
    assert len(starts) == 1
    fresh = Monitor()
    one.exporter.attach(FakeSource(fresh.snapshot))
    parity(fresh, calls=3, labels=0)
    one.export()
    again = Monitor()
    parity(again, calls=2, labels=0)
    one.exporter.attach(FakeSource(again.snapshot))
    before = max(point.time_unix_nano for point in named(one.kept.batches[-1])["modelmon.calls"].data.data_points)
    last = one.export()
    assert {p.start_time_unix_nano for p in last["modelmon.calls"].data.data_points if p.value} == {before}
    assert {p.start_time_unix_nano for p in last["modelmon.call.duration"].data.data_points} == {before}


def test_deltas_where_the_exporter_prefers_them(wrapped):
    """Differences add up to the whole, start where the last one ended, and leave out what did not change."""
    one = wrapped(preferred_temporality=DELTA)
    parity(one.monitor)
    first = one.export()
    ended = first["modelmon.calls"].data.data_points[0].time_unix_nano
    assert values(first["modelmon.calls"], "outcome") == {("ok",): 30}
    parity(one.monitor, calls=5, labels=0)
    second = one.export()
    (point,) = second["modelmon.calls"].data.data_points
    assert (point.value, point.start_time_unix_nano) == (5, ended)
    (duration,) = second["modelmon.call.duration"].data.data_points
    assert (duration.count, sum(duration.bucket_counts), duration.min) == (5, 5, None)
    assert second["modelmon.call.active"].data.aggregation_temporality is AggregationTemporality.CUMULATIVE
    assert "modelmon.confusion" not in second


def test_exponential_deltas_hold_what_is_new(wrapped):
    """A difference of exponential histograms holds the values that came since."""
    one = wrapped(preferred_temporality=DELTA, histograms="exponential")
    parity(one.monitor)
    one.export()
    parity(one.monitor, calls=5, labels=0)
    (point,) = one.export()["modelmon.call.duration"].data.data_points
    assert sum(point.positive.bucket_counts) == point.count == 5


@pytest.mark.parametrize("failure", [MetricExportResult.FAILURE, ConnectionError()], ids=["refused", "raised"])
def test_a_difference_that_was_not_taken_comes_again(wrapped, failure):
    """What failed is counted, and is part of the next difference."""
    one = wrapped(preferred_temporality=DELTA)
    parity(one.monitor, labels=0)
    one.kept.answers.append(failure)
    assert one.export() is None
    failures = one.monitor.snapshot().counts("exporter_failures")
    assert [key[0] for key, _ in failures.items()] == ["opentelemetry"]
    parity(one.monitor, calls=5, labels=0)
    assert values(one.export()["modelmon.calls"], "outcome") == {("ok",): 35}


def test_what_a_lasting_store_held_is_in_no_difference(wrapped, tmp_path):
    """Labels that an earlier life has counted are not sent again; those that come now are."""
    path = tmp_path / "labels.db"
    earlier = Monitor(store=path)
    parity(earlier)
    earlier.close()
    one = wrapped(preferred_temporality=DELTA, store=path)
    parity(one.monitor, calls=1, labels=0)
    assert "modelmon.confusion" not in one.export()
    one.monitor.labels([25], [1])
    confusion = values(one.export()["modelmon.confusion"], "actual", "predicted")
    assert confusion == {("1", "1"): 1}


def test_taking_over_a_store_is_in_no_difference(wrapped, tmp_path):
    """What others counted while they showed the store is not sent once this process shows it."""

    def predict(monitor, start):
        @monitor(model="fraud", id="order", task=Binary(positive="fraud", negative="ok"))
        def score(order):
            return 0.9

        for order in range(start, start + 20):
            score(order)

    path = tmp_path / "labels.db"
    other = Monitor(store=path)
    predict(other, 0)
    other.labels(range(10), ["fraud"] * 10)
    assert Source(other).snapshot().stored
    one = wrapped(preferred_temporality=DELTA, store=path)
    predict(one.monitor, 20)
    assert "modelmon.confusion" not in one.export()
    other.close()
    one.monitor.home.delivery._lease._ask_at = 0.0
    assert "modelmon.confusion" not in one.export()
    one.monitor.labels([10], ["ok"])
    confusion = values(one.export()["modelmon.confusion"], "actual", "predicted")
    assert confusion == {("ok", "fraud"): 1}


def test_generative_models_under_the_names_of_the_conventions(wrapped):
    """What is known of streams is shown once more, with the attributes and bounds of the semantic conventions."""
    one = wrapped(gen_ai={"llama": GenAI("chat", "vllm")})

    @one.monitor(model="llama", version="3")
    def generate(n):
        for item in range(n):
            if item == 5:
                raise LookupError
            yield item

    assert list(generate(3)) == [0, 1, 2]
    with pytest.raises(LookupError):
        list(generate(9))
    parity(one.monitor)
    found = one.export()
    chat = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm", "gen_ai.request.model": "llama"}
    requests = found["gen_ai.server.request.duration"].data.data_points
    assert [dict(point.attributes) for point in requests] == [
        chat | {"version": "3"},
        chat | {"error.type": "_OTHER", "version": "3"},
    ]
    assert [point.count for point in requests] == [1, 1]
    assert tuple(requests[0].explicit_bounds[-2:]) == (40.96, 81.92)
    (first,) = found["gen_ai.server.time_to_first_token"].data.data_points
    assert (first.count, sum(first.bucket_counts), first.explicit_bounds[0]) == (2, 2, 0.001)
    assert found["gen_ai.server.time_per_output_token"].data.data_points[0].count == 2


def test_a_snapshot_that_fails_leaves_the_application_its_export(wrapped):
    """What the application measured goes out, and our failure is counted."""
    one = wrapped()

    def broken():
        raise LookupError

    source = FakeSource(broken)
    one.exporter.attach(source)
    one.provider.get_meter("app").create_counter("orders").add(7)
    one.provider.force_flush()
    assert "orders" in named(one.kept.batches[-1], "app")
    assert source.failures == {("opentelemetry", "LookupError"): 1}


def test_any_reader_can_have_our_points():
    """A reader that keeps in memory, registered or not yet, shows them; closing ends that."""
    for registered in (True, False):
        reader, monitor = InMemoryMetricReader(), Monitor()
        addition = None if registered else PreAggregated.into(reader)
        provider = MeterProvider([reader], resource=SERVICE, shutdown_on_exit=False)
        addition = addition or PreAggregated.into(reader, meter_provider=provider)
        addition._addition._provider = provider
        assert reader.get_metrics_data() is None
        monitor.add(addition)
        parity(monitor)
        data = reader.get_metrics_data()
        assert data.resource_metrics[0].resource.attributes["service.name"] == "fraud-service"
        assert values(named(data)["modelmon.calls"], "outcome")[("ok",)] == 30
        monitor.close()
        assert reader.get_metrics_data() is None


def test_a_provider_that_breaks_is_counted():
    """Without a pulse the exports of an application that measures something still hold ours."""

    class Broken(MeterProvider):
        def get_meter(self, *_args, **_kwargs):
            raise RuntimeError

    source = FakeSource(None)
    exporter = PreAggregated(Kept(), meter_provider=Broken(shutdown_on_exit=False))
    exporter.attach(source)
    assert source.failures == {("opentelemetry", "RuntimeError"): 1}
    assert exporter.export(MetricsData([])) is MetricExportResult.SUCCESS


def test_the_wrapped_exporter_is_asked_for_everything_else():
    """Flushes, shutdowns and what only it knows reach it; what cannot be wrapped is refused."""
    exporter = PreAggregated(Kept(preferred_temporality={Counter: AggregationTemporality.DELTA}))
    assert exporter.force_flush(7)
    assert exporter.extra
    assert "Kept" in repr(exporter)
    exporter.shutdown()
    with pytest.raises(AttributeError):
        _ = PreAggregated.__new__(PreAggregated)._exporter
    with pytest.raises(ConfigurationError, match="into"):
        PreAggregated(Pipeline().reader)
    with pytest.raises(ConfigurationError, match="MetricReader"):
        PreAggregated.into(exporter)
    with pytest.raises(ConfigurationError, match="GenAI"):
        PreAggregated(Kept(), gen_ai={"llama": "chat"})
    with pytest.raises(ConfigurationError, match="exponential"):
        PreAggregated(Kept(), histograms="native")
