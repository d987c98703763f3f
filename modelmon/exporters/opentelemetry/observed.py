"""What the API can show: numbers observed when they are asked for, by instrument.

The API has no histogram that can be observed, so a distribution is shown as its count, its sum and its quantiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelmon.points.catalogue import CATALOGUE, HistogramValue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelmon.points.catalogue import Point
    from modelmon.points.instruments import Kind

QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)
Numbers = list[tuple[float, dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Observable:
    """Describe one instrument of the API.

    Attributes:
        name: its name.
        kind: ``counter``, ``updown`` or ``gauge``.
        unit: as in the catalogue.
        help: one sentence.
        row: the name in the catalogue that it comes from.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    row: str


def observables(*, histograms: bool = False) -> list[Observable]:
    """Return all instruments that are observed; with ``histograms`` counts and sums are left to histograms."""
    found = []
    for row in CATALOGUE.values():
        if row.kind != "histogram":
            found.append(Observable(row.name, row.kind, row.unit, row.help, row.name))
            continue
        if not histograms:
            found += [
                Observable(f"{row.name}.count", "counter", "{value}", f"{row.help} How many values.", row.name),
                Observable(f"{row.name}.sum", "counter", row.unit, f"{row.help} Their sum.", row.name),
            ]
        found.append(Observable(f"{row.name}.quantile", "gauge", row.unit, f"{row.help} Quantiles.", row.name))
    return found


def numbers(points: Iterable[Point]) -> dict[str, Numbers]:
    """Return what each instrument shows, by its name: (value, attributes) pairs."""
    found: dict[str, Numbers] = {}
    for point in points:
        attributes = dict(point.attributes)
        if not isinstance(point.value, HistogramValue):
            found.setdefault(point.name, []).append((point.value, attributes))
            continue
        found.setdefault(f"{point.name}.count", []).append((point.value.count, attributes))
        found.setdefault(f"{point.name}.sum", []).append((point.value.sum, attributes))
        found.setdefault(f"{point.name}.quantile", []).extend(_quantiles(point.value, attributes))
    return found


def _quantiles(value: HistogramValue, attributes: dict[str, str]) -> Numbers:
    if value.distribution is None:
        return []
    known = ((q, value.distribution.quantile(q)) for q in QUANTILES)
    return [(number, {**attributes, "quantile": str(q)}) for q, number in known if not math.isnan(number)]
