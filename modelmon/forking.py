"""What begins anew in a forked child: one hook for the whole library, holding nothing alive and never raising.

1. A module that some thread is importing at the moment of a fork can never be imported in the child: its import lock
   stays held by a thread that is not there.
   So what this library imports late is imported through one gate, once in the life of a process, and a fork in that
   very moment waits for it: a fraction of a second, or more where a machine has far too much to do. Twenty seconds are
   the bound, since a child that hangs is worse than a fork that waits. No other fork waits.
2. Code that is not ours (an exporter, a handler of the log) may hold locks that no child could ever free, those of
   files above all. So our threads run it behind a gate of its own, and a fork waits for those gates together, at most
   50 ms; for a run that made a fork wait in vain, no other fork waits.
   Hooks run in the reverse order of their registration, and those of `logging` and of thread pools take locks that such
   code wants. So ours is registered once more when those are there: it waits before they take anything.
3. A child renews what was registered before any code of the user runs; it takes no inherited lock.
"""

from __future__ import annotations

import os
import sys
import weakref
from _thread import RLock, allocate_lock, get_ident, start_new_thread
from contextlib import suppress
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

T = TypeVar("T")
GATE_S: Final = 20.0
FOREIGN_S: Final = 0.05
_LOCKING: Final = (("logging", "captureWarnings"), ("concurrent.futures.thread", "ThreadPoolExecutor"))
"""Modules whose hooks take locks before a fork, and the last name that each of them defines."""
_COUNTING: Final = (
    "numpy.ma",  # numpy itself imports it late, at the first np.unique
    "modelmon.draining",
    "modelmon.process",
    "modelmon.stores.memory",
    "modelmon.intake",
    "modelmon.snapshot",
)


class Renewable(Protocol):
    """Something with threads, locks or counts that a child must not inherit."""

    def renew(self) -> None:
        """Begin anew in a child; runs in the child before any code of the user, so it takes no inherited lock."""
        ...


class Gate:
    """What keeps a fork out of other people's code that a thread of ours runs: ``with gate.enter(): ...``."""

    __slots__ = ("__weakref__", "lock", "passed", "turn")

    def __init__(self) -> None:
        """Stand open."""
        self.lock = RLock()
        self.turn, self.passed = 0, -1
        _fork.gates.add(self)

    def enter(self) -> RLock:
        """Return what to hold in a ``with`` statement while that code runs."""
        _fork.go_first()
        self.turn += 1
        return self.lock


class _Fork:
    """Hold the gates, what to renew, and how often a fork could not wait for a gate."""

    def __init__(self) -> None:
        self.gate = RLock()
        self.held = False
        self.forking: set[int] = set()
        self.behind = 0
        self.firsts: list[Callable[[], None]] = []
        self.timeouts = 0
        self.loaded = False
        self.renewables: weakref.WeakSet[Renewable] = weakref.WeakSet()
        self.gates: weakref.WeakSet[Gate] = weakref.WeakSet()
        self.taken: list[Gate] = []

    def go_first(self) -> None:
        """Have `before` run ahead of the hooks of modules that were loaded since it was registered last."""
        if self.behind < len(_LOCKING):
            loaded = sum(hasattr(sys.modules.get(name), last) for name, last in _LOCKING)
            if self.behind < loaded:
                self.behind = loaded
                if hasattr(os, "register_at_fork"):
                    os.register_at_fork(before=self.before)

    def importing(self) -> RLock:
        """Return what to hold in a ``with`` statement while something is imported."""
        self.go_first()
        return self.gate

    def before(self) -> None:
        if get_ident() in self.forking:
            return  # registered more than once, it has been here
        self.forking.add(get_ident())
        for act in self.firsts:
            act()
        self.held = self.gate.acquire(timeout=GATE_S)
        self.timeouts += not self.held
        until = monotonic() + FOREIGN_S
        for gate in _all(self.gates):
            if not _owned(gate.lock):
                self.taken.append(gate)  # before it is, lest a signal strike in between
                left = 0.0 if gate.turn == gate.passed else until - monotonic()
                if not gate.lock.acquire(timeout=max(0.0, left)):
                    gate.passed = gate.turn
                    self.timeouts += 1

    def after_in_parent(self) -> None:
        self.forking.discard(get_ident())
        while self.taken:
            gate = self.taken.pop()
            if _owned(gate.lock):
                gate.lock.release()
        if self.held:
            self.held = False
            self.gate.release()

    def after_in_child(self) -> None:
        self.gate, self.held, self.forking, self.timeouts = RLock(), False, set(), 0
        self.taken.clear()
        for gate in _all(self.gates):
            gate.lock = RLock()
        for thing in _all(self.renewables):
            try:
                thing.renew()
            except Exception:  # noqa: PERF203, S112  (a fork hook that raises would print into the host's stderr)
                continue


def _all(things: weakref.WeakSet[T]) -> list[T]:
    """Return what is in a set to which other threads may add meanwhile; a child has no others."""
    while True:
        with suppress(RuntimeError):  # it grew while it was read
            return list(things)


def _owned(lock: Any) -> bool:
    return bool(lock._is_owned())  # noqa: SLF001  (as the recorder asks of its lock)


_fork: Final = _Fork()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_fork.before, after_in_parent=_fork.after_in_parent, after_in_child=_fork.after_in_child)


def renew_in_child(thing: Renewable) -> None:
    """Have ``thing.renew()`` called in every forked child, for as long as the thing lives."""
    _fork.renewables.add(thing)


def first_before_forks(act: Callable[[], None]) -> None:
    """Have ``act()`` called where this process is about to fork, before a fork waits for anything else of ours."""
    _fork.firsts.append(act)


def load_counting() -> None:
    """Import the half that counts, and with it numpy; does nothing after the first time."""
    if not _fork.loaded:
        _load_numpy()
        with _fork.importing():
            for name in _COUNTING:
                import_module(name)
            _fork.loaded = True


def _load_numpy() -> None:
    """Import numpy on a thread that is gone afterwards, where nobody has yet.

    It cannot be imported twice in a process, so what a signal handler raises amid its import (Ctrl-C) would spoil it
    for good; handlers run on the main thread alone.
    """
    if "numpy" in sys.modules:
        return
    done = allocate_lock()
    done.acquire()

    def work() -> None:
        try:
            with _fork.importing():
                import_module("numpy")
        except BaseException:  # noqa: S110  (whoever waits imports it again, and is told then)
            pass
        finally:
            done.release()

    try:
        start_new_thread(work, ())
    except RuntimeError:  # no more threads, or the program is ending
        return
    done.acquire()


def load(name: str) -> ModuleType:
    """Import one more module that only some programs need, and return it."""
    found = sys.modules.get(name)
    if found is not None and not getattr(getattr(found, "__spec__", None), "_initializing", False):
        return found  # at no gate: a fork may hold it and wait for an export that comes here
    with _fork.importing():
        return import_module(name)


def gate_timeouts() -> int:
    """Return how often a fork in this process went ahead while a late import, or an export, was under way."""
    return _fork.timeouts
