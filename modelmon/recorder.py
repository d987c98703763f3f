"""The recorder: the only mutable state of this process, and its only lock.

1. A monitored call appends to its seat's buffer and waits for nothing: relief only *tries* the lock.
   Only a caller that outruns every drain is slowed, by up to 10 ms each thousand calls, before anything is dropped.
2. Readers and label calls take the lock, drain every seat first, and then read or join, so a label never overtakes a
   prediction of its own process.
3. Whoever interrupts the holder in the holder's own thread (a signal handler, a finaliser) may record, but not read:
   reading raises ``BusyError`` instead of waiting for itself.
4. Nothing is logged, no code of the user runs and nobody waits for a store's input and output while the lock is held.
5. A forked child and a ``capture`` get a recorder of their own; nothing is shared with the old one.
"""

from __future__ import annotations

from _thread import RLock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, TypeVar

from modelmon import notices
from modelmon.clocks import SystemClock
from modelmon.errors import BusyError, RejectedError
from modelmon.faults import is_signalled
from modelmon.forking import load_counting
from modelmon.probes.live import look, trouble
from modelmon.probes.seats import SELDOM, Seat
from modelmon.probes.tracing import listen
from modelmon.seating import waiting
from modelmon.starting import Starting, owned

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.draining import Moment
    from modelmon.events import Mistake
    from modelmon.probes.seats import Site
    from modelmon.settings import Settings
    from modelmon.stores.contract import Store

HIGH_WATER: Final = 16_384
HARD_CAP: Final = 12 * HIGH_WATER
HIGH_WATER_BYTES: Final = 16 << 20
_PATIENCE_S: Final = 0.01
T = TypeVar("T")


class Recorder(Starting):
    """Buffer what probes saw until somebody drains it into ledgers and the store.

    Attributes:
        settings: of the monitor.
        clock: stamps the calls.
        seats: where sites record.
        troubles: of the library itself.
        witness: told of predictions that labels show to be wrong, while their store works; None where nobody asked.
    """

    def __init__(
        self, settings: Settings, make_store: Callable[[], Store], place: Callable[[], str | None] = lambda: None
    ) -> None:
        """Start empty.

        Args:
            settings: of the monitor.
            make_store: returns a fresh store, which is opened at the first drain.
            place: returns the directory of the machine, or None; asked once, at the first need.
        """
        super().__init__(settings, settings.clock or SystemClock(), make_store, place)
        self.seats = self.seating.seats
        self.witness: Callable[[Mistake], object] | None = None
        self.monotonic = monotonic
        self._lock = RLock()
        self._delivered = 0

    # -- the call's side: no waiting ---------------------------------------------------------------------------------

    def seat(self, site: Site) -> Seat:
        """Return a new seat for a site."""
        seat = Seat(site, clock=self.clock.monotonic_ns, relieve=self.relieve)
        seat.strict = self.settings.strict
        self.seats.append(seat)
        self.arm_seat(seat)
        return seat

    def relieve(self, seat: Seat) -> None:
        """Drain a seat that holds much; monitored calls ask this every so often, and mostly there is nothing to do."""
        if not owned(self._lock):
            seat.mask = 0 if seat.strict else SELDOM
            self.begin_once()
        if self._delivery is not None and self._delivery.pressed:
            sleep(_PATIENCE_S)
        if seat.site.untimed and self.settings.gpu is not False:
            look(self.seats)
        if seat.ways is None:
            listen(seat)
        high = waiting(seat)
        if high < HIGH_WATER * seat.stride and seat.kept_bytes < HIGH_WATER_BYTES and not self.settings.strict:
            return
        load_counting()
        rejected = 0
        if owned(self._lock):
            self._bound(seat, high)
            return
        try:
            if self._try_lock(seat, high):
                rejected = self._relieved(seat)
        finally:  # twice, because what strikes here may strike in between
            try:
                self._let_go()
            finally:
                self._let_go()
        if self.settings.strict and rejected:
            msg = f"{rejected} prediction(s) of {seat.site.model!r} could not be read; snapshot().rejected says why"
            raise RejectedError(msg)

    # -- the reader's side -------------------------------------------------------------------------------------------

    def hold(self, act: Callable[[Recorder], T]) -> T:
        """Return what ``act`` returns, called with the lock held and every seat drained.

        The lock is taken by a ``with`` statement over the lock itself: a signal's exception can strike between any two
        instructions of ours, but not between those.

        Raises:
            BusyError: when this thread holds the lock already, further up the stack.
        """
        if owned(self._lock):
            msg = "modelmon was interrupted in this thread (signal handler, finaliser); read or label from normal code"
            raise BusyError(msg)
        load_counting()
        with self._lock, self.spending.section("drain"):
            self._drain_all()
            result = act(self)
            if self._process is not None:
                self.troubles.say_rejections(self._process.items())
            if trouble():
                self.troubles.say("devices", trouble())
            said = self.troubles.said()
        for site, message in said.items():
            notices.warn(site, message)
        return result

    @property
    def used(self) -> bool:
        """Tell whether anything was recorded or labelled yet."""
        return bool(self._delivered) or self.seating.used

    def locked(self, act: Callable[[], T]) -> T:
        """Return what ``act`` returns, called with the lock held; nothing is drained.

        Raises:
            BusyError: when this thread holds the lock already, further up the stack.
        """
        if owned(self._lock):
            msg = "modelmon was interrupted in this thread (signal handler, finaliser)"
            raise BusyError(msg)
        with self._lock:
            return act()

    def attempt(self, act: Callable[[], object], patience: float, *, drain: bool = False) -> bool:
        """Call ``act`` with the lock held if it can be had within ``patience`` seconds; tell whether it was called.

        Args:
            act: what to do.
            patience: seconds.
            drain: drain every seat before, but for what has not landed yet from a device.
        """
        load_counting()
        if owned(self._lock) or not self._lock.acquire(timeout=patience):
            return False
        try:
            if drain:
                with self.spending.section("drain"):
                    self._drain_all(wait=False)
            act()
        finally:
            self._lock.release()
        return True

    def drain(self) -> None:
        """Drain every seat, and open the store if nobody has."""

        def settle(held: Recorder) -> None:
            if held.store.blocking:
                held.delivery.counts.settle()

        self.hold(settle)

    def moment(self) -> Moment:
        """Return the pair of clock readings a drain needs."""
        from modelmon.draining import Moment  # noqa: PLC0415  (numpy loads at the first drain)

        offset = round(self._now.now() * 1e9) - self.clock.monotonic_ns()
        return Moment(offset=offset, window=max(1, round(self.settings.window * 1e9)))

    def succeeded(self, exporter: str) -> None:
        """Note that an exporter did its work just now."""
        self.troubles.successes[exporter] = self.monotonic()

    def entered(self, n: int = 1) -> None:
        """Note that labels or predictions came in apart from any call."""
        self._delivered += n

    def count(self, name: str, what: str, n: int = 1) -> None:
        """Count a trouble of our own, such as a drop."""
        with self._lock:
            self.troubles.count(name, what, n)

    def fail_export(self, exporter: str, reason: str) -> None:
        """Count an export that failed."""
        with self._lock:
            self.troubles.fail_export(exporter, reason)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _drain(self, seat: Seat, limit: int, *, wait: bool = True) -> None:
        from modelmon.draining import drain_seat  # noqa: PLC0415  (numpy loads at the first drain)

        site = seat.site
        series = self.series(site.model, site.version)
        ended = series.ended
        try:
            drain_seat(seat, limit, self.moment(), series, store=self.sink, wait=wait)
        except BaseException as error:
            self.count("internal_errors", f"drain:{type(error).__name__}")
            series.miss()
            self.count("dropped", "internal_error", max(series.ended - ended, 0))
            self.troubles.say("drain", f"modelmon could not count records of {site.model!r}: {error!r}")
            if self.settings.strict or not isinstance(error, Exception) or is_signalled(error):
                raise
        seat.accept()

    def _try_lock(self, seat: Seat, high: int) -> bool:
        """Try the lock; past the hard cap begin to drop instead.

        With much waiting, wait a moment for another thread's reading to end: that slows a caller which outruns every
        drain.
        """
        if self._lock.acquire(blocking=False):
            return True
        if 2 * HIGH_WATER * seat.stride < high < HARD_CAP * seat.stride and self._lock.acquire(timeout=_PATIENCE_S):
            return True
        self._bound(seat, high)
        return False

    def _bound(self, seat: Seat, high: int) -> None:
        if high >= HARD_CAP * seat.stride or seat.kept_bytes >= 4 * HIGH_WATER_BYTES:
            seat.refuse()

    def _relieved(self, seat: Seat) -> int:
        """Drain a chunk of a seat and return how many predictions could not be read."""
        series = self.series(seat.site.model, seat.site.version)
        before = series.rejected
        with self.spending.section("drain"):
            self._drain(seat, HIGH_WATER, wait=False)
        return series.rejected - before

    def _let_go(self) -> None:
        if owned(self._lock):
            self._lock.release()

    def _drain_all(self, *, wait: bool = True) -> None:
        gone = False
        if self.settings.gpu is not False:
            look(self.seats)
        for seat in list(self.seats):
            left = waiting(seat)  # what comes in meanwhile is for the next drain, or this one might never end
            while left > 0:
                self._drain(seat, HIGH_WATER, wait=wait)
                left -= HIGH_WATER
            gone = gone or seat.site.gone
        if gone:
            self.seating.prune()
