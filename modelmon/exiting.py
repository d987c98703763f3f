"""Exiting: what is done when the program ends, within one deadline for all of it.

Rules:

1. Whoever has something to do begins before anybody is waited for, each on a thread of its own, so that one that hangs
   costs nobody else's time. First come stores, and a moment later those who show what stands in them.
2. All of it together takes two seconds at most, on the monotonic clock.
   What came in after that, from other code that runs at exit, is done at the very end, within what is left.
   So is what nobody may do before all others have ended, such as to give back what they still use.
3. No thread is started once the end has begun; what has none is done on the spot, after all others.
4. Whoever interrupts the wait (a second Ctrl-C) is obeyed at once.
5. A forked child inherits nothing of it.
"""

from __future__ import annotations

import atexit
import sys
import weakref
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from modelmon.forking import renew_in_child
from modelmon.notices import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import MethodType

    Waiter = Callable[[float], bool]
    """Waits so many seconds for something that has begun, and tells whether it ended in time, and well."""
    Beginning = Callable[[], Waiter | None]
    """Begins something and returns what waits for it; None where there is nothing to do."""

EXIT_S: Final = 2.0
_HEAD_START: Final = 0.25


def together(timeout: float, first: Sequence[Beginning], then: Sequence[Beginning] = ()) -> bool:
    """Have many things done at once; return whether all of them ended well within ``timeout`` seconds.

    Args:
        timeout: seconds for all of it.
        first: what begins at once.
        then: what begins when that is done, or after a quarter of the time.
    """
    end = monotonic() + timeout
    waiting = [waiter for begin in first if (waiter := begin()) is not None]
    if then:
        early = monotonic() + _HEAD_START * timeout
        waiting = [waiter for waiter in waiting if not waiter(max(0.0, early - monotonic()))]
        waiting += [waiter for begin in then if (waiter := begin()) is not None]
    ended = [waiter(max(0.0, end - monotonic())) for waiter in waiting]
    return all(ended)


def flushes(readers: Sequence[Any]) -> list[Beginning]:
    """Return what begins an export of each reader that exports by itself."""

    def begin_of(reader: Any) -> Beginning:
        begin: Beginning | None = getattr(reader, "begin", None)
        return (lambda: reader.flush) if begin is None else begin

    return [begin_of(reader) for reader in readers if hasattr(reader, "flush")]


def close_all(readers: Sequence[Any], timeout: float) -> None:
    """Close readers within ``timeout`` seconds; those that export by themselves do so a last time, all at once.

    One that raises is told of, and holds up no other.
    """
    end = monotonic() + timeout
    for reader in readers:
        if hasattr(reader, "begin_close"):
            reader.begin_close()
    for reader in sorted(readers, key=lambda reader: hasattr(reader, "begin_close")):
        try:
            reader.close(max(0.0, end - monotonic()))
        except Exception as error:  # noqa: PERF203  (one reader shall not hold up the others, or the store)
            kind = type(reader).__name__
            warn(f"close:{kind}", f"closing {kind} failed with {type(error).__name__}")


def at_exit(
    begin: MethodType, missed: MethodType | None = None, *, shows: bool = False, leave: MethodType | None = None
) -> None:
    """Have a method begin something when the program ends, while its object lives; see ``Beginning``.

    Args:
        begin: must not start threads.
        missed: called in the end where that did not end well; of the same object.
        shows: whether it shows what others write at the same time, so that they go first.
        leave: called when all others have ended, with the seconds that are left; of the same object.
    """
    _exit.add(_Task(begin, missed, leave, shows=shows), begin)


def ending() -> bool:
    """Tell whether the program is ending, so that no thread may be started any more."""
    return _exit.begun


class _Exit:
    """Hold what is to be done, and how much time is left for it."""

    def __init__(self) -> None:
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget everything, in a forked child."""
        self.begun = self.registered = self.shown = False
        self.left = EXIT_S
        self._tasks: list[_Task] = []

    def add(self, task: _Task, begin: MethodType) -> None:
        if not self.registered:
            self.registered = True
            atexit.register(self.run)
            self._tell_workers()
        self._tasks.append(task)  # at once, lest what another thread adds at this moment be lost
        known = self._tasks[:]
        for old in known[: known.index(task)]:
            if old.begin() in {None, begin}:
                with suppress(ValueError):  # gone already
                    self._tasks.remove(old)

    def _tell_workers(self) -> None:
        """Have it done in a worker of multiprocessing, which ends without what is registered in ``atexit``.

        A worker forgets what was registered before it began to work, which may be done once more then.
        A process of Celery's pool ends without either, but says so before.
        """
        celery = sys.modules.get("celery.signals")
        if celery is not None:
            celery.worker_process_shutdown.connect(self.finish_work, weak=False)
        workers = sys.modules.get("multiprocessing.util")
        if workers is None:
            return

        def work(self: _Exit) -> None:
            workers.Finalize(None, self.finish, exitpriority=0)

        workers.register_after_fork(self, work)
        if sys.modules["multiprocessing.process"].parent_process() is not None:
            work(self)

    def run(self) -> None:
        self.begun = True
        self.finish()

    def finish_work(self, **_: object) -> None:
        """Do all of it, as Celery calls what it has to tell."""
        self.finish()

    def finish(self) -> None:
        """Do all of it; never raises, but for what a signal handler of the host does."""
        if not self.left or not self._tasks:
            return
        start = monotonic()
        end = start + self.left
        shown, self.shown = self.shown, True
        tasks = [task for task in self._tasks[:] if not (shown and task.shows)]
        try:
            first = [task.start for task in tasks if not task.shows]
            if not together(self.left, first, [task.start for task in tasks if task.shows]):
                for task in tasks:
                    task.close()
            for task in tasks:
                task.leave(max(0.0, end - monotonic()))
        except KeyboardInterrupt:  # the program ends anyway, and nobody wants to wait for it
            self.left = 0.0
        except Exception:  # noqa: S110  (nobody is left to be told)
            pass
        self.left = max(0.0, self.left - (monotonic() - start))


class _Task:
    """Something to be done, for an object that nothing else here keeps alive."""

    __slots__ = ("_ended", "_leave", "_missed", "begin", "shows")

    def __init__(self, begin: MethodType, missed: MethodType | None, leave: MethodType | None, *, shows: bool) -> None:
        self.begin: Callable[[], Beginning | None] = weakref.WeakMethod(begin)
        self.shows = shows
        self._missed: Callable[[], Callable[[], object] | None] = weakref.WeakMethod(missed) if missed else _nothing
        self._leave: Callable[[], Callable[[float], object] | None] = weakref.WeakMethod(leave) if leave else _nothing
        self._ended = True

    def start(self) -> Waiter | None:
        begin = self.begin()
        waiter = None if begin is None else begin()
        if waiter is None:
            return None

        def wait(timeout: float) -> bool:
            self._ended = waiter(timeout)
            return self._ended

        self._ended = False
        return wait

    def close(self) -> None:
        missed = None if self._ended else self._missed()
        if missed is not None:
            missed()

    def leave(self, timeout: float) -> None:
        leave = self._leave()
        if leave is not None:
            leave(timeout)


def _nothing() -> None:
    return None


_exit: Final = _Exit()
atexit.register(_exit.run)  # loaded early, so it runs late: for what came in while the program was ending
