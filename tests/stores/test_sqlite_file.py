"""The file of the SQLite store: who may read it, which files are refused, and what becomes of damaged ones."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from databases import head, put, read

from modelmon import notices
from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.sqlite import SQLiteDatabase, SQLiteStore, files, schema

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).parent / "fixtures"
posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Return where a file may be made; every notice may be spoken."""
    notices.forget()
    return tmp_path / "labels.db"


def mode(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.fault("Z11")
@posix
def test_only_the_owner_may_read_what_is_made(path: Path) -> None:
    """The file, what lies beside it and the directories made for it are closed to others, whatever the umask."""
    before = os.umask(0)
    try:
        deep = path.parent / "a" / "b" / path.name
        database = SQLiteDatabase(deep)
        put(database, {1: b"x"})
    finally:
        os.umask(before)
    assert {mode(deep.parent), mode(deep.parent.parent)} == {0o700}
    assert {file.name: mode(file) for file in deep.parent.iterdir()} == {
        "labels.db": 0o600,
        "labels.db-wal": 0o600,
        "labels.db-shm": 0o600,
    }
    database.close()
    deep.chmod(0o644)
    put(database, {2: b"y"})
    assert mode(deep) == 0o600
    database.close()


@pytest.mark.fault("Z11", "Z8")
@posix
def test_links_are_refused(path: Path, tmp_path: Path) -> None:
    """A link in the file's place is refused, and what it points to is left alone."""
    target = tmp_path / "target"
    target.write_text("precious")
    path.symlink_to(target)
    with pytest.raises(ConfigurationError, match="link"):
        SQLiteDatabase(path).begin(durable=False)
    assert target.read_text() == "precious"
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="link"):
        SQLiteDatabase(path).open()
    assert not (tmp_path / "nowhere").exists()
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError, match="no file"):
        SQLiteDatabase(path).open()


@pytest.mark.fault("Z11")
@posix
def test_directories_that_everybody_may_write_to_are_refused(path: Path) -> None:
    """Where anyone could put another file in its place, no store is made; the sticky bit prevents that."""
    path.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match="everybody"):
        SQLiteDatabase(path).open()
    assert not path.exists()
    path.parent.chmod(0o1777)
    database = SQLiteDatabase(path)
    database.open()
    database.close()
    path.parent.chmod(0o700)


@pytest.mark.parametrize("name", ["", ":memory:", "file:labels.db?mode=memory", "a\0b"])
def test_names_that_are_no_files_are_refused(name: str) -> None:
    """SQLite's special names are refused where the store is made."""
    with pytest.raises(ConfigurationError, match="MemoryStore"):
        SQLiteStore(name)
    with pytest.raises(ConfigurationError, match="flush"):
        SQLiteStore("labels.db", flush="never")  # type: ignore[arg-type]


@pytest.mark.fault("Z9")
def test_odd_names_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with quotes, question marks, percent signs or letters beyond ASCII are names like others."""
    monkeypatch.chdir(tmp_path)
    for name in ("it's.db", 'a"b?mode=ro#x.db', "100%41.db", "schön.db", "-x", "sub dir/y.db"):
        database = SQLiteDatabase(name)
        put(database, {1: name.encode()})
        assert (tmp_path / name).exists()
        assert read(SQLiteDatabase(tmp_path / name), [1]) == [name.encode()]
        database.close()


def test_databases_of_others_are_refused(path: Path) -> None:
    """A database of something else is never written to."""
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="something else"):
        SQLiteDatabase(path).begin(durable=True)
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    other.close()
    assert len(before) == path.stat().st_size


@pytest.mark.fault("S7")
def test_a_newer_schema_is_refused(path: Path) -> None:
    """A file that a newer version has migrated is left alone; the error names both numbers."""
    database = SQLiteDatabase(path)
    put(database, {1: b"x"})
    database.close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(ConfigurationError, match=f"schema 99.* up to {len(schema.STEPS)}"):
        database.begin(durable=False)
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {len(schema.STEPS)}")
    newer.close()
    assert read(database, [1]) == [b"x"]
    database.close()


@pytest.mark.fault("S7")
def test_a_fixture_stands_for_every_schema() -> None:
    """For every schema that was ever released there is a file to migrate from."""
    numbers = sorted(int(file.name.split("-")[2].split(".")[0]) for file in FIXTURES.glob("sqlite-schema-*.db.gz"))
    assert numbers == list(range(1, len(schema.STEPS) + 1))


@pytest.mark.fault("S7")
@pytest.mark.parametrize("number", range(1, len(schema.STEPS) + 1))
def test_released_schemas_are_read(path: Path, number: int) -> None:
    """A file of every released schema, left amid a merge, is migrated and still says the same."""
    path.write_bytes(gzip.decompress((FIXTURES / f"sqlite-schema-{number}.db.gz").read_bytes()))
    database = SQLiteDatabase(path)
    found = database.begin(durable=False)
    assert tuple(found[1:-1]) == (12.5, 8, 2, 7, 14, 0.5, '{"ttl": 1}', 20.0, 2, 6)
    assert [reminder.body for reminder in database.due(99.0, 9)] == [b"sooner", b"later"]
    assert database.entries(0) == [b'{"e": 0}', b'{"e": 1}']
    keys = [hundreds * 100 + ones for hundreds in range(5) for ones in range(3)]
    expected: list[bytes | None] = [b"document %d" % key for key in keys]
    expected[keys.index(100)] = None
    assert database.fetch(np.array(keys)) == expected
    database.abandon()
    counted = database.counted(-1, 0)
    assert (dict(counted.pages), list(counted.journal)) == ({"l/0/1": b"page", "gone": b""}, [b"second"])
    assert database.noted("file:a") == b"\0note"
    put(database, {100: b"back", 0: None})
    assert read(database, [0, 100, 402]) == [None, b"back", b"document 402"]
    assert database.check() == []
    database.close()


@pytest.mark.fault("S3")
def test_a_deleted_file_is_made_anew(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where somebody deletes the file while it is open, the next transaction begins a new one, and says so."""
    database, other = SQLiteDatabase(path), SQLiteDatabase(path)
    put(database, {1: b"x"})
    assert read(other, [1]) == [b"x"]
    before = head(database).origin
    path.unlink()
    put(database, {2: b"y"})
    assert read(database, [1, 2]) == [None, b"y"]
    assert head(database).origin != before
    assert database.resets == 1
    assert "deleted" in caplog.text
    assert read(other, [1, 2]) == [None, b"y"]
    assert other.resets == 0
    assert database.check() == []
    shutil.rmtree(path.parent)
    put(database, {3: b"z"})
    assert read(other, [2, 3]) == [None, b"z"]
    for one in (database, other):
        one.close()


@pytest.mark.fault("S3")
def test_a_file_deleted_amid_a_transaction_confirms_nothing(path: Path) -> None:
    """What was written to a file that is gone is not confirmed."""
    database = SQLiteDatabase(path)
    put(database, {1: b"x"})
    database.begin(durable=False)
    database.fetch(np.array([1]))
    path.unlink()
    with pytest.raises(StoreError) as raised:
        put_under_way(database)
    assert raised.value.kind in {"corrupt", "readonly"}
    put(database, {2: b"y"})
    assert read(database, [1, 2]) == [None, b"y"]
    database.close()


def put_under_way(database: SQLiteDatabase) -> None:
    """Write in the transaction under way."""
    from modelmon.stores.database import Changes  # noqa: PLC0415

    database.apply(Changes(now=1.0, keys=np.array([1]), before=[b"x"], after=[b"lost"]))


def damage(path: Path, how: Any) -> None:
    """Damage a closed file at random, or cut it."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if how == "cut":
            file.truncate(size // 2 + 100)
        elif how == "text":
            file.truncate()
            file.write(b"id,label\n" * 5000)
        elif how == "header":
            file.write(os.urandom(100))
        else:
            random = np.random.default_rng(how)
            for offset in random.integers(0, size, 40).tolist():
                file.seek(offset)
                file.write(random.bytes(200))


def works(database: SQLiteDatabase) -> bool:
    """Write and read everywhere, and return whether no damage was met."""
    try:
        put(database, {5000: b"new"})
        assert read(database, [5000]) == [b"new"]
        database.counted(-1, 0)
    except StoreError as error:
        return error.kind != "corrupt"
    return True


@pytest.mark.fault("S3")
@pytest.mark.parametrize("how", ["cut", "text", "header", *range(12)])
def test_damaged_files_are_set_aside(path: Path, how: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is damaged, a store either goes on, or sets the file aside, says so, and begins anew."""
    database = SQLiteDatabase(path)
    for start in range(0, 2000, 500):
        put(database, {key: b"%d" % key * 20 for key in range(start, start + 500)})
    origin = head(database).origin
    database.close()
    damage(path, how)
    tried = [works(database) for _ in range(6)]
    assert sum(tried) >= 4
    again = head(database).origin
    aside = [file for file in path.parent.iterdir() if ".corrupt-" in file.name]
    assert bool(aside) == (again != origin) == (database.resets > 0) == ("damaged" in caplog.text)
    if isinstance(how, str):
        assert aside
    database.close()


@pytest.mark.fault("S3")
def test_processes_that_find_the_same_damage_make_one_new_file(path: Path) -> None:
    """Of several that notice the damage one sets the file aside, and all go on with the same new one."""
    views = [SQLiteDatabase(path) for _ in range(3)]
    for number, view in enumerate(views):
        put(view, {number: b"x"})
    for view in views:
        view.close()
    damage(path, "header")
    for number, view in enumerate(views):
        put(view, {number: b"y"})
    assert read(views[0], [0, 1, 2]) == [b"y"] * 3
    assert sorted(view.resets for view in views) == [0, 0, 1]
    assert len([file for file in path.parent.iterdir() if ".corrupt-" in file.name]) == 1
    for view in views:
        view.close()


def test_an_empty_file_is_a_new_store(path: Path) -> None:
    """A file of no bytes, made beforehand, is filled."""
    path.touch(0o644)
    database = SQLiteDatabase(path)
    put(database, {1: b"x"})
    assert read(database, [1]) == [b"x"]
    assert database.resets == 0
    database.close()


@pytest.mark.fault("F6")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_does_not_keep_its_parent_s_lock_of_the_directory(tmp_path: Path) -> None:
    """Forked while another thread opens a store, it opens one as soon as that has ended, and the parent does again."""
    with files.alone(tmp_path, 5.0):
        child = os.fork()
        if not child:
            code = 3
            try:
                with files.alone(tmp_path, 20.0):
                    code = 0
            finally:
                os._exit(code)
        time.sleep(0.1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with files.alone(tmp_path, 20.0):
        pass
