"""Feeding: values of distributions into histograms of the SDK, when it collects, never when a call ends.

Each value comes as the middle of its bin, which is within 0.5 % and under the same bounds.
One collection records at most 20,000 values, which takes it some tenths of a second; the rest waits for the next.
What a lasting store had counted before it was first read here is left out, of every model: another process, or an
earlier life, may have shown it. What this process's own memory has counted is its own, and is recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelmon.exporters.opentelemetry.remains import unsliced
from modelmon.points.catalogue import CATALOGUE, HistogramValue
from modelmon.points.reading import points
from modelmon.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection

    from modelmon.points.catalogue import Point
    from modelmon.points.instruments import Attributes

MOST: Final = 20_000
_OF_STORES: Final = "modelmon.label.delay"


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
        self._read: set[str] = set()
        self._coarse: set[str] = set()

    def feed(self, found: list[Point], snapshot: Snapshot, coarse: Collection[str] = ()) -> int:
        """Record what is new, and return how many values are left for the next time.

        Args:
            found: the points of a snapshot.
            snapshot: what they were read from.
            coarse: instruments that are shown without slices.
        """
        self._coarsen(set(coarse) - self._coarse)
        self._leave_out(found, snapshot, coarse)
        left, waiting = MOST, 0
        for point in found:
            if not isinstance(point.value, HistogramValue) or point.value.distribution is None:
                continue
            recorded, behind = self._feed(point, point.value.distribution.bins, left)
            left -= recorded
            waiting += behind
        return waiting

    def _coarsen(self, names: set[str]) -> None:
        """Take for recorded of the whole model what was of its slices, where they give way to it."""
        self._coarse |= names
        for key in [key for key in self._fed if key[0] in names]:
            fed = self._fed.pop(key)
            whole = self._fed.setdefault((key[0], unsliced(*key)), {})
            for upto, n in fed.items():
                whole[upto] = whole.get(upto, 0) + n

    def _leave_out(self, found: list[Point], snapshot: Snapshot, coarse: Collection[str]) -> None:
        """Take for recorded what a lasting store had counted when it is read here for the first time."""
        lasting = {part.origin: part for part in snapshot.parts if part.lasting}
        new = tuple(part for origin, part in lasting.items() if origin not in self._read)
        self._read.update(lasting)
        if not new:
            return
        whole = _bins(found)
        for key, held in _bins(points(Snapshot(new), slices=_OF_STORES not in coarse)).items():
            fed, all_of_it = self._fed.get(key, {}), whole.get(key, {})
            others = {upto: min(fed.get(upto, 0), n - held.get(upto, 0)) for upto, n in all_of_it.items()}
            self._fed[key] = {upto: n + held.get(upto, 0) for upto, n in others.items()}

    def _feed(self, point: Point, bins: list[tuple[float, float, int]], most: int) -> tuple[int, int]:
        fed = self._fed.setdefault((point.name, point.attributes), {})
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


def _bins(found: list[Point]) -> dict[tuple[str, Attributes], dict[float, int]]:
    """Return what each distribution that a store counts holds in each bin."""
    return {
        (point.name, point.attributes): {upto: n for _, upto, n in point.value.distribution.bins}
        for point in found
        if point.name == _OF_STORES and isinstance(point.value, HistogramValue) and point.value.distribution is not None
    }


def _histogram(meter: Any, name: str, unit: str, text: str, bounds: tuple[float, ...]) -> Any:
    try:
        return meter.create_histogram(
            name, unit=unit, description=text, explicit_bucket_boundaries_advisory=list(bounds)
        )
    except TypeError:  # before version 1.28 views alone could choose bounds
        return meter.create_histogram(name, unit=unit, description=text)
