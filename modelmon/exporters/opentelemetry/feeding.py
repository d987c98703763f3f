"""Feeding: values of distributions into histograms of the SDK, when it collects, never when a call ends.

Each value comes as the middle of its bin, which is within 0.5 % and under the same bounds.
One collection records at most 20,000 values, which takes it some tenths of a second; the rest waits for the next.
What a store had counted before the first collection is left out: it may have been shown in an earlier life.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelmon.points import CATALOGUE, HistogramValue

if TYPE_CHECKING:
    from modelmon.points import Point
    from modelmon.points.instruments import Attributes

MOST: Final = 20_000
_OF_STORES: Final = frozenset({"modelmon.label.delay"})
_Bins = dict[float, tuple[float, int]]


class Feeding:
    """Record in histograms what distributions have gained."""

    def __init__(self, meter: Any) -> None:
        """Make the histograms on a meter."""
        rows = [row for row in CATALOGUE.values() if row.kind == "histogram"]
        self._instruments = {row.name: _histogram(meter, row.name, row.unit, row.help, row.bounds) for row in rows}
        self.renew()

    def renew(self) -> None:
        """Begin anew, as the counts of a forked child do."""
        self._fed: dict[tuple[str, Attributes], dict[float, int]] = {}
        self._stores: set[str] = set()

    def feed(self, points: list[Point]) -> int:
        """Record what is new, and return how many values are left for the next time."""
        left, waiting = MOST, 0
        for point in points:
            if not isinstance(point.value, HistogramValue) or point.value.distribution is None:
                continue
            recorded, behind = self._feed(point, point.value.distribution.bins, left)
            left -= recorded
            waiting += behind
        return waiting

    def _feed(self, point: Point, bins: list[tuple[float, float, int]], most: int) -> tuple[int, int]:
        key = (point.name, point.attributes)
        fed = self._fed.get(key)
        if fed is None:
            first = point.name in _OF_STORES and point.name not in self._stores
            fed = self._fed[key] = {upto: n for _, upto, n in bins} if first else {}
            self._stores.add(point.name)
        instrument, attributes = self._instruments[point.name], dict(point.attributes)
        recorded = behind = 0
        for above, upto, n in bins:
            known = min(fed.get(upto, 0), n)
            now = min(n - known, most - recorded)
            for _ in range(now):
                instrument.record((above + upto) / 2, attributes)
            fed[upto] = known + now
            recorded += now
            behind += n - known - now
        return recorded, behind


def _histogram(meter: Any, name: str, unit: str, text: str, bounds: tuple[float, ...]) -> Any:
    try:
        return meter.create_histogram(
            name, unit=unit, description=text, explicit_bucket_boundaries_advisory=list(bounds)
        )
    except TypeError:  # before version 1.28 views alone could choose bounds
        return meter.create_histogram(name, unit=unit, description=text)
