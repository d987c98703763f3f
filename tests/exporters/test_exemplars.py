"""Exemplars: traced calls, slow or wrong, beside the numbers that they are part of."""

from __future__ import annotations

import math
import signal
import sys
from contextlib import nullcontext, suppress

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from otlp_receivers import http_receiver

from modelmon import Binary, Monitor, Multiclass, Snapshot
from modelmon.exemplars import MOST
from modelmon.exporters.opentelemetry import PreAggregated
from modelmon.probes import tracing
from modelmon.suppression import suppressed
from modelmon.testing import FakeClock

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("tests")


SAMPLED = trace.SpanContext(1, 2, is_remote=False, trace_flags=trace.TraceFlags(1))


class Plain:
    """A runtime of contexts that shows nothing but what the API promises."""

    def __init__(self, inner):
        """Stand before another."""
        self.attach, self.detach, self.get_current = inner.attach, inner.detach, inner.get_current


class World:
    """A monitor on a clock that only tests move, and what its points hold."""

    def __init__(self, **watched):
        """Watch a model whose calls take as long as they are told, and return what they are told."""
        self.clock = FakeClock(1000.0)
        self.monitor = Monitor(clock=self.clock)
        self.model = self.monitor(self.answer, model="fraud", version="1", **watched)

    def answer(self, order, value=0, seconds=0.01, country="DE"):  # noqa: ARG002  (for the watcher)
        """Take some time, and return a value or raise it."""
        self.clock.advance(seconds)
        if isinstance(value, Exception):
            raise value
        return value

    def traced(self, *args, **kwargs):
        """Call within a span, and return the span's trace."""
        with TRACER.start_as_current_span("request") as span:
            with suppress(LookupError):
                self.model(*args, **kwargs)
            return f"{span.get_span_context().trace_id:032x}"

    def exemplars(self, name="modelmon.call.duration"):
        """Return the exemplars of all points of a name."""
        return [one for point in self.monitor.snapshot().points() if point.name == name for one in point.exemplars]


@pytest.fixture
def world():
    """Make a world with a task and ids."""
    return World(task=Multiclass(), id="order")


def test_a_traced_call_is_an_exemplar_of_its_duration(world):
    """The trace of a slow call stands in its bucket, with the duration and when it ended."""
    world.model(0, seconds=0.3)
    trace = world.traced(1, seconds=0.3)
    (one,) = world.exemplars()
    assert (one.trace_id, one.value, one.own, one.at) == (trace, 0.3, ("ok",), pytest.approx(1000.6))
    assert len(one.span_id) == 16


def test_the_newest_of_each_bucket_and_outcome(world):
    """A fast call does not push out a slow one; a later slow one does."""
    fast, slow, later = world.traced(1, seconds=0.002), world.traced(2, seconds=3.0), world.traced(3, seconds=3.5)
    failed = world.traced(4, LookupError(), seconds=3.0)
    assert [(one.trace_id, one.own[0]) for one in world.exemplars()] == [(fast, "ok"), (later, "ok"), (failed, "error")]
    assert slow not in str(world.exemplars())


def test_exemplars_are_bounded():
    """However many slices there are, a model keeps so many and no more."""
    world = World(attributes=("country",))
    for country in range(90):
        for seconds in (0.001, 0.02, 0.3, 4.0):
            world.traced(country, seconds=seconds, country=str(country))
    assert len(world.exemplars()) == MOST
    assert {one.page for one in world.exemplars()} >= {(("country", "89"),)}


def test_without_a_sampled_span_there_is_none(world):
    """Neither calls outside of spans nor those in spans that nobody keeps leave a trace."""
    world.model(1)
    with TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("t").start_as_current_span("request"):
        world.model(2)
    assert world.exemplars() == []
    assert world.monitor.snapshot()["fraud"].calls == 2


def test_without_tracing_records_take_the_way_they_always_took(world, monkeypatch):
    """Where no tracing is in use the buffer itself takes the records; once it is, the first call is noted already."""
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "opentelemetry.trace")
        plain = World(task=Multiclass(), id="order")
        (seat,) = plain.monitor._recorder.seats
        assert seat.extend == seat.buffer.extend
        plain.model(0)
        assert seat.ways is None
    trace = plain.traced(1)
    plain.monitor.snapshot()
    later = plain.traced(2)
    assert trace not in str(plain.exemplars())
    assert later in str(plain.exemplars())


def test_a_model_decorated_before_tracing_notes_its_first_call(monkeypatch):
    """The first call finds that tracing is in use by now, and is noted itself."""
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "opentelemetry.trace")
        early = World()
    trace = early.traced(1)
    assert [one.trace_id for one in early.exemplars()] == [trace]


def test_streams_and_contexts_are_traced_too():
    """What ends a stream or a context within a span is noted, abandoned streams with the time of their last item."""
    world = World()

    @world.monitor(model="stream")
    def stream():
        yield 1
        world.clock.advance(2.0)
        yield 2
        world.clock.advance(50.0)

    with TRACER.start_as_current_span("request"):
        list(stream())
        for item in stream():
            if item == 2:
                break
        with world.monitor.call(model="context"):
            world.clock.advance(7.0)
    durations = {(one.own, one.value) for one in world.exemplars()}
    assert {(("ok",), 52.0), (("abandoned",), 2.0), (("ok",), 7.0)} <= durations


def test_a_wrong_prediction_is_an_exemplar_of_its_cell(world):
    """Once its label says that it was wrong, its trace stands at the cell; what was right leaves none."""
    wrong, _, untraced = world.traced(1, value=2), world.traced(2, value=2), world.model(3, value=2)
    world.monitor.labels([1, 2, 3], [0, 2, 0])
    found = world.exemplars("modelmon.confusion")
    assert [(one.trace_id, one.own, one.value) for one in found] == [(wrong, (0, 2), 1.0)]
    assert untraced == 2
    assert world.exemplars("modelmon.confusion.retracted") == []


def test_truths_mean_the_classes_of_the_task():
    """Binary tasks take every other truth as negative; declared classes know no others."""
    for task, value, truth, own in (
        (Binary(positive="fraud"), "fraud", "fine", ("other", "fraud")),
        (Binary(positive="fraud", negative="fine"), "fraud", "fine", ("fine", "fraud")),
        (Binary(positive="fraud", negative="fine"), "fraud", "odd", None),
        (Multiclass(classes=("a", "b")), "a", "b", ("b", "a")),
        (Multiclass(classes=("a", "b")), "a", "c", None),
        (Multiclass(), 1, None, None),
        (Multiclass(), 1, 2.5, (2.5, 1)),
    ):
        world = World(task=task, id="order")
        world.traced("x", value=value)
        world.monitor.labels(["x"], [truth])
        found = [
            one.own for part in world.monitor.snapshot().parts for s in part.series.values() for one in s.exemplars
        ]
        assert [one for one in found if len(one) == 2] == ([] if own is None else [own])


def test_labels_of_other_models_and_forgotten_ids_judge_nothing(world):
    """A label for another model is not about this prediction; what was forgotten cannot be judged."""
    world.traced(1, value=2)
    world.traced(2, value=2)
    world.monitor.labels([1], [0], model="other")
    world.monitor.forget([2])
    world.monitor.labels([2], [0])
    assert world.exemplars("modelmon.confusion") == []
    (series,) = [series for _, series in world.monitor._recorder.process.items()]
    assert len(series.exemplars._awaiting) == 1


def test_predictions_that_await_a_label_are_bounded(world, monkeypatch):
    """Of very many traced predictions the newest are kept; of very many calls at once the first are noted."""
    monkeypatch.setattr("modelmon.exemplars._AWAITING", 3)
    monkeypatch.setattr(tracing, "MOST", 4)
    for order in range(6):
        world.traced(order, value=2)
    world.monitor.labels(range(6), [0] * 6)
    (series,) = [series for _, series in world.monitor._recorder.process.items()]
    assert not series.exemplars._awaiting
    assert len(world.exemplars("modelmon.confusion")) == 1


def test_calls_under_suppression_are_no_calls(world):
    """Where instrumentation is suppressed nothing is recorded: no call, no failure, no stream, none that runs."""
    with suppressed():
        world.model(1)
        world.traced(2, LookupError())
        with world.monitor.call(model="fraud", version="1") as call:
            call.prediction(4, 2)
    world.model(3)
    reading = world.monitor.snapshot()["fraud"]
    assert (reading.calls, reading.in_flight, reading.predictions) == (1, 0, 1)


@pytest.mark.parametrize("strikes", [False, True], ids=["broken", "struck"])
def test_a_span_that_breaks_breaks_nothing(world, strikes):
    """Whatever a span raises, the call is recorded; what a signal handler raised meanwhile reaches the caller."""

    class Broken(trace.NonRecordingSpan):
        def get_span_context(self):
            if strikes:
                signal.raise_signal(signal.SIGTERM)
            raise LookupError

    def handler(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGTERM, handler)
    try:
        span = Broken(trace.INVALID_SPAN_CONTEXT)
        with (
            trace.use_span(span, record_exception=False, set_status_on_exception=False),
            pytest.raises(TimeoutError) if strikes else nullcontext(),
        ):
            world.model(1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert world.monitor.snapshot()["fraud"].calls == 1
    assert world.exemplars() == []


def test_without_what_is_private_in_the_api_its_functions_do(monkeypatch):
    """Another version of the API may lack the variable and the key; its public functions tell the same."""
    monkeypatch.delattr("opentelemetry.trace.propagation._SPAN_KEY")
    monkeypatch.setattr("opentelemetry.context._RUNTIME_CONTEXT", Plain(context._RUNTIME_CONTEXT))
    monkeypatch.setattr("opentelemetry.trace.get_current_span", lambda _: trace.NonRecordingSpan(SAMPLED))
    world = World()
    token = context.attach(context.set_value("anything", 1))
    world.model(1)
    context.detach(token)
    (one,) = world.exemplars()
    assert (one.trace_id, one.span_id) == (f"{1:032x}", f"{2:016x}")


def test_a_handler_that_strikes_amid_exemplars_reaches_whoever_labels(world, monkeypatch):
    """The label is committed, and what the handler raised is not swallowed."""

    def handler(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGTERM, handler)
    monkeypatch.setattr("modelmon.process.ProcessCounts.judge", lambda *_: signal.raise_signal(signal.SIGTERM))
    world.model(1)
    try:
        with pytest.raises(TimeoutError):
            world.monitor.labels([1], [0])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert world.monitor.snapshot()["fraud"].labelled == 1


def test_labels_are_committed_whatever_becomes_of_exemplars(world, monkeypatch):
    """A fault among exemplars is counted; the label has its effect and its report."""
    monkeypatch.setattr("modelmon.process.ProcessCounts.judge", lambda *_: 1 / 0)
    world.model(1)
    assert world.monitor.labels([1], [0])["joined"] == 1
    counted = world.monitor.snapshot().counts("self:internal_errors")
    assert dict(counted.items()) == {("exemplars:ZeroDivisionError",): 1}


def test_exemplars_are_part_of_the_text(world):
    """A snapshot read back from JSON has the same exemplars; one of an older version has none."""
    world.traced(1, value=2)
    world.monitor.labels([1], [0])
    snapshot = world.monitor.snapshot()
    text = snapshot.to_json()
    assert Snapshot.from_json(text) == snapshot
    assert Snapshot.from_json(text.replace('"exemplars"', '"unheard_of"'))["fraud"].calls == 1


@pytest.mark.skipif(not hasattr(__import__("opentelemetry.sdk.metrics").sdk.metrics, "Exemplar"), reason="an older SDK")
def test_exemplars_reach_a_receiver_once(world):
    """They go out with the numbers that they are part of, and not again with the next export."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    world.clock.set(2e9)  # of this century, as the SDK's clock is
    with http_receiver() as got:
        exporter = PreAggregated(OTLPMetricExporter(endpoint=f"http://127.0.0.1:{got.port}"))
        provider = MeterProvider(
            [PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)], shutdown_on_exit=False
        )
        exporter._addition._provider = provider
        world.monitor.add(exporter)
        trace = world.traced(1, value=2, seconds=0.3)
        world.monitor.labels([1], [0])
        provider.force_flush()
        metrics = got.metrics()
        (point,) = metrics["modelmon.call.duration"].histogram.data_points
        assert [one.trace_id.hex() for one in point.exemplars] == [trace]
        cells = [one for point in metrics["modelmon.confusion"].sum.data_points for one in point.exemplars]
        assert [one.trace_id.hex() for one in cells] == [trace]
        provider.shutdown()
    world.monitor.close()
