"""The connection to a store's file: opened anew whenever it is lost, and what becomes of a file that is."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from modelmon.errors import StoreError
from modelmon.notices import warn
from modelmon.stores.sqlite import files, forks
from modelmon.stores.sqlite.connection import QuietConnection
from modelmon.stores.sqlite.failures import TROUBLE, refused, told
from modelmon.stores.sqlite.pragmas import set_up
from modelmon.stores.sqlite.schema import is_current, is_sound, migrate, origin_of
from modelmon.stores.sqlite.writeahead import WriteAhead

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ATTEMPTS: Final = 3
_FATE: Final = {
    False: "nothing was lost",
    True: "others have begun new ones, and what was confirmed lately may be lost",
}
_OPENED: Final[set[Path]] = set()
"""Files that were stores when this process opened them."""


class Opening:
    """Open a file, notice whether it is another one by now, and let go of it.

    Attributes:
        resets: how often a damaged or deleted file was replaced by a new one, or by an older copy.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        """Open nothing yet.

        Args:
            path: the file.
            timeout: seconds to wait for other processes.
        """
        self.resets = 0
        self._path = path
        self._timeout = timeout
        self._connection: sqlite3.Connection | None = None
        self._identity: files.Identity | None = None
        self._tried: files.Identity | None = None
        self._origin, self._lost = "", False
        self._beside = WriteAhead(path, timeout)

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
                self.set_aside(str(error), self._tried)
            except OSError as error:
                raise refused(error, self._path) from error
        message = f"{self._path} keeps being replaced by other files"
        raise StoreError(message, kind="corrupt")

    def _open(self) -> None:
        files.make_directory(self._path.parent)
        with files.alone(self._path.parent, self._timeout):
            if self._path not in _OPENED:  # else reading it here would drop the locks that this process has on it
                files.refuse_foreign(self._path)
            files.make_file(self._path)
            found = self._tried = files.identity(self._path)
            connection = sqlite3.connect(
                str(self._path),
                timeout=self._timeout,
                isolation_level=None,
                check_same_thread=False,
                factory=QuietConnection,
            )
            try:
                set_up(connection, self._path)
                made = migrate(connection)
                origin, anew = origin_of(
                    connection, other_than=self._origin if self._lost or found != self._identity else ""
                )
            except BaseException:
                connection.close()
                raise
        _OPENED.add(self._path)
        self.resets += anew or (made and self._identity is not None)
        self._beside.remember()
        self._connection, self._identity, self._origin, self._lost = connection, found, origin, False

    def begin(self, statement: str, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
        """Begin a transaction on the file by that name, with the tables that this version knows.

        Args:
            statement: what begins it.
            prepare: what to do with the connection before.

        Raises:
            ConfigurationError: when a newer version has changed the tables.
        """
        for _ in range(_ATTEMPTS):
            connection = self.connect()
            prepare(connection)
            connection.execute(statement)
            if not self.is_same():
                connection.execute("ROLLBACK")
                self._part()
            elif is_current(connection):
                return connection
            else:
                self.drop()
        message = f"{self._path} keeps changing while it is opened"
        raise StoreError(message, kind="locked")

    def _part(self) -> None:
        """Let go of a file whose log or index was deleted, with all connections that this process has to it.

        They share what they know of the index, so that a new one would go on with the old one.
        """
        connection = self._connection
        if connection is None or files.identity(self._path) != self._identity:
            return
        with forks.resting(self._is_beside, self._timeout), files.alone(self._path.parent, self._timeout):
            self._tell_parted(lost=self._beside.part(connection))
            self._connection = None

    def _is_beside(self, thing: object) -> bool:
        return thing is not self and isinstance(thing, Opening) and thing._path == self._path  # noqa: SLF001

    def _tell_parted(self, *, lost: bool) -> None:
        self._lost = self._lost or lost
        warn("sqlite_parted", f"files beside {self._path} were deleted while it was open; {_FATE[lost]}")

    def drop(self) -> None:
        """Close the connection, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(*TROUBLE):
            if self._beside.is_there() or files.identity(self._path) != self._identity:
                connection.close()
                return
            try:
                lost = self._beside.part(connection)
            except (StoreError, *TROUBLE):
                lost = True
                self._beside.leave(connection)
            self._tell_parted(lost=lost)

    def set_aside(self, why: str, found: files.Identity | None) -> None:
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

    def is_sound(self) -> bool:
        """Return whether the file is whole, and only its tables are others; the next transaction opens it anew."""
        self.roll_back()
        sound = self._connection is None or is_sound(self._connection)
        self.drop()
        return sound

    def roll_back(self) -> None:
        """End a transaction without writing, if one is under way."""
        connection = self._connection
        if connection is None or not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except TROUBLE:
            self.drop()

    def current(self) -> sqlite3.Connection:
        """Return the connection of the transaction under way.

        Raises:
            StoreError: when it was lost meanwhile.
        """
        if self._connection is None:
            message = f"the connection to {self._path} was lost"
            raise StoreError(message)
        return self._connection

    def is_same(self) -> bool:
        """Return whether the file that is open, its log and its index are still those by their names."""
        return files.identity(self._path) == self._identity and self._beside.is_there()

    def shorten_log(self) -> None:
        """Cut a write-ahead log off that has become too long."""
        if self._connection is not None:
            self._beside.shorten(self._connection)
