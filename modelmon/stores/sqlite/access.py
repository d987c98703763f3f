"""A store's file in turns: one thread of a process at a time uses its connection, and none while the process forks."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelmon.stores.sqlite import forks
from modelmon.stores.sqlite.failures import TROUBLE, told
from modelmon.stores.sqlite.opening import Opening
from modelmon.stores.sqlite.turns import Turn
from modelmon.stores.sqlite.writeahead import keep_log

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Access(Opening):
    """Keep the connection to one thread at a time, and tell what fails."""

    def __init__(self, path: Path, timeout: float, *, renewed: Callable[[], None]) -> None:
        """Open nothing yet.

        Args:
            path: the file.
            timeout: seconds to wait for other processes, or for another thread's transaction.
            renewed: called in a child whose parent forked amid a transaction, so that nothing in memory can be trusted.
        """
        super().__init__(path, timeout)
        self._renewed = renewed
        self._inherited: list[sqlite3.Connection] = []
        self._pid, self._turn = os.getpid(), Turn(timeout)
        forks.rest_at_forks(self)

    # -- one thread at a time ----------------------------------------------------------------------------------------

    def is_held(self) -> bool:
        """Return whether somebody has the turn in this process."""
        return self._pid == os.getpid() and self._turn.is_taken()

    def take(self) -> None:
        """Wait for the turn.

        Raises:
            StoreError: when another transaction of this process does not end in time.
        """
        if self._pid != os.getpid():
            self.renew()
        self._turn.take()

    def give(self) -> None:
        """Give the turn back, with nothing under way."""
        try:
            self.roll_back()
        finally:
            self._turn.give()

    def free(self) -> None:
        """Give the turn back wherever it was left, with nothing under way; no other thread may use the file now."""
        if self._turn.claim():
            self.give()

    @contextmanager
    def turn(self) -> Iterator[sqlite3.Connection]:
        """Have the connection for some statements that belong together; what fails is rolled back."""
        self.take()
        try:
            with self.telling():
                yield self.connect()
        finally:
            self.give()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell errors of SQLite as the store's; a damaged file is set aside at once."""
        try:
            yield
        except TROUBLE as error:
            failure = told(error, self._path)
            if failure.kind == "corrupt" or (failure.kind == "schema" and not self.is_sound()):
                self.set_aside(str(error), self._identity)
            elif failure.kind == "readonly":
                self.drop()  # opened for reading only, it would stay so when the file may be written again
            raise failure from error

    def is_open(self) -> bool:
        """Return whether this process has a connection."""
        return self._pid == os.getpid() and self._connection is not None

    def close(self) -> None:
        """Close the connection between transactions; what was inherited is left alone."""
        if self.is_open():
            self.take()
            try:
                self.drop()
            finally:
                self.give()

    # -- forks -------------------------------------------------------------------------------------------------------

    def rest(self, timeout: float) -> bool:
        """Close the connection, before a fork usually, once no transaction is under way; return whether that was so."""
        if not self._turn.rest(timeout):
            return False
        if self._connection is not None and self.is_same():
            keep_log(self._connection)
        self.drop()
        return True

    def wake(self) -> None:
        """Go on, after a fork in the parent."""
        self._turn.wake()

    def renew(self) -> None:
        """Begin anew in a forked child: a connection that could not be closed before is kept, and never touched."""
        if self._connection is not None:
            self._inherited.append(self._connection)
            self._renewed()
        self._connection, self._pid, self._turn = None, os.getpid(), Turn(self._timeout)
