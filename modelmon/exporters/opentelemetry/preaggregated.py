"""The pre-aggregated way: our points join each export of the application's pipeline, counted already.

Rules:

1. Millions of calls cost the SDK nothing: what is added is as many numbers as there are points.
2. What the application exports goes out whatever happens to ours.
3. Resource, temporality and kind of histogram are those of the provider and the exporter.
4. The SDK exports nothing for an application without instruments of its own; so one is made, and taken out again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelmon.errors import ConfigurationError
from modelmon.forking import Gate
from modelmon.suppression import suppressed

try:
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricReader
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "opentelemetry":
        raise
    message = 'pre-aggregated metrics need the OpenTelemetry SDK: pip install "modelmon[otel]"'
    raise ImportError(message, name=error.name) from error

from modelmon.exporters.opentelemetry.addition import Addition
from modelmon.exporters.opentelemetry.assembly import preferences

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricsData

    from modelmon.exporters.opentelemetry.genai import GenAI
    from modelmon.readers import Source

Histograms = Literal["explicit", "exponential"]


class PreAggregated(MetricExporter):
    """Wrap an exporter of the application's pipeline, and add a monitor's points to all that it exports.

    Give it to the reader in the exporter's place, and add it to the monitor.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        *,
        windows: Sequence[str] = (),
        histograms: Histograms | None = None,
        gen_ai: Mapping[str, GenAI] | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Wrap an exporter.

        Args:
            exporter: any that the SDK takes.
            windows: such as ``"1h"`` or ``"1d:mature"``; quality and coverage are shown for each beside the total.
            histograms: ``"explicit"`` or ``"exponential"``; None for what the exporter prefers.
            gen_ai: generative models by name; they are shown under the names of the semantic conventions too.
            meter_provider: whose pipeline it is; None for the global one.

        Raises:
            ConfigurationError: when this is no exporter, or one of the others cannot work.
        """
        if not isinstance(exporter, MetricExporter):
            msg = f"{exporter!r} is no MetricExporter; for a reader there is PreAggregated.into(reader)"
            raise ConfigurationError(msg)
        temporality, aggregation = exporter._preferred_temporality, exporter._preferred_aggregation  # noqa: SLF001
        super().__init__(preferred_temporality=temporality, preferred_aggregation=aggregation)
        self._exporter = exporter
        self._gate = Gate()
        self._addition = Addition(preferences(temporality, aggregation, histograms), windows, gen_ai, meter_provider)

    def __repr__(self) -> str:
        """Show what is wrapped."""
        return f"<PreAggregated {type(self._exporter).__name__}>"

    def __getattr__(self, name: str) -> Any:
        """Return what else the wrapped exporter has, which newer SDKs may ask it for."""
        if name == "_exporter":
            raise AttributeError(name)
        return getattr(self._exporter, name)

    @staticmethod
    def into(
        reader: MetricReader,
        *,
        windows: Sequence[str] = (),
        histograms: Histograms | None = None,
        gen_ai: Mapping[str, GenAI] | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> ReaderAddition:
        """Add a monitor's points to all that a reader collects; add what this returns to the monitor.

        Args:
            reader: any of the SDK's, given to a provider already or not yet.
            windows: such as ``"1h"`` or ``"1d:mature"``; quality and coverage are shown for each beside the total.
            histograms: ``"explicit"`` or ``"exponential"``; None for what the reader prefers.
            gen_ai: generative models by name; they are shown under the names of the semantic conventions too.
            meter_provider: whose pipeline it is; None for the global one.

        Raises:
            ConfigurationError: when this is no reader, or one of the others cannot work.
        """
        return ReaderAddition(reader, windows, histograms, gen_ai, meter_provider)

    def attach(self, source: Source) -> None:
        """Add what ``source`` knows to each export from now on."""
        self._addition.attach(source)

    def close(self, timeout: float) -> None:  # noqa: ARG002  (nothing is waited for: the application exports)
        """Add nothing any more; the wrapped exporter goes on."""
        self._addition.detach()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export what the SDK collected together with our points."""
        with suppressed():
            joined = self._addition.joined(metrics_data)
            if not joined.resource_metrics:
                return MetricExportResult.SUCCESS
            try:
                with self._gate.enter():
                    result = self._exporter.export(joined, timeout_millis=timeout_millis, **kwargs)
            except Exception as error:
                self._addition.fail(type(error).__name__)
                raise
        if result is MetricExportResult.SUCCESS:
            self._addition.sent()
        else:
            self._addition.fail("refused")
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Have the wrapped exporter send what it holds."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut the wrapped exporter down."""
        self._exporter.shutdown(timeout_millis, **kwargs)


class ReaderAddition:
    """Add the points of a monitor to what one reader collects."""

    def __init__(
        self,
        reader: MetricReader,
        windows: Sequence[str],
        histograms: Histograms | None,
        gen_ai: Mapping[str, GenAI] | None,
        provider: MeterProvider | None,
    ) -> None:
        """Stand between a reader and what it collects from."""
        if not isinstance(reader, MetricReader):
            msg = f"{reader!r} is no MetricReader; for an exporter there is PreAggregated(exporter)"
            raise ConfigurationError(msg)
        temporality = reader._instrument_class_temporality  # noqa: SLF001
        aggregation = reader._instrument_class_aggregation  # noqa: SLF001
        self._addition = Addition(preferences(temporality, aggregation, histograms), windows, gen_ai, provider)
        _intercept(reader, self._joined)

    def attach(self, source: Source) -> None:
        """Add what ``source`` knows to each collection from now on."""
        self._addition.attach(source)

    def close(self, timeout: float) -> None:  # noqa: ARG002  (nothing is waited for: the application collects)
        """Add nothing any more."""
        self._addition.detach()

    def _joined(self, data: MetricsData | None) -> MetricsData | None:
        if data is None:
            return None
        with suppressed():
            joined = self._addition.joined(data)
        self._addition.sent()
        return joined if joined.resource_metrics else None


def _intercept(reader: Any, change: Callable[[Any], Any]) -> None:
    """Have ``change`` see what a reader collects, whether it is registered with a provider or will be."""

    def changed(collect: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: change(collect(*args, **kwargs))

    registered, register = reader._collect, reader._set_collect_callback  # noqa: SLF001
    if registered is not None:
        register(changed(registered))
    else:
        reader._set_collect_callback = lambda collect: register(collect and changed(collect))  # noqa: SLF001
