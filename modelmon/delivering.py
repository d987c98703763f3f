"""Delivering: what stands between the recorder and a store that waits for input and output.

Rules:

1. Nobody waits for the store with the recorder's lock held, and no monitored call waits for it at all: what is drained
   goes into the spool, and a thread of its own writes that.
2. The thread steps back while the store fails; whoever asks for something gets the store's own answer at once.
3. What many processes share is shown to exporters by one of them, which holds a lease, and gives it back at its end.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from modelmon.exiting import at_exit, ending
from modelmon.leasing import Lease
from modelmon.notices import warn
from modelmon.ticking import Ticker
from modelmon.writing import Writing, kind_of, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.exiting import Waiter
    from modelmon.leasing import Latest
    from modelmon.parts import Part
    from modelmon.stores.contract import Store
    from modelmon.writing import Owner

_PATIENCE_S: Final = 1.0  # how long a reader waits for its turn
_SWEEP_S: Final = 10.0
_LAST_S: Final = 0.2  # how long the end of the program waits for what could not be written before


class Delivery(Writing):
    """Write the spool by a thread, at the end of the program too, and show the store to exporters."""

    def __init__(self, owner: Owner, interval: float) -> None:
        """Prepare; no thread runs before ``start``."""
        super().__init__(owner)
        self._lease = Lease()
        self._ticker = Ticker(
            max(interval, 0.01), self._tick, failed=self._complain, name="modelmon-store", keeper=owner, part="store"
        )
        self._eager = self._leaving = False
        self._registered = False
        self._given_up_at = 0.0

    def start(self) -> None:
        """Start the thread that writes, unless it runs, and have the spool written when the program ends."""
        self._register()
        if not self._ticker.start() and not ending():
            warn("store:no_thread", "no thread could be started: predictions are written to the store on flush only")

    def nudge(self) -> None:
        """Have the thread write soon; waits for nothing."""
        self._ticker.nudge()

    def _register(self) -> None:
        """Have done what is to be done when the program ends."""
        if not self._registered:
            self._registered = True
            at_exit(self._end, self._missed, leave=self._leave)  # type: ignore[arg-type]  # bound methods

    def _end(self) -> Waiter | None:
        """Begin to write at the end of the program; hardly wait for a store that gave no answer when it was closed.

        Without a thread whoever waits would write, however long the store takes; so nothing is begun for nothing.
        """
        if not self._ticker.running and self._settled():
            return None
        if self.called_at >= self._given_up_at:
            return self.begin()
        if not self._ticker.running:
            return lambda _: False
        waiter = self.begin()
        return lambda timeout: waiter(min(timeout, _LAST_S))

    def _settled(self) -> bool:
        """Tell whether nothing is left to be done: all that was recorded is written, and no lease is held."""
        with suppress(Exception):
            self._owner.drain()
            return not (self.spool.rows or self._promised or self._lease.held)
        return False

    def _missed(self) -> None:
        """Say how much is lost, and why; what waits in seats counts too, whether or not the store could be opened."""
        with suppress(Exception):
            self._owner.drain()
        spool = getattr(self, "spool", None)
        lost = "predictions" if spool is None else f"{spool.rows} prediction(s)"
        if spool is None or spool.rows:
            warn("store:exit", f"the program ended with {lost} not written to the store: {self.why()}")

    def _leave(self, timeout: float) -> None:
        """Give the lease back once all exporters have read the store a last time, so that others need not wait for it.

        A store that works needs no time for that; one that does not, none is left for.
        """
        self._lease.leave()
        if self._lease.held and timeout and self._ticker.running and not self.backoff.waiting:
            self._leaving = True
            self._ticker.ask().wait(min(timeout, _LAST_S))

    # -- asking the store --------------------------------------------------------------------------------------------

    def finish(self, timeout: float) -> bool:
        """Have everything written that came in so far; return whether it was, within ``timeout`` seconds.

        Raises:
            BusyError: when this thread talks to the store already, further up the stack.
        """
        return self.begin()(timeout)

    def begin(self) -> Waiter:
        """Begin to write everything that came in so far; return what waits for it, and tells whether it was.

        Raises:
            BusyError: when this thread talks to the store already, further up the stack.
        """
        self._refuse_twice()
        self._eager = True
        asked = self._ticker.ask()
        return lambda timeout: asked.wait(timeout) and not asked.failed

    def close(self, timeout: float, *, let_go: bool) -> bool:
        """Write what is in the spool, end the thread and give the lease back, within ``timeout`` seconds.

        Args:
            timeout: seconds for all of it.
            let_go: close the store too; it opens itself again at its next use.

        Returns:
            Whether everything was written.
        """
        end = monotonic() + timeout
        done = self.finish(timeout)
        if not done:
            self._given_up_at = monotonic()
        self._ticker.stop(max(0.0, end - monotonic()))
        self._try_turn(max(0.0, end - monotonic()), lambda: self._step_down(let_go=let_go))
        return done

    # -- what exporters see ------------------------------------------------------------------------------------------

    def shown(self, read: Callable[[Store], Part], among: Latest | None = None) -> Part | None:
        """Return the store's part for an exporter; None where another process shows it, or it is too old to show.

        Args:
            read: what gets the part of the store.
            among: those among whom every process that is asked shows it; None to show it only while this process holds
                the lease.
        """
        self._refuse_twice()
        if among is None:
            self._register()
            self._lease.wanted()

        def look() -> Part | None:
            if self.backoff.waiting:
                return self._lease.last_known(self.store, among)
            try:
                if among is None and not self._lease.shows(self.store):
                    return None
                self._write()
                part = self._timed("read", lambda: read(self.store))
            except Exception as error:
                self._complain(error)
                return self._lease.last_known(self.store, among)
            self._lease.keep(part, among)
            return part

        took, part = self._try_turn(_PATIENCE_S, look)
        if self._lease.held:
            self._ticker.start()  # it extends the lease, and gives it back at the end without anybody's having to wait
        return part if took else self._lease.last_known(self.store, among)

    def _step_down(self, *, let_go: bool) -> None:
        if not hasattr(self, "store"):  # there was no time to open it
            return
        try:
            if self._lease.held:
                self._lease.release(self.store)
            if let_go:
                self.store.close()
        except Exception as error:
            self._complain(error)

    # -- inside, in turn ---------------------------------------------------------------------------------------------

    def _tick(self) -> bool:
        """Write what waits, and do what is due: extend the lease, sweep; nothing of it while the store fails.

        At the end of the program nothing is due any more but what waits.

        Returns:
            Whether the store was asked.
        """
        self._owner.drain()
        eager, self._eager = self._eager, False
        if self.backoff.waiting and not eager:
            return False
        with self._turn:
            self._write()
            if self._leaving:
                self._lease.release(self.store)
            elif not ending():
                self._lease.extend(self.store)
                if monotonic() >= self.called_at + _SWEEP_S:
                    self._timed("sweep", self.store.sweep)
        return True

    def _complain(self, error: BaseException) -> None:
        """Step back for a while, longer each time, and say so."""
        self.backoff.failed()
        self._cause = told(error)
        kept = "predictions are kept in memory, and past its bound the oldest go"
        warn(f"store:{kind_of(error)}", f"the store takes nothing now: {self._cause}; {kept}")
