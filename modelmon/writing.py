"""Writing: the spool's way into a store that waits for input and output, one thread at a time.

Rules:

1. Whoever talks to the store holds ``_turn``, within which the recorder's lock may be taken, and never the other way
   round.
2. Whoever takes a turn writes the spool first, so a label never overtakes a prediction of its own process.
3. What the store cannot take for a fault of its own is tried again, and then dropped: nothing else would get through.
"""

from __future__ import annotations

import threading
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from modelmon.errors import BusyError, ConfigurationError, InvariantError, ModelmonError, StoreError
from modelmon.faults import is_signalled
from modelmon.forking import load
from modelmon.notices import warn
from modelmon.pausing import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from modelmon.spending import Share
    from modelmon.spool import Spool
    from modelmon.storecounts import StoreCounts
    from modelmon.stores.contract import Store

_LIVELY_S: Final = 1.0
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

    def section(self, part: Share) -> AbstractContextManager[None]:
        """Return a context within which this thread's CPU time is the library's own."""
        ...

    def rouse(self) -> None:
        """Have what should run started again at the next call."""
        ...


class Writing:
    """Write the spool to a store, and call that store, in turn.

    Attributes:
        store: what is written to, once it is open.
        spool: what is to be written; touched with the recorder's lock held.
        counts: how long the store's calls take, and how they fail; read with the recorder's lock held.
        backoff: how long to leave the store alone.
        called_at: when the store last did what it was asked, on the monotonic clock.
    """

    store: Store
    spool: Spool
    counts: StoreCounts

    def __init__(self, owner: Owner) -> None:
        """Prepare; a store is attached later."""
        self.backoff = Backoff()
        self.called_at = monotonic()
        self._owner = owner
        self._turn = threading.RLock()  # of the kind that greenlets may wait for, where gevent is patched in
        self._strikes = self._resets = 0
        self._asked_at: float | None = None
        self._cause = ""
        self._promised: list[Callable[[Store], object]] = []
        self._wrote_at = monotonic()

    def attach(self, store: Store, full: Callable[[], object]) -> Spool:
        """Take a store that is open and return where its predictions go; with the recorder's lock held.

        Args:
            store: what is written to.
            full: called where much waits to be written.
        """
        self.spool = load("modelmon.spool").Spool(full)  # numpy loads at the first drain
        self.counts = load("modelmon.storecounts").StoreCounts()
        self.store, self._resets = store, _resets(store)
        return self.spool

    @property
    def pressed(self) -> bool:
        """Whether much waits although the store works: then a caller that outruns it may be slowed a little."""
        spool = getattr(self, "spool", None)
        return spool is not None and 2 * spool.rows > spool.most and monotonic() - self._wrote_at < _LIVELY_S

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

    def promise(self, act: Callable[[Store], object]) -> None:
        """Have the store do something now, or as soon as it can be reached; before any further prediction, anyhow.

        Raises:
            BusyError: when this thread talks to the store already, further up the stack.
            ConfigurationError: when the store refuses it.
        """
        try:
            self.call("label", act)
        except StoreError as error:
            with self._turn:
                self._promised.append(act)
            self.backoff.failed()
            warn("store:promised", f"the store will be told as soon as it can be reached: {error}")

    def write(self) -> None:
        """Write what is in the spool now; a failure is counted, and the rest stays.

        Raises:
            BusyError: when this thread talks to the store already, further up the stack.
        """
        self._refuse_twice()
        with self._turn:
            try:
                self._write()
            except ModelmonError:
                self.backoff.failed()

    def _write(self) -> None:
        """Write what waits now, in pieces of one model and version each.

        Raises:
            StoreError: when the store fails; what was not written stays.
        """
        self._keep_promises()
        goal = self.spool.came
        while self.spool.written + self.spool.dropped < goal:
            batch = self._owner.locked(self.spool.next)
            if batch is None:
                return
            try:
                self._timed("predict", lambda batch=batch: self.store.predict(batch))  # type: ignore[misc]
            except ModelmonError as error:
                if kind_of(error) != "unreadable" or not self._struck(error):
                    raise
            except Exception as error:
                if is_signalled(error):
                    raise
                if not self._struck(error):
                    msg = f"the store failed with {type(error).__name__}"
                    raise StoreError(msg) from error
            else:
                self._strikes = 0
                self._wrote_at = monotonic()
                self._owner.locked(self.spool.done)

    def _keep_promises(self) -> None:
        while self._promised:
            try:
                self._timed("label", lambda: self._promised[0](self.store))
            except ConfigurationError as error:
                warn("store:refused", f"the store refuses what it was told while it could not be reached: {error}")
            del self._promised[0]

    def _struck(self, error: Exception) -> bool:
        """Count a fault that is no store's error; drop what caused it again and again, or nothing else gets through."""
        self._owner.count("internal_errors", f"store:{type(error).__name__}")
        self._strikes += 1
        if self._strikes < _STRIKES:
            return False
        self._strikes = 0
        self._owner.count("dropped", "internal_error", self._owner.locked(self.spool.discard))
        return True

    def why(self) -> str:
        """Return why what waits is not written yet, in words without secrets."""
        asked_at = self._asked_at
        if asked_at is not None:
            return f"{self.store!r} has not answered for {monotonic() - asked_at:.1f} s"
        return self._cause or "there was no time left"

    def _timed(self, kind: str, act: Callable[[], T]) -> T:
        start = perf_counter_ns()
        self._asked_at = monotonic()
        try:
            result = act()
        except BusyError:
            raise
        except BaseException as error:
            if not isinstance(error, Exception) or is_signalled(error):  # of a signal handler, which struck anywhere
                getattr(self.store, "interrupted", bool)()
                raise
            if not isinstance(error, InvariantError):
                self.counts.failed(kind_of(error))
            self._cause = told(error)
            raise
        finally:
            self._asked_at = None
            before, self._resets = self._resets, _resets(self.store)
            for _ in range(before, self._resets):
                self.counts.failed("reset")
        self.counts.took(kind, perf_counter_ns() - start)
        self.backoff.clear()
        self._cause = ""
        self.called_at = monotonic()
        return result

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


def told(error: BaseException) -> str:
    """Return what may be said of an error: ours have no secrets, and of others only the kind is known."""
    return str(error) if isinstance(error, ModelmonError) else type(error).__name__


def _resets(store: Store) -> int:
    """Return how often a store began anew; none of those that cannot tell."""
    found = getattr(store, "resets", 0)
    return found if isinstance(found, int) else 0


def _owned(lock: Any) -> bool:
    return bool(lock._is_owned())  # noqa: SLF001  (as the recorder asks of its lock)
