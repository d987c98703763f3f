"""The log inside the SQLite file: whatever is merged when, by whom, documents are what they would be without it."""

from __future__ import annotations

import math
import os
import signal
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from databases import put, read, write
from hypothesis import given
from hypothesis import strategies as st

from modelmon.errors import ConfigurationError
from modelmon.stores.database import Changes
from modelmon.stores.sqlite import log, recents
from modelmon.stores.sqlite.database import SQLiteDatabase
from modelmon.stores.sqlite.segments import packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    """Return a function that opens the same file again, as another process would."""
    databases: list[SQLiteDatabase] = []

    def another() -> SQLiteDatabase:
        databases.append(SQLiteDatabase(tmp_path / "labels.db"))
        return databases[-1]

    yield another
    for database in databases:
        database.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have merges begin after a few dozen documents, and go on in small slices."""
    monkeypatch.setattr(recents, "MOST", 60)
    monkeypatch.setattr(log, "LEAST_SLICE", 7)
    monkeypatch.setattr(log, "MOST_TRIMMED", 300)


def tables(database: SQLiteDatabase) -> tuple[int, int]:
    """Return how many segments and how many rows the file has."""
    with database._access.turn() as connection:
        (segments,) = connection.execute("SELECT count(*) FROM recent").fetchone()
        (rows,) = connection.execute("SELECT count(*) FROM documents").fetchone()
    return segments, rows


def everything(database: SQLiteDatabase, limit: int = 1000) -> dict[int, bytes]:
    """Return all documents that a walk shows."""
    found: dict[int, bytes | None] = {}
    after = None
    database.begin(durable=False)
    while True:
        keys, bodies, after = database.scan(after, limit)
        found.update(zip(keys.tolist(), bodies, strict=True))
        if after is None:
            break
    database.abandon()
    return {key: body for key, body in found.items() if body is not None}


@given(
    documents=st.dictionaries(
        st.integers(-(2**63), 2**63 - 1), st.none() | st.binary(max_size=50) | st.just(b"gone"), max_size=20
    )
)
def test_segments_keep_keys_and_documents(documents: dict[int, bytes | None]) -> None:
    """A segment gives back the keys and documents that it was made of."""
    keys = sorted(documents)
    bodies = [documents[key] for key in keys]
    assert unpacked(packed(np.array(keys, np.int64), bodies)) == (keys, bodies)


def test_segments_of_a_newer_version_are_refused() -> None:
    """A segment that a newer version wrote is not misread."""
    with pytest.raises(ConfigurationError, match="version 2"):
        unpacked(struct.pack("<Qq", 2, 0))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(4))
def test_merges_change_nothing_that_is_read(opened: Callable[[], SQLiteDatabase], seed: int) -> None:
    """Three processes write, one of them rarely, through many merges: each reads what a dictionary would hold."""
    random = np.random.default_rng(seed)
    views, plain = [opened(), opened(), opened()], {}
    pool = random.integers(-(2**63), 2**63 - 1, 400)
    for step in range(400):
        view = views[2 if step % 67 == 0 else int(random.integers(2))]
        if random.random() < 0.02:
            view.close()
        keys = np.unique(random.choice(pool, int(random.integers(0, 12))))
        head = view.begin(durable=bool(random.integers(2)))
        assert head.documents == len(plain)
        before = view.fetch(keys)
        assert before == [plain.get(key) for key in keys.tolist()]
        if random.random() < 0.1:
            view.abandon()
            continue
        after = [None if random.random() < 0.2 else random.bytes(int(random.integers(0, 30))) for _ in before]
        assert view.apply(Changes(now=1.0, keys=keys, before=before, after=after))
        for key, body in zip(keys.tolist(), after, strict=True):
            plain.pop(key, None)
            if body is not None:
                plain[key] = body
        if step % 80 == 0:
            assert everything(view, 9) == plain
    for view in (*views, opened()):
        assert everything(view) == plain
        assert view.check() == []
    segments, rows = tables(views[0])
    assert segments < 60
    assert rows > 100


def test_a_merge_writes_many_documents_with_each_statement(
    opened: Callable[[], SQLiteDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents of a merge, some of which replace others and some of which go, come by the hundred into the table."""
    monkeypatch.setattr(recents, "MOST", 1000)
    database = opened()
    plain: dict[int, bytes | None] = {}
    statements: list[str] = []
    for first, body in ((0, b"first"), (1500, None), (3000, b"third, and longer")):
        some = {key * 7 - 9000: body if key % 3 else b"other" for key in range(first, first + 2600)}
        put(database, some)
        plain |= some
        with database._access.turn() as connection:
            connection.set_trace_callback(statements.append)
        for _ in range(4):
            write(database)
    assert everything(database) == {key: body for key, body in plain.items() if body is not None}
    assert database.check() == []
    written = [statement for statement in statements if statement.startswith("INSERT OR REPLACE INTO documents")]
    assert tables(database)[1] > 3000
    assert len(written) < 1000


@pytest.mark.usefixtures("small")
def test_a_walk_misses_nothing_while_documents_move(opened: Callable[[], SQLiteDatabase]) -> None:
    """A walk in small steps shows every document that stays, though merges move them under it."""
    writer, reader = opened(), opened()
    stay = dict.fromkeys(range(-3000, 3000, 13), b"stays")
    for start in range(0, len(stay), 50):
        put(writer, dict(list(stay.items())[start : start + 50]))  # type: ignore[arg-type]
    random = np.random.default_rng(3)
    found: dict[int, bytes | None] = {}
    after, steps = None, 0
    while True:
        reader.begin(durable=False)
        keys, bodies, after = reader.scan(after, 5)
        reader.abandon()
        found.update(zip(keys.tolist(), bodies, strict=True))
        steps += 1
        if after is None:
            break
        put(writer, {int(key): b"x" for key in random.integers(5000, 9000, 10)})
        put(writer, {int(key): b"stays" for key in random.choice(list(stay), 4)})
    assert {key: found.get(key) for key in stay} == stay
    assert steps > 100


def test_the_log_is_bounded_and_merges_in_slices(
    opened: Callable[[], SQLiteDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is written, the log stays within twice its bound, in memory and in the file, a slice at a time."""
    monkeypatch.setattr(recents, "MOST", 5000)
    database, random, merged = opened(), np.random.default_rng(1), 0
    for _ in range(60):
        keys = np.unique(random.integers(-(2**63), 2**63 - 1, 500))
        write(database, keys=keys, before=[None] * len(keys), after=[b"x" * 60] * len(keys))
        assert len(database._log._recents) <= 10_000
        segments, rows = tables(database)
        assert segments <= 25
        assert rows - merged <= log.LEAST_SLICE
        merged = rows
    assert merged > 15_000


def test_large_documents_are_merged_by_their_bytes(
    opened: Callable[[], SQLiteDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log of few but large documents is bounded too."""
    monkeypatch.setattr(recents, "MOST_BYTES", 1 << 20)
    database = opened()
    for key in range(40):
        put(database, {key: os.urandom(100_000)})
    assert tables(database)[1] > 20
    assert tables(database)[0] < 25
    assert len(everything(database)) == 40


def test_a_malformed_segment_is_damage(opened: Callable[[], SQLiteDatabase], tmp_path: Path) -> None:
    """A segment whose lengths do not add up is not misread: the file is set aside."""
    database = opened()
    put(database, {1: b"a", 2: b"b"})
    with database._access.turn() as connection:
        connection.execute("UPDATE recent SET body = substr(body, 1, length(body) - 1)")
    other = opened()
    assert other.begin(durable=False).documents == 0
    other.abandon()
    assert other.resets == 1
    assert len(list(tmp_path.glob("*.corrupt-*"))) >= 1


WRITER = """
import sys
import numpy as np
from modelmon.stores.database import Changes
from modelmon.stores.sqlite import log, recents
from modelmon.stores.sqlite.database import SQLiteDatabase

recents.MOST, log.LEAST_SLICE = 200, 20
database = SQLiteDatabase(sys.argv[1])
random = np.random.default_rng(int(sys.argv[2]))
while True:
    database.begin(durable=False)
    keys = np.unique(random.integers(0, 3000, 30))
    before = database.fetch(keys)
    after = [b"%d" % (int(body or 0) + 1) for body in before]
    database.apply(Changes(now=1.0, keys=keys, before=before, after=after, awaiting=len(keys)))
    sys.stdout.write("%d\\n" % len(keys))
    sys.stdout.flush()
"""


@pytest.mark.slow
@pytest.mark.fault("E5")
def test_kills_at_any_moment_lose_nothing_that_was_confirmed(
    opened: Callable[[], SQLiteDatabase], tmp_path: Path
) -> None:
    """Writers that are killed amid merges leave whole transactions only, and every one that they confirmed."""
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    confirmed = 0
    for round_ in range(6):
        writers = [
            subprocess.Popen(
                [sys.executable, str(script), str(tmp_path / "labels.db"), str(round_ * 2 + number)],
                stdout=subprocess.PIPE,
            )
            for number in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            for _ in range(20 + 7 * round_):
                confirmed += int(writer.stdout.readline())
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            rest, _ = writer.communicate()
            confirmed += sum(int(line) for line in rest.decode().split("\n")[:-1])
    database = opened()
    held = sum(int(body) for body in everything(database).values())
    awaiting = database.counted(0, 0).head.awaiting
    assert held == awaiting
    assert confirmed <= held <= confirmed + 12 * 30
    assert database.check() == []
    assert read(database, [-1]) == [None]
    assert database.counted(0, 0).head.due == math.inf
