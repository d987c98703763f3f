"""Conditions: one for each rule, and one for each burn of an objective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelmon.alerting.measures import Burning, measure_of
from modelmon.rules import Objective, subjects

if TYPE_CHECKING:
    from modelmon.alerting.findings import Finding
    from modelmon.alerting.measures import Measure
    from modelmon.rules import Burn, Rule


@dataclass(frozen=True, slots=True)
class Condition:
    """Compare a number with a threshold.

    Attributes:
        rule: what was declared.
        burn: which burn of an objective it is; None for a rule.
        measure: what reads the number.
        threshold: what it is compared with.
        above: whether it lies beyond the threshold above it, else below it.
    """

    rule: Rule | Objective
    burn: Burn | None
    measure: Measure
    threshold: float
    above: bool

    @property
    def stored(self) -> bool:
        """Whether it is read of a store."""
        per = None if isinstance(self.rule, Objective) else self.rule.per
        return self.rule.subject.stored or (per is not None and subjects.subject_named(per).stored)

    def decided(self, found: Finding) -> Finding:
        """Return a finding that says so if too few rows stand behind it."""
        fewest = self.rule.min_support
        if found.reason or found.support is None or found.support >= fewest:
            return found
        return found._replace(reason=f"{found.support} rows of the {fewest} that are needed")

    def beyond(self, found: Finding) -> bool:
        """Return whether the number, or with a confidence its whole interval, lies beyond the threshold."""
        if found.undecided:
            return False
        near = found.value
        if not isinstance(self.rule, Objective) and self.rule.confidence is not None:
            near = found.interval[0] if self.above else found.interval[1]
        return not math.isnan(near) and (near > self.threshold if self.above else near < self.threshold)


def conditions_of(rule: Rule | Objective) -> list[Condition]:
    """Return the conditions of what was declared."""
    if isinstance(rule, Objective):
        return [
            Condition(rule, burn, Burning(rule, (burn.window, burn.short)), burn.factor, above=True)
            for burn in rule.burns
        ]
    return [Condition(rule, None, measure_of(rule), rule.threshold, above=rule.side == "above")]
