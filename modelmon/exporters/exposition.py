"""Text for Prometheus: points in, bytes out, in the Prometheus text format 0.0.4 or in OpenMetrics 1.0.

Rendering is pure but for one cache: everything of a line that stands before its value is built once per series and
kept for as long as the series is rendered.
``Family`` says what an instrument is called there, so that every other road to Prometheus uses the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from modelmon.points.attributes import label_name
from modelmon.points.catalogue import CATALOGUE, HistogramValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelmon.points.catalogue import Attributes, Instrument, Point

Format = Literal["text", "openmetrics"]
Labels = tuple[tuple[str, str], ...]

CONTENT_TYPES: Final[dict[Format, str]] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
_SUFFIXES: Final = {"s": "seconds", "1": "ratio", "By": "bytes", "J": "joules", "W": "watts", "Cel": "celsius"}
_TYPES: Final = {"counter": "counter", "updown": "gauge", "gauge": "gauge", "histogram": "histogram"}
_CACHE_SLACK: Final = 1000


@dataclass(frozen=True, slots=True)
class Family:
    """Say how Prometheus calls an instrument.

    Attributes:
        name: the family's name, with unit, without ``_total``.
        type: counter, gauge, histogram, or unknown.
        unit: the unit's word, or nothing.
        help: one sentence.
        sample: the name on the lines (for a histogram, what the suffixes are added to).
    """

    name: str
    type: str
    unit: str
    help: str
    sample: str


@lru_cache(maxsize=1024)
def family_of(name: str) -> Family:
    """Return how Prometheus calls the instrument of that name in the catalogue.

    >>> family_of("modelmon.call.duration").name, family_of("modelmon.calls").sample
    ('modelmon_call_duration_seconds', 'modelmon_calls_total')
    """
    return describe(CATALOGUE[name])


def describe(instrument: Instrument) -> Family:
    """Return how Prometheus calls an instrument.

    A counter with a ``le`` of its own is of unknown type there, since ``promtool check metrics`` keeps that label for
    histograms; its lines and what can be asked of them are the same.
    """
    unit = _SUFFIXES.get(instrument.unit, "")
    name = instrument.name.replace(".", "_") + (f"_{unit}" if unit else "")
    if instrument.kind != "counter":
        return Family(name, _TYPES[instrument.kind], unit, instrument.help, name)
    total = f"{name}_total"
    if "le" in instrument.attributes:
        return Family(total, "unknown", "", instrument.help, total)
    return Family(name, "counter", unit, instrument.help, total)


def labels_of(point: Point) -> Labels:
    """Return a point's labels; those it leaves out are empty, so that a family has the same on all points."""
    given = {label_name(name): value for name, value in point.attributes}
    for name in CATALOGUE[point.name].attributes:
        given.setdefault(label_name(name), "")
    return tuple(sorted(given.items()))


def number(value: float) -> str:
    """Return a number as Prometheus reads it.

    >>> number(3), number(0.25), number(float("inf")), number(float("nan"))
    ('3', '0.25', '+Inf', 'NaN')
    """
    text = repr(value)
    return _WORDS.get(text, text)


_WORDS: Final = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN", "True": "1", "False": "0"}


def escape(text: str) -> str:
    r"""Return a label value as it stands between quotes.

    >>> escape('a"b\\c\n')
    'a\\"b\\\\c\\n'
    """
    whole = text if text.isprintable() else text.encode("utf-8", "backslashreplace").decode("utf-8")
    return whole.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


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
