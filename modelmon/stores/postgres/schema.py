"""The tables, and how they are made and brought up to date.

Everything lies in a namespace of its own, and one row says which version of the tables it holds.
Steps go forward only; tables of a newer version are refused.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Run = Callable[[bytes], list[tuple[Any, ...]]]

VERSION: Final = 1
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_VACUUM: Final = "autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.2"
# documents leave room in their pages, so that changed ones stay where the index points
_FIRST: Final[tuple[str, ...]] = (
    "CREATE TABLE {s}.version (version integer NOT NULL)",
    (
        "CREATE TABLE {s}.head (origin text NOT NULL, now double precision NOT NULL, sequence bigint NOT NULL,"
        " entries bigint NOT NULL, awaiting bigint NOT NULL, documents bigint NOT NULL, rate double precision NOT NULL,"
        " settings text NOT NULL, due double precision NOT NULL, journal bigint NOT NULL, backlog bigint NOT NULL,"
        " folded bigint NOT NULL) WITH (fillfactor = 10)"
    ),
    "CREATE TABLE {s}.documents (key bigint PRIMARY KEY, body bytea NOT NULL) WITH (fillfactor = 70, {vacuum})",
    (
        "CREATE TABLE {s}.reminders (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " due double precision NOT NULL, body bytea NOT NULL) WITH ({vacuum})"
    ),
    "CREATE INDEX reminders_due ON {s}.reminders (due, number)",
    "CREATE TABLE {s}.entries (number bigint PRIMARY KEY, body bytea NOT NULL)",
    "CREATE TABLE {s}.journal (number bigint PRIMARY KEY, body bytea NOT NULL) WITH ({vacuum})",
    (
        "CREATE TABLE {s}.pages (name text PRIMARY KEY, fold bigint NOT NULL, written timestamptz NOT NULL,"
        " body bytea NOT NULL) WITH ({vacuum})"
    ),
    "CREATE INDEX pages_fold ON {s}.pages (fold)",
    "CREATE TABLE {s}.leases (name text PRIMARY KEY, holder text NOT NULL, ends timestamptz NOT NULL)",
    "CREATE TABLE {s}.notes (name text PRIMARY KEY, body bytea NOT NULL)",
    # compressed already
    "ALTER TABLE {s}.journal ALTER COLUMN body SET STORAGE EXTERNAL",
    "ALTER TABLE {s}.pages ALTER COLUMN body SET STORAGE EXTERNAL",
    "INSERT INTO {s}.head VALUES ({origin}, 0, 0, 0, 0, 0, 0, '', 'Infinity', 0, 0, 0)",
    "INSERT INTO {s}.version VALUES (0)",
)
STEPS: Final[tuple[tuple[str, ...], ...]] = (_FIRST,)
"""What leads from each version to the next one, from version 0: nothing."""


def checked(schema: str) -> str:
    """Return the name of a namespace, or refuse it."""
    if not isinstance(schema, str) or not _NAME.fullmatch(schema) or schema.startswith("pg_"):
        msg = "schema must be a lower-case name of letters, digits and underscores, up to 63, and not begin with pg_"
        raise ConfigurationError(msg)
    return schema


def lock_of(schema: str) -> int:
    """Return the number of the advisory lock that writers of a namespace take in turns."""
    digest = hashlib.blake2b(f"modelmon:{schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def rendered(text: str, schema: str) -> bytes:
    """Return a statement on the tables of a namespace, whose name has been checked."""
    parts = {
        "{s}": f'"{schema}"',
        "{vacuum}": _VACUUM,
        "{name}": f"'{schema}'",
        "{table}": f"'{schema}.version'",
        "{origin}": f"'{uuid4().hex}'",
        "{version}": str(VERSION),
    }
    for name, part in parts.items():
        text = text.replace(name, part)
    return text.encode()


def bring_up_to_date(run: Run, schema: str) -> None:
    """Make the tables, or bring them up to date, within a transaction that holds the writers' lock.

    Raises:
        ConfigurationError: when the tables are newer than this library, or not of it.
    """
    version = version_of(run, schema)
    if version is None and not run(rendered("SELECT 1 FROM pg_namespace WHERE nspname = {name}", schema)):
        run(rendered("CREATE SCHEMA {s}", schema))
    for step in STEPS[version or 0 :]:
        for text in step:
            run(rendered(text, schema))
    if version != VERSION:
        run(rendered("UPDATE {s}.version SET version = {version}", schema))


def version_of(run: Run, schema: str) -> int | None:
    """Return the version of the tables, or None where there are none.

    Raises:
        ConfigurationError: when the tables are newer than this library.
    """
    if run(rendered("SELECT to_regclass({table})", schema))[0][0] is None:
        return None
    version = int(run(rendered("SELECT max(version) FROM {s}.version", schema))[0][0])
    if version > VERSION:
        msg = f"schema {schema} holds tables of version {version}; this modelmon knows up to {VERSION}: upgrade it"
        raise ConfigurationError(msg)
    return version
