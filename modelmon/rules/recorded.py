"""Recorded rules: what a Prometheus server is to work out, and their YAML text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelmon.points.families import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelmon.rules.subjects import Pairs


UNITS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000))
"""Units of time and their milliseconds, greatest first."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Record the answer to an expression as series of a new name.

    Attributes:
        record: the new name.
        expr: the expression, in PromQL.
        labels: labels that the new series get.
    """

    record: str
    expr: str
    labels: Pairs = ()


@dataclass(frozen=True, slots=True)
class Alerting:
    """Alert while an expression has an answer.

    Attributes:
        alert: the name of the alert.
        expr: the expression, in PromQL.
        hold: how long it must have an answer without a break, in seconds.
        labels: labels that the alert gets.
        annotations: what whoever is told reads.
    """

    alert: str
    expr: str
    hold: float = 0.0
    labels: Pairs = ()
    annotations: Pairs = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Hold rules that a server runs one after the other.

    Attributes:
        name: the group's name, unique within a file.
        rules: its rules; one may read what one before it has recorded.
        interval: how often they run, in seconds; None for as often as the server runs others.
        note: a comment that stands above the group.
    """

    name: str
    rules: tuple[Recording | Alerting, ...]
    interval: float | None = None
    note: str = ""


def rule_file(groups: Iterable[Group]) -> str:
    """Return groups of rules as the YAML text of a rule file."""
    lines = ["groups:"]
    for group in groups:
        lines += [f"  # {line}" for line in group.note.split("\n") if line]
        lines.append(f"  - name: {quoted(group.name)}")
        if group.interval is not None:
            lines.append(f"    interval: {span(group.interval)}")
        lines.append("    rules:")
        for rule in group.rules:
            lines += _recording(rule) if isinstance(rule, Recording) else _alerting(rule)
    return "\n".join(lines) + "\n"


def span(seconds: float) -> str:
    """Return a span of time as Prometheus reads it, in whole milliseconds, one at least where it is not zero.

    >>> span(3600), span(86400 * 14), span(90), span(0.25), span(0)
    ('1h', '2w', '90s', '250ms', '0s')
    """
    milliseconds = max(round(seconds * 1000), 1 if seconds > 0 else 0)
    for unit, size in UNITS:
        if milliseconds % size == 0 and (milliseconds or unit == "s"):
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def quoted(text: str) -> str:
    r"""Return text as YAML reads it back, in quotes unless it is a plain word.

    >>> quoted("answers"), quoted("yes"), quoted("a: \u2028b"), quoted("1")
    ('answers', '"yes"', '"a: \\u2028b"', '"1"')
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(char) for char in shown)


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


def _escaped(char: str) -> str:
    point = ord(char)
    return f"\\u{point:04x}" if point < 1 << 16 else f"\\U{point:08x}"


def _recording(rule: Recording) -> Iterator[str]:
    yield f"      - record: {rule.record}"
    yield from _expression(rule.expr)
    yield from _pairs("labels", rule.labels)


def _alerting(rule: Alerting) -> Iterator[str]:
    yield f"      - alert: {quoted(rule.alert)}"
    yield from _expression(rule.expr)
    if rule.hold:
        yield f"        for: {span(rule.hold)}"
    yield from _pairs("labels", rule.labels)
    yield from _pairs("annotations", rule.annotations)


def _expression(expr: str) -> Iterator[str]:
    lines = expr.split("\n")
    if not all(line.isprintable() for line in lines):
        yield f"        expr: {quoted(expr)}"
        return
    yield "        expr: |-"
    yield from (f"          {line}" for line in lines)


def _pairs(title: str, pairs: Pairs) -> Iterator[str]:
    if pairs:
        yield f"        {title}:"
        yield from (f"          {name}: {quoted(value)}" for name, value in pairs)


def literal(value: float) -> str:
    """Return a number as PromQL reads it; a negative one in brackets, since a power binds closer than its sign.

    >>> literal(0.25), literal(-1.0), literal(5)
    ('0.25', '(-1.0)', '5')
    """
    return f"({number(value)})" if value < 0 else number(value)


def plain(text: str) -> str:
    """Return text that Prometheus does not take for a template.

    >>> plain("a {{ b")
    'a {{ "{{" }} b'
    """
    return text.replace("{{", '{{ "{{" }}')
