"""PromQL that every dashboard uses: rates, quantiles, shares.

Rules:

1. Undefined is absent: a share of nothing has no series, so that a panel shows a gap and not a number.
2. What has not happened is zero only where something shows that it could have happened.
3. Sums come before quotients, so that replicas and slices add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from modelmon.dashboards.selectors import Scope

RATE: Final = "$__rate_interval"
SPAN: Final = "$span"

By = tuple[str, ...]


def total(expression: str, by: By = ()) -> str:
    """Return the sum over everything but these labels.

    >>> total("up", ("job",)), total("up")
    ('sum by (job) (up)', 'sum(up)')
    """
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def rate(selector: str, by: By = ()) -> str:
    """Return what a counter gains per second."""
    return total(f"rate({selector}[{RATE}])", by)


def gained(selector: str, by: By = (), *, span: str = SPAN, ago: str = "") -> str:
    """Return what a counter gained within a span of time, ``ago`` that long before."""
    return total(f"increase({selector}[{span}]{f' offset {ago}' if ago else ''})", by)


def share(part: str, whole: str) -> str:
    """Return a quotient that is absent where the whole is zero.

    >>> share("a", "b")
    '(a) / ((b) > 0)'
    """
    return f"({part}) / (({whole}) > 0)"


def quantile(q: float, buckets: str, by: By = (), *, span: str = RATE) -> str:
    """Return a quantile of a histogram; absent where nothing fell into it."""
    rates = total(f"rate({buckets}[{span}])", ("le", *by))
    seen = total(f'rate({buckets[:-1]},le="+Inf"}}[{span}])', by)
    on = f"on ({', '.join(by)})" if by else "on ()"
    return f"histogram_quantile({q:g}, {rates}) and {on} ({seen} > 0)"


def failed_share(scope: Scope, by: By = ()) -> str:
    """Return failed calls as a share of all calls.

    The series of failures are there only once there was one, so the others are taken from the whole.
    """
    right = rate(scope.of("modelmon.calls", outcome="!error"), by)
    return f"1 - {share(right, rate(scope.of('modelmon.calls'), by))}"


def zero_where(expression: str, shown: str) -> str:
    """Return an expression, or zero where it is absent but something else is there."""
    return f"({expression}) or 0 * ({shown})"
