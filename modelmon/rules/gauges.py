"""Quality in alert rules: gauges of a window of prediction time, and what is needed before they decide anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError
from modelmon.identity import Missing, canonical_class, class_text
from modelmon.points.attributes import safe_text
from modelmon.points.families import escape, family_of, number
from modelmon.points.qualities import AVERAGES, RATIOS, SCALARS
from modelmon.rules.objective import Objective
from modelmon.rules.promql import at_least, beyond, wilson
from modelmon.rules.recorded import UNITS, Alerting, plain, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelmon.rules.rule import Rule

_SHOWN: Final = 0.95
"""The confidence of the intervals that are exported."""
_PROPORTIONS: Final = frozenset({"accuracy", "precision", "recall", "coverage"})
"""Those whose interval is worked out from the value and its support alone, whatever the confidence."""
_PROCESS: Final = "instance, pod"
_PATIENCE_S: Final = 900.0


def windows(rules: Iterable[Rule | Objective]) -> tuple[str, ...]:
    """Return the windows that exporters must show for rules about quality: ``PrometheusExporter(windows=...)``.

    >>> from modelmon.rules import Rule
    >>> windows([Rule("misses", "recall", of="fraud", below=0.8, window="24h"), Rule("slow", "duration", above=1)])
    ('1d:mature',)
    """
    return tuple(dict.fromkeys(window_text(rule) for rule in rules if rule.subject.sort == "quality"))  # type: ignore[arg-type]


def window_text(rule: Rule) -> str:
    """Return the window of a rule as exporters take it."""
    if rule.mature is False:
        return span(rule.window)
    return f"{span(rule.window)}:{'mature' if rule.mature is True else span(rule.mature)}"


def quality_conditions(rule: Rule) -> str:
    """Return an expression for quality beyond the threshold; of several processes that show it, the worst.

    Raises:
        ConfigurationError: when it is not among the points.
    """
    conditions = "\nand ".join(_conditions(rule))
    return f"{'max' if rule.side == 'above' else 'min'} without ({_PROCESS}) (\n{conditions}\n)"


def watch(rules: Iterable[Rule | Objective], by: Sequence[str]) -> Iterator[Alerting]:
    """Yield alerts that tell where no exporter shows a window that rules read, so that none is silent for ever.

    One is written for each window and scope, and labelled with both: a server takes none twice with the same labels.
    """
    asked: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[str]] = {}
    there = {}
    for rule in rules:
        if rule.subject.sort == "quality" and not isinstance(rule, Objective):
            shown = _read("modelmon.quality.support", rule, ("coverage", "", ""))
            scope = (("model", rule.model), ("version", rule.version))
            about = tuple((name, safe_text(value)) for name, value in scope if value is not None)
            asked.setdefault((window_text(rule), shown, about), []).append(rule.name)
            there[shown] = _read("modelmon.quality.support", rule, ("coverage", "", ""), 'window="total"')
    for (window, shown, about), names in asked.items():
        group = f"group by ({', '.join(by)})"
        said = f"no exporter shows window {window} to the rules {', '.join(names)}: give it windows=({window!r},)"
        notes = (("summary", plain(safe_text(said))),)
        labels = (*about, ("severity", "warning"), ("window", window))
        expr = f"{group} ({there[shown]})\nunless {group} ({shown})"
        yield Alerting("modelmon rules without numbers", expr, _PATIENCE_S, labels, notes)


def _conditions(rule: Rule) -> Iterator[str]:
    """Yield what must hold; the first gives the number that people are told."""
    own = _read("modelmon.quality", rule, _narrowed(rule))
    rows = _read("modelmon.quality.support", rule, _narrowed(rule))
    coverage = _read("modelmon.label.coverage", rule)
    if rule.metric == "coverage":  # which has no metric among its labels, as its rows have
        own, rows = coverage, f"sum without (metric) ({rows})"
    if rule.confidence is None:
        yield beyond(own, rule.side, rule.threshold)
    else:
        yield own
        yield beyond(_end(rule, own, rows), rule.side, rule.threshold)
    if rule.min_support:
        yield at_least(rows, rule.min_support)
    if rule.min_coverage:
        yield f"ignoring (metric, average, class) {coverage} >= {number(rule.min_coverage)}"


def _end(rule: Rule, value: str, rows: str) -> str:
    """Return the end of the interval that lies nearest to the threshold.

    Raises:
        ConfigurationError: when neither is it exported nor can it be worked out.
    """
    end = "low" if rule.side == "above" else "high"
    if rule.confidence == _SHOWN and rule.metric != "coverage":
        return _read(f"modelmon.quality.{end}", rule, _narrowed(rule))
    if rule.metric in _PROPORTIONS and rule.average in {None, "micro"}:
        return f"({wilson(f'({value} * {rows})', rows, rule.confidence or _SHOWN, end)})"
    msg = f"confidence={rule.confidence}: of {rule.metric} only the interval of {_SHOWN:.0%} is exported"
    raise ConfigurationError(msg)


def _narrowed(rule: Rule) -> tuple[str, str, str]:
    """Return metric, average and class as its gauge has them.

    Raises:
        ConfigurationError: when it has no gauge.
    """
    shown = {name for names in SCALARS.values() for name in names} | {*RATIOS, "coverage"}
    whole = rule.metric not in RATIOS
    if rule.metric not in shown or (whole and rule.of is not None) or rule.average not in {None, *AVERAGES}:
        msg = f"{rule.subject_text} is not among the exported points"
        raise ConfigurationError(msg)
    if not whole and rule.of is None and rule.average is None:
        msg = f"{rule.metric} means another number for each task here: say of= or average="
        raise ConfigurationError(msg)
    value = None if rule.of is None else canonical_class(rule.of)
    return rule.metric, rule.average or "", "" if value is None or isinstance(value, Missing) else class_text(value)


def _read(point: str, rule: Rule, narrowed: tuple[str, ...] = (), window: str = "") -> str:
    """Return the series of a gauge in the rule's window, however an exporter was told to call that."""
    names = ("metric", "average", "class") if narrowed else ()
    given = (("model", rule.model), ("version", rule.version), *zip(names, narrowed, strict=True))
    inner = [f'{name}="{escape(safe_text(value))}"' for name, value in given if value is not None]
    age = "" if rule.mature is False else ":mature" if rule.mature is True else f":({_alike(rule.mature)})"
    inner.append(window or f'window=~"({_alike(rule.window)}){age}"')
    return f"{family_of(point).sample}{{{', '.join(inner)}}}"


def _alike(seconds: float) -> str:
    """Return a pattern of the ways to write a span of time.

    >>> _alike(86400), _alike(0.5)
    ('1d|24h|1440m|86400s', '500ms')
    """
    milliseconds = round(seconds * 1000)
    ways = [f"{milliseconds // size}{unit}" for unit, size in UNITS if milliseconds % size == 0]
    return "|".join(ways) or f"{milliseconds}ms"
