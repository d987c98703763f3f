"""`SQLiteDatabase`: the database of a durable store in one file, for all processes of a machine."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.database import Changes, Counted, Head, Reminder
from modelmon.stores.sqlite.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelmon.stores.database import Keys

_CHUNK: Final = 500
_HEAD: Final = (
    "SELECT origin, now, sequence, entries, awaiting, documents, rate, settings,"
    " coalesce((SELECT min(due) FROM reminders), 9e999), journal, backlog, folded FROM head"
)


class SQLiteDatabase:
    """Keep documents, reminders, a catalogue, a journal and pages in one file."""

    name = "sqlite"
    shared = True

    def __init__(
        self, path: str | os.PathLike[str], *, flush: Literal["labels", "always"] = "labels", timeout: float = 5.0
    ) -> None:
        """Take a path; nothing is opened before `open` or `begin`."""
        if os.fspath(path) in {"", ":memory:"}:
            message = "SQLiteStore needs a file; use MemoryStore to keep nothing"
            raise ConfigurationError(message)
        self._path = Path(path)
        self._flush = flush
        self._timeout = timeout
        self._turn = Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._inherited: list[sqlite3.Connection] = []
        self._full = False
        self._head: Head | None = None
        self._folded = 0

    def __repr__(self) -> str:
        """Return the path."""
        return f"SQLiteDatabase({str(self._path)!r})"

    # -- connection --------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, and make or migrate what there is; opening again in the same process does nothing."""
        with self._alone():
            self._opened()

    def _opened(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            self._inherit()
        if self._connection is None:
            self._path.parent.mkdir(0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(
                str(self._path), timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute("PRAGMA synchronous=NORMAL")
            migrate(connection)
            self._connection = connection
            self._full = False
        return self._connection

    def _inherit(self) -> None:
        """Begin anew in a forked child: keep what was inherited as it is."""
        self._pid = os.getpid()
        if self._connection is not None:
            self._inherited.append(self._connection)
        self._connection, self._head, self._turn = None, None, Lock()

    def close(self) -> None:
        """Let go of the connection; closing twice does nothing."""
        if self._pid == os.getpid() and self._connection is not None:
            self.abandon()
            self._connection.close()
            self._connection = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Run statements that belong together; whatever fails is rolled back, and told as a `StoreError`."""
        if self._pid != os.getpid():
            self._inherit()
        if not self._turn.acquire(timeout=self._timeout):
            message = "the database is busy with another transaction of this process"
            raise StoreError(message, kind="locked")
        try:
            yield
        except sqlite3.Error as error:
            self._roll_back()
            raise told(error) from error
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._turn.release()

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    # -- transactions ------------------------------------------------------------------------------------------------

    def time(self) -> float | None:
        """Return None: the host's clock serves."""
        return None

    def begin(self, *, durable: bool) -> Head:
        """Begin a transaction, as the only writer of the file."""
        if self._pid != os.getpid():
            self._inherit()
        if not self._turn.acquire(timeout=self._timeout):
            message = "the database is busy with another transaction of this process"
            raise StoreError(message, kind="locked")
        try:
            connection = self._opened()
            full = durable or self._flush == "always"
            if full is not self._full:
                connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
                self._full = full
            connection.execute("BEGIN IMMEDIATE")
            *columns, self._folded = connection.execute(_HEAD).fetchone()
            self._head = Head(*columns)
        except BaseException as error:
            self._end()
            if isinstance(error, sqlite3.Error):
                raise told(error) from error
            raise
        return self._head

    def _end(self) -> None:
        try:
            self._roll_back()
        finally:
            self._head = None
            self._turn.release()

    def abandon(self) -> None:
        """End a transaction without writing; harmless where none is under way."""
        if self._pid == os.getpid() and self._head is not None:
            self._end()

    @contextmanager
    def _within(self) -> Iterator[sqlite3.Connection]:
        """Run statements of the transaction under way; whatever fails ends it."""
        if self._head is None or self._connection is None or self._pid != os.getpid():
            message = "no transaction is under way"
            raise RuntimeError(message)
        try:
            yield self._connection
        except sqlite3.Error as error:
            self._end()
            raise told(error) from error
        except BaseException:
            self._end()
            raise

    def fetch(self, keys: Keys) -> list[bytes | None]:
        """Return the documents of keys that are all different and ascending; None where there is none."""
        with self._within() as connection:
            found: dict[int, bytes] = {}
            wanted = keys.tolist()
            for start in range(0, len(wanted), _CHUNK):
                some = wanted[start : start + _CHUNK]
                marks = ",".join("?" * len(some))
                found.update(connection.execute(f"SELECT key, body FROM documents WHERE key IN ({marks})", some))  # noqa: S608 - marks only
            return list(map(found.get, wanted))

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
        """Walk through the documents in the order of their keys."""
        with self._within() as connection:
            if after is None:
                statement, given = "SELECT key, body FROM documents ORDER BY key LIMIT ?", (limit,)
            else:
                statement, given = "SELECT key, body FROM documents WHERE key > ? ORDER BY key LIMIT ?", (after, limit)
            rows = connection.execute(statement, given).fetchall()
        keys = np.array([key for key, _ in rows], np.int64)
        return keys, [body for _, body in rows], int(keys[-1]) if len(rows) == limit else None

    def apply(self, changes: Changes) -> bool:
        """Write changes and commit; a writer is alone, so nothing can have changed meanwhile."""
        with self._within() as connection:
            self._write(connection, changes)
            connection.execute("COMMIT")
            self._end()
        return True

    def _write(self, connection: sqlite3.Connection, changes: Changes) -> None:
        head = self._head
        assert head is not None  # noqa: S101 - `_within` has seen it
        pairs = list(zip(changes.keys.tolist(), changes.after, strict=True))
        come = [pair for pair in pairs if pair[1] is not None]
        go = [(key,) for key, body in pairs if body is None]
        connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?)", come)
        connection.executemany("DELETE FROM documents WHERE key = ?", go)
        connection.executemany("DELETE FROM reminders WHERE number = ?", [(number,) for number in changes.reminded])
        connection.executemany("INSERT INTO reminders (due, body) VALUES (?, ?)", changes.reminders)
        numbered = list(enumerate(changes.entries, head.entries + 1))
        connection.executemany("INSERT INTO entries VALUES (?, ?)", numbered)
        journal, backlog = head.journal, head.backlog
        if changes.journal is not None:
            journal, backlog = journal + 1, backlog + len(changes.journal)
            connection.execute("INSERT INTO journal VALUES (?, ?)", (journal, changes.journal))
        documents = head.documents + len(come) - sum(body is not None for body in changes.before)
        row: dict[str, Any] = {
            "now": max(head.now, changes.now),
            "sequence": head.sequence + 1,
            "entries": head.entries + len(numbered),
            "awaiting": head.awaiting + changes.awaiting,
            "documents": documents,
            "rate": head.rate if changes.rate is None else changes.rate,
            "settings": head.settings if changes.settings is None else changes.settings,
            "journal": journal,
            "backlog": backlog,
        }
        connection.execute(f"UPDATE head SET {', '.join(f'{name} = :{name}' for name in row)}", row)  # noqa: S608 - names of ours

    # -- what is counted ---------------------------------------------------------------------------------------------

    def counted(self, fold: int, journal: int) -> Counted:
        """Return what is counted, in one read transaction."""
        with self._alone():
            connection = self._opened()
            connection.execute("BEGIN")
            *columns, folded = connection.execute(_HEAD).fetchone()
            pages = dict(connection.execute("SELECT name, body FROM pages WHERE fold > ?", (fold,)))
            after = (max(folded, journal),)
            entries = connection.execute("SELECT body FROM journal WHERE number > ? ORDER BY number", after).fetchall()
            connection.execute("COMMIT")
        return Counted(Head(*columns), folded, pages, [body for (body,) in entries])

    def fold(self, pages: Mapping[str, bytes], upto: int, held: int) -> bool:
        """Write pages that contain the journal up to ``upto``, and drop that much of it."""
        with self._writing() as connection:
            (folded,) = connection.execute("SELECT folded FROM head").fetchone()
            if folded != held:
                return False
            rows = [(name, upto, body) for name, body in pages.items()]
            connection.executemany("INSERT OR REPLACE INTO pages VALUES (?, ?, ?)", rows)
            connection.execute("DELETE FROM journal WHERE number <= ?", (upto,))
            connection.execute(
                "UPDATE head SET folded = ?, backlog = (SELECT coalesce(sum(length(body)), 0) FROM journal)", (upto,)
            )
        return True

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Run statements in a small transaction of their own."""
        with self._alone():
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or extend a lease by the host's clock; return whether ``holder`` has it now."""
        with self._writing() as connection:
            row = connection.execute("SELECT holder, until FROM leases WHERE name = ?", (name,)).fetchone()
            now = time.time()
            if row is not None and row[0] != holder and row[1] > now:
                return False
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (name, holder, now + seconds))
        return True

    def release(self, name: str, holder: str) -> None:
        """Give a lease back, if ``holder`` has it."""
        with self._writing() as connection:
            connection.execute("DELETE FROM leases WHERE name = ? AND holder = ?", (name, holder))

    def note(self, name: str, value: bytes | None) -> None:
        """Keep a small value by name, durably; None takes it away."""
        with self._writing() as connection:
            if value is None:
                connection.execute("DELETE FROM notes WHERE name = ?", (name,))
            else:
                connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def noted(self, name: str) -> bytes | None:
        """Return the value kept by that name."""
        with self._alone():
            row = self._opened().execute("SELECT body FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def check(self) -> list[str]:
        """Return what is wrong with the file; usually nothing."""
        with self._alone():
            found = [line for (line,) in self._opened().execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found


def told(error: sqlite3.Error) -> StoreError:
    """Return what an error of SQLite means for a store."""
    return StoreError(f"SQLite: {error}", kind="other")
