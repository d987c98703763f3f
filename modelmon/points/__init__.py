"""The one catalogue of every exported number, and the reading of a snapshot into points."""

from __future__ import annotations

from modelmon.points.catalogue import CATALOGUE, HistogramValue, Instrument, Point
from modelmon.points.reading import points

__all__ = ["CATALOGUE", "HistogramValue", "Instrument", "Point", "points"]
