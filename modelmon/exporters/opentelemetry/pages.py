"""A board: the instruments on one provider, and the page that one collection reads from them.

An SDK asks one instrument after the other. Each takes its numbers off the page; an instrument that finds nothing has
been asked before, so another collection has begun, and a new page is written, of one new snapshot.
"""

from __future__ import annotations

import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry.metrics import Observation

from modelmon.exporters.opentelemetry.feeding import Feeding
from modelmon.exporters.opentelemetry.limits import Limits
from modelmon.exporters.opentelemetry.observed import numbers, observables
from modelmon.exporters.opentelemetry.remains import Remains
from modelmon.exporters.opentelemetry.scope import SCOPE, VERSION
from modelmon.forking import renew_in_child
from modelmon.notices import warn
from modelmon.suppression import suppressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opentelemetry.metrics import CallbackOptions

    from modelmon.exporters.opentelemetry.observed import Observable
    from modelmon.readers import Source

_AGE_S: Final = 10.0  # for implementations that ask some instruments only
_MIXED: Final = (
    "exporters on one provider of OpenTelemetry share its instruments, made for the first of them: "
    "histograms= of the others, which differs, has no effect"
)


class Shown(Protocol):
    """An exporter, as a board sees it."""

    @property
    def windows(self) -> Sequence[str]:
        """Spans that are shown beside the total."""
        ...

    @property
    def histograms(self) -> bool:
        """Whether histograms of the SDK are fed."""
        ...

    @property
    def source(self) -> Source | None:
        """What is shown; None for nothing."""
        ...

    def fail(self, reason: str) -> None:
        """Count a collection that failed."""
        ...


class Board:
    """Hold the instruments on one provider, for all exporters that show themselves there."""

    def __init__(self, provider: Any) -> None:
        """Prepare; instruments are made when the first exporter joins."""
        self._provider = weakref.ref(provider)
        self._exporters: dict[Shown, None] = {}
        self._feeding: Feeding | None = None
        self._made = False
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget the page, which a forked child does not inherit."""
        self._lock = threading.RLock()
        self._page: dict[str, list[Observation]] = {}
        self._written = 0.0
        self._limits = Limits()
        self._remains = Remains()
        if self._feeding is not None:
            self._feeding.renew()

    def serves(self, provider: Any) -> bool:
        """Tell whether this is the board of what stood in for the provider before it was set."""
        return provider is not None and getattr(self._provider(), "_real_meter_provider", None) is provider

    def join(self, exporter: Shown) -> None:
        """Show an exporter's points; the first one to join has the instruments made."""
        self._exporters[exporter] = None
        provider = self._provider()
        if self._made and exporter.histograms != (self._feeding is not None):
            warn("otel:histograms", _MIXED, once=True)
        if self._made or provider is None:
            return
        self._made = True
        meter = provider.get_meter(SCOPE, VERSION)
        if exporter.histograms:
            self._feeding = Feeding(meter)
        for row in observables(histograms=exporter.histograms):
            _make(meter, row, self._asked(row.name))

    def leave(self, exporter: Shown) -> None:
        """Show an exporter's points no more."""
        self._exporters.pop(exporter, None)

    def _asked(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def callback(_options: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                if name not in self._page or monotonic() - self._written > _AGE_S:
                    self._page = self._write()
                    self._written = monotonic()
                return self._page.pop(name, [])

        return callback

    def _write(self) -> dict[str, list[Observation]]:
        rows = [row.name for row in observables(histograms=self._feeding is not None)]
        page: dict[str, list[Observation]] = {name: [] for name in rows}
        exporters = [exporter for exporter in list(self._exporters) if exporter.source is not None]
        try:
            found = self._numbers(exporters)
        except Exception as error:
            for exporter in exporters:
                exporter.fail(type(error).__name__)
            warn(f"otel:{type(error).__name__}", f"a collection of OpenTelemetry got nothing of modelmon: {error!r}")
            return page
        return page | {name: held for name, held in found.items() if name in page}

    def _numbers(self, exporters: list[Shown]) -> dict[str, list[Observation]]:
        sources = [exporter.source for exporter in exporters if exporter.source is not None]
        if not sources:
            return {}
        windows = tuple(dict.fromkeys(window for exporter in exporters for window in exporter.windows))
        with suppressed(), sources[0].section("export"):
            snapshots = [source.snapshot() for source in sources]
            whole = snapshots[0].merge(*snapshots[1:])
            read = self._limits.read(whole, windows)
            if self._feeding is not None:
                self._feeding.feed(read, whole, self._limits.coarse)
            shown = self._remains.beside(numbers(self._limits.cut(read)), self._limits.coarse)
        for source in sources:
            source.succeeded("opentelemetry")
        if self._limits.overflown or self._limits.left_out:
            warn(
                "otel:overflow",
                f"{self._limits.overflown} sets of attributes were added up under otel.metric.overflow, "
                f"{self._limits.left_out} of gauges and quantiles, which do not add up, were left out",
            )
        return {name: [Observation(*pair) for pair in held] for name, held in shown.items()}


def _make(meter: Any, row: Observable, callback: Callable[[CallbackOptions], Iterable[Observation]]) -> None:
    make = {
        "counter": meter.create_observable_counter,
        "updown": meter.create_observable_up_down_counter,
        "gauge": meter.create_observable_gauge,
    }[row.kind]
    make(row.name, callbacks=[callback], unit=row.unit, description=row.help)
