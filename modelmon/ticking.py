"""Ticking: an action that runs every few seconds, or when it is asked for, on one lazy daemon thread.

Rules:

1. Deadlines are monotonic and keep their phase; the ones that passed during a slow action or a suspended machine are
   left out, never made up for in a burst.
2. Nothing an action raises gets out, not even ``SystemExit``.
3. Asking waits for nothing and holds no lock, so it may come from a signal handler, and an interruption leaves nothing
   behind that anybody waits for.
4. A forked child has no such thread; no thread is started while the program is ending.
"""

from __future__ import annotations

import threading
import time
from _thread import RLock
from collections import deque
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Protocol

from modelmon.exiting import ending
from modelmon.forking import renew_in_child
from modelmon.suppression import suppressed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from modelmon.spending import Share

_JOIN_GRACE = 0.05


def following(due: float, now: float, seconds: float) -> float:
    """Return the first deadline after ``now`` that keeps the phase of ``due``.

    >>> following(10.0, 10.5, 5.0), following(10.0, 47.0, 5.0), following(10.0, 3.0, 5.0)
    (15.0, 50.0, 10.0)
    """
    if now < due:
        return due
    return due + seconds * ((now - due) // seconds + 1)


class Asked:
    """One run of an action that was asked for.

    Attributes:
        ended: whether it is over.
        failed: whether it raised, or returned False.
    """

    __slots__ = ("_gate", "_here", "_never", "ended", "failed")

    def __init__(self, *, here: Callable[[], object] | None = None, never: bool = False) -> None:
        """Prepare.

        Args:
            here: what runs where somebody waits, because there is no thread.
            never: whether it never runs.
        """
        self.ended = self.failed = False
        self._here = here
        self._never = never
        self._gate = threading.Lock()
        self._gate.acquire()

    def done(self, result: object) -> None:
        """Let go whoever waits."""
        self.failed, self.ended = result is False, True
        self._gate.release()

    def wait(self, timeout: float) -> bool:
        """Return whether it ended within ``timeout`` seconds."""
        here, self._here = self._here, None
        if here is not None:
            self.done(here())
        if not self.ended and not self._never and self._gate.acquire(timeout=bounded(timeout)):
            self._gate.release()
        return self.ended


def _release(wake: threading.Lock) -> None:
    with suppress(RuntimeError):  # whom it wakes is awake
        wake.release()


def bounded(timeout: float) -> float:
    """Return a timeout that a lock takes."""
    return min(max(timeout, 0.0), threading.TIMEOUT_MAX)


class Keeper(Protocol):
    """What a thread of this library tells of itself."""

    def count(self, name: str, what: str) -> None:
        """Count a trouble of the library's own."""
        ...

    def section(self, part: Share) -> AbstractContextManager[None]:
        """Return a context within which this thread's CPU time is the library's own."""
        ...

    def rouse(self) -> None:
        """Have what should run started again at the next call."""
        ...


class Ticker:
    """Run an action every few seconds on one lazy daemon thread.

    ``failed`` gets what the action raised, on the same thread; ``keeper`` is told what the thread spends, and where it
    ends unasked, which only what strikes from outside can cause.
    """

    def __init__(
        self,
        seconds: float,
        action: Callable[[], object],
        *,
        failed: Callable[[BaseException], object] | None = None,
        name: str = "modelmon-ticker",
        clock: Callable[[], float] = time.monotonic,
        keeper: Keeper | None = None,
        part: Share = "export",
    ) -> None:
        """Prepare; nothing runs before ``start``."""
        self.seconds = seconds
        self.failures = 0
        self.keeper = keeper
        self._part = part
        self._action = action
        self._failed = failed
        self._name = name
        self._clock = clock
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget the thread, which a forked child does not have."""
        self._thread: threading.Thread | None = None
        self._starting = RLock()
        self._wake = threading.Lock()
        self._asked: deque[Asked] = deque()
        self._nudged = False
        self._stopping: Asked | None = None

    @property
    def running(self) -> bool:
        """Whether the thread runs; a thread is never asked itself, since Ctrl-C amid its answer makes it lie."""
        return self._thread is not None

    def start(self) -> bool:
        """Start the thread unless it runs; return whether it does."""
        with self._starting:
            if self.running and self._stopping is None:
                return True
            if ending():
                return False
            self._stopping = None  # what is asked for still is done, but ends no thread any more
            before, self._wake = self._wake, threading.Lock()  # of the kind that gevent wants by now
            thread = threading.Thread(target=self._run, args=(self._wake,), name=self._name, daemon=True)
            self._thread = thread
            _release(before)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is ending
                self._thread = None
                return False
            except BaseException:  # a signal: it ends at once, if it began
                self._thread = None
                raise
        return True

    def ask(self, *, stop: bool = False) -> Asked:
        """Ask the thread for a run of the action; without a thread it runs where somebody waits for it.

        Asked for by the action itself, it does not run again.

        Args:
            stop: end the thread with it.
        """
        thread = self._thread
        if thread is None:
            return Asked(here=self._act_here)
        if thread is threading.current_thread() and not stop:
            return Asked(never=True)
        asked = Asked()
        if stop:
            self._stopping = asked
        self._asked.append(asked)
        self._rouse()
        return asked

    def run_now(self, timeout: float) -> bool:
        """Have the action run once; return whether it ended within ``timeout`` seconds."""
        return self.ask().wait(timeout)

    def nudge(self) -> None:
        """Have the action run soon, without waiting for anything."""
        self._nudged = True
        self._rouse()

    def stop(self, timeout: float) -> bool:
        """Run the action a last time and end the thread; return whether both were done within ``timeout`` seconds."""
        thread = self._thread
        if thread is None:
            return True
        asked = self._stopping or self.ask(stop=True)
        if thread is threading.current_thread():
            return False
        if not asked.wait(timeout):
            return False
        thread.join(_JOIN_GRACE)
        return True

    def _rouse(self) -> None:
        _release(self._wake)

    def _run(self, wake: threading.Lock) -> None:
        try:
            self._loop(wake)
        except BaseException:
            if self.keeper is not None:
                self.keeper.count("restarts", self._name.removeprefix("modelmon-"))
                self.keeper.rouse()
        finally:
            if self._thread is threading.current_thread():
                self._thread = None

    def _loop(self, wake: threading.Lock) -> None:
        due = self._clock() + self.seconds
        while (asked := self._wait(wake, due)) is not None:
            result = self._act()
            for one in asked:
                one.done(result)
            if self._stopping is not None and self._stopping.ended:
                return
            due = following(due, self._clock(), self.seconds)

    def _wait(self, wake: threading.Lock, due: float) -> list[Asked] | None:
        """Return what was asked for until something is to be done; None where another thread took this one's place."""
        me = threading.current_thread()
        while self._thread is me and not self._asked and not self._nudged and (left := due - self._clock()) > 0:
            wake.acquire(timeout=bounded(left))
        if self._thread is not me:
            return None
        self._nudged = False
        return [self._asked.popleft() for _ in range(len(self._asked))]

    def _act_here(self) -> object:
        return self._act(here=True)

    def _act(self, *, here: bool = False) -> object:
        try:
            with suppressed(), nullcontext() if self.keeper is None else self.keeper.section(self._part):
                return self._action()
        except BaseException as error:
            self.failures += 1
            if self._failed is not None:
                with suppress(BaseException):  # the thread must survive its own complaint
                    self._failed(error)
            if here and isinstance(error, KeyboardInterrupt):
                raise  # it was meant for whoever waits
            return False
