"""Starting: what begins with the first call of a process, whatever becomes of that call.

1. While there is something to start, the clock of every seat is one that starts it first. A wrapper reads the clock
   right before its function runs, so that a call which raises, is cancelled or lasts has started it by then, its
   duration holds nothing of it, and no other call pays for it.
2. Such a seat also asks for relief wherever its next call ends, of those that are under way.
3. What a signal interrupts, or finds no room on the stack, is done at the next call. What fails is counted, said once,
   and tried again some thousand calls later.
4. A program that ends amid it waits for it, within the two seconds that all of the end may take.
"""

from __future__ import annotations

from _thread import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from modelmon.errors import ModelmonError
from modelmon.exiting import at_exit, together
from modelmon.faults import is_signalled
from modelmon.notices import warn
from modelmon.reaching import Reaching

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.clocks import Clock
    from modelmon.exiting import Waiter
    from modelmon.probes.seats import Seat
    from modelmon.settings import Settings
    from modelmon.stores.contract import Store


class Starting(Reaching):
    """Start what there is to start, once, at the next call.

    Attributes:
        wake: what is called then; None where there is nothing to start.
        starter: what ``rouse`` has called at the next call.
    """

    _lock: RLock

    def __init__(
        self, settings: Settings, clock: Clock, make_store: Callable[[], Store], place: Callable[[], str | None]
    ) -> None:
        """Have nothing to start."""
        super().__init__(settings, clock, make_store, place)
        self.wake: Callable[[], None] | None = None
        self.starter: Callable[[], None] | None = None
        self._under_way = RLock()

    def arm(self, wake: Callable[[], None] | None) -> None:
        """Have something started at the next call, or where one ends that is under way; waits for nothing."""
        self.wake = wake  # first, so that a seat that is made meanwhile finds it
        for seat in list(self.seating.seats):
            self.arm_seat(seat)

    def arm_seat(self, seat: Seat) -> None:
        """Have the next call of one seat start what there is to start, and ask for relief where it ends."""
        seat.mask = 0
        if self.wake is None:
            return
        clock = self.clock.monotonic_ns

        def begin() -> int:
            try:
                if seat.clock is begin and not owned(self._lock):  # owned by a drain, or by what a signal interrupted
                    self.begin_once()
                    seat.clock = clock
            except RecursionError:  # the next call does it
                pass
            return clock()

        seat.clock = begin

    def begin_once(self) -> None:
        """Start what there is to start; once, until there is more."""
        wake, self.wake = self.wake, None
        if wake is None:
            return
        try:
            with self._under_way:
                at_exit(self._end, self._missed)  # type: ignore[arg-type]  # bound methods
                wake()
        except BaseException as fault:
            if not isinstance(fault, Exception) or isinstance(fault, RecursionError) or is_signalled(fault):
                self.arm(wake)
                raise
            self.wake = wake
            if self.settings.strict:
                raise
            kind = type(fault).__name__
            if self._lock.acquire(blocking=False):  # nothing is loaded for it: that may be what failed
                try:
                    self.troubles.count("internal_errors", f"start:{kind}", 1)
                finally:
                    self._lock.release()
            why = fault if isinstance(fault, ModelmonError) else kind  # only ours are sure to hold no secret
            warn("start", f"what writes and exports could not be started, which is tried again later: {why}")

    def _end(self) -> Waiter | None:
        """At the end of the program wait for a start on another thread, and write then; else it is none of ours."""
        if self._under_way.acquire(blocking=False):
            self._under_way.release()
            return None

        def wait(timeout: float) -> bool:
            end = monotonic() + timeout
            if not self._under_way.acquire(timeout=timeout):
                return False
            self._under_way.release()
            return together(max(0.0, end - monotonic()), self.begin())

        return wait

    def _missed(self) -> None:
        warn(
            "start:exit",
            "the program ended while what writes and exports was being started, so its last counts may be lost",
        )

    def rouse(self) -> None:
        """Have what should run started again at the next call: a thread of it ended that should not have."""
        self.arm(self.starter)


def owned(lock: Any) -> bool:
    """Tell whether this very thread holds the lock: a signal handler or finaliser that interrupted the holder."""
    return bool(lock._is_owned())  # noqa: SLF001  (what threading.Condition itself relies on)
