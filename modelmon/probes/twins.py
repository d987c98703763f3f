"""Twins: wrappers that record like those of the user around functions that do nothing, to measure what that costs.

What the user's own hooks take (functions given as ``id=``, ``output=`` and so on) is theirs and not in it; what it
takes to call them is.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, cast

from modelmon.probes.seats import Seat, Site
from modelmon.probes.wrappers import generated

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

    from modelmon.probes.sites import Shape

ROUNDS: Final = 3
CALLS: Final = 4096
"""As many as fill a buffer beyond the nearest caches, as calls between two drains do."""


def cost_of(shape: Shape, clock: Callable[[], int]) -> float:
    """Return the nanoseconds that recording one call of this shape takes, the median of a few rounds.

    Args:
        shape: how it records.
        clock: nanoseconds of this thread's CPU.
    """
    site = site_of(shape)
    watched = generated(cast("FunctionType", predict), site)
    found = []
    for _ in range(ROUNDS):
        found.append(_round(watched, clock) - _round(predict, clock))
        site.seat = _seat(site)
    return max(0.0, median(found) / CALLS)


def predict(order: str, rows: int = 1) -> int:  # noqa: ARG001  (named by the sites)
    """Predict nothing."""
    return 1


def site_of(shape: Shape) -> Site:
    """Return a site of this shape around ``predict``; nobody drains what is recorded there."""
    ident, output, attributes, size = shape
    site = Site(
        "",
        id={"": None, "auto": "auto", "name": "order"}.get(ident, _order),
        output=_same if output else None,
        attributes={"": None, "name": ("order",)}.get(attributes, _page),
        batch_size={"": None, "name": "rows"}.get(size, _rows),
    )
    site.seat = _seat(site)
    return site


def _seat(site: Site) -> Seat:
    return Seat(site, clock=perf_counter_ns, relieve=_leave)


def _round(function: Callable[[str], Any], clock: Callable[[], int]) -> int:
    begin = clock()
    for _ in range(CALLS):
        function("order")
    return clock() - begin


def _leave(_seat: Seat) -> None:
    return


def _order(given: Any) -> Any:
    return given["order"]


def _same(result: Any) -> Any:
    return result


def _page(given: Any) -> Any:
    return {"order": given["order"]}


def _rows(given: Any) -> Any:
    return given["rows"]
