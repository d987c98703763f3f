"""PromQL: selectors, sums, comparisons, and an interval of a ratio."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

from modelmon.points.attributes import label_name, safe_text
from modelmon.points.families import escape, number
from modelmon.rules.recorded import literal

if TYPE_CHECKING:
    from collections.abc import Iterable


def series(name: str, pairs: Iterable[tuple[str, str]] = (), among: Iterable[tuple[str, str]] = ()) -> str:
    r"""Return a selector of the series of a name that have these attributes, and others that match a pattern.

    >>> series("up"), series("modelmon_calls_total", [("error.type", 'a"b')])
    ('up', 'modelmon_calls_total{error_type="a\\"b"}')
    >>> series("modelmon_calls_total", among=[("outcome", "ok|error")])
    'modelmon_calls_total{outcome=~"ok|error"}'
    """
    matchers = [f'{label_name(key)}="{escape(safe_text(value))}"' for key, value in pairs]
    matchers += [f'{label_name(key)}=~"{pattern}"' for key, pattern in among]
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name


def summed(inner: str, by: Iterable[str]) -> str:
    """Return a sum for each value of some labels."""
    return f"sum by ({', '.join(by)}) ({inner})"


def wilson(part: str, whole: str, confidence: float, end: str) -> str:
    """Return the ``low`` or ``high`` end of Wilson's interval of a part among a whole."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    square, sign = z * z, "-" if end == "low" else "+"
    reach = f"{number(z)} * sqrt({part} * ({whole} - {part}) / {whole} + {number(square / 4)})"
    return f"({part} + {number(square / 2)} {sign} {reach}) / ({whole} + {number(square)})"


def beyond(value: str, side: str, threshold: float) -> str:
    """Return a comparison that keeps what lies beyond a threshold."""
    return f"{value} {'>' if side == 'above' else '<'} {literal(threshold)}"


def at_least(rows: str, fewest: int) -> str:
    """Return a comparison of rows with how many are needed; what a server works out may lie a hair below."""
    return f"{rows} > {fewest - 0.5}"
