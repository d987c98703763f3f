"""Files that are damaged, deleted or replaced under a running program: it goes on, and says what became of its data."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from faulty_hosts import Host, actual, predicted, until

from modelmon import LabelClient, Monitor, Multiclass, SQLiteStore
from modelmon.columns import encode_ids
from modelmon.errors import StoreError
from modelmon.stores.database import Changes
from modelmon.stores.holdings import KEY_SEED

if TYPE_CHECKING:
    from pathlib import Path

DAMAGES = 200


def new_beginning(host: Host) -> None:
    """Have a host go on and check that a new store holds what was recorded since."""
    assert "reset" in host.errors()
    before = host.called
    host.labelled.clear()
    host.call(2000)
    until(lambda: host.label(before, before + 1000) == "", "labels are taken again")
    host.check(lost=before)


def aside(folder: Path) -> int:
    """Return how many files were put aside."""
    return len([path for path in folder.glob("*.corrupt-*") if not path.name.endswith(("-wal", "-shm"))])


def emptied(path: Path) -> None:
    """Leave nothing of a file."""
    path.write_bytes(b"")


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbled(path: Path) -> None:
    """Leave something else altogether."""
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def replace(path: Path, other: Path) -> None:
    """Put another file in a file's place, and take away what lies beside it, as whoever restores a backup does."""
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    other.rename(path)


def swapped(path: Path) -> None:
    """Put another file in its place."""
    other = path.with_name("other")
    other.write_bytes(b"not a database, but a text that is long enough" * 100)
    replace(path, other)


def deleted(path: Path) -> None:
    """Take a file away."""
    path.unlink()


@pytest.mark.fault("S3")
@pytest.mark.parametrize("damage", [deleted, swapped])
def test_a_file_that_goes_while_it_is_open(tmp_path: Path, damage: object) -> None:
    """The next transaction notices; a new store begins, the loss is counted, and all that follows is there."""
    path = tmp_path / "labels.db"
    host = Host(SQLiteStore(path))
    host.call(2000)
    assert host.label(0, 1000) == ""
    damage(path)
    host.monitor.flush()
    new_beginning(host)
    host.close()
    assert aside(tmp_path) == (damage is swapped)


@pytest.mark.fault("S3")
@pytest.mark.parametrize("damage", [emptied, cut, garbled, swapped, deleted])
def test_a_file_that_is_damaged_between_two_runs(tmp_path: Path, damage: object) -> None:
    """A program that finds its file damaged puts it aside, begins a new store, and works."""
    path = tmp_path / "labels.db"
    host = Host(SQLiteStore(path))
    host.call(2000)
    assert host.label(0, 1000) == ""
    host.close()
    damage(path)
    host = Host(SQLiteStore(path))
    host.call(2000)
    until(lambda: host.label(0, 1000) == "", "labels are taken again")
    host.check()
    host.close()
    assert aside(tmp_path) == (damage not in {deleted, emptied})


@pytest.mark.fault("S3")
def test_a_file_that_is_replaced_by_a_good_one(tmp_path: Path) -> None:
    """A backup that is put back while the program runs is what counts from then on."""
    path, backup = tmp_path / "labels.db", tmp_path / "backup.db"
    host = Host(SQLiteStore(path))
    host.call(1000)
    assert host.label(0, 500) == ""
    host.close()
    shutil.copy(path, backup)
    host = Host(SQLiteStore(path))
    host.called, host.labelled = 1000, set(range(500))
    host.call(1000)
    assert host.label(1000, 1500) == ""
    replace(path, backup)
    host.monitor.flush()
    host.labelled -= set(range(1000, 1500))
    assert host.label(500, 1000) == ""
    host.check(lost=1000)
    host.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store's file with some of everything: rows of all kinds, early labels, pages, a journal."""
    path = tmp_path_factory.mktemp("template") / "labels.db"
    monitor = Monitor(store=SQLiteStore(path))
    for start in range(0, 3000, 300):
        numbers = range(start, start + 300)
        monitor.predictions([f"n{n}" for n in numbers], [predicted(n) for n in numbers], model="pet", version="1")
        monitor.flush()
        monitor.labels([f"n{n}" for n in numbers[::2]], [actual(n) for n in numbers[::2]])
    monitor.labels([f"early-{n}" for n in range(100)], ["cat"] * 100)
    monitor.close()
    monitor._recorder.store.close()
    return path


@pytest.mark.fault("S3")
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in (1, 2, 3))])
def test_random_bytes_at_random_offsets(template: Path, tmp_path: Path, part: int) -> None:
    """Whatever is damaged, calls go on, whoever labels is told by a `StoreError`, and nothing hangs or crashes."""
    for seed in range(part * DAMAGES // 4, (part + 1) * DAMAGES // 4):
        chance = random.Random(seed)
        path = tmp_path / f"labels-{seed}.db"
        whole = bytearray(template.read_bytes())
        for _ in range(chance.choice([1, 1, 4, 16])):
            place = chance.randrange(len(whole))
            some = chance.randbytes(chance.choice([1, 8, 64, 512]))
            whole[place : place + len(some)] = some
        path.write_bytes(whole[: template.stat().st_size])
        store = SQLiteStore(path, timeout=1.0)
        monitor = Monitor(store=store)

        @monitor(model="pet", version="1", id="ids", task=Multiclass())
        def predict(ids: list[str]) -> list[str]:
            return [predicted(int(text[1:])) for text in ids]

        numbers = range(2500, 3500)
        assert predict([f"n{n}" for n in numbers]) == [predicted(n) for n in numbers]
        for _ in range(3):
            monitor.flush()
            told = ""
            try:
                monitor.labels([f"n{n}" for n in numbers], [actual(n) for n in numbers])
                monitor.snapshot()
            except StoreError as error:
                told = (
                    f"{error.kind}"
                    if error.kind in {"", "unreadable"}
                    else f"{error.kind}: {error} {error.__cause__!r}"
                )
            if not told:
                break
        assert told in {"", "unreadable"}, seed
        monitor.close()
        store.close()
        path.unlink()


@pytest.mark.fault("S3")
def test_a_damaged_document_is_lost_alone(template: Path, tmp_path: Path) -> None:
    """What cannot be read of one prediction takes no other with it: it is gone, counted, and its id is free again."""
    path = tmp_path / "labels.db"
    shutil.copy(template, path)
    store = SQLiteStore(path)
    ids = encode_ids([f"n{n}" for n in range(100)])
    keys = np.sort(ids.hashes(KEY_SEED)[0].view(np.int64))
    database = store._database
    database.open()
    database.begin(durable=False)
    before = database.fetch(keys)
    assert database.apply(Changes(now=0.0, keys=keys[:1], before=before[:1], after=[b"\xff" * len(before[0] or b"")]))
    with LabelClient(store) as client:
        found = client.labels([f"n{n}" for n in range(100)], [actual(n) for n in range(100)])
        assert found["early"] == 1
        assert sum(found.values()) == 100
        read = client.snapshot()
        assert dict(read.counts("self:dropped").items()) == {("damaged",): 1}


@pytest.mark.fault("S3")
@pytest.mark.parametrize("table", ["entries", "journal", "pages"])
def test_what_concerns_all_of_a_store_is_put_aside_with_it(template: Path, tmp_path: Path, table: str) -> None:
    """A file whose catalogue or counts cannot be read is put aside as a damaged one is, and a new store begins."""
    path = tmp_path / "labels.db"
    shutil.copy(template, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        if table == "pages":
            connection.execute("INSERT INTO pages VALUES ('counts', 0, x'00')")
        else:
            assert connection.execute(f"UPDATE {table} SET body = x'00'").rowcount  # noqa: S608  (a name of ours)
    host = Host(SQLiteStore(path))
    host.call(2000)
    until(lambda: host.label(0, 1000) == "" and bool(host.points()) and aside(tmp_path) == 1, "a new store is begun")
    before = host.called
    host.call(1000)
    assert host.label(before, before + 500) == ""
    assert host.monitor.snapshot()["pet"].labelled >= 500
    assert "reset" in host.errors()
    host.close()
