"""Names for Prometheus: what an instrument, a number and a text are called on every road to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from modelmon.points.catalogue import CATALOGUE

if TYPE_CHECKING:
    from modelmon.points.instruments import Instrument

_SUFFIXES: Final = {"s": "seconds", "1": "ratio", "By": "bytes", "J": "joules", "W": "watts", "Cel": "celsius"}
_TYPES: Final = {"counter": "counter", "updown": "gauge", "gauge": "gauge", "histogram": "histogram"}
_WORDS: Final = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN", "True": "1", "False": "0"}


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


def number(value: float) -> str:
    """Return a number as Prometheus reads it.

    >>> number(3), number(0.25), number(float("inf")), number(float("nan"))
    ('3', '0.25', '+Inf', 'NaN')
    """
    text = repr(value)
    return _WORDS.get(text, text)


def escape(text: str) -> str:
    r"""Return a label value as it stands between quotes.

    >>> escape('a"b\\c\n')
    'a\\"b\\\\c\\n'
    """
    whole = text if text.isprintable() else text.encode("utf-8", "backslashreplace").decode("utf-8")
    return whole.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
