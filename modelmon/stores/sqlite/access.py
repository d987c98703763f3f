"""The connection to a store's file: one per process, used by one thread at a time, opened anew whenever it is lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelmon.errors import StoreError
from modelmon.notices import warn
from modelmon.stores.sqlite import files, forks
from modelmon.stores.sqlite.failures import TROUBLE, refused, told
from modelmon.stores.sqlite.pragmas import set_up
from modelmon.stores.sqlite.schema import migrate, origin_of
from modelmon.stores.sqlite.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_LOG: Final = 64 << 20
"""Bytes of the write-ahead log past which it is written back and cut off."""
_LOG_PAUSE_S: Final = 5.0
_ATTEMPTS: Final = 3
_KEEP_LOG: Final = getattr(sqlite3, "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE", None)  # Python 3.12


class Access:
    """Open a file, keep it to one thread at a time, and tell what fails.

    Attributes:
        resets: how often a damaged or deleted file was replaced by a new one, or by an older copy.
    """

    def __init__(self, path: Path, timeout: float, *, renewed: Callable[[], None]) -> None:
        """Open nothing yet.

        Args:
            path: the file.
            timeout: seconds to wait for other processes, or for another thread's transaction.
            renewed: called in a child whose parent forked amid a transaction, so that nothing in memory can be trusted.
        """
        self.resets = 0
        self._path = path
        self._timeout = timeout
        self._renewed = renewed
        self._inherited: list[sqlite3.Connection] = []
        self._connection: sqlite3.Connection | None = None
        self._identity: files.Identity | None = None
        self._tried: files.Identity | None = None
        self._origin, self._checked = "", 0.0
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
            self._roll_back()
        finally:
            self._turn.give()

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
            if failure.kind == "corrupt":
                self._set_aside(str(error), self._identity)
            elif failure.kind == "readonly":
                self.drop()  # opened for reading only, it would stay so when the file may be written again
            raise failure from error

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except TROUBLE:
            self.drop()

    # -- opening and losing ------------------------------------------------------------------------------------------

    def connect(self) -> sqlite3.Connection:
        """Return the connection, opened if there is none, or if the file is another one by now."""
        for _ in range(_ATTEMPTS):
            if self._connection is not None:
                if files.identity(self._path) == self._identity:
                    return self._connection
                warn("sqlite_lost", f"{self._path} was deleted or replaced while it was open; a new file is used")
                self.drop()
            try:
                self._open()
            except TROUBLE as error:
                if told(error, self._path).kind != "corrupt":
                    raise
                self._set_aside(str(error), self._tried)
            except OSError as error:
                raise refused(error, self._path) from error
        message = f"{self._path} keeps being replaced by other files"
        raise StoreError(message, kind="corrupt")

    def _open(self) -> None:
        files.make_directory(self._path.parent)
        with files.alone(self._path.parent, self._timeout):
            files.make_file(self._path)
            found = self._tried = files.identity(self._path)
            connection = sqlite3.connect(
                str(self._path), timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
            try:
                set_up(connection, self._path)
                made = migrate(connection)
                origin, anew = origin_of(connection, other_than=self._origin if found != self._identity else "")
            except BaseException:
                connection.close()
                raise
        self.resets += anew or (made and self._identity is not None)
        self._connection, self._identity, self._origin = connection, found, origin

    def drop(self) -> None:
        """Close the connection, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*TROUBLE):
                connection.close()

    def _set_aside(self, why: str, found: files.Identity | None) -> None:
        """Put a damaged file out of the way, unless another process has done so."""
        self.drop()
        try:
            with files.alone(self._path.parent, self._timeout):
                aside = files.set_aside(self._path, found)
        except OSError as error:
            raise refused(error, self._path) from error
        self._identity = found  # there was a file, so that the next one counts as a reset
        if aside is not None:
            message = (
                f"{self._path} is damaged ({why}): it was renamed to {aside.name}; a new, empty store takes its place"
            )
            warn("sqlite_damaged", message)

    def is_open(self) -> bool:
        """Return whether this process has a connection."""
        return self._pid == os.getpid() and self._connection is not None

    def current(self) -> sqlite3.Connection:
        """Return the connection of the transaction under way.

        Raises:
            StoreError: when it was lost meanwhile.
        """
        if self._connection is None:
            message = f"the connection to {self._path} was lost"
            raise StoreError(message)
        return self._connection

    def close(self) -> None:
        """Close the connection between transactions; what was inherited is left alone."""
        if self.is_open():
            self.take()
            try:
                self.drop()
            finally:
                self.give()

    def is_same(self) -> bool:
        """Return whether the file that is open is still the one by that name."""
        return files.identity(self._path) == self._identity

    def shorten_log(self) -> None:
        """Write the write-ahead log back and cut it off once it is too long; readers may prevent that for a while."""
        if self._connection is None or files.size(Path(f"{self._path}-wal")) <= LONGEST_LOG:
            return
        if time.monotonic() - self._checked < _LOG_PAUSE_S:
            return
        self._checked = time.monotonic()
        connection = self._connection
        connection.execute("PRAGMA busy_timeout = 0").fetchone()
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute(f"PRAGMA busy_timeout = {int(self._timeout * 1000)}").fetchone()

    # -- forks -------------------------------------------------------------------------------------------------------

    def rest(self, timeout: float) -> None:
        """Close the connection before a fork, once no transaction is under way; see `forks`."""
        if self._turn.rest(timeout):
            if self._connection is not None and _KEEP_LOG is not None:
                self._connection.setconfig(_KEEP_LOG, True)  # type: ignore[attr-defined]  # noqa: FBT003
            self.drop()

    def wake(self) -> None:
        """Go on after a fork, in the parent."""
        self._turn.wake()

    def renew(self) -> None:
        """Begin anew in a forked child: a connection that could not be closed before is kept, and never touched."""
        if self._connection is not None:
            self._inherited.append(self._connection)
            self._renewed()
        self._connection, self._pid, self._turn = None, os.getpid(), Turn(self._timeout)
