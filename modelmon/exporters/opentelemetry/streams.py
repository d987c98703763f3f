"""Streams: since when each exported number counts, and what of it was sent already.

Rules:

1. A number that fell began anew: its stream starts where it was last seen.
2. What was sent counts as sent only once the exporter said so; a difference that failed is part of the next one.
3. What a lasting store had counted before it was first seen is in no difference: another process, or an earlier life,
   may have sent it. Where the cells of a confusion matrix give way to sums of each class, what was sent as cells, or
   left out of them, is in no difference of a sum.
"""

from __future__ import annotations

from collections import defaultdict
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
_CELLS: Final = "modelmon.confusion"
_SUMS: Final = "modelmon.class."
_CELL: Final = ("actual", "predicted", "correct")


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
        self._summed: dict[Key, _Sent] | None = None

    def begin(self, *, stored: bool) -> None:
        """Begin another export; ``stored`` tells whether a lasting store is part of what is exported."""
        self._pending = {}
        self._storing = stored
        self._summed = None

    def step(self, point: Point, now: int, *, delta: bool) -> Step:
        """Return what of a point is to be sent at ``now``."""
        key, value = (point.name, point.attributes), point.value
        sent = self._sent.get(key)
        if sent is None and delta and self._storing and point.name.startswith(_OF_STORES):
            sent = self._first(key, value, now)
        if sent is None:
            step = Step(self._begun, None, 0)
        elif _fell(point, sent.value):
            step = Step(sent.at, None, sent.at)
        else:
            step = Step(sent.at if delta else sent.since, sent.value if delta else None, sent.at)
        if self._pending is not None:
            self._pending[key] = _Sent(step.start, now, value)
        return step

    def _first(self, key: Key, value: float | HistogramValue, now: int) -> _Sent | None:
        """Return what counts as sent of what a lasting store counts, where it is seen for the first time."""
        if not self._stored:
            self._sent[key] = _Sent(now, now, value)
            return self._sent[key]
        if not key[0].startswith(_SUMS):
            return None
        if self._summed is None:
            self._summed = _summed(self._sent)
        return self._summed.get(key)

    def abandon(self) -> None:
        """Note that nothing will be sent of what was begun."""
        self._pending = None

    def commit(self) -> None:
        """Note that all since ``begin`` was sent; what was not among it is forgotten."""
        if self._pending is not None:
            self._sent, self._stored = self._pending, self._storing
        self._pending = None


def _summed(sent: dict[Key, _Sent]) -> dict[Key, _Sent]:
    """Return the sums of each class that the cells of confusion matrices come to."""
    totals: dict[Key, float] = {}
    last: dict[Key, _Sent] = {}
    for (name, attributes), held in sent.items():
        if not name.startswith(_CELLS) or isinstance(held.value, HistogramValue):
            continue
        side, given = name.removeprefix(_CELLS), defaultdict(str, attributes)
        base = tuple(pair for pair in attributes if pair[0] not in _CELL)
        sums = [("support", given["actual"]), ("predicted", given["predicted"])]
        sums += [("true_positives", given["actual"])] if given["correct"] == "true" else []
        for sum_of, text in sums:
            key = (f"{_SUMS}{sum_of}{side}", (*base, *((("class", text),) if text else ())))
            totals[key] = totals.get(key, 0) + held.value
            last[key] = held
    return {key: _Sent(held.since, held.at, totals[key]) for key, held in last.items()}


def _fell(point: Point, before: float | HistogramValue) -> bool:
    value = point.value
    if isinstance(value, HistogramValue) or isinstance(before, HistogramValue):
        both = isinstance(value, HistogramValue) and isinstance(before, HistogramValue)
        return not both or value.count < before.count  # type: ignore[union-attr]
    return point.kind == "counter" and value < before
