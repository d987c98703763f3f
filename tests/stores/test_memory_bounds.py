"""Nothing in the memory store grows without bound, and its own bookkeeping is checked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from worlds import RETRACT, World

from modelmon.columns import encode_ids
from modelmon.errors import InvariantError
from modelmon.snapshot import Snapshot
from modelmon.stores import counting, groups, limits, registers
from modelmon.stores.objects import Objects, is_greater
from modelmon.stores.table import Table
from modelmon.tasks import Binary, Multilabel

SPANS = {"ttl": 100.0, "early_ttl": 50.0, "correction_horizon": 80.0, "forget_after": 40.0, "window": 10.0}


@pytest.mark.fault("L17")
def test_past_the_bound_the_oldest_tombstones_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered beyond awaiting rows is bounded: tombstones, then joined rows, then early labels go."""
    monkeypatch.setattr(limits, "_LEAST_REMEMBERED", 64)
    world = World(**SPANS, max_awaiting=64)
    world.predict(list(range(20)), ["cat"] * 20)
    world.clock.now = 101.0
    world.predict(list(range(100, 160)), ["cat"] * 60)
    world.label(list(range(100, 160)), ["cat"] * 60)
    moves = world.counts("transitions")
    assert moves["expired", "forgotten"] == 17
    assert ("joined", "closed") not in moves
    world.label(list(range(1000, 1100)), ["cat"] * 100)
    moves = world.counts("transitions")
    assert moves["expired", "forgotten"] == 20
    assert moves["joined", "closed"] == moves["closed", "forgotten"] == 60
    part = world.store.part()
    assert part.counts["transitions"].get(("early", "orphaned")) > 0
    assert part.counts["self:overflow"].get(("remembered",)) > 0
    world.store.check_invariants()


def test_many_generations_of_ids_reuse_the_same_records() -> None:
    """Rows that come and go leave the tables as large as one generation needs."""
    world = World(**SPANS)
    sizes = []
    for generation in range(12):
        ids = [f"{generation}-{n}" for n in range(500)]
        world.predict(ids, ["cat"] * 500, task=Binary("cat"), scores=np.full(500, 0.7))
        world.label(ids[::2], ["cat"] * 250)
        for _ in range(4):
            world.clock.now += 60.0
            world.store.sweep()
        sizes.append(world.store._holdings.records.records.top)
        world.store.check_invariants()
    assert max(sizes) == sizes[0]


def test_label_texts_that_nobody_uses_any_more_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of ever new label texts and label sets keeps only those that registers still hold."""
    monkeypatch.setattr("modelmon.stores.objects._SMALLEST", 64)
    world = World(**SPANS)
    task = Multilabel(["a", "b"])
    world.predict(["kept"], task=task, flags=np.array([[1, 0]], np.uint8), columns=("a", "b"))
    world.label(["kept"], [{"a"}])
    for round_ in range(40):
        world.label([f"{round_}-{n}" for n in range(20)], [f"text {round_} {n}" for n in range(20)])
        world.clock.now += 2.0
    held = world.store._holdings.objects
    assert len(held) < 2 * 64 + 2 * 25 * 20
    assert world.label(["kept"], [{"a": True, "b": False}]) == {"duplicate": 1}
    assert world.label(["kept"], [{"b"}]) == {"corrected": 1}
    world.store.check_invariants()


def test_rows_that_wait_to_be_counted_keep_their_flags_when_objects_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes of flags change while rows of the old codes wait to be counted: each counts with its own truth."""
    monkeypatch.setattr("modelmon.stores.objects._SMALLEST", 64)
    world, names = World(**SPANS), tuple("abcdefg")
    rows = np.array([*np.ndindex(*[2] * len(names))], np.uint8)
    gone, late = [f"gone-{n}" for n in range(4)], [f"late-{n}" for n in range(len(rows) - 4)]
    for ids, flags in ((gone, rows[:4]), (late, rows[4:])):
        world.predict(ids, task=Multilabel(names), flags=flags, columns=names)
        sets = [{name for name, flag in zip(names, row, strict=True) if flag} for row in flags.tolist()]
        for id_, truth in zip(ids, sets, strict=True):
            world.label([id_], [truth])
        if ids is gone:
            world.store.forget(encode_ids(gone))
    found = Snapshot((world.store.part(),))["m"]
    assert (found.labelled, found.accuracy) == (len(rows), 1.0)
    world.store.check_invariants()


def test_a_register_remembers_only_so_many_lost_values() -> None:
    """A label corrected for ever does not fill the memory."""
    world = World(**SPANS)
    world.predict(["a"], [0])
    for value in range(100):
        world.label(["a"], [value % 200])
    world.label(["a"], [RETRACT])
    lost = world.store._holdings.records.registers._lost
    assert [len(values) for values in lost.values()] == [registers.MOST_LOST]
    assert world.label(["a"], [0]) == {"joined": 1}
    assert world.label(["a"], [99]) == {"stale": 1}


def test_scopes_of_models_never_predicted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels for ever new model names are refused past a bound, and counted."""
    monkeypatch.setattr(groups, "MOST_SCOPES", 3)
    world = World(**SPANS)
    found = [world.label(["a"], ["cat"], model=f"model {n}") for n in range(4)]
    assert found == [{"early": 1}, {"early": 1}, {"invalid": 1}, {"invalid": 1}]
    assert world.store.part().counts["self:overflow"].get(("scopes",)) == 2
    world.predict(["a"], ["cat"], model="model 9")
    world.store.check_invariants()


def test_old_slots_have_coarser_scores_where_all_take_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score histograms of slots share one budget of bytes; the oldest give way first."""
    monkeypatch.setattr(counting, "SLOT_BYTES", 24 * 512 + 24 * 200)
    world = World(**SPANS)
    random = np.random.default_rng(5)
    for start in range(3):
        ids = [f"{start}-{n}" for n in range(600)]
        scores = random.random(600)
        world.predict(ids, (scores >= 0.5).astype(int), task=Binary(), scores=scores)
        world.label(ids, (random.random(600) < scores).astype(int))
        world.clock.now += 10.0
    part = world.store.part()
    slots = part.series["m", ""].shared.slots
    assert slots[0]["scores"].keys.size <= 128
    assert slots[0]["scores"].total == slots[2]["scores"].total == 600
    assert slots[2]["scores"].keys.size > 128
    assert part.counts["self:overflow"].get(("score_slots",)) >= 1


def test_many_groups_widen_their_column() -> None:
    """More series, slices and layouts than 16 bits can number need no other limit."""
    world = World(**SPANS)
    world.predict(["a"], ["cat"])
    holdings_groups = world.store._holdings.groups
    filler = holdings_groups.all[0]
    holdings_groups.all.extend([filler] * 70_000)
    world.predict(["b"], ["cat"], version="2")
    assert world.store._holdings.records.records["group"].dtype == np.int32
    assert world.label(["a", "b"], ["cat", "cat"]) == {"joined": 2}


def test_a_broken_law_is_named_with_both_numbers() -> None:
    """Counts that contradict each other are found."""
    world = World(**SPANS)
    world.predict(["a"], ["cat"])
    world.store.check_invariants()
    world.store._holdings.awaiting += 1
    with pytest.raises(InvariantError, match="rows awaiting: 2 is not 1"):
        world.store.check_invariants()
    world.store._holdings.awaiting -= 1
    world.store._holdings.counting.ledgers[0].total.counts("transitions").add(("pending", "joined"))
    with pytest.raises(InvariantError, match="every join has a delay: 0 is not 1"):
        world.store.check_invariants()


@pytest.mark.fault("L17")
def test_a_million_rows_cost_what_is_promised() -> None:
    """An awaiting row of an integer id takes at most 48 bytes with its share of the index."""
    world = World(**SPANS)
    for start in range(0, 200_000, 50_000):
        world.predict(np.arange(start, start + 50_000), np.ones(50_000, np.int64))
    assert world.store.part().gauges["bytes_per_row"] <= 48


def test_a_table_uses_released_rows_again() -> None:
    """Released numbers come back, the columns of others keep their contents, and a late column starts with zeros."""
    table = Table({"value": np.float64})
    rows = table.allocate(200)
    table["value"][rows] = rows
    table.release(rows[50:60])
    assert len(table) == 190
    again = table.allocate(15)
    assert set(again.tolist()) == {*range(50, 60), *range(200, 205)}
    assert table["value"][rows[:50]].tolist() == list(range(50))
    table.add_column("late", np.int32)
    assert table["late"][rows].tolist() == [0] * 200
    assert table["value"][rows[:50]].tolist() == list(range(50))
    assert table.width == 16


def test_a_table_writes_whole_rows_wherever_they_lie() -> None:
    """Rows written whole, in order or not, are read whole, and column by column."""
    table = Table({"key": np.uint64, "value": np.float64, "small": np.uint8})
    table.allocate(10)
    for rows in (np.arange(10), np.array([7, 2, 4]), np.array([5, 5]), np.empty(0, np.int64)):
        copies = table.blank(len(rows))
        copies["key"], copies["value"], copies["small"] = rows, rows / 2, 1
        table.write(rows, copies)
        assert table.read(rows)["value"].tolist() == table["value"][rows].tolist() == (rows / 2).tolist()
        assert table.words("key", rows).tolist() == rows.tolist()
    assert int(table["small"][:10].sum()) == 10


def test_objects_keep_their_codes_until_compacted() -> None:
    """Compaction keeps what is used, and says where it went."""
    objects = Objects()
    assert objects.codes(["a", "b", "a", ("set", ("c",))]).tolist() == [0.0, 1.0, 0.0, 2.0]
    mapping = objects.compact([2])
    np.testing.assert_array_equal(mapping, [np.nan, np.nan, 0.0])
    assert (len(objects), objects[0]) == (1, ("set", ("c",)))


def test_objects_have_a_canonical_order() -> None:
    """Numbers come before text, text before the rest."""
    assert is_greater("a", 2**80)
    assert is_greater("b", "a")
    assert is_greater(("set", ()), "zzz")
    assert not is_greater(3, 2**80)


def test_settings_of_the_join_have_the_documented_defaults() -> None:
    """The defaults are those of configure."""
    names = {field.name: field.default for field in dataclasses.fields(World().settings)}
    assert (names["ttl"], names["max_awaiting"], names["on_conflict"]) == (2_592_000.0, 1_000_000, "first")
