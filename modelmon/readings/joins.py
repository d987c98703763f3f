"""Readings of the join: what became of predictions that came with an id, and of their labels."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from modelmon.accumulators.durations import Histogram
from modelmon.readings.calls import SeriesReadings
from modelmon.readings.distributions import Distribution

if TYPE_CHECKING:
    from modelmon.accumulators.counts import Counts

STATES = ("pending", "joined", "closed", "expired", "evicted", "forgotten")


def moves(counts: Counts) -> Counter[tuple[str, str]]:
    """Return transitions by (from, to)."""
    return Counter({(str(before), str(after)): n for (before, after), n in counts.items()})


def occupancy(transitions: Counter[tuple[str, str]]) -> Counter[str]:
    """Return how many stand in each state: what went in minus what went out.

    >>> occupancy(Counter({("none", "pending"): 3, ("pending", "joined"): 1}))
    Counter({'pending': 2, 'joined': 1})
    """
    held: Counter[str] = Counter()
    for (before, after), n in transitions.items():
        held[after] += n
        held[before] -= n
    del held["none"]
    return held


def singles(counts: Counts) -> Counter[str]:
    """Return counts whose keys have one part by that part."""
    return Counter({str(key[0]): n for key, n in counts.items()})


def standing(events: Counter[str]) -> int:
    """Return how many predictions count with an assumption, from what happened to assumptions."""
    return events["made"] + events["restored"] - events["confirmed"] - events["corrected"]


class JoinReadings(SeriesReadings):
    """Read how predictions met their labels."""

    @property
    def transitions(self) -> Counter[tuple[str, str]]:
        """Moves of predictions between states, by (from, to)."""
        return moves(self._counts("transitions"))

    @property
    def occupancy(self) -> Counter[str]:
        """Predictions in each state."""
        return occupancy(self.transitions)

    @property
    def prediction_events(self) -> Counter[str]:
        """What became of predictions that came with an id, by outcome."""
        return self._single("prediction_events")

    @property
    def label_events(self) -> Counter[str]:
        """What labels did to this model's predictions, by outcome."""
        return self._single("label_events")

    @property
    def accepted(self) -> int:
        """Predictions accepted with an id."""
        transitions = self.transitions
        return transitions["none", "pending"] + transitions["none", "joined"]

    @property
    def awaiting(self) -> int:
        """Predictions that await their label now."""
        return self.occupancy["pending"]

    @property
    def labelled(self) -> int:
        """Predictions whose label counts, those already closed or forgotten among them; what is assumed is no label."""
        transitions = self.transitions
        held = occupancy(transitions)
        gone = transitions["closed", "forgotten"] + transitions["joined", "forgotten"]
        return held["joined"] + held["closed"] + gone - self.assumed

    @property
    def assumed(self) -> int:
        """Predictions that count with what ``assume_label`` says, because no label came for them in time."""
        return standing(self.assumption_events)

    @property
    def assumption_events(self) -> Counter[str]:
        """Assumptions made, confirmed or corrected by a label that came later, and restored where it was retracted."""
        return self._single("assumed")

    @property
    def expired(self) -> int:
        """Predictions that ever gave up waiting for a label."""
        return self._entered("expired")

    @property
    def evicted(self) -> int:
        """Predictions that ever made room for others before a label came."""
        return self._entered("evicted")

    @property
    def coverage(self) -> float:
        """Labelled predictions as a share of those accepted with an id; nan when there are none."""
        accepted = self.accepted
        return self.labelled / accepted if accepted else math.nan

    @property
    def label_delay(self) -> Distribution:
        """Time from a prediction to its label, in seconds."""
        return Distribution(self.selection.gather("label_delay", Histogram))

    def _entered(self, state: str) -> int:
        return sum(n for (_, after), n in self.transitions.items() if after == state)
