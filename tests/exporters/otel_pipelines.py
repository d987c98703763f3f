"""Pipelines of the OpenTelemetry SDK for tests: a provider, what it collects, and a model to be shown there."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource

from modelmon import Monitor, Multiclass

SERVICE = Resource({"service.name": "fraud-service"})


class Pipeline:
    """A provider with one reader in memory."""

    def __init__(self, **preferred: Any) -> None:
        """Make both; ``preferred`` is what the reader prefers."""
        self.reader = InMemoryMetricReader(**preferred)
        self.provider = MeterProvider([self.reader], resource=SERVICE, shutdown_on_exit=False)

    def collect(self, scope: str = "modelmon") -> dict[str, Any]:
        """Return what is collected in a scope now, by name."""
        data = self.reader.get_metrics_data()
        return {} if data is None else named(data, scope)


class Kept(MetricExporter):
    """An exporter that keeps what it gets, and answers as it is told."""

    def __init__(self, **preferred: Any) -> None:
        """Start empty."""
        super().__init__(**preferred)
        self.batches: list[MetricsData] = []
        self.answers: list[Any] = []
        self.timeout = 0.0
        self.extra = "what a newer SDK may ask for"

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_kwargs: Any) -> MetricExportResult:
        """Keep a batch, or fail."""
        self.timeout = timeout_millis
        answer = self.answers.pop(0) if self.answers else MetricExportResult.SUCCESS
        if isinstance(answer, BaseException):
            raise answer
        if answer is MetricExportResult.SUCCESS:
            self.batches.append(metrics_data)
        return answer

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Hold nothing back."""
        return timeout_millis > 0

    def shutdown(self, timeout_millis: float = 30_000, **_kwargs: Any) -> None:
        """Have nothing to end."""


def named(data: MetricsData, scope: str = "modelmon") -> dict[str, Any]:
    """Return the metrics of a scope by name."""
    scopes = [found for part in data.resource_metrics for found in part.scope_metrics]
    return {metric.name: metric for found in scopes if found.scope.name == scope for metric in found.metrics}


def values(metric: Any, *names: str) -> dict[Any, Any]:
    """Return a metric's values by the values of these attributes."""
    return {tuple(point.attributes.get(name, "") for name in names): point.value for point in metric.data.data_points}


def parity(monitor: Monitor, *, calls: int = 30, labels: int = 20, **attributes: Any) -> None:
    """Call a model of three classes so often, and label the first of the calls."""

    @monitor(model="digits", version="1", task=Multiclass(), id="order", **attributes)
    def classify(order: int, country: str = "DE") -> int:
        return order % 3

    for order in range(calls):
        classify(order, ("DE", "FR")[order % 2])
    monitor.labels(range(labels), [0] * labels)
