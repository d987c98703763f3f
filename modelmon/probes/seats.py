"""Sites and seats: what is watched, and where its calls are written down.

A `Site` is one decoration; it lives as long as the wrapper.
A `Seat` is where that site records in one recorder: the recorder makes it, puts it into ``site.seat`` and drains it.
Configuring, capturing and forking put another seat there; a call ends in the seat where it began.

Rules of this file:

1. What runs for every call takes no lock, starts no thread and imports nothing.
2. Records are flat: ``extend`` of a tuple is atomic under the GIL and leaves no object for the garbage collector.
3. Nothing of the user's is kept but what `modelmon.copies.keep` made of it.
4. Nothing here raises into a call, except what a signal handler raised and what ``strict=True`` asks for.

What a seat holds, column after column:

========== ================== ======================================================================================
list       stride             columns
========== ================== ======================================================================================
buffer     ``len(fields)``    ``fields`` of the site: ``start, end, value`` and, where the site has them, ``id``,
                              ``slice``, ``size``; calls that returned; ``start`` and ``end`` are clock readings, ns
failures   5                  ``start, end, outcome, error_type, slice``; calls that did not return
streams    8                  ``start, first, last, end, items, outcome, error_type, slice``; ``first`` and ``last``
                              are None where there was no item; ``error_type`` is ``""`` for ``ok``
given      4                  ``time, value, id, slice``; predictions apart from a return: streamed items, contexts
timed      8                  ``start, end, duration, delay, first, peak, how, slice``; calls that ended while there was
                              a device; ``duration``, ``delay`` before it and ``first`` item of a stream are ns on the
                              device, ``peak`` bytes of its memory, each -1 where unknown; ``how`` names the clock, or
                              why the device could not be asked
rejections 1                  tuples ``(reason, count)``
========== ================== ======================================================================================

``value`` and ``id`` are plain scalars, what `modelmon.copies.keep` made, or `UNREADABLE`, among the rejections already.
``value`` None is no prediction.
With ``id="auto"`` the ids are written out by `modelmon.probes.auto_ids.issued` from the seat's prefix and the call's
number, which is what the column holds.
``size`` is an int of rows, -1 where it could not be told.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final

from modelmon import copies
from modelmon.errors import ModelmonError
from modelmon.faults import is_ours
from modelmon.probes import auto_ids, tracing
from modelmon.probes.item_ids import item_id
from modelmon.probes.outcomes import OK, ending
from modelmon.probes.sites import PLAIN, UNREADABLE, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Slice = tuple[tuple[str, str], ...]

__all__ = ["FAILURE_FIELDS", "GIVEN_FIELDS", "PLAIN", "STREAM_FIELDS", "TIMED_FIELDS", "UNREADABLE", "Seat", "Site"]

FAILURE_FIELDS: Final = ("start", "end", "outcome", "error_type", "slice")
STREAM_FIELDS: Final = ("start", "first", "last", "end", "items", "outcome", "error_type", "slice")
GIVEN_FIELDS: Final = ("time", "value", "id", "slice")
TIMED_FIELDS: Final = ("start", "end", "duration", "delay", "first", "peak", "how", "slice")
SELDOM: Final = 1023  # the mask of a seat that has nothing to hurry
_SHORT: Final = 256  # characters of text that are kept without a look at how much they are
_BETWEEN_RELIEFS: Final = 4096  # columns in the lists of failures, streams, given; a power of two
_AT_MOST: Final = 524_288  # columns in each of them, reached only while nobody can drain


class Seat:
    """Where one site records in one recorder; the wrapper touches nothing else.

    Attributes:
        site: what is watched.
        begun: counts the calls begun; ``next`` gives a call its number, from 0.
        begin: counts a call and returns its number.
        clock: monotonic nanoseconds.
        extend: of ``buffer``; while the seat refuses, a sink that counts.
        relieve: called with the seat every ``mask + 1`` calls, and now and then as its other lists grow; may drain.
        mask: one less than a power of two; 0 calls ``relieve`` after every call, whatever became of it.
        strict: whether misuse raises.
        kept_bytes: about how many bytes the kept values take.
        bytes_before_relief: past so many, ``relieve`` is called.
        billed: calls whose cost was asked for already.
        retired: calls counted among those of seats that were let go, while this one was.
        prefix: of the ids issued here, with ``id="auto"``.
        ended: calls whose records were drained.
        spans: takes the times of drained calls, where somebody follows them.
        traces: what `modelmon.probes.tracing` noted of calls, in tuples.
        ways: what it looks at for spans; None where no tracing is in use.
        blamed: a few of the hooks that failed, by what they were given as and the name of what they raised.
        timings: counts the calls that a device timed; of some of them its memory is looked at.
    """

    __slots__ = (
        "_lost",
        "_void",
        "begin",
        "begun",
        "billed",
        "blamed",
        "buffer",
        "bytes_before_relief",
        "clock",
        "ended",
        "extend",
        "failures",
        "fields",
        "given",
        "kept_bytes",
        "mask",
        "prefix",
        "rejections",
        "relieve",
        "retired",
        "site",
        "slices",
        "spans",
        "streams",
        "strict",
        "stride",
        "timed",
        "timings",
        "traces",
        "ways",
    )

    def __init__(self, site: Site, *, clock: Callable[[], int], relieve: Callable[[Seat], None]) -> None:
        """Start empty."""
        self.site, self.clock, self.relieve = site, clock, relieve
        self.mask, self.strict = SELDOM, False
        self.fields = site.fields
        self.stride = len(site.fields)
        self.buffer: list[Any] = []
        self.failures: list[Any] = []
        self.streams: list[Any] = []
        self.given: list[Any] = []
        self.timed: list[Any] = []
        self.rejections: list[tuple[str, int]] = []
        self.blamed: dict[tuple[str, str], None] = {}
        self.kept_bytes = self.billed = self.retired = self.ended = 0
        self.bytes_before_relief = 16 << 20
        self.spans: Any = None
        self.begun, self._void, self._lost, self.timings = count(), count(), count(), count()
        self.begin: Callable[[], int] = self.begun.__next__
        self.traces: list[tuple[Any, ...]] = []
        self.ways: tracing.Ways | None = None
        self.extend: Callable[[Iterable[Any]], None] = tracing.extend_of(self)
        self.prefix = auto_ids.new_prefix() if site.id == "auto" else ""
        self.slices: dict[tuple[str, ...], Slice] = {}

    @property
    def started(self) -> int:
        """Calls begun here, those whose arguments turned out not to bind left out."""
        return _reached(self.begun) - _reached(self._void)

    @property
    def begun_ever(self) -> int:
        """Calls begun here, whatever became of them."""
        return _reached(self.begun)

    @property
    def written_off(self) -> int:
        """Calls begun here that leave no record."""
        return _reached(self._void) + _reached(self._lost)

    @property
    def lost(self) -> int:
        """Records dropped because nobody could drain."""
        return _reached(self._lost)

    def follow(self, starts: Any, ends: Any) -> None:
        """Note that so many calls were drained, and when they ran, for whoever follows them."""
        self.ended += len(starts)
        if self.spans is not None:
            self.spans.add(starts, ends)

    def refuse(self) -> None:
        """Count further records as lost instead of keeping them."""
        self.extend = self._lose

    def accept(self) -> None:
        """Keep records again."""
        self.extend = tracing.extend_of(self)

    def keep(self, value: Any, reason: str = "") -> Any:
        """Return what of a value may be kept, or ``UNREADABLE`` after counting why not (``reason``, if given)."""
        if type(value) is str and len(value) <= _SHORT:
            return value
        kept = copies.keep(value)
        if type(kept) is copies.Rejection:
            self.reject(reason or kept.reason, 1 if reason else kept.rows)
            return UNREADABLE
        self.kept_bytes += copies.kept_bytes(kept)
        if self.kept_bytes > self.bytes_before_relief:
            self.relieve(self)
        return kept

    def reject(self, reason: str, rows: int = 1) -> None:
        """Count values that could not be read."""
        if len(self.rejections) < _AT_MOST:
            self.rejections.append((reason, rows))

    def fail(self, start: int, error: BaseException, slice: Slice = ()) -> None:  # noqa: A002
        """Record a call that did not return; no reference to what it raised is kept."""
        end = self.clock()
        self._write(self.failures, (start, end, *ending(error), slice))

    def end(  # noqa: PLR0917  (called by generated text)
        self,
        start: int,
        first: int | None,
        last: int | None,
        items: int,
        error: BaseException | None,
        slice: Slice = (),  # noqa: A002
    ) -> None:
        """Record a stream that ended, exhausted where there is no error."""
        end = self.clock()
        outcome = (OK, "") if error is None else ending(error)
        self._write(self.streams, (start, first, last, end, items, *outcome, slice))

    def give(self, time: int, value: Any, ident: Any = None, slice: Slice = ()) -> None:  # noqa: A002
        """Record a prediction apart from a call's return."""
        self._write(self.given, (time, value, ident, slice))

    def give_item(  # noqa: PLR0917  (called by generated text)
        self, time: int, call: int, item: int, value: Any, ident: Any, page: Slice
    ) -> None:
        """Record the prediction of a streamed item, counted from 1; of a sequence of ids it takes its own."""
        rows = auto_ids.rows_issued(value, self.site.task, alone=True) if self.prefix else None
        self.give(time, value, item_id(self.prefix, call, item, ident, rows), page)

    def time(self, record: tuple[Any, ...]) -> None:
        """Record how long a call took on a device, or why that is not known."""
        if len(self.timed) <= _AT_MOST:
            self.timed.extend(record)

    def mend(self, start: int | None, error: BaseException) -> bool:
        """Put right a record that something interrupted, and tell whether to raise what did.

        Args:
            start: of the call, if its record may be missing.
            error: what was raised while this library recorded: a fault of ours, or of a signal handler.
        """
        if start is not None and self.buffer[-self.stride : 1 - self.stride] != [start]:
            columns = {"start": start, "end": self.clock(), "slice": (), "size": -1, "value": UNREADABLE}
            self.buffer.extend([columns.get(field) for field in self.fields])
        return self._excuse(error)

    def mend_failure(self, start: int, error: BaseException, fault: BaseException) -> bool:
        """Put right the record of a call that raised ``error``, and tell whether to raise what interrupted it."""
        if self.failures[-5:-4] != [start]:
            self.failures.extend((start, self.clock(), *ending(error), ()))
        return self._excuse(fault)

    def mend_end(self, start: int, items: int, error: BaseException | None, fault: BaseException) -> bool:
        """Put right the record of a stream, and tell whether to raise what interrupted it."""
        if self.streams[-8:-7] != [start]:
            outcome = (OK, "") if error is None else ending(error)
            self.streams.extend((start, None, None, self.clock(), items, *outcome, ()))
        return self._excuse(fault)

    def _excuse(self, fault: BaseException) -> bool:
        if not is_ours(fault):
            return True
        self.reject("internal")
        return False

    def void(self) -> None:
        """Uncount a call whose arguments turned out not to bind."""
        next(self._void)

    def _write(self, records: list[Any], record: tuple[Any, ...]) -> None:
        if len(records) > _AT_MOST:
            if records is self.given:
                self.reject("dropped")
            else:
                next(self._lost)
            return
        if not tracing.is_counted(self, records, record):
            return
        records.extend(record)
        if self.mask == 0 or len(records) & (_BETWEEN_RELIEFS - 1) < len(record):
            try:
                self.relieve(self)
            except RecursionError:  # which tells a wrapper that nothing was written; relief can wait
                return
            except Exception as fault:
                if not is_ours(fault) and not isinstance(fault, ModelmonError):
                    raise
                self.reject("internal")

    def _lose(self, _record: Iterable[Any]) -> None:
        next(self._lost)


def _reached(counter: count[int]) -> int:
    """Read a counter without advancing it; its ``repr`` is the one way that works on every Python."""
    return int(repr(counter)[6:-1])
