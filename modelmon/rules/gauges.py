"""Quality in alert rules: gauges of a window of prediction time, and what is needed before they decide anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError
from modelmon.points.attributes import safe_text
from modelmon.points.catalogue import CATALOGUE
from modelmon.points.families import escape, family_of, number
from modelmon.points.qualities import AVERAGES, RATIOS, SCALARS
from modelmon.points.sheets import CELL_CLASSES, TOTAL
from modelmon.rules.classes import known, spellings, too_many
from modelmon.rules.objective import Objective
from modelmon.rules.promql import at_least, beyond, wilson
from modelmon.rules.recorded import UNITS, Alerting, plain, span
from modelmon.rules.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelmon.rules.subjects import Pairs

_SHOWN: Final = 0.95
"""The confidence of the intervals that are exported."""
_PROPORTIONS: Final = frozenset({"accuracy", "precision", "recall", "coverage"})
"""Those whose interval is worked out from the value and its support alone, whatever the confidence."""
_NAMES: Final = ("metric", "average", "class")
_APART: Final = ", ".join((*_NAMES, "window", *CATALOGUE["modelmon.confusion"].attributes))
"""What gauges of quality and counters of classes do not share."""
_PROCESS: Final = "instance, pod"
_PATIENCE_S: Final = 900.0
_SILENT: Final = "modelmon rules without numbers"


def windows(rules: Iterable[Rule | Objective]) -> tuple[str, ...]:
    """Return the windows that exporters must show for rules about quality: ``PrometheusExporter(windows=...)``.

    >>> from modelmon.rules import Rule
    >>> windows([Rule("misses", "recall", of="fraud", below=0.8, window="24h"), Rule("slow", "duration", above=1)])
    ('1d:mature',)
    """
    return tuple(dict.fromkeys(text for rule in rules if isinstance(rule, Rule) for text in _windows(rule)))


def _windows(rule: Rule) -> Iterator[str]:
    """Yield the window that a rule reads beside the total, of quality or of a point by its name."""
    if rule.subject.sort == "quality":
        yield window_text(rule)
    yield from (text for name, text in rule.where if name == "window" and text != TOTAL)


def by_class(rule: Rule | Objective) -> bool:
    """Return whether a rule is about the quality of one class, which only models of up to 32 classes export."""
    return not isinstance(rule, Objective) and rule.subject.sort == "quality" and rule.of is not None


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
    texts = ("",) if rule.of is None else spellings(rule.of)
    conditions = "\nor ".join("\nand ".join(_conditions(rule, text)) for text in texts)
    if len(texts) > 1:  # the second way to write a class counts where the model does not write it in the first
        conditions += f"\nunless ignoring ({_APART}) {known(scope_of(rule), texts[0])}"
    return f"{'max' if rule.side == 'above' else 'min'} without ({_PROCESS}) (\n{conditions}\n)"


def watch(rules: Iterable[Rule | Objective], by: Sequence[str]) -> Iterator[Alerting]:
    """Yield alerts that tell where no exporter shows what rules read, so that none is silent for ever.

    One is written for each window, or class, and scope, and labelled with both: a server takes none twice with the same
    labels.
    """
    told = tuple(rules)
    yield from _unshown(told, by)
    yield from _crowded(told, by)


def _unshown(rules: Iterable[Rule | Objective], by: Sequence[str]) -> Iterator[Alerting]:
    """Yield alerts about windows that no exporter was told to show."""
    asked: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[str]] = {}
    there = {}
    for rule in rules:
        if rule.subject.sort == "quality" and not isinstance(rule, Objective):
            shown = _read("modelmon.quality.support", rule, ("coverage", "", ""))
            about = _labels(scope_of(rule))
            asked.setdefault((window_text(rule), shown, about), []).append(rule.name)
            there[shown] = _read("modelmon.quality.support", rule, ("coverage", "", ""), 'window="total"')
    for (window, shown, about), names in asked.items():
        group = f"group by ({', '.join(by)})"
        said = f"no exporter shows window {window} to the rules {_listed(names)}: give it windows=({window!r},)"
        notes = (("summary", plain(said)),)
        labels = (*about, ("severity", "warning"), ("window", window))
        expr = f"{group} ({there[shown]})\nunless {group} ({shown})"
        yield Alerting(_SILENT, expr, _PATIENCE_S, labels, notes)


def _crowded(rules: Iterable[Rule | Objective], by: Sequence[str]) -> Iterator[Alerting]:
    """Yield alerts about classes of models that have too many to export the quality of each."""
    asked: dict[tuple[Pairs, str], list[str]] = {}
    for rule in rules:
        if not isinstance(rule, Objective) and by_class(rule):
            asked.setdefault((scope_of(rule), spellings(rule.of)[-1]), []).append(rule.name)
    for (scope, text), names in asked.items():
        said = f"no quality by class is exported of more than {CELL_CLASSES} classes, to the rules {_listed(names)}"
        labels = _labels((*scope, ("severity", "warning"), ("class", text)))
        expr = f"group by ({', '.join(by)}) (\n{too_many(scope, text)}\n)"
        yield Alerting(_SILENT, expr, _PATIENCE_S, labels, (("summary", plain(said)),))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(safe_text, names))


def _labels(pairs: Pairs) -> Pairs:
    return tuple((name, plain(safe_text(value))) for name, value in pairs)


def _conditions(rule: Rule, text: str) -> Iterator[str]:
    """Yield what must hold of a class with this text; the first gives the number that people are told."""
    narrowed = _narrowed(rule, text)
    own, rows = (_read(point, rule, narrowed) for point in ("modelmon.quality", "modelmon.quality.support"))
    coverage = _read("modelmon.label.coverage", rule)
    if rule.metric == "coverage":  # which has no metric among its labels, as its rows have
        own, rows = coverage, f"sum without (metric) ({rows})"
    if rule.confidence is None:
        yield beyond(own, rule.side, rule.threshold)
    else:
        yield own
        yield beyond(_end(rule, own, rows, narrowed), rule.side, rule.threshold)
    if rule.min_support:
        yield at_least(rows, rule.min_support)
    if rule.min_coverage:
        yield f"ignoring (metric, average, class) {coverage} >= {number(rule.min_coverage)}"


def _end(rule: Rule, value: str, rows: str, narrowed: tuple[str, ...]) -> str:
    """Return the end of the interval that lies nearest to the threshold.

    Raises:
        ConfigurationError: when neither is it exported nor can it be worked out.
    """
    end = "low" if rule.side == "above" else "high"
    if rule.confidence == _SHOWN and rule.metric != "coverage":
        return _read(f"modelmon.quality.{end}", rule, narrowed)
    if rule.metric in _PROPORTIONS and rule.average in {None, "micro"}:
        return f"({wilson(f'({value} * {rows})', rows, rule.confidence or _SHOWN, end)})"
    msg = f"confidence={rule.confidence}: of {rule.metric} only the interval of {_SHOWN:.0%} is exported"
    raise ConfigurationError(msg)


def _narrowed(rule: Rule, text: str) -> tuple[str, str, str]:
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
    return rule.metric, rule.average or "", text


def _read(point: str, rule: Rule, narrowed: tuple[str, ...] = (), window: str = "") -> str:
    """Return the series of a gauge in the rule's window, however an exporter was told to call that."""
    names = _NAMES if narrowed else ()
    given = (*scope_of(rule), *zip(names, narrowed, strict=True))
    inner = [f'{name}="{escape(safe_text(value))}"' for name, value in given]
    age = "" if rule.mature is False else ":mature" if rule.mature is True else f":({_alike(rule.mature)})"
    inner.append(window or f'window=~"({_alike(rule.window)}){age}"')
    return f"{family_of(point).sample}{{{', '.join(inner)}}}"


def scope_of(rule: Rule | Objective) -> Pairs:
    """Return what every series must have that the rule is about."""
    given = (("model", rule.model), ("version", rule.version))
    return tuple((name, value) for name, value in given if value is not None)


def _alike(seconds: float) -> str:
    """Return a pattern of the ways to write a span of time.

    >>> _alike(86400), _alike(0.5)
    ('1d|24h|1440m|86400s', '500ms')
    """
    milliseconds = round(seconds * 1000)
    ways = [f"{milliseconds // size}{unit}" for unit, size in UNITS if milliseconds % size == 0]
    return "|".join(ways) or f"{milliseconds}ms"
