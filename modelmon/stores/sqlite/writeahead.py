"""The write-ahead log of an open file, and its index: cut off when long, and what to do if somebody deletes them.

While a file is open they must stay where they are.
Whoever opens the file after they were deleted begins others, and from then on neither side sees what the other one
writes, nor its locks.
So every transaction makes sure, once it has begun, that they are those it was opened with.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from modelmon.errors import StoreError
from modelmon.stores.sqlite import files

if TYPE_CHECKING:
    from modelmon.stores.sqlite.files import Identity

LONGEST_LOG: Final = 64 << 20
"""Bytes of the write-ahead log past which it is written back and cut off."""
_LOG_PAUSE_S: Final = 5.0
_KEEP_LOG: Final = getattr(sqlite3, "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE", None)  # Python 3.12


class WriteAhead:
    """Know the log and the index that a connection was opened with."""

    def __init__(self, path: Path, timeout: float) -> None:
        """Know none yet.

        Args:
            path: the file.
            timeout: seconds that the connection waits for other processes.
        """
        self._path = path
        self._log, self._index = Path(f"{path}-wal"), Path(f"{path}-shm")
        self._timeout = timeout
        self._known: tuple[Identity | None, Identity | None] = (None, None)
        self._checked = 0.0

    def remember(self) -> None:
        """Take those that are there for those of the connection just opened; a rollback journal has none."""
        self._known = self._found()

    def is_there(self) -> bool:
        """Return whether they still are where they were."""
        return self._known == (None, None) or self._found() == self._known

    def part(self, connection: sqlite3.Connection) -> bool:
        """Close a connection whose log or index was deleted; return whether confirmed transactions may be lost.

        As long as nobody has begun others, all that the connection knows is written into the file first.
        Once somebody has, that would destroy what is written there; then nothing is.

        Raises:
            StoreError: when another process still uses the deleted ones.
        """
        log, index = self._found()
        if index in {None, self._known[1]} and (log in {None, self._known[0]} or not files.size(self._log)):
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                message = f"{self._path}: files beside it were deleted, and another process still uses them"
                raise StoreError(message, kind="locked")
            connection.close()
            return False
        self.leave(connection)
        return log != self._known[0]

    def leave(self, connection: sqlite3.Connection) -> None:
        """Close a connection without writing its log back, and without deleting anybody's."""
        if keep_log(connection):
            connection.close()
            return
        # The last connection of a process tries to be alone with the file; one that may only read it never succeeds.
        address = f"file:{quote(str(self._path))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, check_same_thread=False)) as guard:
            with contextlib.suppress(sqlite3.Error):
                guard.execute("SELECT 1 FROM sqlite_master").fetchone()
            connection.close()

    def shorten(self, connection: sqlite3.Connection) -> None:
        """Write the log back and cut it off once it is too long; readers may prevent that for a while."""
        if files.size(self._log) <= LONGEST_LOG or time.monotonic() - self._checked < _LOG_PAUSE_S:
            return
        self._checked = time.monotonic()
        connection.execute("PRAGMA busy_timeout = 0").fetchone()
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute(f"PRAGMA busy_timeout = {int(self._timeout * 1000)}").fetchone()

    def _found(self) -> tuple[Identity | None, Identity | None]:
        return files.identity(self._log), files.identity(self._index)


def keep_log(connection: sqlite3.Connection) -> bool:
    """Have a connection leave its log alone when it is closed; return whether Python knows how."""
    if _KEEP_LOG is None:
        return False
    connection.setconfig(_KEEP_LOG, True)  # type: ignore[attr-defined]  # noqa: FBT003
    return True
