"""A program of predictions and labels whose outcome does not depend on order, and that outcome, counted by numpy alone.

Labels, corrections and retractions carry explicit revisions, so the highest wins whenever it arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon import Binary

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL, VERSION = "fraud", "7"
TASK = Binary(positive="fraud", negative="ok")
WINDOW = 3600.0
LOT = 40
_SLOTS = 30


class Event(NamedTuple):
    """A label or (truth None) a retraction of one prediction."""

    number: int
    truth: str | None
    rev: float


class Program:
    """Hold predictions, and the labels that come for them in revisions.

    Attributes:
        times: when each prediction was made.
        scores: what each said.
        events: the labels, in no particular order.
        known: when every label became known.
    """

    def __init__(self, now: float, size: int = 3000, seed: int = 1) -> None:
        """Draw a program that lies a few days before ``now``."""
        chance = np.random.default_rng(seed)
        begin = (now // WINDOW - 80) * WINDOW
        self.size = size
        self.times = begin + chance.uniform(0.0, _SLOTS * WINDOW, size).round(3)
        self.scores = chance.random(size).round(4)
        self.known = begin + (_SLOTS + 1) * WINDOW
        self._truths = np.where(chance.random((size, 2)) < 0.4, "fraud", "ok")
        self._last = chance.choice(4, size, p=[0.1, 0.6, 0.2, 0.1])  # the last revision; 0: none, 3: a retraction
        self.events = [
            Event(number, None if rev == 3 else str(self._truths[number, rev - 1]), float(rev))
            for number, last in enumerate(self._last.tolist())
            for rev in range(1, last + 1)
        ]
        self.events += [Event(number, "fraud", 1.0) for number in range(size, size + size // 20)]  # nobody predicted

    def lots(self, part: int, parts: int, *, labels: bool) -> list[Any]:
        """Return one process's share, in lots: its own part in a random order, and some of the others'."""
        things = self.events if labels else range(self.size)
        chance = np.random.default_rng(10 * part + labels)
        chosen = [place for place in range(len(things)) if place % parts == part or chance.random() < 0.15]
        chosen = chance.permutation(chosen).tolist()
        return [[things[place] for place in chosen[start : start + LOT]] for start in range(0, len(chosen), LOT)]

    def cells(self) -> dict[int, list[list[int]]]:
        """Return what must be counted: the matrix (actual by predicted; ok, fraud) of each slot."""
        counted, truth = self._final()
        slot = (self.times // WINDOW).astype(int)
        found: dict[int, NDArray[np.int64]] = {}
        for place in np.flatnonzero(counted).tolist():
            matrix = found.setdefault(int(slot[place]), np.zeros((2, 2), np.int64))
            matrix[int(truth[place]), int(self.scores[place] >= TASK.threshold)] += 1
        return {key: matrix.tolist() for key, matrix in sorted(found.items())}

    def _final(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return which predictions have a label in the end, and its class."""
        rev = self._last.clip(1, 2)
        truth = self._truths[np.arange(self.size), rev - 1]
        return rev == self._last, (truth == "fraud").astype(np.int64)


def name(number: int) -> str:
    """Return the id of a prediction."""
    return f"order-{number}"
