"""What a fork asks of open connections: to be closed, so that no child inherits one.

SQLite's locks belong to a process, and what the library remembers of them does not survive a fork: a child that opens
the file again while it has inherited an open connection believes it holds locks that only its parent has.
So the connections of this process are closed just before a fork, between transactions, and opened again at their next
use, on both sides.
A transaction of another thread is waited for, up to two seconds.
"""

from __future__ import annotations

import os
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from modelmon.errors import StoreError
from modelmon.forking import first_before_forks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT_S: Final = 2.0


class Resting(Protocol):
    """Something with a connection."""

    def rest(self, timeout: float) -> bool:
        """Close the connection between transactions, and begin none before `wake`; return whether that was so."""
        ...

    def wake(self) -> None:
        """Go on in the parent."""
        ...

    def renew(self) -> None:
        """Begin anew in the child."""
        ...


_open: Final[weakref.WeakSet[Resting]] = weakref.WeakSet()


def rest_at_forks(thing: Resting) -> None:
    """Have a thing rest before every fork, for as long as it lives."""
    _open.add(thing)


@contextmanager
def resting(which: Callable[[Resting], bool], timeout: float) -> Iterator[None]:
    """Have some things rest during a block.

    Raises:
        StoreError: when a transaction of one of them does not end in time.
    """
    chosen = [thing for thing in list(_open) if which(thing)]
    try:
        if not all(thing.rest(timeout) for thing in chosen):
            message = "a transaction of this process has not ended; the same call may be repeated"
            raise StoreError(message, kind="locked")
        yield
    finally:
        for thing in chosen:
            thing.wake()


def _before() -> None:
    until = time.monotonic() + WAIT_S
    for thing in list(_open):
        thing.rest(max(0.0, until - time.monotonic()))


def _in_parent() -> None:
    for thing in list(_open):
        thing.wake()


def _in_child() -> None:
    for thing in list(_open):
        thing.renew()


if hasattr(os, "register_at_fork"):
    first_before_forks(_before)  # a transaction may want what others lock before a fork
    os.register_at_fork(after_in_parent=_in_parent, after_in_child=_in_child)
