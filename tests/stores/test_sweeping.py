"""What is overdue goes before anything is read or changed, and what falls due meanwhile is left to the next sweep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from worlds import World

from modelmon.snapshot import Snapshot
from modelmon.stores.assuming import read_assumption
from modelmon.tasks import Binary

BINARY = Binary("fraud", "ok")
SPANS = {"ttl": 100.0, "early_ttl": 50.0, "correction_horizon": 20.0, "forget_after": 40.0, "window": 10.0}


@pytest.fixture
def world(fresh_store: Any) -> World:
    """Return a world with short spans around a fresh store."""
    return World(fresh_store(), **SPANS)


def test_a_sweep_ends_though_something_falls_due_all_the_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions that expire one by one, faster than a transaction takes, keep nobody who reads or labels waiting."""
    world.predict(list(range(400)), ["cat"] * 400, at=np.arange(400) / 2)
    world.clock.now = 101.0

    def ticking() -> float:
        world.clock.now += 0.9
        return world.clock.now

    with monkeypatch.context() as patch:
        patch.setattr(world.clock, "time", ticking)
        taken_at = world.store.part().taken_at
        assert world.label([399], ["cat"]) == {"joined": 1}
    assert taken_at < 120.0
    world.clock.now = 300.1
    assert world.counts("transitions")["pending", "expired"] == 399
    world.store.check_invariants()


@pytest.mark.parametrize("change", [(None, 0.0), ("fraud", 14.0)], ids=["nothing any more", "something else"])
def test_a_new_assumption_leaves_what_is_overdue_to_the_old_one(world: World, change: Any) -> None:
    """Rows whose time was over before an assumption changed are joined with the assumption that held until then."""
    world.store.declare("m", "", BINARY)
    world.store.assume("m", None, read_assumption("ok", 14.0))
    world.predict(["a"], ["ok"], task=BINARY)
    world.clock.now = 20.0  # nobody has looked since
    world.store.assume("m", None, read_assumption(*change))
    assert Snapshot((world.store.part(),))["m"].assumed == 1
    assert world.cells() == {("ok", "ok"): 1}
    world.store.check_invariants()
