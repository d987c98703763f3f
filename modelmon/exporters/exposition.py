"""Text for Prometheus: points in, bytes out, in the text format 0.0.4, in OpenMetrics 1.0, or in its protocol buffers.

Rendering is pure but for one cache: everything of a line that stands before its value is built once per series and
kept for as long as the series is rendered.
``modelmon.points.families`` says what an instrument is called there, as on every other road to Prometheus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from modelmon.exporters.protobuf import encode
from modelmon.exporters.series import examples, samples, trace_of
from modelmon.points.catalogue import HistogramValue
from modelmon.points.families import escape, family_of, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelmon.parts import Exemplar
    from modelmon.points.catalogue import Attributes, Point

Format = Literal["text", "openmetrics", "protobuf"]

CONTENT_TYPES: Final[dict[Format, str]] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "protobuf": "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
}
_CACHE_SLACK: Final = 1000


def _prefixes(point: Point) -> tuple[str, ...]:
    """Return the part before the value of every line of one point, with the line break before it."""
    made = []
    for name, labels, _ in samples(point):
        inner = ",".join(f'{key}="{escape(text)}"' for key, text in labels)
        made.append(f"\n{name}{{{inner}}} " if inner else f"\n{name} ")
    return tuple(made)


def _with_examples(point: Point, prefixes: tuple[str, ...]) -> list[str]:
    """Return the lines of one point, with the calls that stand for their like."""
    shown, lines = examples(point), []
    for place, (prefix, (_, _, value)) in enumerate(zip(prefixes, samples(point), strict=True)):
        lines.append(prefix + number(value) + (_example(shown[place]) if place in shown else ""))
    return lines


def _example(exemplar: Exemplar) -> str:
    inner = ",".join(f'{key}="{escape(text)}"' for key, text in trace_of(exemplar))
    return f" # {{{inner}}} {number(exemplar.value)} {number(exemplar.at)}"


def _header(name: str, wanted: Format) -> str:
    family = family_of(name)
    text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    if wanted == "text":
        kind = "untyped" if family.type == "unknown" else family.type
        full = family.sample if family.type == "counter" else family.name
        return f"\n# HELP {full} {text}\n# TYPE {full} {kind}"
    unit = f"\n# UNIT {family.name} {family.unit}" if family.unit else ""
    return f"\n# HELP {family.name} {text}\n# TYPE {family.name} {family.type}{unit}"


class Exposition:
    """Render points as text, remembering what does not change from one time to the next."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._known: dict[str, dict[Attributes, tuple[str, ...]]] = {}
        self._cached = 0

    def render(self, points: Iterable[Point], wanted: Format = "text") -> bytes:
        """Return the text of all points, one family after the other, in UTF-8."""
        if wanted == "protobuf":
            return encode(points)
        families: dict[str, list[str]] = {}
        lines = 0
        for point in points:
            name, value = point.name, point.value
            parts = families.get(name)
            if parts is None:
                parts = families[name] = [_header(name, wanted)]
            prefixes = self._known.setdefault(name, {}).get(point.attributes) or self._learn(point)
            lines += 1
            if point.exemplars and wanted == "openmetrics":
                parts += _with_examples(point, prefixes)
            elif isinstance(value, HistogramValue):
                for prefix, count in zip(prefixes, (*value.counts, value.count), strict=False):
                    parts += prefix, str(count)
                parts += prefixes[-1], number(value.sum)
            else:
                parts += prefixes[0], number(value)
        self._trim(lines)
        text = "".join(part for parts in families.values() for part in parts)
        end = "\n# EOF\n" if wanted == "openmetrics" else "\n"
        return (text + end)[1:].encode("utf-8") if text or wanted == "openmetrics" else b""

    def _learn(self, point: Point) -> tuple[str, ...]:
        prefixes = _prefixes(point)
        self._known[point.name][point.attributes] = prefixes
        self._cached += 1
        return prefixes

    def _trim(self, rendered: int) -> None:
        """Forget everything once most of what is kept belongs to series that are no longer rendered."""
        if self._cached > 2 * rendered + _CACHE_SLACK:
            self._known, self._cached = {}, 0
