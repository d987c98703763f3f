"""Tallies and ledgers: cheap frozen copies, and merging as a sum."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmon.tallies import Ledger, Tally


def filled(seed: int) -> Tally:
    """Return a tally with some of every kind of accumulator."""
    generator = np.random.default_rng(seed)
    actual, predicted = generator.integers(0, 3, (2, 40))
    scores, positive = generator.random(40), actual == 1
    tally = Tally()
    tally.counts("calls").add(("ok", ""), 3)
    tally.durations("duration:ok").update(generator.integers(1, 10**9, 40))
    tally.sizes("batch_size").update(generator.integers(1, 100, 40))
    tally.confusion.update(actual, predicted)
    tally.losses.update_binary(scores, positive)
    tally.residuals.update(scores, scores * 2)
    tally.multilabel(2).update(actual[:, None].repeat(2, 1).astype(np.uint8) % 2, predicted[:, None].repeat(2, 1) % 2)
    if seed % 2:
        tally.scores().update(scores, positive)
    else:
        rows = generator.random((40, 3))
        tally.class_scores().update(rows / rows.sum(axis=1, keepdims=True), actual)
    return tally


def added(*tallies: Tally) -> Tally:
    """Return the sum of tallies."""
    total = Tally()
    for tally in tallies:
        total.merge(tally)
    return total


def test_a_copy_is_frozen():
    """What is counted after a copy shows in the origin only, and the other way round."""
    tally = filled(1)
    state = json.dumps(tally.to_state())
    copy = tally.copy()
    tally.counts("calls").add(("ok", ""))
    tally.confusion.update(np.array([0]), np.array([1]))
    tally.scores().update(np.array([0.5]), np.array([True]))
    assert json.dumps(copy.to_state()) == state
    copy.losses.update_binary(np.array([0.5]), np.array([True]))
    assert tally["losses"] == filled(1)["losses"]
    assert copy["calls"] == filled(1)["calls"]


def test_a_copy_shares_until_written():
    """Copying costs no accumulator; only the one that is written next is copied."""
    tally = filled(1)
    copy = tally.copy()
    assert all(copy[name] is tally[name] for name in tally)
    tally.counts("calls").add(("ok", ""))
    assert [name for name in tally if copy[name] is not tally[name]] == ["calls"]


def test_reading_a_copy_changes_nothing():
    """Rows that wait in a buffer are taken in by the copy, so that readers in other threads never write."""
    tally = Tally()
    tally.scores().update(np.array([0.5]), np.array([True]))
    assert tally.copy()["scores"]._held == 0
    ledger = Ledger()
    ledger.slot(3).scores().update(np.array([0.5]), np.array([True]))
    assert ledger.copy().slots[3]["scores"]._held == 0


def test_merging_leaves_the_other_alone():
    """A tally that shared an accumulator by merging can go on counting without changing the sum."""
    entry, total = filled(1), Tally()
    total.merge(entry)
    entry.counts("calls").add(("ok", ""))
    assert total["calls"].total == 3
    total.counts("calls").add(("ok", ""), 5)
    assert entry["calls"].total == 4


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_merging_is_a_sum(seeds):
    """Merging is associative and commutative, and an empty tally changes nothing, even for kinds that clash."""
    a, b, c = map(filled, seeds)
    assert added(added(a, b), c) == added(a, added(b, c))
    assert added(a, b) == added(b, a)
    assert added(a, Tally()) == added(Tally(), a) == a


def test_state_survives_json():
    """A tally equals the one rebuilt from its state as JSON, and unknown kinds are refused by name."""
    for seed in (1, 2):
        tally = filled(seed)
        assert Tally.from_state(json.loads(json.dumps(tally.to_state()))) == tally
    with pytest.raises(ValueError, match="Mystery"):
        Tally.from_state({"x": ["Mystery", {}]})


def test_ledgers_keep_slots_apart():
    """A ledger counts into its total and one slot, merges slot by slot, and drops old slots without their counts."""
    ledger, other = Ledger(), Ledger()
    for number in (1, 2):
        for tally in ledger.book(number):
            tally.counts("calls").add(("ok", ""), number)
    for tally in other.book(2):
        tally.counts("calls").add(("ok", ""), 10)
    other.slot(7)
    frozen = ledger.copy()
    ledger.merge(other)
    assert ledger.total["calls"].total == 13
    assert {number: tally["calls"].total for number, tally in ledger.slots.items() if tally} == {1: 1, 2: 12}
    assert frozen.slots[2]["calls"].total == 2
    assert ledger.drop(2) == 1
    assert ledger.total["calls"].total == 13
    assert 1 in frozen.slots
    assert Ledger.from_state(json.loads(json.dumps(ledger.to_state()))) == ledger
    assert "2 slots" in repr(ledger)
    assert repr(frozen.total) == "Tally(calls)"


def test_slots_of_a_copy_are_frozen():
    """Counting into a slot after a copy leaves the copy's slot as it was, and a merged slot is nobody's to write."""
    ledger, other = Ledger(), Ledger()
    other.slot(3).counts("calls").add(("ok", ""))
    ledger.merge(other)
    other.slot(3).counts("calls").add(("ok", ""))
    ledger.slot(3).counts("calls").add(("ok", ""), 5)
    assert other.slots[3]["calls"].total == 2
    assert ledger.slots[3]["calls"].total == 6
