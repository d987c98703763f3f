"""The context manager: a call that is a block of code, not a function.

1. One object is one call; what is done with it before it is entered, twice, or after it ended is counted as rejected
   (``"misuse"``), and raises only with ``strict=True``.
2. What the block raises passes untouched.
3. Predictions are kept when they are given, so that the block may change its arrays afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from modelmon.copies import Coded, Deferred, Nullable, Rejection
from modelmon.errors import RejectedError
from modelmon.probes import auto_ids, reading
from modelmon.probes.seats import UNREADABLE
from modelmon.probes.sites import is_plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

    from modelmon.probes.seats import Seat, Site, Slice


class Promises(Protocol):
    """What keeps predictions and writes receipts of them."""

    def keep(self, kept: Any, ident: Any, page: Slice) -> None:
        """Keep what was predicted just now."""
        ...

    def receipt(self, identity: Any) -> str:
        """Return a receipt of the prediction under an id; empty where none could be read."""
        ...


_NEW: Final = "not entered yet"
_OPEN: Final = "open"
_ENDED: Final = "over"


class CallContext:
    """One watched block; made by ``monitor.call()``, used with ``with`` or ``async with``."""

    __slots__ = (
        "_call",
        "_first",
        "_ids",
        "_items",
        "_last",
        "_page",
        "_promises",
        "_rows",
        "_seat",
        "_size",
        "_start",
        "_state",
        "_timing",
    )

    def __init__(
        self,
        site: Site | None,
        *,
        attributes: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        promises: Promises | None = None,
    ) -> None:
        """Take what is watched, or None to do nothing.

        Args:
            site: what is watched; its buffer has a slice and a size where ``attributes`` and ``batch_size`` of the
                site are not None.
            attributes: the slice, as attribute name to value.
            batch_size: rows of this call; counted from the predictions if None.
            promises: keeps the predictions for receipts, so that they await no label; or None.
        """
        self._promises = promises
        self._seat: Seat | None = None if site is None else site.seat
        self._state = _NEW
        self._page: Slice = ()
        self._size = reading.UNKNOWN_SIZE
        if self._seat is not None and attributes:
            self._page = reading.page_from(self._seat, attributes)
        if self._seat is not None and batch_size is not None:
            self._size = reading.size(self._seat, batch_size)
        self._start = self._call = self._items = self._rows = 0
        self._first: int | None = None
        self._last: int | None = None
        self._ids: list[Any] = []
        self._timing: Any = None

    @property
    def ids(self) -> list[Any]:
        """Ids of the predictions of this call, in order: as given, or as issued where none were given.

        None stands for those that could not be read; ids on a device are waited for.
        """
        return [ident for given in self._ids for ident in _listed(given)]

    def predictions(self, ids: Any, values: Any) -> None:
        """Record a batch of predictions.

        Args:
            ids: ``n`` prediction ids, or None to have ids issued, which ``ids`` then returns.
            values: ``n`` predictions, as a watched function would return them.
        """
        seat = self._open("predictions()")
        if seat is not None:
            kept = values if is_plain(values) else seat.keep(values)
            self._give(seat, None if ids is None else seat.keep(ids, "bad_id"), kept)

    def prediction(self, id: Any, value: Any) -> None:  # noqa: A002  (the public name)
        """Record one prediction; a row of numbers is one prediction here.

        Args:
            id: its id, or None to have one issued.
            value: what a watched function would return for one row.
        """
        seat = self._open("prediction()")
        if seat is None:
            return
        kept = value if is_plain(value) else seat.keep(value)
        ident = None if id is None else seat.keep(id, "bad_id")
        if kept is UNREADABLE or is_plain(kept) or type(kept) in {str, bytes}:
            self._give(seat, ident, kept)
        else:
            self._give(seat, ident if ident is None or ident is UNREADABLE else (ident,), _row(seat, kept))

    def receipt(self, id: Any) -> str:  # noqa: A002  (the public name)
        """Return a signed text that stands for a prediction of this call, given with ``receipts=True``.

        Whoever learns the label sends it back: ``monitor.labels(receipts=[...], truths=[...])``.

        Args:
            id: the prediction's id; ``ids`` has those that were issued.

        Returns:
            Letters, digits, ``-`` and ``_``, mostly under 200; nothing where no such prediction could be read, or
            where that would be more than 16,384.
        """
        if self._promises is None:
            if self._seat is not None:
                self._misused(self._seat, "receipt() without receipts=True")
            return ""
        return self._promises.receipt(id)

    def item(self, count: int = 1) -> None:
        """Mark one streamed item, or one that stands for ``count`` tokens."""
        seat = self._open("item()")
        if seat is not None:
            self._last = seat.clock()
            if self._first is None:
                self._first = self._last
                if self._timing is not None:
                    seat.site.timers.first(self._timing)
            self._items += count if type(count) is int and count >= 0 else 1

    def __enter__(self) -> Self:
        """Begin the call."""
        seat = self._seat
        if seat is None:
            return self
        if self._state != _NEW:
            self._misused(seat, "entered again")
            return self
        self._state = _OPEN
        timers = seat.site.timers
        if timers is not None:
            try:
                self._timing = timers.begin(seat)
            except RecursionError:  # no stack is left to time it with
                self._timing = None
        self._start = seat.clock()
        self._call = seat.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the call; what ended it passes."""
        seat = self._seat
        if seat is None or self._state != _OPEN:
            return
        self._state = _ENDED
        try:
            self._end(seat, error)
        except RecursionError:  # no stack is left to do it with; what raises this has not written yet
            how = ("ok", "") if error is None else ("error", "RecursionError")
            if self._items:
                seat.streams.extend((self._start, self._first, self._last, seat.clock(), self._items, *how, ()))
            elif error is not None:
                seat.failures.extend((self._start, seat.clock(), *how, ()))
            else:
                rest = (((),) if "slice" in seat.fields else ()) + ((-1,) if "size" in seat.fields else ())
                seat.buffer.extend((self._start, seat.clock(), None, *rest))

    def _end(self, seat: Seat, error: BaseException | None) -> None:
        end = None
        if self._timing is not None and error is None:
            end = seat.site.timers.end(self._timing, seat, self._start, None, self._page)
        if self._items:
            seat.end(self._start, self._first, self._last, self._items, error, self._page)
        elif error is not None:
            seat.fail(self._start, error, self._page)
        else:
            size = self._rows if self._size == reading.UNKNOWN_SIZE else self._size
            end = seat.clock() if end is None else end
            known = {"start": self._start, "end": end, "slice": self._page, "size": size}
            seat.extend([known.get(field) for field in seat.fields])
            if not self._call & seat.mask:
                try:
                    seat.relieve(seat)
                except RecursionError:  # relief can wait
                    return

    async def __aenter__(self) -> Self:
        """Begin the call."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the call; what ended it passes."""
        self.__exit__(kind, error, trace)

    def _give(self, seat: Seat, ident: Any, kept: Any) -> None:
        rows = auto_ids.rows_of(kept)
        if ident is None:
            ident = self._issued(seat, rows)
        self._ids.append(ident)
        self._rows += 1 if rows is None else rows
        if self._promises is not None:
            if kept is not UNREADABLE and ident is not UNREADABLE:
                self._promises.keep(kept, ident, self._page)
            ident = None
        seat.give(seat.clock(), kept, ident, self._page)

    def _issued(self, seat: Seat, rows: int | None) -> Any:
        if not seat.prefix:
            seat.prefix = auto_ids.new_prefix()
        first = self._rows
        ids = [f"{seat.prefix}-{self._call}-{row}" for row in range(first, first + (1 if rows is None else rows))]
        return ids[0] if rows is None else tuple(ids)

    def _open(self, what: str) -> Seat | None:
        seat = self._seat
        if seat is not None and self._state != _OPEN:
            self._misused(seat, f"{what} while the call is {self._state}")
            return None
        return seat

    def _misused(self, seat: Seat, how: str) -> None:
        seat.reject("misuse")
        if seat.strict:
            msg = f"call of {seat.site.model!r}: {how}; use each monitor.call() in one with statement, and inside it"
            raise RejectedError(msg)


def _row(seat: Seat, kept: Any) -> Any:
    """Return a kept value that is no scalar as a batch of one."""
    kind = type(kept)
    if kind is tuple or kind is frozenset:
        return (kept,)
    if kind is Deferred:
        return kept.as_row()
    if kind is Nullable:
        return Nullable(kept.data[None], kept.absent[None])
    if kind is Coded:
        seat.reject("type")
        return UNREADABLE
    return kept[None]


def _listed(given: Any) -> list[Any]:
    """Return what was given as the id of one or many predictions as ids, for people to read."""
    if type(given) is tuple:
        return [ident for each in given for ident in _listed(each)]
    given = given.array() if type(given) is Deferred else given
    if given is UNREADABLE or type(given) is Rejection:
        return [None]
    tolist = getattr(given, "tolist", None)  # an array of our own
    listed = given if tolist is None else tolist()
    return listed if type(listed) is list else [listed]
