"""Delivering: what stands between the recorder and a store that waits for input and output.

Rules:

1. Nobody waits for the store with the recorder's lock held, and no monitored call waits for it at all: what is drained
   goes into the spool, and a thread of its own writes that.
2. One turn at a time: whoever talks to the store holds `_turn`, within which the recorder's lock may be taken, and
   never the other way round.
3. Whoever takes a turn writes the spool first, so a label never overtakes a prediction of its own process.
4. The thread steps back while the store fails; whoever asks for something gets the store's own answer at once.
5. What many processes share is shown to exporters by one of them, which holds a lease.
"""

from __future__ import annotations

from _thread import RLock
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from modelmon.errors import BusyError, ConfigurationError, InvariantError, ModelmonError, StoreError
from modelmon.exiting import at_exit
from modelmon.leasing import Lease
from modelmon.notices import warn
from modelmon.pausing import Backoff
from modelmon.readers import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.parts import Part
    from modelmon.spool import Spool
    from modelmon.storecounts import StoreCounts
    from modelmon.stores.contract import Store

EXIT_S: Final = 2.0
_PATIENCE_S: Final = 1.0  # how long a reader waits for its turn
_SWEEP_S: Final = 10.0
_STRIKES: Final = 3
T = TypeVar("T")


class Owner(Protocol):
    """What is asked of the recorder."""

    def drain(self) -> None:
        """Drain every seat and open the store; takes the lock."""
        ...

    def locked(self, act: Callable[[], T]) -> T:
        """Return what ``act`` returns, called with the lock held; nothing is drained."""
        ...

    def count(self, name: str, what: str, n: int = 1) -> None:
        """Count a trouble."""
        ...


class Delivery:
    """Write the spool to a store, and call that store, outside the recorder's lock.

    Attributes:
        store: what is written to, once it is open.
        spool: what is to be written; touched with the recorder's lock held.
        counts: how long the store's calls take, and how they fail; read with the recorder's lock held.
    """

    store: Store
    spool: Spool
    counts: StoreCounts

    def __init__(self, owner: Owner, interval: float) -> None:
        """Prepare; no thread runs before ``start``."""
        self._owner = owner
        self._turn = RLock()
        self._lease = Lease()
        self._ticker = Ticker(max(interval, 0.01), self._tick, failed=self._complain, name="modelmon-store")
        self._backoff = Backoff()
        self._strikes = 0
        self._eager = False
        self._sweep_at = monotonic() + _SWEEP_S
        self._registered = False

    def attach(self, store: Store) -> Spool:
        """Take a store that is open and return where its predictions go; with the recorder's lock held."""
        from modelmon.spool import Spool  # noqa: PLC0415  (numpy loads at the first drain)
        from modelmon.storecounts import StoreCounts  # noqa: PLC0415  (the same)

        self.spool, self.counts = Spool(self.nudge), StoreCounts()
        self.store = store
        return self.spool

    def start(self) -> None:
        """Start the thread that writes, unless it runs, and have the spool written when the program ends."""
        if not self._registered:
            self._registered = True
            at_exit(self._exit)  # type: ignore[arg-type]  # a bound method
        if not self._ticker.start():
            warn("store:no_thread", "no thread could be started: predictions are written to the store on flush only")

    def nudge(self) -> None:
        """Have the thread write soon; waits for nothing."""
        self._ticker.nudge()

    def _exit(self) -> None:
        try:
            if not self.finish(EXIT_S):
                warn("store:exit", f"the program ended with {self.spool.rows} prediction(s) not written to the store")
        except Exception:  # noqa: S110  (nobody is left to be told)
            pass

    # -- asking the store --------------------------------------------------------------------------------------------

    def call(self, kind: str, act: Callable[[Store], T]) -> T:
        """Return what ``act`` makes of the store, with all that was drained before written to it.

        Args:
            kind: ``label``, ``read`` or ``sweep``.
            act: what to do.

        Raises:
            BusyError: when this thread talks to the store already, further up the stack.
            StoreError: when the store fails; what was not written stays in the spool.
        """
        self._refuse_twice()
        with self._turn:
            self._write()
            return self._timed(kind, lambda: act(self.store))

    def write(self) -> None:
        """Write what is in the spool now; a failure is counted, and the rest stays.

        Raises:
            BusyError: when this thread talks to the store already, further up the stack.
        """
        self._refuse_twice()
        with self._turn:
            try:
                self._write()
            except ModelmonError as error:
                self._complain(error)

    def finish(self, timeout: float) -> bool:
        """Have everything written that came in so far; return whether it was, within ``timeout`` seconds.

        Raises:
            BusyError: when this thread talks to the store already, further up the stack.
        """
        self._refuse_twice()
        self._eager = True
        ran = self._ticker.run_now(timeout)
        missed, self._eager = self._eager, False
        return ran and not missed

    def close(self, timeout: float) -> bool:
        """Write what is in the spool, end the thread and give the lease back, within ``timeout`` seconds."""
        end = monotonic() + timeout
        done = self.finish(timeout)
        self._ticker.stop(max(0.0, end - monotonic()))
        self._try_turn(max(0.0, end - monotonic()), self._step_down)
        return done

    # -- what exporters see ------------------------------------------------------------------------------------------

    def shown(self, read: Callable[[Store], Part]) -> Part | None:
        """Return the store's part for an exporter; None where another process shows it, or it is too old to show.

        Args:
            read: what gets the part of the store.
        """
        self._refuse_twice()
        self._lease.wanted()

        def look() -> Part | None:
            if self._backoff.waiting:
                return self._lease.last_known(self.store)
            try:
                if not self._lease.shows(self.store):
                    return None
                self._write()
                part = self._timed("read", lambda: read(self.store))
            except Exception as error:
                self._complain(error)
                return self._lease.last_known(self.store)
            self._lease.keep(part)
            return part

        took, part = self._try_turn(_PATIENCE_S, look)
        return part if took else self._lease.last_known(self.store)

    def _step_down(self) -> None:
        try:
            self._lease.release(self.store)
        except Exception as error:
            self._complain(error)

    # -- inside, in turn ---------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Write what waits, and do what is due: extend the lease, sweep; nothing of it while the store fails."""
        self._owner.drain()
        eager = self._eager
        if self._backoff.waiting and not eager:
            return
        with self._turn:
            self._write()
            if eager:
                self._eager = False
            self._lease.extend(self.store)
            if monotonic() >= self._sweep_at:
                self._timed("sweep", self.store.sweep)

    def _write(self) -> None:
        """Write what waits now, in pieces of one model and version each.

        Raises:
            StoreError: when the store fails; what was not written stays.
        """
        goal = self.spool.came
        while self.spool.written + self.spool.dropped < goal:
            batch = self._owner.locked(self.spool.next)
            if batch is None:
                return
            try:
                self._timed("predict", lambda batch=batch: self.store.predict(batch))  # type: ignore[misc]
            except ModelmonError:
                raise
            except Exception as error:
                if not self._struck(error):
                    msg = f"the store failed with {type(error).__name__}"
                    raise StoreError(msg) from error
            else:
                self._strikes = 0
                self._owner.locked(self.spool.done)

    def _struck(self, error: Exception) -> bool:
        """Count a fault that is no store's error; drop what caused it again and again, or nothing else gets through."""
        self._owner.count("internal_errors", f"store:{type(error).__name__}")
        self._strikes += 1
        if self._strikes < _STRIKES:
            return False
        self._strikes = 0
        self._owner.count("dropped", "internal_error", self._owner.locked(self.spool.discard))
        return True

    def _timed(self, kind: str, act: Callable[[], T]) -> T:
        start = perf_counter_ns()
        try:
            result = act()
        except BusyError:
            raise
        except Exception as error:
            if not isinstance(error, InvariantError):
                self.counts.failed(kind_of(error))
            raise
        self.counts.took(kind, perf_counter_ns() - start)
        self._backoff.clear()
        self._sweep_at = monotonic() + _SWEEP_S
        return result

    def _complain(self, error: BaseException) -> None:
        """Step back for a while, longer each time, and say so."""
        self._backoff.failed()
        told = error if isinstance(error, ModelmonError) else type(error).__name__
        message = (
            f"the store cannot be reached: {told}; predictions are kept in memory, and past its bound the oldest go"
        )
        warn(f"store:{kind_of(error)}", message)

    def _try_turn(self, timeout: float, act: Callable[[], T]) -> tuple[bool, T | None]:
        """Return whether the turn came in time, and what ``act`` returned in it."""
        try:
            if self._turn.acquire(timeout=timeout):
                return True, act()
        finally:  # also where a signal strikes between the two
            if _owned(self._turn):
                self._turn.release()
        return False, None

    def _refuse_twice(self) -> None:
        if _owned(self._turn):
            msg = "modelmon was interrupted in this thread while it talked to the store; do this from normal code"
            raise BusyError(msg)


def kind_of(error: BaseException) -> str:
    """Return the one word that an error is counted under."""
    return "configuration" if isinstance(error, ConfigurationError) else str(getattr(error, "kind", "other"))


def _owned(lock: Any) -> bool:
    return bool(lock._is_owned())  # noqa: SLF001  (as the recorder asks of its lock)
