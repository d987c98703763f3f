"""How SQLite is set up for a store's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.notices import warn

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

PAGE_BYTES: Final = 8192
CACHE_KIB: Final = 8192
CHECKPOINT_PAGES: Final = 2000


def set_up(connection: sqlite3.Connection, path: Path) -> None:
    """Set a new connection up; a file system without write-ahead logs gets a rollback journal."""
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        warn("sqlite_journal", f"{path} lies on a file system without write-ahead logs; writing to it is slower")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}").fetchone()
    connection.execute("PRAGMA temp_store = MEMORY")
