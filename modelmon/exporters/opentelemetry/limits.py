"""Limits: how many sets of attributes an SDK keeps per instrument, and what is shown where there would be more.

The SDK keeps 2,000 sets for each instrument, those included that are no longer shown, and adds up all others under one.
So an instrument is made coarse before that: first slices give way to the whole model, then the cells of confusion
matrices to the sums of each class, and what is still too much is added up here, where it is counted and said.
What was made coarse once stays coarse, or both forms together would pass the limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.exporters.opentelemetry.observed import QUANTILES
from modelmon.points.catalogue import CATALOGUE, HistogramValue, Point
from modelmon.points.reading import points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.snapshot import Snapshot

SLICED: Final = 975
WHOLE: Final = 1_024
OVERFLOW: Final = (("otel.metric.overflow", "true"),)
_CELLS: Final = ("modelmon.confusion", "modelmon.confusion.retracted")
_SUMS: Final = tuple(
    f"modelmon.class.{name}{side}" for name in ("true_positives", "support", "predicted") for side in ("", ".retracted")
)
_ByName = dict[str, list[Point]]


class Limits:
    """Keep what is shown of each instrument below the limit.

    Attributes:
        coarse: instruments that are shown without slices.
        overflown: sets of attributes that were added up into one, in the last reading.
    """

    def __init__(self) -> None:
        """Start with everything shown in full."""
        self.coarse: set[str] = set()
        self.overflown = 0
        self._summed = False

    def read(self, snapshot: Snapshot, windows: Sequence[str]) -> list[Point]:
        """Return the points of a snapshot, few enough of each instrument."""
        plain = self.coarse.isdisjoint(_CELLS)  # else the cells of every slice would be made for nothing
        found = _by_name(points(snapshot, windows=windows, cells=plain))
        sliced = _by_name(points(snapshot, windows=windows, slices=False)) if self._crowded(found) else {}
        self.coarse |= {name for name in self._crowded(found) if len(sliced.get(name, ())) < len(found.get(name, ()))}
        if not self.coarse.isdisjoint(_CELLS):
            self.coarse.update(_CELLS, _SUMS)
        for name in self.coarse:
            found[name] = sliced.get(name, [])
        self._sum_cells(found, snapshot, windows)
        self.overflown = 0
        return [point for name in found for point in self._cut(found[name])]

    def _crowded(self, found: _ByName) -> set[str]:
        return {name for name, held in found.items() if _weight(held) > SLICED} | self.coarse

    def _sum_cells(self, found: _ByName, snapshot: Snapshot, windows: Sequence[str]) -> None:
        """Show the sums of each class, of all models, where the cells of all together are too many."""
        self._summed = self._summed or any(len(found.get(name, ())) > WHOLE for name in _CELLS)
        if self._summed:
            summed = _by_name(points(snapshot, windows=windows, slices=False, cells=False))
            found |= {name: summed.get(name, []) for name in (*_CELLS, *_SUMS)}

    def _cut(self, held: list[Point]) -> list[Point]:
        most = WHOLE // (len(QUANTILES) if held and isinstance(held[0].value, HistogramValue) else 1)
        if len(held) <= most:
            return held
        kept, rest = held[: most - 1], held[most - 1 :]
        self.overflown += len(rest)
        return [*kept, *_added(rest)]


def _added(rest: list[Point]) -> list[Point]:
    """Return one point for many that add up; gauges and distributions do not."""
    first = rest[0]
    if first.kind == "gauge" or isinstance(first.value, HistogramValue):
        return []
    total = sum(point.value for point in rest if not isinstance(point.value, HistogramValue))
    return [Point(first.name, first.kind, first.unit, first.help, OVERFLOW, total)]


def _weight(held: list[Point]) -> int:
    return len(held) * (len(QUANTILES) if CATALOGUE[held[0].name].kind == "histogram" else 1) if held else 0


def _by_name(found: list[Point]) -> _ByName:
    names: _ByName = {}
    for point in found:
        names.setdefault(point.name, []).append(point)
    return names
