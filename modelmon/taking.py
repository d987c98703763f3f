"""What is taken out of a seat's flat buffers, and what stays in them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from modelmon.copies import Deferred, kept_bytes
from modelmon.probes.seats import GIVEN_FIELDS
from modelmon.probes.sites import is_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.callcounts import SeriesCounts
    from modelmon.probes.seats import Seat

_VALUE: Final = GIVEN_FIELDS.index("value")
_ID: Final = GIVEN_FIELDS.index("id")
_SHORT: Final = 256  # characters of text that seats keep without a look at how much they are


def take(flat: list[Any], stride: int, limit: int, ends: SeriesCounts | None = None) -> list[list[Any]]:
    """Remove up to ``limit`` records from the front of a flat buffer and return them as columns.

    Where each record ends a call, that is counted in the same breath: no signal strikes between the two statements.
    """
    end = min(len(flat) // stride, limit) * stride
    columns = [flat[column:end:stride] for column in range(stride)]  # others only append: these cannot move meanwhile
    n = end // stride
    del flat[:end]
    if ends is not None:
        ends.ended += n
    return columns


def landed_calls(seat: Seat, limit: int, *, wait: bool) -> int:
    """Return how many calls from the front have no copy under way from a device, waiting for those that have if asked.

    What a signal handler raises in the wait costs no record: all are in their buffers still.
    """
    return _landed(seat.buffer[seat.fields.index("value") : limit * seat.stride : seat.stride], limit, wait=wait)


def landed_given(seat: Seat, limit: int, *, wait: bool) -> int:
    """Return the same of predictions given apart from a call's return."""
    return _landed(seat.given[_VALUE : limit * len(GIVEN_FIELDS) : len(GIVEN_FIELDS)], limit, wait=wait)


def held_bytes(seat: Seat) -> int:
    """Return about how many bytes the kept values take that were not taken yet."""
    columns = [seat.given[column :: len(GIVEN_FIELDS)] for column in (_VALUE, _ID)]
    columns += [seat.buffer[seat.fields.index(name) :: seat.stride] for name in ("value", "id") if name in seat.fields]
    return sum(kept_bytes(value) for value in chain.from_iterable(columns) if _is_measured(value))


def _is_measured(value: Any) -> bool:
    """Tell what the seat measured as it was kept: all but scalars and short text."""
    return len(value) > _SHORT if type(value) is str else not is_plain(value)


def _landed(values: Sequence[Any], limit: int, *, wait: bool) -> int:
    if Deferred not in set(map(type, values)):
        return limit
    for at, value in enumerate(values):
        if type(value) is not Deferred:
            continue
        if wait:
            value.wait()
        elif not value.is_ready():
            return at
    return limit
