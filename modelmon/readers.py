"""Readers: what asks for snapshots; some when they are asked themselves, some on their own every few seconds.

Rules:

1. No thread exists before a reader that needs one is attached, and each such reader has its own, so that one that
   hangs holds up nobody else.
2. Deadlines are monotonic and keep their phase; the ones that passed during a slow export or a suspended machine are
   left out, never made up for in a burst.
3. Nothing an export raises gets out, not even ``SystemExit``; it is counted and said once per cause.
4. A forked child has no such thread; attaching again starts one.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from modelmon.errors import ConfigurationError
from modelmon.forking import renew_in_child
from modelmon.notices import warn
from modelmon.timespans import seconds as read_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.snapshot import Snapshot

_JOIN_GRACE = 0.05


class Source(Protocol):
    """What a reader is attached to: a monitor."""

    def snapshot(self) -> Snapshot:
        """Return all that this process knows now, and what it alone shows of a store; for readers that send it."""
        ...

    def scraped(self) -> Snapshot:
        """Return all that is known now, with a directory of the whole machine; for readers that are asked for it."""
        ...

    def count_failure(self, exporter: str, reason: str) -> None:
        """Count an export that failed."""
        ...


class Reader(Protocol):
    """Ask a monitor for snapshots and do something with them."""

    def attach(self, source: Source) -> None:
        """Begin reading; called when the reader is added, and again in a forked child."""
        ...

    def close(self, timeout: float) -> None:
        """Send what is left and stop, within ``timeout`` seconds."""
        ...


def following(due: float, now: float, seconds: float) -> float:
    """Return the first deadline after ``now`` that keeps the phase of ``due``.

    >>> following(10.0, 10.5, 5.0), following(10.0, 47.0, 5.0), following(10.0, 3.0, 5.0)
    (15.0, 50.0, 10.0)
    """
    if now < due:
        return due
    return due + seconds * ((now - due) // seconds + 1)


class Ticker:
    """Run an action every few seconds on one lazy daemon thread.

    ``failed`` gets what the action raised, on the same thread.
    """

    def __init__(
        self,
        seconds: float,
        action: Callable[[], object],
        *,
        failed: Callable[[BaseException], object] | None = None,
        name: str = "modelmon-ticker",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing runs before ``start``."""
        self.seconds = seconds
        self.failures = 0
        self._action = action
        self._failed = failed
        self._name = name
        self._clock = clock
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget the thread, which a forked child does not have."""
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._asked = 0
        self._done = 0
        self._stopping = False

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> bool:
        """Start the thread unless it runs; return whether it does."""
        with self._changed:
            if self.running and not self._stopping:
                return True
            self._stopping = False
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is ending
                self._thread = None
                return False
        return True

    def run_now(self, timeout: float) -> bool:
        """Have the action run once on the thread; return whether it ended within ``timeout`` seconds.

        Without a thread it runs here; asked for by the action itself, it does not run again.
        """
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._act()
            return True
        if thread is threading.current_thread():
            return False
        return self._ask(timeout)

    def nudge(self) -> None:
        """Have the action run soon, without waiting for anything; a nudge that comes at a bad moment is lost."""
        if not self._changed.acquire(blocking=False):
            return
        try:
            self._asked += 1
            self._changed.notify_all()
        finally:
            self._changed.release()

    def stop(self, timeout: float) -> bool:
        """Run the action a last time and end the thread; return whether both were done within ``timeout`` seconds."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._thread = None
            return True
        with self._changed:
            self._stopping = True
        if thread is threading.current_thread():
            return False
        ended = self._ask(timeout)
        if ended:
            thread.join(_JOIN_GRACE)
        return ended

    def _ask(self, timeout: float) -> bool:
        with self._changed:
            self._asked += 1
            wanted = self._asked
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._done >= wanted, timeout)

    def _run(self) -> None:
        due = self._clock() + self.seconds
        while self._thread is threading.current_thread():
            asked, stopping = self._wait(due)
            self._act()
            with self._changed:
                self._done = max(self._done, asked)
                self._changed.notify_all()
            if stopping:
                return
            due = following(due, self._clock(), self.seconds)

    def _wait(self, due: float) -> tuple[int, bool]:
        with self._changed:
            while self._asked <= self._done and not self._stopping and (left := due - self._clock()) > 0:
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            return self._asked, self._stopping

    def _act(self) -> None:
        try:
            self._action()
        except BaseException as error:
            self.failures += 1
            if self._failed is None:
                return
            with suppress(BaseException):  # the thread must survive its own complaint
                self._failed(error)


class Periodic:
    """Give a function a snapshot every few seconds; make one with ``every``."""

    def __init__(self, seconds: float | str, export: Callable[[Snapshot], object], *, name: str = "") -> None:
        """Prepare; the first export comes one period after the reader was attached.

        Raises:
            ConfigurationError: when the period is not a positive span of time.
        """
        period = read_span(seconds, "every")
        if period <= 0:
            msg = f"every={seconds!r} must be more than zero seconds"
            raise ConfigurationError(msg)
        self.name = name or getattr(export, "__name__", type(export).__name__)
        self._export = export
        self._source: Source | None = None
        self._threadless = False
        self._ticker = Ticker(period, self._tick, failed=self._complain, name=f"modelmon-{self.name}")

    def __repr__(self) -> str:
        """Show the period and the name."""
        return f"<{type(self).__name__} {self.name} every {self._ticker.seconds:g} s>"

    def attach(self, source: Source) -> None:
        """Export from now on, each period, what ``source`` knows then."""
        self._source = source
        self._threadless = not self._ticker.start()
        if self._threadless:
            source.count_failure(self.name, "no_thread")
            warn(f"reader:{self.name}:no_thread", f"{self.name}: no thread could be started; exports on flush only")

    def flush(self, timeout: float) -> bool:
        """Export now; return whether that ended within ``timeout`` seconds."""
        return self._source is None or self._ticker.run_now(timeout)

    def close(self, timeout: float) -> None:
        """Export a last time and stop, within ``timeout`` seconds; closing twice does nothing."""
        if self._source is None:
            return
        if self._threadless:
            self._ticker.run_now(timeout)
        if not self._ticker.stop(timeout):
            self._source.count_failure(self.name, "close_timeout")
        self._source = None

    def _tick(self) -> None:
        source = self._source
        if source is not None:
            self._export(source.snapshot())

    def _complain(self, error: BaseException) -> None:
        reason = type(error).__name__
        if self._source is not None:
            self._source.count_failure(self.name, reason)
        warn(f"reader:{self.name}:{reason}", f"{self.name} failed with {reason}; further ones are counted only")


def every(seconds: float | str, function: Callable[[Snapshot], object]) -> Periodic:
    """Make an exporter of any function of a ``Snapshot``: it is called every ``seconds`` on a thread of its own.

    Raises:
        ConfigurationError: when the period is not a positive span of time.
    """
    return Periodic(seconds, function)
