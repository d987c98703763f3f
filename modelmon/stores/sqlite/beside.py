"""What stands beside the documents: what is counted, and who leads."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

from modelmon.stores.database import Counted, Head

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def counted(connection: sqlite3.Connection, fold: int, journal: int) -> Counted:
    """Return what is counted, in one read transaction."""
    connection.execute("BEGIN")
    *columns, folded = head_of(connection, HEAD)
    pages = dict(connection.execute("SELECT name, body FROM pages WHERE fold > ?", (fold,)))
    after = (max(folded, journal),)
    entries = connection.execute("SELECT body FROM journal WHERE number > ? ORDER BY number", after).fetchall()
    connection.execute("COMMIT")
    return Counted(Head(*columns), folded, pages, [body for (body,) in entries])


def fold(connection: sqlite3.Connection, pages: Mapping[str, bytes], upto: int, held: int) -> bool:
    """Write pages and drop the journal that they contain, unless somebody has folded more; within a transaction."""
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


def lease(connection: sqlite3.Connection, name: str, holder: str, seconds: float) -> bool:
    """Take or extend a lease by the host's clock; within a transaction."""
    row = connection.execute("SELECT holder, until FROM leases WHERE name = ?", (name,)).fetchone()
    now = time.time()
    if row is not None and row[0] != holder and row[1] > now:
        return False
    connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (name, holder, now + seconds))
    return True
