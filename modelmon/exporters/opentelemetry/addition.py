"""An addition: what a monitor knows, added to what an application exports, whatever way that goes."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics
from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from modelmon.exporters.opentelemetry.assembly import Preferences, assemble
from modelmon.exporters.opentelemetry.exporter import NAME, checked_windows
from modelmon.exporters.opentelemetry.genai import GenAI, checked_models, conventional
from modelmon.exporters.opentelemetry.scope import SCOPE, VERSION
from modelmon.exporters.opentelemetry.streams import Streams
from modelmon.forking import renew_in_child
from modelmon.notices import warn
from modelmon.points.reading import points

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

    from modelmon.readers import Source

PULSE: Final = "modelmon.pulse"


class Addition:
    """Add the points of a monitor to what is exported; whoever has one attaches and closes it."""

    def __init__(
        self,
        wanted: Preferences,
        windows: Sequence[str],
        gen_ai: Mapping[str, GenAI] | None,
        provider: MeterProvider | None,
    ) -> None:
        """Prepare; nothing is added before it is attached."""
        self._wanted = wanted
        self._gen_ai = checked_models(gen_ai)
        self._windows = checked_windows(windows)
        self._provider = provider
        self.source: Source | None = None
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin anew, as the counts of a forked child do."""
        self._lock = threading.RLock()
        self._streams = Streams(time.time_ns())

    def attach(self, source: Source) -> None:
        """Add what ``source`` knows from now on."""
        self.source = source
        source.succeeded(NAME)
        try:
            _make_pulse(metrics.get_meter_provider() if self._provider is None else self._provider)
        except Exception as error:
            self.fail(type(error).__name__)

    def detach(self) -> None:
        """Add nothing any more."""
        self.source = None

    def fail(self, reason: str) -> None:
        """Count an export that failed, and say it once."""
        if self.source is not None:
            self.source.count_failure(NAME, reason)
            warn(f"{NAME}:{reason}", f"an export to OpenTelemetry failed with {reason}; further ones are counted only")

    def joined(self, data: MetricsData) -> MetricsData:
        """Return what the application exports together with ours."""
        ours = self._made()
        if not data.resource_metrics:
            return data
        first, *rest = data.resource_metrics
        scopes = [scope for scope in first.scope_metrics if scope.scope.name != PULSE]
        joined = ResourceMetrics(first.resource, [*scopes, *ours], first.schema_url)
        return MetricsData([joined, *rest] if joined.scope_metrics else rest)

    def sent(self) -> None:
        """Note that it was exported."""
        with self._lock:
            self._streams.commit()
        if self.source is not None:
            self.source.succeeded(NAME)

    def _made(self) -> list[ScopeMetrics]:
        source = self.source
        if source is None:
            return []
        try:
            with self._lock, source.section("export"):
                snapshot = source.snapshot()
                self._streams.begin(stored=any(part.lasting for part in snapshot.parts))
                found = points(snapshot, windows=self._windows)
                found += conventional(found, self._gen_ai)
                made = assemble(found, self._streams, self._wanted, time.time_ns())
        except Exception as error:
            self._streams.abandon()
            self.fail(type(error).__name__)
            return []
        return [ScopeMetrics(InstrumentationScope(SCOPE, VERSION), made, "")] if made else []


def _beat(_options: CallbackOptions) -> Iterable[Observation]:
    return [metrics.Observation(1)]


def _make_pulse(provider: Any) -> None:
    if provider not in _pulsing:
        _pulsing.add(provider)
        meter = provider.get_meter(PULSE, VERSION)
        meter.create_observable_gauge(
            PULSE, callbacks=[_beat], unit="1", description="Says to the SDK that there is something to collect."
        )


_pulsing: weakref.WeakSet[Any] = weakref.WeakSet()
