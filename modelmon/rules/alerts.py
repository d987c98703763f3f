"""Alert rules for Prometheus: the same conditions as in the process, asked of the series that it exports.

Rules:

1. Counts and distributions are added up over replicas and slices, and compared over the window before now.
2. Quality is read from the gauges of the rule's window of prediction time, which an exporter must be told to show.
3. What the exported points cannot tell is refused here, and not written as a rule that never fires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelmon.errors import ConfigurationError
from modelmon.identity import attribute_text
from modelmon.points.attributes import safe_text
from modelmon.points.catalogue import CATALOGUE
from modelmon.points.families import family_of, number
from modelmon.rules.classes import spellings
from modelmon.rules.gauges import quality_conditions, scope_of
from modelmon.rules.objective import Objective
from modelmon.rules.promql import at_least, beyond, series, wilson
from modelmon.rules.recorded import Alerting, literal, plain, span
from modelmon.rules.subjects import subject_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.rules.gains import Gains
    from modelmon.rules.objective import Burn
    from modelmon.rules.rule import Rule
    from modelmon.rules.subjects import Pairs, Subject

_VALUE: Final = '{{ printf "%.4g" $value }}'


def alerts_of(rule: Rule | Objective, gains: Gains) -> Iterator[Alerting]:
    """Yield the alert of a rule, or one for each burn of an objective; ``gains`` notes what they read.

    Raises:
        ConfigurationError: when the exported points cannot tell what the rule asks.
    """
    try:
        if isinstance(rule, Objective):
            yield from (_burning(rule, burn, gains) for burn in rule.burns)
        else:
            said = f"{plain(rule.subject_text)} is {_VALUE}, {rule.side} {rule.threshold:g}"
            yield _alert(rule, "\nand ".join(_conditions(rule, gains)), said, severity=rule.severity)
    except ConfigurationError as error:
        msg = f"rule {rule.name!r}: {error}"
        raise ConfigurationError(msg) from None


def _alert(rule: Rule | Objective, expr: str, said: str, **labels: str) -> Alerting:
    about = "{{ $labels.model }} {{ $labels.version }}: "
    note = (("description", plain(safe_text(rule.note))),) if rule.note else ()
    named = tuple((name, plain(safe_text(value))) for name, value in labels.items())
    return Alerting(safe_text(rule.name), expr, rule.hold, named, (("summary", about + said), *note))


def _conditions(rule: Rule, gains: Gains) -> Iterator[str]:
    """Yield what must hold; the first gives the number that people are told."""
    subject = rule.subject
    if subject.sort == "quality":
        yield quality_conditions(rule)
    elif subject.kind == "histogram":
        yield from _spread(rule, gains)
    elif subject.kind == "counter":
        yield from _count(rule, gains) if rule.per is None else _ratio(rule, subject_named(rule.per), gains)
    else:
        worst = "max" if rule.side == "above" else "min"
        add = worst if subject.kind == "gauge" else "sum"
        inner = series(family_of(subject.point).sample, _own(rule))
        yield beyond(f"{add} by ({', '.join(gains.by)}) ({inner})", rule.side, rule.threshold)


def _own(rule: Rule) -> Pairs:
    """Return that, and what narrows the rule."""
    subject = rule.subject
    narrowed = () if rule.of is None else ((subject.narrowed, _text(rule.of)),)
    return (*scope_of(rule), *subject.where, *narrowed, *rule.where)


def _text(value: Any) -> str:
    return attribute_text(value) or str(value)


def _spread(rule: Rule, gains: Gains) -> Iterator[str]:
    """Yield conditions on a quantile or the mean of what came within the window."""
    subject, own, window = rule.subject, _own(rule), rule.window
    count = gains.sum(subject, own, window, part="_count")
    if rule.quantile is None:
        value = f"{gains.sum(subject, own, window, part='_sum')}\n/ ({count} > 0)"
    else:
        value = f"histogram_quantile({number(rule.quantile)}, {gains.sum(subject, own, window, 'le', part='_bucket')})"
    yield beyond(value, rule.side, rule.threshold)
    if rule.min_support:
        yield at_least(count, rule.min_support)


def _count(rule: Rule, gains: Gains) -> Iterator[str]:
    """Yield conditions on how much a count grew."""
    point, window = rule.subject.point, rule.window
    part = _part(rule, gains)
    if rule.side == "above":
        yield beyond(part, rule.side, rule.threshold)
        return
    # nothing at all is little too; but too little is only said of a window that was watched from its start
    then = f"{series(family_of(point).sample, scope_of(rule))} offset {span(window)}"
    before = f"group by ({', '.join(gains.by)}) ({then})"
    yield beyond(f"({part}\nor 0 * {before})", rule.side, rule.threshold)
    yield before


def _part(rule: Rule, gains: Gains) -> str:
    """Return how much the count of a rule grew; of two ways to write a class, the one that the model has."""
    subject, window = rule.subject, rule.window
    if rule.of is None or subject.narrowed != "predicted":
        return gains.sum(subject, _own(rule), window)
    parts = [gains.sum(subject, (*scope_of(rule), ("predicted", text)), window) for text in spellings(rule.of)]
    return parts[0] if len(parts) == 1 else f"({' or '.join(parts)})"


def _ratio(rule: Rule, per: Subject, gains: Gains) -> Iterator[str]:
    """Yield conditions on the share that one count has of another."""
    whole = gains.sum(per, (*scope_of(rule), *per.where), rule.window)
    part = _part(rule, gains)
    if rule.side == "below":  # what never came is no series
        part = f"({part} or 0 * {whole})"
    value = f"{part}\n/ ({whole} > 0)"
    if rule.confidence is None:
        yield beyond(value, rule.side, rule.threshold)
    else:
        yield value
        end = wilson(part, whole, rule.confidence, "low" if rule.side == "above" else "high")
        yield beyond(f"({end})", rule.side, rule.threshold)
    if rule.min_support:
        yield at_least(whole, rule.min_support)


def _burning(objective: Objective, burn: Burn, gains: Gains) -> Alerting:
    """Return the alert of one burn: both windows must burn too fast."""
    shares = (_bad_share(objective, window, gains) for window in (burn.window, burn.short))
    conditions = [f"{share} / {number(objective.budget)} > {literal(burn.factor)}" for share in shares]
    if objective.min_support:
        conditions.append(at_least(_all(objective, burn.window, gains), objective.min_support))
    said = f"the budget of {objective.metric} burns {_VALUE} times as fast as it may"
    return _alert(objective, "\nand ".join(conditions), said, severity=burn.severity, burn=burn.name)


def _all(objective: Objective, window: float, gains: Gains) -> str:
    subject = objective.subject
    part = "_count" if subject.kind == "histogram" else ""
    return gains.sum(subject, (*scope_of(objective), *subject.where), window, part=part)


def _bad_share(objective: Objective, window: float, gains: Gains) -> str:
    """Return the share of bad calls within a window.

    Raises:
        ConfigurationError: when the bounds of the distribution do not tell which are bad.
    """
    subject, whole = objective.subject, _all(objective, window, gains)
    own = (*scope_of(objective), *subject.where)
    if subject.kind != "histogram":
        return f"{gains.sum(subject, (*own, *objective.bad), window)}\n/ ({whole} > 0)"
    bound = number(float(objective.within or 0.0))
    known = [number(float(at)) for at in CATALOGUE[subject.point].bounds]
    if bound not in known:
        msg = f"within={bound} is none of the bounds that {family_of(subject.point).name} has: {', '.join(known)}"
        raise ConfigurationError(msg)
    good = gains.sum(subject, (*own, ("le", bound)), window, part="_bucket")
    return f"({whole} - {good})\n/ ({whole} > 0)"
