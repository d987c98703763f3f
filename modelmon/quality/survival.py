"""How long labels take, judged from those that came and from the rows that still wait.

Rows that wait are *censored*: their label comes later than their age, if ever.
Leaving them out makes delays look short, because what came so far is what came quickly.
The estimate is Kaplan's and Meier's in its actuarial form, on bins of delay: of those still at risk at the start of a
bin, less half of those that leave it unseen, the share that got its label stops waiting.

The curve ends where many rows left unseen and next to none are still at risk: one label would halve it there.

Rows are known by slot, not one by one. Within a slot the rows that wait are spread over its ages as the curve itself
says: there are the more of them the fewer have been labelled by that age.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_PASSES = 3
_LEAST_SHARE = 1e-9
_FEWEST = 20.0
_FEWEST_SHARE = 0.02


class Delays(NamedTuple):
    """Hold the delays of labels that came, by bins (low, high] in ascending order: float64 ``(n,)`` each."""

    low: Floats
    high: Floats
    rows: Floats


class Waiting(NamedTuple):
    """Hold rows that nobody labelled yet, by slot, the youngest slot first.

    Attributes:
        youngest: float64 ``(m,)``, least age of a row of the slot.
        oldest: float64 ``(m,)``, greatest age; infinite where only a lower bound is known.
        rows: float64 ``(m,)``, rows still without a label, those that gave up waiting at the end among them.
        gone: float64 ``(m,)``, rows that left at some unknown age before.
    """

    youngest: Floats
    oldest: Floats
    rows: Floats
    gone: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Hold the share of rows without a label by age.

    Attributes:
        ages: float64 ``(n,)``, ascending from 0.
        shares: float64 ``(n,)``, never ascending from 1; between ages the curve is straight.
        horizon: the greatest age at which rows enough were seen.
    """

    ages: Floats
    shares: Floats
    horizon: float

    def at(self, age: float) -> float:
        """Return the share still without a label at an age; nan past the horizon, or where nothing is known."""
        if not len(self.ages) or not 0 <= age <= self.horizon:
            return math.nan
        return float(np.interp(age, self.ages, self.shares))

    def reaches(self, share: float) -> float:
        """Return the age at which the share without a label has fallen to ``share``; nan where it has not."""
        if not len(self.ages):
            return math.nan
        below = np.flatnonzero(self.shares <= share)
        if not len(below):
            return math.nan
        place = int(below[0])
        if not place:
            return 0.0
        before, after = float(self.shares[place - 1]), float(self.shares[place])
        part = (before - share) / (before - after)
        return float(self.ages[place - 1] + part * (self.ages[place] - self.ages[place - 1]))


NOWHERE = Curve(np.empty(0), np.empty(0), 0.0)


def curve(delays: Delays, waiting: Waiting) -> Curve:
    """Return the share of rows without a label by age; nothing where there are no rows."""
    rows = float(delays.rows.sum() + waiting.rows.sum() + waiting.gone.sum())
    if not rows:
        return NOWHERE
    there = (waiting.rows > 0) | (waiting.gone > 0)
    horizon = max(float(delays.high.max(initial=0.0)), float(waiting.oldest[there].max(initial=0.0)))
    found = Curve(np.zeros(1), np.ones(1), horizon)
    if len(delays.rows):
        for _ in range(_PASSES):
            at_risk = _at_risk(delays, waiting, found, rows)
            found = _stepped(delays, at_risk, horizon)
        unseen = rows - (np.cumsum(delays.rows) - delays.rows) - at_risk
        few = np.flatnonzero((at_risk < min(_FEWEST, _FEWEST_SHARE * rows)) & (unseen > at_risk))
        if len(few):
            end = int(few[0])
            found = Curve(found.ages[: 2 * end + 1], found.shares[: 2 * end + 1], float(delays.low[end]))
    return found


def _at_risk(delays: Delays, waiting: Waiting, known: Curve, rows: float) -> Floats:
    """Return how many rows could have got their label in each bin."""
    low, high = _left(delays.low, waiting, known), _left(delays.high, waiting, known)
    at_risk: Floats = rows - (np.cumsum(delays.rows) - delays.rows) - low - (high - low) / 2
    return at_risk


def _stepped(delays: Delays, at_risk: Floats, horizon: float) -> Curve:
    after = np.cumprod(1.0 - np.clip(delays.rows / np.maximum(at_risk, delays.rows), 0.0, 1.0))
    starts = np.concatenate(([1.0], after[:-1]))
    ages = np.concatenate(([0.0], np.column_stack([delays.low, delays.high]).ravel()))
    return Curve(ages, np.concatenate(([1.0], np.column_stack([starts, after]).ravel())), horizon)


def _left(ages: Floats, waiting: Waiting, known: Curve) -> Floats:
    """Return how many rows were last seen without a label before each age."""
    mass = _Mass(known)
    first, last = mass.below(waiting.youngest), mass.below(waiting.oldest)
    # Slots of different origins may overlap, so each slot is placed by itself; few are cut by one age.
    order = np.argsort(waiting.oldest, kind="stable")
    whole = np.concatenate(([0.0], np.cumsum(waiting.rows[order])))
    left: Floats = whole[np.searchsorted(waiting.oldest[order], ages, side="right")]
    here = mass.below(ages)
    for place in np.flatnonzero(waiting.rows > 0).tolist():
        start, end = np.searchsorted(ages, (waiting.youngest[place], waiting.oldest[place]), side="left")
        width = last[place] - first[place]
        if width > 0 and math.isfinite(waiting.oldest[place]):
            left[start:end] += waiting.rows[place] * (here[start:end] - first[place]) / width
    return left + _gone(ages, waiting)


def _gone(ages: Floats, waiting: Waiting) -> Floats:
    """Return how many rows left at unknown ages before each age, spread evenly over what the slot has seen."""
    known = np.where(np.isfinite(waiting.oldest), waiting.oldest, waiting.youngest)
    chosen = np.flatnonzero((waiting.gone > 0) & (known > 0))
    if not len(chosen):
        return np.zeros(len(ages))
    chosen = chosen[np.argsort(known[chosen], kind="stable")]
    oldest, rows = known[chosen], waiting.gone[chosen]
    over = np.concatenate(([0.0], np.cumsum(rows)))
    rate = np.concatenate((np.cumsum((rows / oldest)[::-1])[::-1], [0.0]))
    place = np.searchsorted(oldest, ages, side="right")
    gone: Floats = over[place] + ages * rate[place]
    return gone


class _Mass:
    """Integrate a curve over age."""

    def __init__(self, known: Curve) -> None:
        """Prepare the sums."""
        shares = np.maximum(known.shares, _LEAST_SHARE)
        self._ages = known.ages
        self._sums = np.concatenate(([0.0], np.cumsum((shares[1:] + shares[:-1]) / 2 * np.diff(known.ages))))
        self._tail = float(shares[-1])

    def below(self, ages: Floats) -> Floats:
        """Return the integral from 0 to each age."""
        inside = np.interp(ages, self._ages, self._sums)
        mass: Floats = inside + self._tail * np.maximum(ages - self._ages[-1], 0.0)
        return mass
