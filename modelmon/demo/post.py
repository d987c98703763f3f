"""The post of the demo: delivers the truth the way the world does, that is late, out of order, twice, wrong or never.

It also keeps its own plain record of what was served and what was said about it, for the comparison at the end.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    from modelmon.monitoring import Monitor

RETRACTED = object()
# Share of predictions whose label ... ; the rest is delivered once, late and out of order.
NEVER, EARLY, TWICE, CORRECTED, TAKEN_BACK = 0.12, 0.03, 0.05, 0.05, 0.02
WRONG_AGAIN = 0.3  # share of the corrected whose wrong first label is then delivered once more, and must not count


@dataclass(slots=True)
class Post:
    """Plan deliveries when a prediction is served, and make those that are due.

    Attributes:
        rng: what decides each label's fate.
        traffic_s: seconds until the last prediction.
        end_s: seconds until the last delivery.
        truths: what was last validly said about each id; the plain record.
    """

    rng: Random
    traffic_s: float
    end_s: float
    truths: dict[str, Any] = field(default_factory=dict)
    _bag: list[tuple[float, int, str, Any, bool]] = field(default_factory=list)
    _letters: int = 0

    @property
    def waiting(self) -> int:
        """Deliveries still to be made."""
        return len(self._bag)

    def comes_early(self) -> bool:
        """Decide whether a label comes before its prediction."""
        return self.rng.random() < EARLY

    def plan(self, id_: str, truth: Any, wrong: Any, now: float) -> None:
        """Decide what becomes of the label of a prediction served ``now`` (seconds); ``wrong`` is another class."""
        fate = self.rng.random()
        first = min(now + min(self.rng.lognormvariate(0.0, 0.7), 4.0), self.rng.uniform(self.traffic_s, self.end_s))
        second = self.rng.uniform(first, min(first + 2.0, self.end_s))
        if (fate := fate - NEVER) < 0:
            return
        if (fate := fate - TWICE) < 0:
            self._put(first, id_, truth)
            self._put(second, id_, truth)
        elif (fate := fate - CORRECTED) < 0:
            self._put(first, id_, wrong)
            self._put(second, id_, truth)
            if self.rng.random() < WRONG_AGAIN:
                self._put(self.end_s, id_, wrong, counts=False)
        elif fate - TAKEN_BACK < 0:
            self._put(first, id_, truth)
            self._put(second, id_, RETRACTED)
        else:
            self._put(first, id_, truth)

    def deliver(self, monitor: Monitor, now: float) -> None:
        """Hand in everything due by ``now`` (seconds), in as few calls as its order allows."""
        due: dict[str, Any] = {}
        while self._bag and self._bag[0][0] <= now:
            _, _, id_, truth, counts = heapq.heappop(self._bag)
            if id_ in due:  # a second letter about the same id: its first has to be read before
                _hand_in(monitor, due)
                due = {}
            due[id_] = truth
            if counts:
                self.truths[id_] = truth
        _hand_in(monitor, due)

    def known(self) -> dict[str, Any]:
        """Return the ids whose label stands, with it."""
        return {id_: truth for id_, truth in self.truths.items() if truth is not RETRACTED}

    def _put(self, due: float, id_: str, truth: Any, *, counts: bool = True) -> None:
        self._letters += 1
        heapq.heappush(self._bag, (due, self._letters, id_, truth, counts))


def _hand_in(monitor: Monitor, due: dict[str, Any]) -> None:
    given = {id_: truth for id_, truth in due.items() if truth is not RETRACTED}
    if given:
        monitor.labels(list(given), list(given.values()))
    if len(given) < len(due):
        monitor.retract([id_ for id_, truth in due.items() if truth is RETRACTED])
