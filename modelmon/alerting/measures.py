"""Measures: how the number of each sort of rule is read, and found from what was read at two moments.

A measure reads one sample of every model from a snapshot; one with windows is also given, for each of them, the sample
of that long ago.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from modelmon.alerting.amounts import Buckets, Pair, count_of, distribution_of, spread
from modelmon.alerting.findings import Finding
from modelmon.alerting.qualities import quality
from modelmon.rules import subjects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.alerting.findings import Seen
    from modelmon.parts import SeriesKey
    from modelmon.readings.distributions import Distribution
    from modelmon.rules import Objective, Rule
    from modelmon.rules.subjects import Pairs

    Before = Sequence[tuple[float, Any]]
    """For each window the age of the older sample in seconds, and the sample; None stands for nothing."""

FEW_SAMPLES: Final = 60
MANY_SAMPLES: Final = 360


class Measure(Protocol):
    """Read and find the number of a rule."""

    @property
    def windows(self) -> tuple[float, ...]:
        """How long ago the older samples are, in seconds."""
        ...

    @property
    def most(self) -> int:
        """How many samples are worth keeping for a window."""
        ...

    def read(self, seen: Seen) -> dict[SeriesKey, Any]:
        """Return a sample of every model and version that the rule is about."""
        ...

    def find(self, sample: Any, before: Before) -> Finding:
        """Return the number now."""
        ...


@dataclass(frozen=True, slots=True)
class Quality:
    """Read quality and coverage out of slots."""

    rule: Rule
    windows: tuple[float, ...] = ()
    most: int = 0

    def read(self, seen: Seen) -> dict[SeriesKey, Any]:
        """Return the models; nothing is computed before it is asked for."""
        return dict(seen.models(self.rule.model, self.rule.version))

    def find(self, sample: Any, before: Before) -> Finding:  # noqa: ARG002
        """Return the quality of the window."""
        return quality(self.rule, sample)


@dataclass(frozen=True, slots=True)
class Level:
    """Read what stands now: sums of what adds up, and of several gauges the one that lies furthest."""

    rule: Rule
    windows: tuple[float, ...] = ()
    most: int = 0

    def read(self, seen: Seen) -> dict[SeriesKey, Any]:
        """Return the level."""
        rule = self.rule
        if rule.subject.sort == "level":
            models = seen.models(rule.model, rule.version)
            return {key: [getattr(model, rule.metric)] for key, model in models.items()}
        return seen.points(rule.metric, rule.model, rule.version, rule.where)

    def find(self, sample: Any, before: Before) -> Finding:  # noqa: ARG002
        """Return the level."""
        if not sample:
            return Finding(math.nan, reason="there is no such number now")
        if self.rule.subject.kind == "gauge":
            return Finding(max(sample) if self.rule.side == "above" else min(sample))
        return Finding(math.fsum(sample))


@dataclass(frozen=True, slots=True)
class Spread:
    """Read a distribution of what came in within the window."""

    rule: Rule
    windows: tuple[float, ...] = field(init=False)
    most: int = FEW_SAMPLES

    def __post_init__(self) -> None:
        """Look one window back."""
        object.__setattr__(self, "windows", (self.rule.window,))

    def read(self, seen: Seen) -> dict[SeriesKey, Any]:
        """Return everything ever counted."""
        rule = self.rule
        if rule.subject.sort == "point":
            found = seen.points(rule.metric, rule.model, rule.version, rule.where)
            return {key: Buckets.of(values) for key, values in found.items()}
        models = seen.models(rule.model, rule.version)
        return {key: distribution_of(model, rule.metric, rule.of) for key, model in models.items()}

    def find(self, sample: Any, before: Before) -> Finding:
        """Return the quantile or the mean of what came in since."""
        held: Distribution | Buckets = sample.since(before[0][1])
        return spread(held, self.rule.quantile)


@dataclass(frozen=True, slots=True)
class Increase:
    """Read how much a count grew within the window, or its share of how much another grew."""

    rule: Rule
    windows: tuple[float, ...] = field(init=False)
    most: int = MANY_SAMPLES

    def __post_init__(self) -> None:
        """Look one window back."""
        object.__setattr__(self, "windows", (self.rule.window,))

    def read(self, seen: Seen) -> dict[SeriesKey, Any]:
        """Return both counts."""
        rule = self.rule
        parts = counts(seen, rule.metric, rule.model, rule.version, of=rule.of, where=rule.where)
        wholes = counts(seen, rule.per, rule.model, rule.version) if rule.per else {}
        return {key: Pair(part, wholes.get(key, 0)) for key, part in parts.items()}

    def find(self, sample: Any, before: Before) -> Finding:
        """Return the ratio, or the increase; too little is only said of a window that was watched from its start."""
        age, older = before[0]
        grown: Pair = sample.since(older)
        if self.rule.per is not None:
            return grown.ratio(self.rule.confidence)
        young = self.rule.side == "below" and age < self.rule.window - 1e-6
        reason = f"watched for {age:.0f} of {self.rule.window:.0f} s so far" if young else ""
        return Finding(float(grown.part), reason=reason)


@dataclass(frozen=True, slots=True)
class Burning:
    """Read how many times faster than allowed the budget of an objective burns, in two windows at once."""

    objective: Objective
    windows: tuple[float, ...]
    most: int = MANY_SAMPLES

    def read(self, seen: Seen) -> dict[SeriesKey, Any]:
        """Return how many are bad, and how many there are."""
        objective, subject = self.objective, self.objective.subject
        model, version = objective.model, objective.version
        if subject.kind == "counter":
            of = objective.bad[0][1] if objective.bad == (("outcome", objective.bad[0][1]),) else None
            plain = objective.metric == "calls" and of is not None
            name = objective.metric if plain else subject.point
            where = () if plain else (*subject.where, *objective.bad)
            bad = counts(seen, name, model, version, of=of if plain else None, where=where)
            wholes = counts(seen, name, model, version, where=subject.where)
            return {key: Pair(bad.get(key, 0), whole) for key, whole in wholes.items()}
        if subject.sort == "point":
            points = seen.points(subject.point, model, version)
            found: dict[SeriesKey, Any] = {key: Buckets.of(values) for key, values in points.items()}
        else:
            models = seen.models(model, version)
            found = {key: distribution_of(reading, objective.metric, None) for key, reading in models.items()}
        within = float(objective.within or 0.0)
        return {key: Pair(held.count - held.cumulative([within])[0], held.count) for key, held in found.items()}

    def find(self, sample: Any, before: Before) -> Finding:
        """Return the slower of the two burns: both must be too fast."""
        shares: list[Finding] = [sample.since(older).ratio(None) for _, older in before]
        slower = min(shares, key=lambda share: -math.inf if math.isnan(share.value) else share.value)
        return slower._replace(value=slower.value / self.objective.budget, support=shares[0].support)


def counts(
    seen: Seen, name: str | None, model: str | None, version: str | None, *, of: Any = None, where: Pairs = ()
) -> dict[SeriesKey, Any]:
    """Return a count of every model, by the name that rules use or by the name of a point."""
    if name is None or subjects.subject_named(name).sort == "point":
        found = seen.points(str(name), model, version, where)
        return {key: sum(values) for key, values in found.items()}
    return {key: count_of(held, name, of) for key, held in seen.models(model, version).items()}


def measure_of(rule: Rule) -> Measure:
    """Return what reads the number of a rule."""
    subject = rule.subject
    if subject.sort == "quality":
        return Quality(rule)
    if subject.kind == "histogram":
        return Spread(rule)
    return Increase(rule) if subject.kind == "counter" else Level(rule)
