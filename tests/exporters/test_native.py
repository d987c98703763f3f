"""Exemplars and native histograms: in text, through prometheus_client, in protocol buffers, and in a real server."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fake_sources import FakeSource
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import parser
from prometheus_client.openmetrics.exposition import generate_latest
from protobufs import fields, messages
from servers import needs, prometheus
from small_worlds import BINARY, WORLDS, class_ledger, of_parts, process_ledger

from modelmon import Monitor
from modelmon.accumulators.durations import Histogram
from modelmon.exporters import protobuf
from modelmon.exporters.exposition import Exposition
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.exporters.protobuf import SCHEMA, ZERO, bucket_of, encode, native
from modelmon.exporters.wire import wanted_format
from modelmon.parts import Exemplar, SeriesPart
from modelmon.points.reading import points
from modelmon.readings.distributions import Distribution

SLOW, WRONG, OTHER = "5" * 32, "7" * 32, "9" * 32
AT = 1_600_000_000.25


def traced():
    """Return a binary model with a slow call, one that stands in the way of a slower one, and a wrong prediction."""
    examples = (
        Exemplar("duration", (), ("ok",), 0.004, AT, OTHER, "1" * 16),
        Exemplar("duration", (), ("ok",), 0.0045, AT + 1, SLOW, "2" * 16),
        Exemplar("confusion", (), ("ok", "fraud"), 1.0, AT, WRONG, "3" * 16),
    )
    ledger = class_ledger(2, 400)[0]
    return of_parts(
        {("fraud", "1"): SeriesPart(BINARY, (), {(): process_ledger()}, exemplars=examples)},
        {("fraud", "1"): SeriesPart(BINARY, ("ok", "fraud"), {(): ledger})},
    )


def shown(text):
    """Return every exemplar of a text in OpenMetrics as (trace, sample, le or predicted, value, time)."""
    return {
        (
            sample.exemplar.labels["trace_id"],
            sample.name,
            sample.labels.get("le") or sample.labels["predicted"],
            sample.exemplar.value,
            float(sample.exemplar.timestamp),
        )
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar
    }


def test_exemplars_in_openmetrics():
    """Each bucket shows the last call in it, each cell a wrong prediction, and a strict parser takes the text."""
    world = traced()
    text = Exposition().render(points(world), "openmetrics").decode()
    assert shown(text) == {
        (SLOW, "modelmon_call_duration_seconds_bucket", "0.005", 0.0045, AT + 1),
        (WRONG, "modelmon_confusion_total", "fraud", 1.0, AT),
    }
    assert b"trace_id" not in Exposition().render(points(world), "text")
    registry = CollectorRegistry()
    exporter = PrometheusExporter(registry=registry)
    exporter.attach(FakeSource(world))
    assert shown(generate_latest(registry).decode()) == shown(text)
    exporter.close(1)


def test_traced_calls_of_a_program():
    """A call within a sampled span, and its wrong prediction, show the span's trace to whoever asks for OpenMetrics."""
    own = Monitor()
    exporter = own.add(PrometheusExporter(port=0))

    @own(model="m", version="1", id="key", task=BINARY)
    def predict(key):
        return "ok"

    predict("before")
    with TracerProvider(shutdown_on_exit=False).get_tracer("tests").start_as_current_span("request") as span:
        predict("within")
    trace = f"{span.get_span_context().trace_id:032x}"
    own.labels(["before", "within"], ["fraud", "fraud"])
    found = {(one[0], one[1]) for one in shown(exporter.render("openmetrics").decode())}
    assert found == {(trace, "modelmon_call_duration_seconds_bucket"), (trace, "modelmon_confusion_total")}
    assert trace.encode() in exporter.render("protobuf")
    own.close()


@given(st.floats(min_value=1e-30, max_value=1e30))
def test_buckets(value):
    """A value lies in its bucket: above the end of the one before, up to its own."""
    place, base = bucket_of(value), 2 ** (2**-SCHEMA)
    assert base ** (place - 1) * (1 - 1e-9) < value <= base**place * (1 + 1e-9)


def test_powers_of_two_end_a_bucket():
    """Bounds that floats hold exactly belong to the bucket that they end."""
    assert [bucket_of(2.0**power) for power in range(-30, 30)] == [power * 2**SCHEMA for power in range(-30, 30)]


@given(st.lists(st.integers(min_value=0, max_value=10**11), max_size=50))
def test_native_histograms_hold_everything(values):
    """Every value is counted once, within 1 % above it at most, and zeros apart."""
    histogram = Histogram(1e-9)
    if values:
        histogram.update(np.array(values, np.int64))
    zeros, buckets = native(Distribution(histogram))
    assert zeros == values.count(0)
    assert list(buckets) == sorted(buckets)
    assert sum(buckets.values()) == len(values) - zeros
    lowest = sorted(bucket_of(value * 1e-9) for value in values if value)
    found = [place for place, n in buckets.items() for _ in range(n)]
    assert all(0 <= ours - least <= 1 for ours, least in zip(found, lowest, strict=True))


@pytest.mark.parametrize("world", WORLDS)
def test_protocol_buffers_hold_what_the_text_holds(world):
    """Families and values in protocol buffers are those of the text."""
    text = Exposition().render(points(WORLDS[world]), "openmetrics").decode()
    expected = {}
    for family in parser.text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        samples = [s for s in family.samples if not s.name.endswith(("_bucket", "_sum"))]
        expected[name] = (family.documentation, [(s.labels, s.value) for s in samples])
    found = {}
    for message in messages(Exposition().render(points(WORLDS[world]), "protobuf")):
        rows = []
        for metric in map(fields, message[4]):
            labels = {pair[1][0].decode(): pair[2][0].decode() for pair in map(fields, metric[1])}
            (value,) = (metric[field][0] for field in (2, 3, 5, 7) if field in metric)
            rows.append((labels, fields(value)[1][0]))
        found[message[1][0].decode()] = (message[2][0].decode(), rows)
    assert found == expected


def test_native_spans():
    """Spans and deltas of a histogram add up to its buckets, and one without values is native all the same."""
    histogram = Histogram(1e-9)
    histogram.update(np.array([0, 1_000_000, 1_100_000, 5_000_000, 90_000_000_000], np.int64))
    values = Distribution(histogram)
    for found in (values, Distribution(Histogram(1e-9))):
        message = b"".join(protobuf._native(found))
        made = fields(message)
        assert made[5] == [2 * SCHEMA]
        assert made[6] == [ZERO]
        zeros, buckets = native(found)
        assert made[7] == [zeros]
        deltas = [n // 2 if n % 2 == 0 else -(n + 1) // 2 for n in _varints(made[13][0])]
        counts = np.cumsum(deltas).tolist()
        places, end = [], 0
        for span in map(fields, made[12]):
            offset = span[1][0] if span else 0
            start = end + (offset // 2 if offset % 2 == 0 else -(offset + 1) // 2)
            end = start + (span[2][0] if span else 0)
            places += range(start, end)
        assert dict(zip(places, counts, strict=True)) == buckets


def _varints(data):
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value)
            value = shift = 0
    return found


def test_who_gets_which_format():
    """The first of our formats that a server names is answered; of protocol buffers only the ones we speak."""
    proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    text = "application/openmetrics-text;version=1.0.0;q=0.8"
    assert wanted_format(f"{proto},{text},text/plain;version=0.0.4;q=0.5,*/*;q=0.1") == "protobuf"
    assert wanted_format(f"{text},{proto};q=0.7") == "openmetrics"
    assert wanted_format(f"{proto.replace('delimited', 'text')},{text}") == "openmetrics"
    assert wanted_format(f"{proto};q=0,text/plain") == "text"
    assert encode([]) == b""


@pytest.mark.slow
@needs("prometheus")
def test_a_real_server_keeps_native_histograms_and_exemplars(tmp_path):
    """A server with both features on stores them: quantiles without bounds agree with ours, traces are found."""
    world, exporter = traced(), PrometheusExporter(port=0)
    source = FakeSource(world)
    exporter.attach(source)
    rules = tmp_path / "none.yml"
    rules.write_text("groups: []\n")
    target = {"ours": f"127.0.0.1:{exporter.port}"}
    try:
        with prometheus(tmp_path, target, rules, "native-histograms", "exemplar-storage") as server:
            (found,) = server.until('histogram_quantile(0.9, modelmon_call_duration_seconds{outcome="ok"})')
            expected = world["fraud"].durations["ok"].quantile(0.9)
            assert math.isclose(found[1], expected, rel_tol=0.1)
            ((_, count),) = server.query('histogram_count(modelmon_call_duration_seconds{outcome="ok"})')
            assert count == world["fraud"].durations["ok"].count
            assert not server.query("modelmon_call_duration_seconds_bucket")
            assert sum(value for _, value in server.query("modelmon_calls_total")) == world["fraud"].calls
            kept = server.get(
                "/api/v1/query_exemplars", query="modelmon_confusion_total", start=str(AT - 60), end=str(AT + 60)
            )
            traces = {one["labels"]["trace_id"] for series in kept["data"] for one in series["exemplars"]}
            assert traces == {WRONG}
    finally:
        exporter.close(5)
    assert not source.failures
