"""Findings: the number that a rule is about at one moment, and whether anything can be decided by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from modelmon.intervals import NONE
from modelmon.points.attributes import safe_text
from modelmon.points.reading import points as points_of
from modelmon.points.sheets import TOTAL

if TYPE_CHECKING:
    from modelmon.intervals import Interval
    from modelmon.parts import SeriesKey
    from modelmon.points.catalogue import Point
    from modelmon.readings.model import ModelSnapshot
    from modelmon.snapshot import Snapshot

NOBODY: SeriesKey = ("", "")
"""The key of numbers that belong to no model."""


class Finding(NamedTuple):
    """Hold what a rule found.

    Attributes:
        value: the number; nan where it is undefined.
        interval: the interval to compare, or (nan, nan).
        support: how many rows stand behind it; None where that has no meaning.
        reason: why nothing can be decided by it; nothing where it can.
    """

    value: float
    interval: Interval = NONE
    support: int | None = None
    reason: str = ""

    @property
    def undecided(self) -> bool:
        """Whether nothing can be decided by it."""
        return bool(self.reason) or math.isnan(self.value)


class Seen:
    """Read one snapshot for many rules, and its points only if one of them asks."""

    __slots__ = ("_keys", "_points", "snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        """Read this snapshot."""
        self.snapshot = snapshot
        self._points: dict[tuple[str, ...], dict[str, list[Point]]] = {}
        self._keys: dict[SeriesKey, SeriesKey] = {}

    def models(self, model: str | None, version: str | None) -> dict[SeriesKey, ModelSnapshot]:
        """Return the models that a rule is about; None is any."""
        return {
            key: found for key, found in self.snapshot.items() if model in {None, key[0]} and version in {None, key[1]}
        }

    def points(
        self, name: str, model: str | None, version: str | None, where: tuple[tuple[str, str], ...] = ()
    ) -> dict[SeriesKey, list[Any]]:
        """Return the values of a point by model and version, of all that have these attributes."""
        found: dict[SeriesKey, list[Any]] = {}
        for point in self._shown(tuple(text for key, text in where if key == "window" and text != TOTAL)).get(name, ()):
            attributes = dict(point.attributes)
            shown = (attributes.get("model", ""), attributes.get("version", ""))
            key = self._keys.get(shown, shown)
            if model not in {None, key[0]} or version not in {None, key[1]}:
                continue
            values = found.setdefault(key, [])
            if all(attributes.get(attribute) == value for attribute, value in where):
                values.append(point.value)
        return found

    def _shown(self, windows: tuple[str, ...]) -> dict[str, list[Point]]:
        """Return the points by name, with those of further windows; note which models they call by shorter names."""
        if windows not in self._points:
            by_name = self._points[windows] = {}
            for point in points_of(self.snapshot, windows=windows):
                by_name.setdefault(point.name, []).append(point)
            self._keys = {(safe_text(model), safe_text(version)): (model, version) for model, version in self.snapshot}
        return self._points[windows]
