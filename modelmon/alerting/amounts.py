"""Amounts: what a rule about calls compares between two moments, and what it finds in the difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from modelmon import intervals
from modelmon.alerting.findings import Finding
from modelmon.identity import canonical_class
from modelmon.readings.distributions import Distribution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.points.catalogue import HistogramValue
    from modelmon.readings.model import ModelSnapshot

NO_ROWS = "nothing came in within the window"


class Pair(NamedTuple):
    """Hold two counts of one moment: a part, and the whole that it is divided by."""

    part: float
    whole: float

    def since(self, older: Pair | None) -> Pair:
        """Return what came in after an older reading; all of it where that counts more, since it began anew then."""
        if older is None or older.part > self.part or older.whole > self.whole:
            return self
        return Pair(self.part - older.part, self.whole - older.whole)

    def ratio(self, confidence: float | None) -> Finding:
        """Return the part's share of the whole, with its interval where it is a share of it."""
        if not self.whole:
            return Finding(math.nan, support=0, reason=NO_ROWS)
        rows = int(self.whole)
        found = Finding(self.part / self.whole, support=rows)
        if confidence is None:
            return found
        if self.part > self.whole:
            return found._replace(reason="no interval: this is no share of what it is divided by")
        return found._replace(interval=intervals.proportion(int(self.part), rows, confidence))


@dataclass(frozen=True, slots=True)
class Buckets:
    """Hold a distribution as a point shows it: counts up to bounds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    @classmethod
    def of(cls, values: Sequence[HistogramValue]) -> Buckets:
        """Add up the distributions of several points of one name."""
        counts = tuple(sum(column) for column in zip(*(value.counts for value in values), strict=True))
        return cls(values[0].bounds if values else (), counts, math.fsum(value.sum for value in values))

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.counts[-1] if self.counts else 0

    @property
    def mean(self) -> float:
        """The mean value; nan without values."""
        return self.sum / self.count if self.count else math.nan

    def since(self, older: Buckets | None) -> Buckets:
        """Return what came in after an older reading; all of it where that counts more, since it began anew then."""
        if older is None or older.bounds != self.bounds:
            return self
        left = tuple(new - old for new, old in zip(self.counts, older.counts, strict=True))
        return self if min(left, default=0) < 0 else Buckets(self.bounds, left, self.sum - older.sum)

    def quantile(self, q: float) -> float:
        """Return a quantile, interpolated within its bucket as Prometheus does; nan without values."""
        rank = q * self.count
        if not self.count:
            return math.nan
        place = next(place for place, n in enumerate(self.counts) if n >= rank)
        if place == len(self.bounds):
            return self.bounds[-1] if self.bounds else math.nan
        before = self.counts[place - 1] if place else 0
        inside = self.counts[place] - before
        low = self.bounds[place - 1] if place else min(0.0, self.bounds[0])
        return low + (self.bounds[place] - low) * ((rank - before) / inside if inside else 0.0)

    def cumulative(self, bounds: Sequence[float]) -> list[int]:
        """Return how many values are at most each bound, as far as the buckets tell."""
        return [max((n for at, n in zip(self.bounds, self.counts) if at <= bound), default=0) for bound in bounds]  # noqa: B905  (the last count has no bound)


def spread(values: Distribution | Buckets, quantile: float | None) -> Finding:
    """Return a quantile of a distribution, or its mean."""
    if not values.count:
        return Finding(math.nan, support=0, reason=NO_ROWS)
    value = values.mean if quantile is None else values.quantile(quantile)
    return Finding(value, support=values.count)


def count_of(model: ModelSnapshot, name: str, of: Any) -> int:
    """Return a count of a model by the name that rules use, or of one kind among it."""
    if name == "errors":
        return model.outcomes["error"] if of is None else model.errors[str(of)]
    if name == "calls":
        return model.calls if of is None else model.outcomes[str(of)]
    if name == "predictions":
        return model.predictions if of is None else model.predicted[canonical_class(of)]  # type: ignore[index]
    if name == "items":
        return model.items
    kinds = getattr(model, name)
    return int(sum(kinds.values()) if of is None else kinds[str(of)])


def distribution_of(model: ModelSnapshot, name: str, of: Any) -> Distribution:
    """Return a distribution of a model by the name that rules use; of the duration, of one outcome."""
    if of is not None:
        return model.durations.get(str(of), Distribution())
    found: Distribution = getattr(model, name)
    return found
