"""A sheet: the points of one model, version and slice as they are collected."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from modelmon.points.attributes import safe_text, slice_attributes
from modelmon.points.catalogue import CATALOGUE, HistogramValue, Point

if TYPE_CHECKING:
    from modelmon.parts import Exemplar
    from modelmon.points.catalogue import Attributes
    from modelmon.readings.distributions import Distribution

CELL_CLASSES = 32
CLASSES = 256
OTHER = "__other__"
TOTAL = "total"
"""The window that is no window."""


class Sheet:
    """Collect points under the attributes of one model, version and slice."""

    __slots__ = ("_base", "points")

    def __init__(self, base: Attributes = ()) -> None:
        """Start empty, under these attributes."""
        self._base = base
        self.points: list[Point] = []

    def add(self, name: str, value: float | HistogramValue, *own: str, exemplars: tuple[Exemplar, ...] = ()) -> None:
        """Add a point; ``own`` are the values of its instrument's attributes, in order, empty where there is none.

        A float that is not finite says that a number is undefined; it gives no point.
        """
        if isinstance(value, float) and not math.isfinite(value):
            return
        row = CATALOGUE[name]
        attributes = extended(self._base, row.attributes, own)
        self.points.append(Point(row.name, row.kind, row.unit, row.help, attributes, value, exemplars))

    def distribute(self, name: str, values: Distribution, *own: str, exemplars: tuple[Exemplar, ...] = ()) -> None:
        """Add a distribution under the bounds of its instrument."""
        row = CATALOGUE[name]
        counts = (*values.cumulative(row.bounds), values.count)
        value = HistogramValue(row.bounds, counts, float(values.sum), values.count, values)
        self.add(name, value, *own, exemplars=exemplars)


@lru_cache(maxsize=32_768)
def extended(base: Attributes, names: tuple[str, ...], values: tuple[str, ...]) -> Attributes:
    """Return attributes with further ones added; those without a value are left out.

    Equal attributes are the same object from one snapshot to the next, which makes looking them up cheap.
    """
    return (*base, *((name, safe_text(value)) for name, value in zip(names, values, strict=True) if value))


def series_attributes(model: str, version: str, pairs: Attributes) -> Attributes:
    """Return the attributes that all points of one model, version and slice carry."""
    own = (("model", safe_text(model)), ("version", safe_text(version)))
    return (*own, *slice_attributes(pairs))
