"""Streams: since when each exported number counts, and what of it was sent already.

Rules:

1. A number that fell began anew: its stream starts where it was last seen.
2. What was sent counts as sent only once the exporter said so; a difference that failed is part of the next one.
3. What a lasting store had counted before it was first seen is in no difference: another process, or an earlier life,
   may have sent it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelmon.points.catalogue import HistogramValue

if TYPE_CHECKING:
    from modelmon.points.catalogue import Point
    from modelmon.points.instruments import Attributes

Key = tuple[str, "Attributes"]
_OF_STORES: Final = (
    "modelmon.prediction.events",
    "modelmon.label.",
    "modelmon.join.",
    "modelmon.confusion",
    "modelmon.class.",
    "modelmon.score.",
)


@dataclass(frozen=True, slots=True)
class Step:
    """Say what of a number is to be sent.

    Attributes:
        start: nanoseconds since the epoch, from when on it counts.
        before: what was sent already and is to be left out; None where nothing is.
        seen: when the last of it was sent; what happened before was shown.
    """

    start: int
    before: float | HistogramValue | None
    seen: int


@dataclass(frozen=True, slots=True)
class _Sent:
    since: int
    at: int
    value: float | HistogramValue


class Streams:
    """Remember what was sent."""

    def __init__(self, begun: int) -> None:
        """Start with nothing sent; ``begun`` is when counting began, in nanoseconds since the epoch."""
        self._begun = begun
        self._sent: dict[Key, _Sent] = {}
        self._pending: dict[Key, _Sent] | None = None
        self._stored = self._storing = False

    def begin(self, *, stored: bool) -> None:
        """Begin another export; ``stored`` tells whether a lasting store is part of what is exported."""
        self._pending = {}
        self._storing = stored

    def step(self, point: Point, now: int, *, delta: bool) -> Step:
        """Return what of a point is to be sent at ``now``."""
        key, value = (point.name, point.attributes), point.value
        sent = self._sent.get(key)
        if sent is None and delta and self._storing and not self._stored and point.name.startswith(_OF_STORES):
            sent = self._sent[key] = _Sent(now, now, value)
        if sent is None:
            step = Step(self._begun, None, 0)
        elif _fell(point, sent.value):
            step = Step(sent.at, None, sent.at)
        else:
            step = Step(sent.at if delta else sent.since, sent.value if delta else None, sent.at)
        if self._pending is not None:
            self._pending[key] = _Sent(step.start, now, value)
        return step

    def abandon(self) -> None:
        """Note that nothing will be sent of what was begun."""
        self._pending = None

    def commit(self) -> None:
        """Note that all since ``begin`` was sent; what was not among it is forgotten."""
        if self._pending is not None:
            self._sent, self._stored = self._pending, self._storing
        self._pending = None


def _fell(point: Point, before: float | HistogramValue) -> bool:
    value = point.value
    if isinstance(value, HistogramValue) or isinstance(before, HistogramValue):
        both = isinstance(value, HistogramValue) and isinstance(before, HistogramValue)
        return not both or value.count < before.count  # type: ignore[union-attr]
    return point.kind == "counter" and value < before
