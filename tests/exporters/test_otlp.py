"""Points in a real receiver of OTLP, over HTTP and gRPC, and what its answers do."""

from __future__ import annotations

import importlib
import math
import time
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from otel_pipelines import SERVICE, parity
from otlp_receivers import grpc_receiver, http_receiver, texts

from modelmon import Monitor, notices
from modelmon.exporters.opentelemetry import OpenTelemetryExporter, PreAggregated


@pytest.fixture(autouse=True)
def _quiet(caplog):
    notices.forget()
    with caplog.at_level("CRITICAL"):
        yield


def exporter_to(protocol, port):
    """Return the SDK's exporter for a protocol to a port of loopback."""
    name = f"opentelemetry.exporter.otlp.proto.{protocol}.metric_exporter"
    make = importlib.import_module(name).OTLPMetricExporter
    if protocol == "grpc":
        return make(endpoint=f"http://127.0.0.1:{port}", insecure=True, timeout=5)
    return make(endpoint=f"http://127.0.0.1:{port}/v1/metrics", timeout=5)


@contextmanager
def pipeline(exporter):
    """Yield a provider that exports when it is told to, and shut it down."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)
    provider = MeterProvider([reader], resource=SERVICE, shutdown_on_exit=False)
    yield provider
    provider.shutdown()


@pytest.mark.parametrize(
    ("protocol", "receiver"), [("http", http_receiver), ("grpc", grpc_receiver)], ids=["http", "grpc"]
)
def test_both_ways_arrive_in_a_real_receiver(protocol, receiver):
    """The same numbers arrive by observation and counted already, with the provider's resource."""
    monitor = Monitor()
    parity(monitor)
    with receiver() as got:
        with pipeline(exporter_to(protocol, got.port)) as provider:
            monitor.add(OpenTelemetryExporter(provider))
            provider.force_flush()
            observed = got.metrics()
        with pipeline(wrapped := PreAggregated(exporter_to(protocol, got.port), histograms="exponential")) as provider:
            wrapped._addition._provider = provider
            monitor.add(wrapped)
            provider.force_flush()
            counted = got.metrics()
            assert got.resource()["service.name"] == "fraud-service"
            assert "modelmon.pulse" not in str(got.requests[-1])
    for metrics in (observed, counted):
        calls = {texts(p.attributes)["outcome"]: p.as_int for p in metrics["modelmon.calls"].sum.data_points}
        assert calls == {"ok": 30, "cancelled": 0, "abandoned": 0}
        assert metrics["modelmon.calls"].sum.is_monotonic
        cells = {
            (texts(p.attributes)["actual"], texts(p.attributes)["predicted"]): p.as_int
            for p in metrics["modelmon.confusion"].sum.data_points
        }
        assert cells["0", "0"] == cells["0", "1"] == 7
    (point,) = counted["modelmon.call.duration"].exponential_histogram.data_points
    assert point.count == sum(point.positive.bucket_counts) == 30
    assert observed["modelmon.call.duration.count"].sum.data_points[0].as_int == 30
    monitor.close()


def test_a_receiver_that_is_busy_gets_it_after_the_time_it_asked_for():
    """After 503 with ``Retry-After`` the SDK waits and sends again; nothing is lost and nothing counted as failed."""
    monitor = Monitor()
    parity(monitor)
    with http_receiver() as got:
        got.answers.append((503, {"Retry-After": "1"}))
        with pipeline(wrapped := PreAggregated(exporter_to("http", got.port))) as provider:
            wrapped._addition._provider = provider
            monitor.add(wrapped)
            provider.force_flush()
            assert len(got.requests) == 1
            assert got.metrics()["modelmon.calls"].sum.data_points[0].as_int == 30
    assert not monitor.snapshot().counts("exporter_failures").total
    monitor.close()


@pytest.mark.fault("X3")
def test_a_receiver_that_is_away_costs_nothing_but_its_exports():
    """Failures are counted where the SDK says that all is well, and totals are exact once it is back."""
    monitor = Monitor()
    parity(monitor)
    with http_receiver() as got, pipeline(wrapped := PreAggregated(exporter_to("http", got.port))) as provider:
        wrapped._addition._provider = provider
        monitor.add(wrapped)
        got.answers += [(404, {}), (400, {})]
        for _ in range(2):
            provider.force_flush()
        assert monitor.snapshot().counts("exporter_failures").total == 2
        parity(monitor, calls=12, labels=0)
        provider.force_flush()
        assert got.metrics()["modelmon.calls"].sum.data_points[0].as_int == 42
    monitor.close()


def test_a_dead_receiver_never_reaches_a_call():
    """Nobody listens: the export fails, is counted, and ends when the provider is told to."""
    monitor = Monitor()
    with http_receiver() as gone:
        pass
    exporter = exporter_to("http", gone.port)
    with pipeline(wrapped := PreAggregated(exporter)) as provider:
        wrapped._addition._provider = provider
        monitor.add(wrapped)
        parity(monitor)
        begun = time.monotonic()
        exporter.shutdown()
        provider.force_flush()
        assert time.monotonic() - begun < 10
    assert monitor.snapshot()["digits"].calls == 30
    assert monitor.snapshot().counts("exporter_failures").total == 1
    monitor.close()
