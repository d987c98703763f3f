"""Tracing: which span a call ended in, noted where OpenTelemetry is in use and nowhere else.

1. Where no tracing is in use, a seat records as ever: not one instruction more.
2. Where it is, what takes the seat's records looks at the current context first, which costs some 50 ns; only within
   a context that holds something is the span asked for.
3. Only sampled spans are noted, since others have no trace to look at.
4. A call made where instrumentation is suppressed is no call.

What is noted of a call: ``start, duration, end, outcome, slice, trace id, span id``; times in nanoseconds.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from modelmon.faults import is_signalled
from modelmon.suppression import suppressed_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelmon.probes.seats import Seat

MOST: Final = 8192  # noted calls that wait to be drained
_ABANDONED: Final = "abandoned"


def context_reader() -> Callable[[], Any] | None:
    """Return what reads the current context, where tracing is in use in this process; else None."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    if "opentelemetry.sdk.trace" not in sys.modules and getattr(trace, "_TRACER_PROVIDER", None) is None:
        return None
    context = sys.modules.get("opentelemetry.context")
    variable = getattr(getattr(context, "_RUNTIME_CONTEXT", None), "_current_context", None)
    reader: Callable[[], Any] | None = getattr(variable, "get", None) or getattr(context, "get_current", None)
    return reader


def extend_of(seat: Seat) -> Callable[[Iterable[Any]], None]:
    """Return what takes a seat's records of calls that returned: its buffer, or what notes their spans before."""
    seat.context = read = context_reader()
    if read is None:
        return seat.buffer.extend

    def extend(record: Any, append: Any = seat.buffer.extend, read: Any = read) -> None:
        if read():
            _enter(seat, record)
        else:
            append(record)

    return extend


def listen(seat: Seat) -> None:
    """Note spans from now on, where tracing is in use by now; the call that ended last is the first."""
    if context_reader() is None:
        return
    last = tuple(seat.buffer[-seat.stride :])
    seat.accept()
    if last and seat.context is not None and seat.context():
        _note(seat, last[0], last[1], "ok", _page(seat, last))


def is_call(seat: Seat, records: list[Any], record: tuple[Any, ...]) -> bool:
    """Note the span of a call that did not return, or of a stream; tell whether it counts as a call."""
    if records is seat.given:
        return True
    if seat.context is None:
        listen(seat)
    if seat.context is None or not seat.context():
        return True
    if suppressed_in(seat.context()):
        return False
    if records is seat.failures:
        start, end, outcome, _, page = record
    else:
        start, _, last, end, _, outcome, _, page = record
        end = last if outcome == _ABANDONED and last is not None else end
    _note(seat, start, end, outcome, page)
    return True


def _enter(seat: Seat, record: Any) -> None:
    if seat.context is not None and suppressed_in(seat.context()):
        seat.void()
        return
    seat.buffer.extend(record)
    _note(seat, record[0], record[1], "ok", _page(seat, record))


def _page(seat: Seat, record: Any) -> Any:
    return record[seat.fields.index("slice")] if "slice" in seat.fields else ()


def _note(seat: Seat, start: int, end: int, outcome: str, page: Any) -> None:
    if len(seat.traces) >= MOST:
        return
    try:
        span = sys.modules["opentelemetry.trace"].get_current_span().get_span_context()
        if span.trace_flags & 1 and span.is_valid:
            seat.traces.append((start, max(end - start, 0), end, outcome, page, span.trace_id, span.span_id))
    except Exception as fault:  # another implementation, or no stack left: the call itself is recorded already
        if is_signalled(fault):
            raise
