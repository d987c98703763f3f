"""Findings: the number that a rule is about at one moment, and whether anything can be decided by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from modelmon.intervals import NONE
from modelmon.points.attributes import safe_text

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

    __slots__ = ("_points", "snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        """Read this snapshot."""
        self.snapshot = snapshot
        self._points: dict[str, list[Point]] | None = None

    def models(self, model: str | None, version: str | None) -> dict[SeriesKey, ModelSnapshot]:
        """Return the models that a rule is about; None is any."""
        return {
            key: found for key, found in self.snapshot.items() if model in {None, key[0]} and version in {None, key[1]}
        }

    def points(
        self, name: str, model: str | None, version: str | None, where: tuple[tuple[str, str], ...] = ()
    ) -> dict[SeriesKey, list[Any]]:
        """Return the values of a point by model and version, of all that have these attributes."""
        if self._points is None:
            self._points = {}
            for point in self.snapshot.points():
                self._points.setdefault(point.name, []).append(point)
        found: dict[SeriesKey, list[Any]] = {}
        model, version = (None if text is None else safe_text(text) for text in (model, version))
        for point in self._points.get(name, ()):
            attributes = dict(point.attributes)
            key = (attributes.get("model", ""), attributes.get("version", ""))
            if model not in {None, key[0]} or version not in {None, key[1]}:
                continue
            values = found.setdefault(key, [])
            if all(attributes.get(attribute) == value for attribute, value in where):
                values.append(point.value)
        return found
