"""The SQLite store while others change what it has open: its tables, its log, its index."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from databases import put, read
from test_database_concurrency import in_a_child

from modelmon import notices
from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.sqlite import writeahead
from modelmon.stores.sqlite.database import SQLiteDatabase
from modelmon.stores.sqlite.schema import STEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DELETED = [("-wal",), ("-shm",), ("-wal", "-shm")]
OTHER = """
import sys
sys.path.insert(0, {tests!r})
from databases import put
from modelmon.stores.sqlite.database import SQLiteDatabase
database = SQLiteDatabase(sys.argv[1], timeout=2.0)
put(database, {{2: b"other"}})
database.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a file may be made; every notice may be spoken."""
    notices.forget()
    return tmp_path / "labels.db"


@pytest.fixture
def database(path: Path) -> Iterator[SQLiteDatabase]:
    """Return a database with one document."""
    database = SQLiteDatabase(path, timeout=1.0)
    put(database, {1: b"x"})
    yield database
    database.close()


def alter(path: Path, *statements: str) -> None:
    """Change the file as another version, or somebody by hand, would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def other_writes(path: Path) -> bool:
    """Write from another process; return whether it could."""
    code = OTHER.format(tests=os.path.dirname(__file__))  # noqa: PTH120  (a text is wanted)
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    return done.returncode == 0


CALLS: list[Callable[[SQLiteDatabase], object]] = [
    lambda database: put(database, {1: b"y"}),
    lambda database: database.counted(-1, 0),
    lambda database: database.note("a", b"b"),
    lambda database: database.noted("a"),
]


@pytest.mark.parametrize("call", CALLS, ids=["put", "counted", "note", "noted"])
def test_a_newer_version_may_migrate_an_open_file(
    database: SQLiteDatabase, path: Path, call: Callable[[SQLiteDatabase], object]
) -> None:
    """The older one stops, says why, and leaves the file where it is, whether a name has gone or one was added."""
    newer = f"PRAGMA user_version = {len(STEPS) + 1}"
    alter(path, "ALTER TABLE head RENAME COLUMN trimmed TO cut", "ALTER TABLE notes RENAME TO remarks", newer)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=f"schema {len(STEPS) + 1}"):
            call(database)
    alter(path, "ALTER TABLE head RENAME COLUMN cut TO trimmed", "ALTER TABLE remarks RENAME TO notes")
    with pytest.raises(ConfigurationError, match=f"schema {len(STEPS) + 1}"):
        call(database)
    alter(path, f"PRAGMA user_version = {len(STEPS)}")
    assert read(database, [1]) == [b"x"]
    assert database.resets == 0
    assert list(path.parent.glob("*corrupt*")) == []


def test_tables_that_somebody_changed_are_no_damage(database: SQLiteDatabase, path: Path) -> None:
    """Without a number that tells, a missing column is told as that, and the file stays; put right, it serves again."""
    alter(path, "ALTER TABLE head RENAME COLUMN trimmed TO cut")
    for _ in range(2):
        with pytest.raises(StoreError, match="changed its tables") as raised:
            put(database, {1: b"y"})
        assert raised.value.kind == "schema"
    alter(path, "ALTER TABLE head RENAME COLUMN cut TO trimmed")
    assert read(database, [1]) == [b"x"]
    assert list(path.parent.glob("*corrupt*")) == []


@pytest.mark.parametrize("deleted", DELETED, ids="".join)
def test_a_log_deleted_while_open_is_saved_first(
    database: SQLiteDatabase, path: Path, deleted: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Before anybody else opens the file, everything confirmed goes into it, from all connections of the process."""
    second = SQLiteDatabase(path, timeout=1.0)
    put(second, {5: b"second"})
    for ending in deleted:
        path.with_name(path.name + ending).unlink()
    put(database, {3: b"z"})
    assert other_writes(path)
    put(second, {6: b"again"})
    assert read(database, [1, 2, 3, 5, 6]) == [b"x", b"other", b"z", b"second", b"again"]
    assert "nothing was lost" in caplog.text
    assert database.resets == second.resets == 0
    second.close()
    assert database.check() == []
    assert database.counted(-1, 0).head.documents == 5


@pytest.mark.parametrize("deleted", DELETED, ids="".join)
def test_closing_saves_a_deleted_log(database: SQLiteDatabase, path: Path, deleted: tuple[str, ...]) -> None:
    """What was confirmed is in the file when its last user closes it, whatever was deleted beside it."""
    for ending in deleted:
        path.with_name(path.name + ending).unlink()
    database.close()
    assert other_writes(path)
    assert read(database, [1, 2]) == [b"x", b"other"]
    assert database.check() == []


@pytest.mark.parametrize("native", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["setting", "guard"])
@pytest.mark.parametrize("deleted", DELETED, ids="".join)
def test_a_log_that_others_have_begun_anew_is_theirs(
    path: Path,
    deleted: tuple[str, ...],
    native: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both go on with one file that is whole; what only the deleted log held is counted as a reset."""
    if not native:
        monkeypatch.setattr(writeahead, "_KEEP_LOG", None)
    database = SQLiteDatabase(path, timeout=1.0)
    put(database, {1: b"x"})
    database.close()
    put(database, {3: b"y"})
    for ending in deleted:
        path.with_name(path.name + ending).unlink()
    wrote = other_writes(path)
    assert wrote or deleted == ("-wal",)
    put(database, {4: b"z"})
    assert read(database, [1, 4]) == [b"x", b"z"]
    assert not wrote or read(database, [2]) == [b"other"]
    assert database.check() == []
    lost = read(database, [3]) != [b"y"]
    assert database.resets == lost == ("may be lost" in caplog.text)
    assert other_writes(path)
    assert read(database, [1, 2, 4]) == [b"x", b"other", b"z"]
    assert database.check() == []
    database.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_that_anybody_may_have_put_there_is_refused(path: Path) -> None:
    """In a directory that everybody may write to, sticky or not, the file must be one's own."""
    path.parent.chmod(0o1777)
    path.touch()
    os.chown(path, 65534, 65534)
    path.chmod(0o666)
    with pytest.raises(ConfigurationError, match="somebody else"):
        SQLiteDatabase(path).open()

    def child() -> None:
        for parent in path.parents:  # pytest's own directories are closed to others
            if parent not in {path.parent, *path.parents[-2:]}:
                parent.chmod(0o755)
        os.setuid(1234)
        with pytest.raises(ConfigurationError, match="somebody else"):
            SQLiteDatabase(path).open()
        own = SQLiteDatabase(path.with_name("own.db"))
        put(own, {1: b"x"})
        own.close()

    assert in_a_child(child) == 0
    assert path.stat().st_size == 0
