"""Tables of the SQLite database, how they are made, and how older ones become newer ones."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError
from modelmon.stores.sqlite.failures import TROUBLE

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID: Final = 0x6D6D6F6E
"""``mmon``: marks our files, so that a file of something else is never taken for one."""

_FIRST: Final = (
    (
        "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), origin TEXT NOT NULL, now REAL NOT NULL DEFAULT 0,"
        " sequence INTEGER NOT NULL DEFAULT 0, entries INTEGER NOT NULL DEFAULT 0, awaiting INTEGER NOT NULL DEFAULT 0,"
        " documents INTEGER NOT NULL DEFAULT 0, rate REAL NOT NULL DEFAULT 0, settings TEXT NOT NULL DEFAULT '',"
        " journal INTEGER NOT NULL DEFAULT 0, backlog INTEGER NOT NULL DEFAULT 0, folded INTEGER NOT NULL DEFAULT 0,"
        " segment INTEGER NOT NULL DEFAULT 0, merged INTEGER NOT NULL DEFAULT 0, merging INTEGER NOT NULL DEFAULT 0,"
        " cursor INTEGER, trimmed INTEGER NOT NULL DEFAULT 0)"
    ),
    "CREATE TABLE documents (key INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE recent (number INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE reminders (number INTEGER PRIMARY KEY, due REAL NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX reminders_by_due ON reminders (due, number)",
    "CREATE TABLE entries (number INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE journal (number INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE pages (name TEXT PRIMARY KEY, fold INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX pages_by_fold ON pages (fold)",
    "CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE notes (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
)
STEPS: Final = (_FIRST,)
"""Statements that lead from each schema to the next; only ever appended to."""


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema's number: 0 in an empty file.

    Raises:
        ConfigurationError: a newer version of this library made it, or something else did.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    owner: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if owner != APPLICATION_ID and (version or owner or connection.execute("SELECT 1 FROM sqlite_master").fetchone()):
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        message = f"{path} is an SQLite database of something else; give the store a file of its own"
        raise ConfigurationError(message)
    if version > len(STEPS):
        message = (
            f"the file has schema {version}, and this version of modelmon knows schemas up to {len(STEPS)}: upgrade it"
        )
        raise ConfigurationError(message)
    return version


def is_current(connection: sqlite3.Connection) -> bool:
    """Return whether the tables are those that this version knows; within a transaction they stay so."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version == len(STEPS)


def is_sound(connection: sqlite3.Connection) -> bool:
    """Return whether the file itself is whole, whatever its tables are; reads all of it."""
    try:
        row = connection.execute("PRAGMA quick_check(1)").fetchone()
    except TROUBLE:
        return False
    return row is not None and bool(row[0] == "ok")


def migrate(connection: sqlite3.Connection) -> bool:
    """Make the tables, or bring older ones forward, each step in a transaction; return whether they were made."""
    made = False
    while version_of(connection) < len(STEPS):
        connection.execute("BEGIN IMMEDIATE")
        version = version_of(connection)  # another process may have been faster
        if version < len(STEPS):
            for statement in STEPS[version]:
                connection.execute(statement)
            if version == 0:
                connection.execute("INSERT INTO head (one, origin) VALUES (1, ?)", (secrets.token_hex(8),))
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                made = True
            connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")
    return made


def origin_of(connection: sqlite3.Connection, *, other_than: str) -> tuple[str, bool]:
    """Return the store's origin, and whether it was given a new one, because it had that of a file open before.

    An older copy, put in that one's place, would else be taken for what is known of that one.
    """
    row = connection.execute("SELECT origin FROM head").fetchone()
    if row is None or row[0] != other_than:
        return (row[0] if row else ""), False
    origin = secrets.token_hex(8)
    connection.execute("UPDATE head SET origin = ?", (origin,))
    return origin, True
