"""The recorder: the only mutable state of this process, and its only lock.

1. A monitored call appends to its seat's buffer and never waits: relief only *tries* the lock.
2. Readers and label calls take the lock, drain every seat first, and then read or join, so a label never overtakes a
   prediction of its own process.
3. Whoever interrupts the holder in the holder's own thread (a signal handler, a finaliser) may record, but not read:
   reading raises ``BusyError`` instead of waiting for itself.
4. Nothing is logged and no code of the user runs while the lock is held.
5. A forked child and a ``capture`` get a recorder of their own; nothing is shared with the old one.
"""

from __future__ import annotations

import os
from _thread import RLock
from binascii import hexlify
from dataclasses import fields
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from modelmon import notices
from modelmon.clocks import StoreClock, SystemClock
from modelmon.errors import BusyError, InvariantError, RejectedError
from modelmon.probes.seats import Seat

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.draining import Moment, SeriesCounts
    from modelmon.events import Labels
    from modelmon.parts import Part, SeriesKey
    from modelmon.probes.seats import Site
    from modelmon.settings import Settings
    from modelmon.stores.contract import JoinSettings, Store

HIGH_WATER: Final = 16_384
HARD_CAP: Final = 4 * HIGH_WATER
HIGH_WATER_BYTES: Final = 16 << 20


class Recorder:
    """Buffer what probes saw until somebody drains it into ledgers and the store."""

    def __init__(self, settings: Settings, make_store: Callable[[], Store]) -> None:
        """Start empty; the store is made at the first drain.

        Args:
            settings: of the monitor.
            make_store: returns a fresh, unopened store.
        """
        self.settings = settings
        self.origin = hexlify(os.urandom(16)).decode()
        self.clock = settings.clock or SystemClock()
        self.seats: list[Seat] = []
        self.failures: dict[tuple[str, str], int] = {}
        self._now = StoreClock(self.clock)
        self._lock = RLock()
        self._make_store = make_store
        self._store: Store | None = None
        self._series: dict[SeriesKey, SeriesCounts] = {}
        self._retired: dict[SeriesKey, int] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._notices: list[tuple[str, str]] = []
        self.wake: Callable[[], None] | None = None
        self._epochs = count(1)
        self._delivered = 0

    # -- the call's side: no waiting ---------------------------------------------------------------------------------

    def seat(self, site: Site) -> Seat:
        """Return a new seat for a site; its owner puts it in the site's cell."""
        seat = Seat(site, clock=self.clock.monotonic_ns, relieve=self.relieve)
        if self.settings.strict:
            seat.mask = 0
        self.seats.append(seat)
        return seat

    def relieve(self, seat: Seat) -> None:
        """Drain a seat whose buffer is high; called by the monitored call every so often, cheap when there is no need."""
        if self.wake is not None:
            wake, self.wake = self.wake, None
            wake()
        high = waiting(seat)
        if high < HIGH_WATER * seat.stride and seat.kept_bytes < HIGH_WATER_BYTES and not self.settings.strict:
            return
        if _owned(self._lock) or not self._lock.acquire(blocking=False):
            if high >= HARD_CAP * seat.stride or seat.kept_bytes >= 4 * HIGH_WATER_BYTES:
                seat.refuse()
            return
        rejected = 0
        try:
            before = self._rejected(seat.site)
            self._drain(seat, HIGH_WATER)
            rejected = self._rejected(seat.site) - before
        finally:
            self._lock.release()
        if self.settings.strict and rejected:
            msg = f"{rejected} prediction(s) of {seat.site.model!r} could not be read; snapshot().rejected says why"
            raise RejectedError(msg)

    # -- the reader's side -------------------------------------------------------------------------------------------

    def drained(self) -> _Held:
        """Return a context that holds the lock with every seat drained."""
        return _Held(self)

    @property
    def used(self) -> bool:
        """Tell whether anything was recorded or labelled yet."""
        return bool(self._delivered) or any(seat.started for seat in self.seats) or bool(self._retired)

    @property
    def store(self) -> Store:
        """The store, opened at the first use."""
        if self._store is None:
            store = self._make_store()
            store.open(join_settings(self.settings), self.clock)
            self._store = store
        return self._store

    def now(self) -> float:
        """Return seconds since the epoch on the ratchet clock."""
        return self._now.now()

    def monotonic(self) -> float:
        """Return seconds of the machine's monotonic clock, for time-outs, whatever clock the calls follow."""
        return monotonic()

    def moment(self) -> Moment:
        """Return the pair of clock readings a drain needs."""
        from modelmon.draining import Moment  # noqa: PLC0415  (numpy loads at the first drain)

        offset = round(self._now.now() * 1e9) - self.clock.monotonic_ns()
        return Moment(offset=offset, window=max(1, round(self.settings.window * 1e9)))

    def series(self, model: str, version: str) -> SeriesCounts:
        """Return the counts of one model and version, at zero if new."""
        from modelmon.draining import SeriesCounts  # noqa: PLC0415  (numpy loads at the first drain)

        found = self._series.get((model, version))
        if found is None:
            found = self._series[model, version] = SeriesCounts()
        return found

    def label(self, labels: Labels) -> dict[str, int]:
        """Deliver labels to the store; the caller holds the lock."""
        self._delivered += len(labels.ids)
        return {name: int(n) for name, n in dict(self.store.label(labels)).items()}

    def parts(self) -> tuple[Part, ...]:
        """Return frozen parts of this process and of its store; the caller holds the lock with all seats drained."""
        from modelmon.parts import Part  # noqa: PLC0415  (numpy loads at the first drain)
        from modelmon.tallies import Tally  # noqa: PLC0415

        self._declare()
        counts = Tally()
        for (name, what), n in self._self_counts().items():
            counts.counts(f"self:{name}").add((what,), n)
        for pair, n in self.failures.copy().items():
            counts.counts("exporter_failures").add(pair, n)
        now = self.now()
        first_kept = int((now - self.settings.history) // self.settings.window)
        series = {}
        started = self._started()
        for key, held in self._series.items():
            held.fold(first_kept)
            series[key] = held.part(max(0, started.get(key, 0) - held.ended))
        process = Part(
            origin=self.origin,
            epoch=next(self._epochs),
            kind="process",
            taken_at=now,
            window=self.settings.window,
            series=series,
            counts=counts,
            gauges={},
        )
        return (process, self.store.part())

    def count(self, name: str, what: str, n: int = 1) -> None:
        """Count a happening of our own, such as a drop; the caller holds the lock."""
        self._counts[name, what] = self._counts.get((name, what), 0) + n

    def fail_export(self, exporter: str, reason: str) -> None:
        """Count an export that failed."""
        with self._lock:
            self.failures[exporter, reason] = self.failures.get((exporter, reason), 0) + 1

    def check_invariants(self) -> None:
        """Check that every call begun has one outcome or runs, and the laws of the join; the caller holds the lock.

        Raises:
            InvariantError: naming the law and the two numbers that differ.
        """
        for key, started in self._started().items():
            held = self._series.get(key)
            ended = held.ended if held is not None else 0
            counted = sum(n for _, n in held.calls()) if held is not None else 0
            dropped = self._counts.get(("dropped", "internal_error"), 0)
            if ended > started or counted + dropped < ended:
                msg = f"calls of {key}: {started} started, {ended} ended, {counted} counted by outcome"
                raise InvariantError(msg)
        self.store.check_invariants()

    def prune(self) -> None:
        """Let go of seats whose function is gone and whose records are drained."""
        kept = []
        for seat in self.seats:
            if seat.site.gone and not waiting(seat):
                key = (seat.site.model, seat.site.version)
                self._retired[key] = self._retired.get(key, 0) + seat.started - seat.lost
            else:
                kept.append(seat)
        self.seats[:] = kept

    # -- inside ------------------------------------------------------------------------------------------------------

    def _drain(self, seat: Seat, limit: int) -> None:
        from modelmon.draining import drain_seat  # noqa: PLC0415  (numpy loads at the first drain)

        site = seat.site
        series = self.series(site.model, site.version)
        ended = series.ended
        try:
            drain_seat(seat, limit, self.moment(), series, self.store)
        except Exception as error:
            self.count("internal_errors", f"drain:{type(error).__name__}")
            self.count("dropped", "internal_error", max(series.ended - ended, 0))
            self._notices.append(("drain", f"modelmon could not count records of {site.model!r}: {error!r}"))
            if self.settings.strict:
                raise
        seat.accept()

    def _drain_all(self) -> None:
        for seat in list(self.seats):
            while True:
                before = waiting(seat)
                if not before:
                    break
                self._drain(seat, HIGH_WATER)
                if before < HIGH_WATER:
                    break
        if len(self.seats) > len(self._series) + 64:
            self.prune()

    def _declare(self) -> None:
        for seat in self.seats:
            site = seat.site
            known = self.series(site.model, site.version)
            if known.task is None:
                known.task = site.task
            self.store.declare(site.model, site.version, known.task)

    def _started(self) -> dict[SeriesKey, int]:
        started = dict(self._retired)
        for seat in self.seats:
            key = (seat.site.model, seat.site.version)
            started[key] = started.get(key, 0) + seat.started - seat.lost
        return started

    def _rejected(self, site: Site) -> int:
        return self.series(site.model, site.version).rejected

    def _self_counts(self) -> dict[tuple[str, str], int]:
        counts = dict(self._counts)
        lost = sum(seat.lost for seat in self.seats)
        if lost:
            counts["dropped", "buffer_full"] = counts.get(("dropped", "buffer_full"), 0) + lost
        slices = sum(series.overflowed for series in self._series.values())
        if slices:
            counts["overflow", "slices"] = slices
        if self._now.steps:
            counts["sanitized", "clock_step"] = self._now.steps
        return counts


class _Held:
    """Hold a recorder's lock with every seat drained; say what there is to say after letting go."""

    __slots__ = ("_recorder",)

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __enter__(self) -> Recorder:
        recorder = self._recorder
        if _owned(recorder._lock):
            msg = "modelmon was interrupted in this thread (signal handler, finaliser); read or label from normal code"
            raise BusyError(msg)
        recorder._lock.acquire()
        try:
            recorder._drain_all()
        except BaseException:
            self._release()
            raise
        return recorder

    def __exit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        recorder = self._recorder
        said, recorder._notices = recorder._notices, []
        recorder._lock.release()
        for site, message in said:
            notices.warn(site, message)


def join_settings(settings: Settings) -> JoinSettings:
    """Return the settings that govern the join."""
    from modelmon.stores.contract import JoinSettings  # noqa: PLC0415  (the store's room loads at the first drain)

    return JoinSettings(**{field.name: getattr(settings, field.name) for field in fields(JoinSettings)})


def waiting(seat: Seat) -> int:
    """Return how many list entries wait in a seat, to be drained."""
    return len(seat.buffer) + len(seat.failures) + len(seat.streams) + len(seat.given) + len(seat.rejections)


def _owned(lock: Any) -> bool:
    """Tell whether this very thread holds the lock: a signal handler or finaliser that interrupted the holder."""
    return bool(lock._is_owned())  # the method that threading.Condition itself relies on
