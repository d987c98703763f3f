"""`SQLiteDatabase`: the database of a durable store in one file, for all processes of a machine."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.database import Changes, Head, Reminder
from modelmon.stores.sqlite.access import Access
from modelmon.stores.sqlite.beside import HEAD, Beside, head_of
from modelmon.stores.sqlite.log import Log
from modelmon.stores.sqlite.recents import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.stores.database import Keys

_HEAD: Final = f"{HEAD}, segment, merged, merging, cursor, trimmed"
_WRITTEN: Final = (
    "now", "sequence", "entries", "awaiting", "documents", "rate", "settings", "journal", "backlog",
    "segment", "merged", "merging", "cursor", "trimmed",
)  # fmt: skip
_WRITE_HEAD: Final = f"UPDATE head SET {', '.join(f'{name} = ?' for name in _WRITTEN)}"  # noqa: S608 - names of ours


class SQLiteDatabase(Beside):
    """Keep documents, reminders, a catalogue, a journal and pages in one file.

    A transaction is ``BEGIN IMMEDIATE``: the only one of its kind on the file, in whatever process.
    Memory: about 200 bytes for each document of the log (see `recents`), of which there are at most 128 k, or 1.8 times
    as many while they are being merged: 30 MB, for a while 50 MB, with a page cache of 8 MB.
    """

    name = "sqlite"
    shared = True

    def __init__(
        self, path: str | os.PathLike[str], *, flush: Literal["labels", "always"] = "labels", timeout: float = 5.0
    ) -> None:
        """Take a path; nothing is opened before `open` or `begin`.

        Args:
            path: the file; it and its directory are made where they are missing.
            flush: ``"labels"``: what is durable is flushed to disk before `apply` returns; ``"always"``: everything is.
            timeout: seconds to wait for other writers.

        Raises:
            ConfigurationError: when this is no path of a file, or ``flush`` is neither.
        """
        text = os.fspath(path)
        if text in {"", ":memory:"} or text.startswith("file:") or "\0" in text:
            message = f"SQLiteStore needs the path of a file, not {text!r}; MemoryStore keeps labels in memory"
            raise ConfigurationError(message)
        if flush not in {"labels", "always"}:
            message = f'flush must be "labels" or "always", not {flush!r}'
            raise ConfigurationError(message)
        self._path = Path(os.path.abspath(text))  # noqa: PTH100  (keeps a link as it is, to be refused)
        self._always = flush == "always"
        self._log = Log()
        super().__init__(Access(self._path, timeout, renewed=self._log.forget))
        self._head: Head | None = None

    def __repr__(self) -> str:
        """Show the path."""
        return f"SQLiteDatabase({str(self._path)!r})"

    @property
    def resets(self) -> int:
        """How often a damaged or deleted file was replaced by a new one."""
        return self._access.resets

    # -- transactions ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, and make or migrate what there is; opening again in the same process does nothing."""
        if not self._access.is_open():
            with self._access.turn():
                pass

    def close(self) -> None:
        """Let go of the connection; closing twice does nothing."""
        self.abandon()
        self._access.close()

    def time(self) -> float | None:
        """Return None: the host's clock serves."""
        return None

    def begin(self, *, durable: bool) -> Head:
        """Begin a transaction, as the only writer of the file."""
        access = self._access
        access.take()
        try:
            try:
                self._head = self._begun(durable=durable)
            except StoreError as error:
                if error.kind != "corrupt":
                    raise
                self._head = self._begun(durable=durable)  # in the new file
        except BaseException:
            self._head = None
            access.give()
            raise
        return self._head

    def _begun(self, *, durable: bool) -> Head:
        with self._access.telling():
            connection = self._access.begin("BEGIN IMMEDIATE", partial(self.flush, full=durable or self._always))
            row = head_of(connection, _HEAD)
            self._log.follow(connection, row[0], Mark(*row[12:]))
            return Head(*row[:11])

    def abandon(self) -> None:
        """End a transaction without writing; harmless where none is under way."""
        if self._head is not None:
            self._head = None
            if self._access.is_held():
                self._access.give()

    def interrupted(self) -> None:
        """End a transaction of which nobody knows how far it came, since a signal struck amid it."""
        self._head = None
        self._log.forget()
        self._access.free()

    @contextmanager
    def _within(self) -> Iterator[sqlite3.Connection]:
        """Run statements of the transaction under way; whatever fails ends it."""
        if self._head is None or not self._access.is_held():
            message = "no transaction is under way"
            raise RuntimeError(message)
        try:
            with self._access.telling():
                yield self._access.current()
        except BaseException:
            self.abandon()
            raise

    def fetch(self, keys: Keys) -> list[bytes | None]:
        """Return the documents of keys that are all different and ascending; None where there is none."""
        with self._within() as connection:
            return self._log.fetch(connection, keys.tolist())

    def entries(self, after: int) -> list[bytes]:
        """Return the catalogue's entries but the first ``after``, in order."""
        with self._within() as connection:
            rows = connection.execute("SELECT body FROM entries WHERE number > ? ORDER BY number", (after,))
            return [body for (body,) in rows]

    def due(self, before: float, limit: int) -> list[Reminder]:
        """Return up to ``limit`` reminders due before a time, the earliest first."""
        with self._within() as connection:
            statement = "SELECT number, due, body FROM reminders WHERE due < ? ORDER BY due, number LIMIT ?"
            return [Reminder(*row) for row in connection.execute(statement, (before, limit))]

    def scan(self, after: int | None, limit: int) -> tuple[Keys, list[bytes | None], int | None]:
        """Walk through the documents of the store."""
        with self._within() as connection:
            return self._log.scan(connection, after, limit)

    def apply(self, changes: Changes) -> bool:
        """Write changes and commit; a writer is alone, so nothing can have changed meanwhile."""
        head = self._head
        with self._within() as connection:
            self._write(connection, cast("Head", head), changes)
            connection.execute("COMMIT")
            if not self._access.is_same():
                message = f"{self._path}, or a file beside it, was deleted or replaced while it was being written to"
                raise StoreError(message, kind="corrupt")
            self._log.written()
            self._access.shorten_log()
        self.abandon()
        return True

    def _write(self, connection: sqlite3.Connection, head: Head, changes: Changes) -> None:
        mark = self._log.write(connection, changes.keys, changes.after)
        if changes.reminded:
            connection.executemany("DELETE FROM reminders WHERE number = ?", [(number,) for number in changes.reminded])
        if changes.reminders:
            connection.executemany("INSERT INTO reminders (due, body) VALUES (?, ?)", changes.reminders)
        if changes.entries:
            connection.executemany("INSERT INTO entries VALUES (?, ?)", enumerate(changes.entries, head.entries + 1))
        journal, backlog = head.journal, head.backlog
        if changes.journal is not None:
            journal, backlog = journal + 1, backlog + len(changes.journal)
            connection.execute("INSERT INTO journal VALUES (?, ?)", (journal, changes.journal))
        row: tuple[Any, ...] = (
            max(head.now, changes.now),
            head.sequence + 1,
            head.entries + len(changes.entries),
            head.awaiting + changes.awaiting,
            head.documents + changes.before.count(None) - changes.after.count(None),
            head.rate if changes.rate is None else changes.rate,
            head.settings if changes.settings is None else changes.settings,
            journal,
            backlog,
        )
        connection.execute(_WRITE_HEAD, (*row, *mark))

    def condemn(self, why: str) -> None:
        """Put the file aside: its content cannot be read; the next transaction begins a new one."""
        with suppress(StoreError), self._access.turn():
            message = f"malformed content: {why}"
            raise sqlite3.DatabaseError(message)

    def check(self) -> list[str]:
        """Return what is wrong with the file; usually nothing."""
        with self._access.turn() as connection:
            found = [line for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
        try:
            head = self.begin(durable=False)
            with self._within() as connection:
                held = self._log.count(connection)
        finally:
            self.abandon()
        if held != head.documents:
            found.append(f"{held} documents are there, and {head.documents} are counted")
        return found
