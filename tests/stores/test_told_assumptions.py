"""What a process told a durable store to assume is finished where it was cut off, and told where it begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from worlds import World

from modelmon import notices
from modelmon.errors import StoreError
from modelmon.snapshot import Snapshot
from modelmon.stores import upkeep
from modelmon.stores.assuming import read_assumption
from modelmon.stores.keeping import DatabaseStore
from modelmon.stores.sqlite import SQLiteStore
from modelmon.tasks import Binary, Multiclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from databases import Fresh

SPANS = {"ttl": 30.0, "correction_horizon": 20.0, "forget_after": 10.0, "window": 5.0, "history": 1000.0}
BINARY = Binary("fraud", "ok")
ASSUMED = read_assumption("ok", 14.0)


@pytest.fixture
def open_world(fresh: Fresh) -> Callable[[], World]:
    """Return a function that opens a world on one and the same new state."""
    make = fresh()
    return lambda: World(DatabaseStore(make()), **SPANS)


def broken(*_: object) -> None:
    """Fail as a store that cannot be reached does."""
    msg = "cut off"
    raise StoreError(msg, kind="down")


def reading(world: World) -> Any:
    """Return the reading of the one model, after checking the laws."""
    world.store.check_invariants()
    return Snapshot((world.store.part(),))["m"]


def test_an_assumption_that_was_cut_off_is_finished_by_whoever_tells_it_next(
    open_world: Callable[[], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were not reminded are reminded then, and nobody does it once more."""
    world = open_world()
    world.predict(list(range(100)), ["ok"] * 100, task=BINARY)
    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "_walk", broken)
        with pytest.raises(StoreError, match="cut off"):
            world.store.assume("m", None, ASSUMED)
    other = open_world()
    other.store.assume("m", None, ASSUMED)
    monkeypatch.setattr(upkeep, "_walk", broken)
    world.store.assume("m", None, ASSUMED)
    other.clock.now = 14.1
    assert (reading(other).awaiting, reading(other).assumed) == (0, 100)


def test_a_store_that_begins_anew_is_told_what_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It assumes what the process told, tried again where that failed; what others told it by then holds."""
    path = tmp_path / "labels.db"
    world = World(SQLiteStore(path), **SPANS)
    world.store.assume("m", None, ASSUMED)
    world.store.assume("n", None, ASSUMED)
    path.unlink()
    other = World(SQLiteStore(path), **SPANS)
    other.store.assume("n", None, read_assumption("fraud", 10.0))
    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "_walk", broken)
        world.predict(["a"], ["ok"], task=BINARY)
    for model in ("m", "n"):
        world.predict(["b"], ["ok"], task=BINARY, model=model)
    world.clock.now = 14.1
    assert (reading(world).awaiting, reading(world).assumed) == (0, 2)
    assert world.cells(model="n") == {("fraud", "ok"): 1}


def test_what_a_store_begun_anew_can_assume_no_more_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the model has other classes by now, its predictions go on."""
    notices.forget()
    path = tmp_path / "labels.db"
    world = World(SQLiteStore(path), **SPANS)
    world.store.assume("m", None, ASSUMED)
    path.unlink()
    World(SQLiteStore(path), **SPANS).store.declare("m", "", Multiclass(["a", "b"]))
    task = Multiclass(["a", "b"])
    assert world.predict(["x"], ["a"], task=task) == world.predict(["y"], ["b"], task=task) == {"pending": 1}
    assert len([line for line in caplog.messages if "begun anew, and assumes nothing" in line]) == 1
