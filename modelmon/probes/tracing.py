"""Tracing: which span a call ended in, noted where OpenTelemetry is in use and nowhere else.

1. Where no tracing is in use, a seat records as ever: not one instruction more.
2. Where it is, what takes the seat's records looks at the current context first, which costs some 50 ns; only within
   a context that holds something is the span asked for, which costs half a microsecond.
3. Only sampled spans are noted, since others have no trace to look at.
4. A call made where instrumentation is suppressed is no call.

What is noted of a call: ``start, end, outcome, slice, span context``; times in nanoseconds.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from modelmon.faults import is_signalled
from modelmon.suppression import marks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST: Final = 8192  # noted calls that wait to be drained
_ABANDONED: Final = "abandoned"


class Ways(NamedTuple):
    """Hold what is looked at when a call ends.

    Attributes:
        read: returns the current context.
        marks: the keys under which a context says that instrumentation is suppressed.
        span: returns a context's span.
    """

    read: Callable[[], Any]
    marks: tuple[str, str]
    span: Callable[[Any], Any]


class Noting(Protocol):
    """A seat, as far as tracing goes."""

    buffer: list[Any]
    failures: list[Any]
    given: list[Any]
    traces: list[tuple[Any, ...]]
    fields: tuple[str, ...]
    stride: int
    ways: Ways | None

    def accept(self) -> None:
        """Keep records by the way that is right by now."""
        ...

    def void(self) -> None:
        """Uncount a call."""
        ...


def ways() -> Ways | None:
    """Return what to look at, where tracing is in use in this process; else None."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    if "opentelemetry.sdk.trace" not in sys.modules and getattr(trace, "_TRACER_PROVIDER", None) is None:
        return None
    context = sys.modules.get("opentelemetry.context")
    # The variable itself, and the key itself: asking the API costs three times as much.
    variable = getattr(getattr(context, "_RUNTIME_CONTEXT", None), "_current_context", None)
    read = getattr(variable, "get", None) or getattr(context, "get_current", None)
    key = getattr(sys.modules.get("opentelemetry.trace.propagation"), "_SPAN_KEY", None)
    span = getattr(trace, "get_current_span", None) if key is None else lambda current: current.get(key)
    return Ways(read, marks(), span) if callable(read) and callable(span) else None


def extend_of(seat: Noting) -> Callable[[Iterable[Any]], None]:
    """Return what takes a seat's records of calls that returned: its buffer, or what notes their spans before."""
    seat.ways = found = ways()
    append = seat.buffer.extend
    if found is None:
        return append
    read, (mark, other), span_of = found
    place = seat.fields.index("slice") if "slice" in seat.fields else None

    def extend(record: Any) -> None:
        current = read()
        if not current:
            append(record)
        elif current.get(mark) or current.get(other):
            seat.void()
        else:
            append(record)
            _note(seat, span_of, current, (record[0], record[1], "ok", () if place is None else record[place]))

    return extend


def listen(seat: Noting) -> None:
    """Note spans from now on, where tracing is in use by now; the call that ended last is the first."""
    if ways() is None:
        return
    last = tuple(seat.buffer[-seat.stride :])
    seat.accept()
    if last and seat.ways is not None and (current := seat.ways.read()):
        page = last[seat.fields.index("slice")] if "slice" in seat.fields else ()
        _note(seat, seat.ways.span, current, (last[0], last[1], "ok", page))


def is_counted(seat: Noting, records: list[Any], record: tuple[Any, ...]) -> bool:
    """Note the span of a call that did not return, or of a stream; tell whether a record of any kind counts."""
    if seat.ways is None and records is not seat.given:
        listen(seat)
    current = None if seat.ways is None else seat.ways.read()
    if seat.ways is None or not current:
        return True
    is_call = records is not seat.given
    if any(current.get(mark) for mark in seat.ways.marks):
        if is_call:
            seat.void()
        return False
    if is_call:
        _note(seat, seat.ways.span, current, _call(seat, records, record))
    return True


def _call(seat: Noting, records: list[Any], record: tuple[Any, ...]) -> tuple[int, int, str, Any]:
    """Return when a failure or a stream began and ended, how, and its slice."""
    if records is seat.failures:
        start, end, outcome, _, page = record
    else:
        start, _, last, end, _, outcome, _, page = record
        end = last if outcome == _ABANDONED and last is not None else end
    return start, end, outcome, page


def _note(seat: Noting, span_of: Callable[[Any], Any], current: Any, call: tuple[int, int, str, Any]) -> None:
    try:
        span = span_of(current)
        if span is None or len(seat.traces) >= MOST:
            return
        found = span.get_span_context()
        if found.trace_flags & 1:
            seat.traces.append((*call, found))
    except Exception as fault:  # another implementation, or no stack left: the call itself is recorded already
        if is_signalled(fault):
            raise
