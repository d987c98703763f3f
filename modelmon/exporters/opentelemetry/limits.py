"""Limits: how many sets of attributes an SDK keeps per instrument, and what is shown where there would be more.

The SDK keeps 2,000 sets for each instrument, those included that are no longer shown, and adds up all others under one.
So an instrument is made coarse before that: first slices give way to the whole model, then the cells of confusion
matrices to the sums of each class, and what is still too much is added up or left out here, where it is counted and
said. Histograms of the SDK take it all: only what is observed has quantiles, which need four sets for each.
What was made coarse once stays coarse, or both forms together would pass the limit; and what was shown under
attributes of its own stays under them, or its sum would be in a difference of what is added up once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.exporters.opentelemetry.observed import QUANTILES
from modelmon.points.catalogue import CATALOGUE, HistogramValue, Point
from modelmon.points.reading import points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.points.instruments import Attributes
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
        left_out: sets of gauges and quantiles, which do not add up, that were left out of it.
    """

    def __init__(self) -> None:
        """Start with everything shown in full."""
        self.coarse: set[str] = set()
        self.overflown = self.left_out = 0
        self._summed = False
        self._placed: dict[str, set[Attributes]] = {}

    def read(self, snapshot: Snapshot, windows: Sequence[str]) -> list[Point]:
        """Return the points of a snapshot, coarse where there would be too many."""
        plain = self.coarse.isdisjoint(_CELLS)  # else the cells of every slice would be made for nothing
        found = _by_name(points(snapshot, windows=windows, cells=plain))
        sliced = _by_name(points(snapshot, windows=windows, slices=False)) if self._crowded(found) else {}
        before = set(self.coarse)
        self.coarse |= {name for name in self._crowded(found) if len(sliced.get(name, ())) < len(found.get(name, ()))}
        if not self.coarse.isdisjoint(_CELLS):
            self.coarse.update(_CELLS, _SUMS)
        for name in self.coarse - before:
            self._placed.pop(name, None)
        for name in self.coarse:
            found[name] = sliced.get(name, [])
        self._sum_cells(found, snapshot, windows)
        return [point for held in found.values() for point in held]

    def cut(self, read: list[Point]) -> list[Point]:
        """Return points, few enough of each instrument: what is still too much is added up, or left out."""
        self.overflown = self.left_out = 0
        return [point for held in _by_name(read).values() for point in self._cut(held)]

    def _crowded(self, found: _ByName) -> set[str]:
        return {name for name, held in found.items() if _weight(held) > SLICED} | self.coarse

    def _sum_cells(self, found: _ByName, snapshot: Snapshot, windows: Sequence[str]) -> None:
        """Show the sums of each class, of all models, where the cells of all together are too many."""
        self._summed = self._summed or any(len(found.get(name, ())) > WHOLE for name in _CELLS)
        if self._summed:
            summed = _by_name(points(snapshot, windows=windows, slices=False, cells=False))
            found |= {name: summed.get(name, []) for name in (*_CELLS, *_SUMS)}

    def _cut(self, held: list[Point]) -> list[Point]:
        most = WHOLE // (len(QUANTILES) if held[0].kind == "histogram" else 1)
        if held[0].kind == "gauge":
            self.left_out += len(held[most:])
            return held[:most]
        placed = self._placed.setdefault(held[0].name, set())
        for point in held:
            if len(placed) < most - 1:
                placed.add(point.attributes)
        rest = [point for point in held if point.attributes not in placed]
        if not rest:
            return held
        self.overflown += len(rest)
        self.left_out += len(rest) if held[0].kind == "histogram" else 0
        return [*(point for point in held if point.attributes in placed), _added(rest)]


def _added(rest: list[Point]) -> Point:
    """Return one point for many that add up; of distributions counts and sums do."""
    first, given = rest[0], [point.value for point in rest]
    spread = [value for value in given if isinstance(value, HistogramValue)]
    total: float | HistogramValue = sum(value for value in given if not isinstance(value, HistogramValue))
    if isinstance(first.value, HistogramValue):
        counts = tuple(map(sum, zip(*(value.counts for value in spread), strict=True)))
        total = HistogramValue(first.value.bounds, counts, sum(value.sum for value in spread), counts[-1])
    return Point(first.name, first.kind, first.unit, first.help, OVERFLOW, total)


def _weight(held: list[Point]) -> int:
    return len(held) * (len(QUANTILES) if CATALOGUE[held[0].name].kind == "histogram" else 1) if held else 0


def _by_name(found: list[Point]) -> _ByName:
    names: _ByName = {}
    for point in found:
        names.setdefault(point.name, []).append(point)
    return names
