"""What stands beside the documents: what is counted, leases and notes."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from modelmon.stores.database import LONGEST_LEASE_S, Counted, Head

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelmon.stores.sqlite.access import Access

HEAD: Final = (
    "origin, now, sequence, entries, awaiting, documents, rate, settings,"
    " coalesce((SELECT min(due) FROM reminders), 9e999), journal, backlog, folded"
)
"""The columns of a `Head`, and what is folded."""
_TAKEN_AWAY_KEPT: Final = 1 << 20
"""Journal entries after which it is forgotten that a page was taken away; no reader lags that far behind."""


def head_of(connection: sqlite3.Connection, columns: str) -> tuple[Any, ...]:
    """Return columns of the head; a head that is not there is damage."""
    rows: list[tuple[Any, ...]] = connection.execute(f"SELECT {columns} FROM head").fetchall()  # noqa: S608 - names of ours
    if len(rows) != 1:
        message = "the head is malformed"
        raise sqlite3.DatabaseError(message)
    return rows[0]


class Beside:
    """Keep what is counted, leases and notes, each call in a transaction of its own."""

    def __init__(self, access: Access) -> None:
        """Use a connection."""
        self._access = access
        self._full: sqlite3.Connection | None = None

    def flush(self, connection: sqlite3.Connection, *, full: bool) -> None:
        """Have commits flushed to disk, or not; SQLite heeds this between transactions only."""
        if full is not (self._full is connection):
            connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            self._full = connection if full else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Run statements in a small transaction of their own, flushed to disk."""
        with self._access.turn():
            connection = self._access.begin("BEGIN IMMEDIATE", partial(self.flush, full=True))
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Run statements in a transaction that only reads."""
        with self._access.turn():
            connection = self._access.begin("BEGIN", lambda _: None)
            yield connection
            connection.execute("COMMIT")

    def counted(self, fold: int, journal: int) -> Counted:
        """Return what is counted, in one read transaction."""
        with self._reading() as connection:
            *columns, folded = head_of(connection, HEAD)
            pages = dict(connection.execute("SELECT name, body FROM pages WHERE fold > ?", (fold,)))
            after = (max(folded, journal),)
            entries = connection.execute("SELECT body FROM journal WHERE number > ? ORDER BY number", after).fetchall()
        return Counted(Head(*columns), folded, pages, [body for (body,) in entries])

    def fold(self, pages: Mapping[str, bytes], upto: int, held: int) -> bool:
        """Write pages that contain the journal up to ``upto``, and drop that much of it."""
        with self._writing() as connection:
            (folded,) = head_of(connection, "folded")
            if folded != held:
                return False
            rows = [(name, upto, body) for name, body in pages.items()]
            connection.executemany("INSERT OR REPLACE INTO pages VALUES (?, ?, ?)", rows)
            if b"" in pages.values():
                gone = "DELETE FROM pages WHERE fold < ? AND length(body) = 0"
                connection.execute(gone, (upto - _TAKEN_AWAY_KEPT,))
            connection.execute("DELETE FROM journal WHERE number <= ?", (upto,))
            backlog = "(SELECT coalesce(sum(length(body)), 0) FROM journal)"
            connection.execute(f"UPDATE head SET folded = ?, backlog = {backlog}", (upto,))  # noqa: S608 - no values
        return True

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or extend a lease by the host's clock; return whether ``holder`` has it now.

        The clock may have been set back since: no lease is as long as one that ends far ahead.
        """
        with self._writing() as connection:
            row = connection.execute("SELECT holder, until FROM leases WHERE name = ?", (name,)).fetchone()
            now = time.time()
            if row is not None and row[0] != holder and now < row[1] <= now + LONGEST_LEASE_S:
                return False
            if seconds:
                connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (name, holder, now + seconds))
        return True

    def release(self, name: str, holder: str) -> None:
        """Give a lease back, if ``holder`` has it."""
        with self._writing() as connection:
            connection.execute("DELETE FROM leases WHERE name = ? AND holder = ?", (name, holder))

    def note(self, name: str, value: bytes | None) -> None:
        """Keep a small value by name, durably; None takes it away."""
        with self._writing() as connection:
            connection.execute("DELETE FROM notes WHERE name = ?", (name,))
            if value is not None:
                connection.execute("INSERT INTO notes VALUES (?, ?)", (name, value))

    def noted(self, name: str) -> bytes | None:
        """Return the value kept by that name."""
        with self._reading() as connection:
            row = connection.execute("SELECT body FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]
