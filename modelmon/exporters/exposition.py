"""Text for Prometheus: points in, bytes out, in the Prometheus text format 0.0.4 or in OpenMetrics 1.0.

Rendering is pure but for one cache: everything of a line that stands before its value is built once per series and
kept for as long as the series is rendered.
``modelmon.points.families`` says what an instrument is called there, as on every other road to Prometheus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from modelmon.points.attributes import label_name
from modelmon.points.catalogue import CATALOGUE, HistogramValue
from modelmon.points.families import escape, family_of, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelmon.points.catalogue import Attributes, Point

Format = Literal["text", "openmetrics"]
Labels = tuple[tuple[str, str], ...]

CONTENT_TYPES: Final[dict[Format, str]] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
_CACHE_SLACK: Final = 1000


def labels_of(point: Point) -> Labels:
    """Return a point's labels; those it leaves out are empty, so that a family has the same on all points."""
    given = {label_name(name): value for name, value in point.attributes}
    for name in CATALOGUE[point.name].attributes:
        given.setdefault(label_name(name), "")
    return tuple(sorted(given.items()))


def samples(point: Point) -> Iterator[tuple[str, Labels, float]]:
    """Yield the lines of one point as (name, labels, value), in the order in which they are written."""
    sample, labels, value = family_of(point.name).sample, labels_of(point), point.value
    if not isinstance(value, HistogramValue):
        yield sample, labels, value
        return
    for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
        yield f"{sample}_bucket", (*labels, ("le", number(float(bound)))), count
    yield f"{sample}_count", labels, value.count
    yield f"{sample}_sum", labels, value.sum


def _prefixes(point: Point) -> tuple[str, ...]:
    """Return the part before the value of every line of one point, with the line break before it."""
    made = []
    for name, labels, _ in samples(point):
        inner = ",".join(f'{key}="{escape(text)}"' for key, text in labels)
        made.append(f"\n{name}{{{inner}}} " if inner else f"\n{name} ")
    return tuple(made)


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
        families: dict[str, list[str]] = {}
        lines = 0
        for point in points:
            name, value = point.name, point.value
            parts = families.get(name)
            if parts is None:
                parts = families[name] = [_header(name, wanted)]
            prefixes = self._known.setdefault(name, {}).get(point.attributes) or self._learn(point)
            lines += 1
            if isinstance(value, HistogramValue):
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
