"""What an exported number is described by, what it is worth at one moment, and the bounds of histograms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from modelmon.parts import Exemplar
    from modelmon.readings.distributions import Distribution

Kind = Literal["counter", "updown", "gauge", "histogram"]
Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """Hold a distribution as counts under bounds.

    Attributes:
        bounds: ``k`` upper bounds, ascending, in the point's unit; a bound belongs to its own bucket.
        counts: ``k + 1`` cumulative counts: at most each bound, then all.
        sum: the sum of all values, in the point's unit.
        count: how many values there are; equals ``counts[-1]``.
        distribution: the same values under far finer bounds, for who wants quantiles or other bounds.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    count: int
    distribution: Distribution | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Instrument:
    """Describe one exported number.

    Attributes:
        name: the OpenTelemetry name, dotted, without unit.
        kind: ``counter`` never falls, ``updown`` adds up over processes, ``gauge`` does not, ``histogram`` distributes.
        unit: UCUM: ``s``, ``1`` for a ratio, an annotation such as ``{call}``, or nothing.
        help: one sentence.
        attributes: the names of its own attributes, in order.
        per_model: whether ``model``, ``version`` and the slice attributes come before them.
        bounds: upper bounds of a histogram, in its unit, each of at most three significant digits.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    attributes: tuple[str, ...] = ()
    per_model: bool = True
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """Hold one exported number: an instrument's value under one set of attributes.

    Attributes:
        name: the instrument's name.
        kind: the instrument's kind.
        unit: the instrument's unit.
        help: the instrument's help.
        attributes: (name, value) pairs of text, in the instrument's order; attributes without a value are left out.
        value: an integer for what is counted, a finite float for what is measured, or a distribution.
        exemplars: a few calls that stand for their like, oldest first; of several in a bucket show the last.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    attributes: Attributes
    value: float | HistogramValue
    exemplars: tuple[Exemplar, ...] = field(default=(), repr=False, compare=False)


def _steps(steps: tuple[str, ...], exponents: range, last: float) -> tuple[float, ...]:
    """Return the steps of each decade and then the last bound; read from text, so that each is the nearest float."""
    return (*(float(f"{step}e{exponent}") for exponent in exponents for step in steps), last)


DURATION_BOUNDS = _steps(("1", "2.5", "5"), range(-4, 2), 100.0)
SIZE_BOUNDS = _steps(("1", "2", "5"), range(6), 1_000_000.0)
_DAYS = tuple(86_400.0 * days for days in (1, 2.5, 5, 10, 25, 50, 100))
DELAY_BOUNDS = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 7200.0, 21_600.0, 43_200.0, *_DAYS)
