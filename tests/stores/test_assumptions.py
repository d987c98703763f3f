"""Assumptions: rows that nobody labels in time count with what is assumed of them, apart, until a label comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from worlds import RETRACT, World

from modelmon import notices
from modelmon.errors import ConfigurationError
from modelmon.snapshot import Snapshot
from modelmon.stores.assuming import read_assumption
from modelmon.stores.memory import MemoryStore
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

SPANS = {"ttl": 30.0, "correction_horizon": 20.0, "forget_after": 10.0, "window": 5.0, "history": 1000.0}
BINARY = Binary("fraud", "ok")


def world_of(truth: Any = "ok", after: float = 14.0, task: Any = BINARY) -> World:
    """Return a world whose one model assumes something."""
    world = World(**SPANS)
    world.store.declare("m", "", task)
    world.store.assume("m", None, read_assumption(truth, after))
    return world


def reading(world: World) -> Any:
    """Return the reading of the one model, after checking the laws."""
    world.store.check_invariants()
    return Snapshot((world.store.part(),))["m"]


def test_no_label_in_time_is_the_assumed_label() -> None:
    """A row is joined when the time is over, counted with the assumption, and not as labelled."""
    world = world_of()
    world.predict(["a", "b"], ["fraud", "ok"], task=BINARY, scores=[0.9, 0.2])
    world.label(["b"], ["fraud"])
    world.clock.now = 14.0
    assert reading(world).awaiting == 1
    world.clock.now = 14.1
    found = reading(world)
    assert (found.awaiting, found.labelled, found.assumed, found.coverage) == (0, 1, 1, 0.5)
    assert world.cells() == {("ok", "fraud"): 1, ("fraud", "ok"): 1}
    assert found.label_delay.count == 1
    assert found.label_delay_estimate.waiting == 1
    assert found.auc == 0.0
    assert dict(found.assumption_events) == {"made": 1}


def test_a_label_wins_whatever_its_order_and_its_retraction_restores_the_assumption() -> None:
    """A label dated before the assumption corrects or confirms it; taken back, the assumption stands again."""
    world = world_of()
    world.predict(["a", "b"], ["fraud", "ok"], task=BINARY)
    world.clock.now = 20.0
    assert world.label(["a", "b"], ["fraud", "ok"], at=1.0) == {"corrected": 1, "joined": 1}
    found = reading(world)
    assert (found.labelled, found.assumed) == (2, 0)
    assert found.label_delay.count == 2
    world.clock.now = 39.0  # the horizon began with the labels, not with the assumption
    assert world.label(["a", "b"], [RETRACT, RETRACT]) == {"retracted": 2}
    assert world.cells() == {("ok", "fraud"): 1, ("ok", "ok"): 1}
    found = reading(world)
    assert (found.labelled, found.assumed) == (0, 2)
    assert dict(found.assumption_events) == {"made": 2, "corrected": 1, "confirmed": 1, "restored": 2}
    world.clock.now = 60.0
    assert world.label(["a", "b"], ["fraud", "fraud"], at=59.0) == {"closed": 2}
    world.clock.now = 80.0
    assert (reading(world).assumed, reading(world).labelled) == (2, 0)


def test_one_long_sleep_is_as_good_as_many_sweeps() -> None:
    """Sweeping once, long after, gives what sweeping at every second gives."""
    cells, moves = [], []
    for step in (1.0, 100.0):
        world = world_of()
        world.predict(list(range(3000)), ["fraud", "ok", "ok"] * 1000, task=BINARY, at=np.arange(3000) / -150.0)
        while world.clock.now < 100.0:
            world.clock.now += step
            world.store.sweep()
        world.store.check_invariants()
        cells.append(world.cells())
        moves.append(world.counts("transitions"))
    assert cells[0] == cells[1] == {("ok", "fraud"): 1000, ("ok", "ok"): 2000}
    assert moves[0] == moves[1]


def test_an_assumption_made_late_finds_the_rows_that_wait() -> None:
    """Rows older than the assumption asks for are joined at once, and those that expired stay expired."""
    world = World(**SPANS)
    world.predict(["old"], ["ok"], task=BINARY)
    world.clock.now = 29.0
    world.predict(["new"], ["ok"], task=BINARY)
    world.store.assume("m", "", read_assumption("ok", 14.0))
    found = reading(world)
    assert (found.assumed, found.awaiting) == (1, 1)
    world.store.assume("m", "", read_assumption(None, 0.0))
    world.clock.now = 60.0
    found = reading(world)
    assert (found.assumed, found.expired) == (1, 1)


@pytest.mark.parametrize(
    ("task", "truth", "given", "cells"),
    [
        (Multiclass(), "other", {"values": ["cat"]}, {("other", "cat"): 1}),
        (Multiclass(["cat", "dog"]), "dog", {"values": ["cat"]}, {("dog", "cat"): 1}),
        (Binary(positive=True), False, {"values": [1]}, {(0, 1): 1}),
    ],
    ids=["open classes", "fixed classes", "a bool"],
)
def test_any_class_may_be_assumed(task: Any, truth: Any, given: Any, cells: Any) -> None:
    """What is assumed is read as a label would be."""
    world = world_of(truth, task=task)
    world.predict(["a"], task=task, **given)
    world.clock.now = 15.0
    assert reading(world).assumed == 1
    assert world.cells() == cells


def test_numbers_and_sets_of_labels_may_be_assumed() -> None:
    """A regression may assume a number, a multilabel task a set."""
    world = world_of(2.5, task=Regression())
    world.predict(["a"], task=Regression(), scores=[3.0])
    world.clock.now = 15.0
    assert reading(world).mae == 0.5
    task = Multilabel(["cat", "dog"])
    world = world_of({"cat"}, task=task)
    flags = np.array([[1, 0]], np.uint8)
    world.predict(["a"], task=task, flags=flags, columns=("cat", "dog"))
    world.clock.now = 15.0
    world.store.sweep()
    world.store._holdings.compact_objects()
    assert reading(world).accuracy == 1.0
    assert world.label(["a"], [{"dog"}]) == {"corrected": 1}
    assert reading(world).accuracy == 0.0


def test_versions_take_their_own_assumption_first() -> None:
    """An assumption of a model is for all versions that have none of their own, later ones among them."""
    world = World(**SPANS)
    world.store.assume("m", None, read_assumption("ok", 5.0))
    world.store.assume("m", "2", read_assumption("fraud", 9.0))
    for version in ("1", "2"):
        world.predict(["a"], ["ok"], version=version, task=BINARY)
    world.clock.now = 6.0
    assert world.cells(version="1") == {("ok", "ok"): 1}
    assert world.cells(version="2") == {}
    world.clock.now = 10.0
    assert world.cells(version="2") == {("fraud", "ok"): 1}


@pytest.mark.parametrize(
    ("truth", "after", "message"),
    [("maybe", 1.0, "is no truth of model 'm'"), ("ok", 31.0, "for 30.0 s only"), ("ok", -1.0, "for 30.0 s only")],
)
def test_what_could_never_be_assumed_is_refused(truth: Any, after: float, message: str) -> None:
    """A truth that means nothing to the model, and a time after the last that rows wait, are refused."""
    with pytest.raises(ConfigurationError, match=message):
        world_of(truth, after)
    with pytest.raises(ConfigurationError, match="no truth that could be assumed"):
        read_assumption(float("nan"), 1.0)


def test_what_the_first_prediction_shows_to_be_no_truth_is_told(
    fresh_store: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An assumption mistyped before the model was known is named once predictions come; a good one is not."""
    monkeypatch.setattr(notices, "_said", {})
    world = World(fresh_store(), **SPANS)
    for model, truth in (("m", "OK"), ("good", "ok"), ("none", None)):
        world.store.assume(model, None, read_assumption(truth, 14.0))
        world.predict(["a"], ["ok"], model=model, task=BINARY)
    told = [record.getMessage() for record in caplog.records if "assumed" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("'OK' is no truth of model 'm', version '', so that nothing is assumed of it")


def test_a_check_leaves_the_classes_as_they_are(fresh_store: Any) -> None:
    """Checking the laws reads deadlines, for which the assumed truth may be a new class: later counts stay right."""
    world = World(fresh_store(), **SPANS)
    world.store.assume("m", None, read_assumption("ok", 14.0))
    world.predict(["a", "other"], ["ok", "ok"], version="1")
    world.label(["a"], ["ok"])
    world.store.declare("m", "2", Multiclass())
    world.store.check_invariants()
    world.predict(["b", "c"], ["fraud", "fraud"], version="2")
    world.label(["b", "c"], ["fraud", "ok"])
    assert world.cells(version="2") == {("fraud", "fraud"): 1, ("ok", "fraud"): 1}
    world.store.check_invariants()


def test_a_memory_store_opened_later_assumes_the_same() -> None:
    """What is assumed before a memory store is opened holds in it, as in a forked child's."""
    store = MemoryStore()
    store.assume("m", None, read_assumption("ok", 5.0))
    world = World(store, **SPANS)
    world.predict(["a"], ["ok"], task=BINARY)
    world.clock.now = 6.0
    assert reading(world).assumed == 1


def test_points_tell_what_became_of_assumptions() -> None:
    """The exported counter has one point per event."""
    world = world_of()
    world.predict(["a", "b"], ["fraud", "ok"], task=BINARY)
    world.clock.now = 20.0
    world.label(["a"], ["fraud"])
    told = {p.attributes[-1][1]: p.value for p in Snapshot((world.store.part(),)).points() if "assumed" in p.name}
    assert told == {"made": 2, "corrected": 1}
