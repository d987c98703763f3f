"""OpenTelemetry, two ways: by the application's own instruments, or counted already, beside what the SDK exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.exporters.opentelemetry.exporter import OpenTelemetryExporter
from modelmon.exporters.opentelemetry.genai import GenAI

if TYPE_CHECKING:
    from modelmon.exporters.opentelemetry.preaggregated import PreAggregated

__all__ = ["GenAI", "OpenTelemetryExporter", "PreAggregated"]


def __getattr__(name: str) -> Any:
    """Return ``PreAggregated`` at its first use: it needs the SDK, the exporter needs the API alone."""
    if name != "PreAggregated":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from modelmon.exporters.opentelemetry.preaggregated import PreAggregated  # noqa: PLC0415

    return PreAggregated
