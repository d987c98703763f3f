"""Qualities: what a rule about quality finds in the slots of prediction time that it reads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from modelmon.alerting.findings import Finding
from modelmon.readings.metrics import METRICS
from modelmon.readings.rows import rows_behind

if TYPE_CHECKING:
    from modelmon.readings.model import ModelSnapshot
    from modelmon.rules import Rule

YOUNG = "no prediction of the window is old enough to be judged"
NO_INTERVAL = "no interval is known from these rows, and confidence= needs one"


def quality(rule: Rule, whole: ModelSnapshot) -> Finding:
    """Return the quality of the window that the rule is about."""
    model = windowed(rule, whole)
    if model is None or (rule.mature is not False and not model.accepted):
        return Finding(math.nan, support=0, reason=YOUNG)
    if rule.of is not None and METRICS[rule.metric].takes != "count" and not _knows(model, rule.of):
        return Finding(math.nan, support=0, reason=f"no class {rule.of!r} was seen yet")
    value = model.value(rule.metric, of=rule.of, average=rule.average)
    found = Finding(value, support=rows_behind(model, rule.metric, rule.of, rule.average))
    if rule.min_coverage and not model.coverage >= rule.min_coverage:
        return found._replace(
            reason=f"{model.coverage:.0%} of the labels are there, {rule.min_coverage:.0%} are needed"
        )
    if math.isnan(value):
        return found._replace(reason=model.why(rule.metric, of=rule.of, average=rule.average) or "undefined")
    if rule.confidence is None:
        return found
    ends = model.interval(rule.metric, of=rule.of, average=rule.average, confidence=rule.confidence)
    return found._replace(interval=ends, reason=NO_INTERVAL if math.isnan(ends[0]) else "")


def windowed(rule: Rule, whole: ModelSnapshot) -> ModelSnapshot | None:
    """Return the predictions that the rule judges; None while none of them is old enough.

    Before any label came nobody knows how late labels are; coverage is then that of all predictions, so that labels
    that never come are noticed.
    """
    if rule.mature is True and math.isnan(whole.maturity):
        return whole if rule.metric == "coverage" else None
    return whole.window(rule.window, mature=rule.mature)


def _knows(model: ModelSnapshot, of: object) -> bool:
    try:
        model.place(of)
    except KeyError:
        return False
    return True
