"""Files that never were a store are left as they are; files that were one are told from them."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from databases import head, put

from modelmon.errors import ConfigurationError
from modelmon.stores.sqlite.database import SQLiteDatabase

if TYPE_CHECKING:
    from pathlib import Path

OPEN = """
import sys
from modelmon.stores.sqlite.database import SQLiteDatabase
database = SQLiteDatabase(sys.argv[1])
database.open()
database.close()
print(database.resets)
"""


def opened_elsewhere(path: Path) -> str:
    """Open a file in a process that has never seen it, and return how often it began anew, or what it raised."""
    done = subprocess.run([sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[-1]


def as_text(path: Path) -> None:
    """Write a table of labels."""
    path.write_text("id,label\n" + "17,fraud\n" * 5000, "utf-8")


def as_database(path: Path) -> None:
    """Write a damaged database of another program."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 77")
        connection.execute("CREATE TABLE theirs (x)")
    data = bytearray(path.read_bytes())
    data[100:2000] = b"x" * 1900
    path.write_bytes(data)


@pytest.mark.parametrize("write", [as_text, as_database])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, write: object) -> None:
    """It is refused by name, and keeps its bytes, its name and its permissions."""
    path = tmp_path / "data.csv"
    write(path)
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"data\.csv is a file of something else"):
        SQLiteDatabase(path).open()
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("start", [os.urandom(90), bytes(90)], ids=["random", "zeros"])
def test_a_store_whose_header_is_damaged_is_still_known(tmp_path: Path, start: bytes) -> None:
    """Another process finds out that the file was a store, sets it aside and begins anew."""
    path = tmp_path / "labels.db"
    database = SQLiteDatabase(path)
    put(database, {1: b"x"})
    database.close()
    with path.open("r+b") as file:
        file.write(start)
    assert opened_elsewhere(path) == "1"
    assert len(list(tmp_path.glob("labels.db.corrupt-*"))) == 1


def test_a_whole_store_is_opened_by_a_process_that_has_never_seen_it(tmp_path: Path) -> None:
    """Nothing about a store is foreign, closed or open elsewhere."""
    path = tmp_path / "labels.db"
    database = SQLiteDatabase(path)
    put(database, {1: b"x"})
    assert opened_elsewhere(path) == "0"
    database.close()
    assert opened_elsewhere(path) == "0"
    assert head(database).documents == 1
    database.close()


def test_a_database_of_something_else_is_named(tmp_path: Path) -> None:
    """The refusal says which file is meant."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(ConfigurationError, match=r"theirs\.db is an SQLite database of something else"):
        SQLiteDatabase(path).open()
