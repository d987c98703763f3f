"""A durable store that has kept a sample keeps all again: after restarts, and beside processes of other bounds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from databases import write
from worlds import HandClock, World

from modelmon import notices
from modelmon.columns import encode_ids
from modelmon.errors import StoreError
from modelmon.events import Labels
from modelmon.stores import upkeep
from modelmon.stores.keeping import DatabaseStore
from modelmon.stores.session import Session
from modelmon.truths import truths

if TYPE_CHECKING:
    from collections.abc import Callable

    from databases import Fresh

SPANS = {"ttl": 100.0, "early_ttl": 50.0, "correction_horizon": 80.0, "forget_after": 40.0, "window": 10.0}


@pytest.fixture
def open_world(fresh: Fresh) -> Callable[..., World]:
    """Return a function that opens a world on one and the same new state."""
    make = fresh()
    return lambda **settings: World(DatabaseStore(make()), **{**SPANS, **settings})


def predict(world: World, name: str, n: int) -> dict[str, int]:
    """Predict n times under new ids."""
    return world.predict([f"{name}-{number}" for number in range(n)], ["cat"] * n)


def rate(world: World) -> float:
    """Return the share of ids that are kept."""
    return float(world.store.part().gauges["sample_rate"])


def held(store: DatabaseStore) -> float:
    """Return the rate that the store keeps for all."""
    head = store._database.begin(durable=False)
    store._database.abandon()
    return head.rate


@pytest.mark.fault("L17")
def test_a_raised_bound_counts_from_the_first_call_after_a_restart(open_world: Callable[..., World]) -> None:
    """What awaited before goes on to, and everything that comes is kept."""
    world = open_world(max_awaiting=100)
    predict(world, "burst", 1000)
    assert rate(world) < 1
    world.store.close()
    world = open_world(max_awaiting=10_000)
    assert predict(world, "later", 200) == {"pending": 200}
    assert rate(world) == 1
    world.store.check_invariants()


def test_a_raised_sample_rate_counts_after_a_restart(open_world: Callable[..., World]) -> None:
    """The share kept from the start may be raised."""
    world = open_world(sample_rate=0.5)
    assert set(predict(world, "first", 100)) == {"pending", "unsampled"}
    world.store.close()
    world = open_world(sample_rate=1.0)
    assert predict(world, "second", 100) == {"pending": 100}


@pytest.mark.fault("L17")
def test_whoever_has_no_settings_leaves_the_sample_to_the_monitor(open_world: Callable[..., World]) -> None:
    """A store that was read and labelled before keeps the share of the ids that the monitor asks for."""
    client = DatabaseStore(open_world().store._database)
    client.open(None, HandClock())
    client.part()
    client.sweep()
    client.label(Labels(encode_ids(["nobody"]), truths(["cat"]), np.full(1, np.nan), np.full((1, 2), np.nan)))
    assert held(client) == 0.0
    world = open_world(sample_rate=0.5)
    found = predict(world, "first", 1000)
    assert 400 < found["unsampled"] < 600
    assert (rate(world), held(client)) == (0.5, 0.0)
    world.store.check_invariants()


@pytest.mark.fault("L17")
def test_a_lowered_sample_rate_counts_after_a_restart(open_world: Callable[..., World]) -> None:
    """Each smaller sample lies within the larger ones; what waits already goes on to, and joins."""
    kept: list[set[str]] = []
    ids = [f"id-{number}" for number in range(400)]
    for version, share in enumerate((1.0, 0.5, 0.25)):
        world = open_world(sample_rate=share)
        assert rate(world) == share
        kept.append({name for name in ids if "pending" in world.predict([name], ["cat"], version=str(version))})
        assert share * 300 < len(kept[-1]) < share * 500
        world.store.close()
    assert kept[0] > kept[1] > kept[2]
    world = open_world(sample_rate=0.25)
    assert world.label(ids, ["cat"] * len(ids)) == {"joined": len(ids)}
    assert world.label([f"new-{number}" for number in range(100)], ["cat"] * 100).keys() == {"early", "unsampled"}
    world.store.check_invariants()


@pytest.mark.fault("L17")
def test_a_full_store_lowers_the_rate_of_all_that_share_it(open_world: Callable[..., World]) -> None:
    """Whoever asks for more follows what halving has come to, whoever asks for less goes on to; it ends for all."""
    full, less = open_world(max_awaiting=100), open_world(max_awaiting=100, sample_rate=0.01)
    predict(full, "burst", 300)
    lowered = held(full.store)
    assert 0.01 < lowered < 1
    predict(less, "little", 10)
    other = open_world(max_awaiting=100, sample_rate=0.9)
    predict(other, "more", 1)
    assert (rate(full), rate(other), rate(less), held(less.store)) == (lowered, lowered, 0.01, lowered)
    full.clock.now = other.clock.now = 150.0
    full.store.sweep()
    predict(other, "later", 1)
    assert (rate(full), rate(other), rate(less), held(less.store)) == (1.0, 0.9, 0.01, 0.0)


@pytest.mark.fault("L17")
def test_a_rate_that_an_earlier_version_kept_does_not_hinder(open_world: Callable[..., World]) -> None:
    """Whoever came first once set the rate of all, mostly to 1."""
    world = open_world(sample_rate=0.5)
    session = world.store._session
    working = session.begin()
    assert session.database.apply(replace(working.changes(None), rate=1.0))
    assert held(world.store) == 1.0
    assert rate(world) == 0.5
    assert predict(world, "first", 1000)["unsampled"] > 400


def test_a_label_is_parked_by_the_sample_that_its_prediction_will_meet(open_world: Callable[..., World]) -> None:
    """A label that comes first after a burst is over is not left out by the burst's sample."""
    world = open_world(max_awaiting=100)
    predict(world, "burst", 1000)
    world.clock.now = 150.0
    world.store.sweep()
    assert world.label([f"new-{number}" for number in range(50)], ["cat"] * 50) == {"early": 50}
    assert predict(world, "new", 50) == {"joined_early": 50}
    world.store.check_invariants()


@pytest.mark.fault("L17")
def test_whoever_is_new_to_a_full_store_leaves_its_sample(open_world: Callable[..., World]) -> None:
    """A process that has written nothing weighs what is kept before it takes a bound in bytes for kept."""
    world = open_world(max_awaiting_bytes=50_000)
    for start in range(10):
        predict(world, f"burst-{start}", 500)
    before = rate(world)
    assert before < 1
    other = open_world(max_awaiting_bytes=50_000)
    other.label(["nobody"], ["cat"])
    assert rate(other) == before


@pytest.mark.fault("L17")
def test_halving_ends_whatever_a_process_with_wider_bounds_does(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another process restores the sample again and again, this one still makes room within its own bound."""
    narrow, wide = open_world(max_awaiting=50), open_world(max_awaiting=100_000)
    predict(wide, "burst", 1000)
    rates, evict = [], upkeep.evict

    def interrupted(session: Any, above: float) -> tuple[float, int]:
        rate, left = evict(session, above)
        rates.append(rate)
        wide.label(["nobody"], ["cat"])
        return rate, left

    monkeypatch.setattr(upkeep, "evict", interrupted)
    predict(narrow, "last", 1)
    assert rates == [0.5**number for number in range(1, len(rates) + 1)]
    assert narrow.store._session.awaiting <= 50
    narrow.store.check_invariants()


def test_an_eviction_keeps_its_rate_to_the_end(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk of many transactions evicts by one rate, though another process restores the sample in between."""
    narrow, wide = open_world(max_awaiting=50), open_world(max_awaiting=100_000)
    predict(wide, "burst", 1000)
    narrow.store.sweep()
    walk = upkeep._walk

    def interrupted(session: Any, act: Any) -> None:
        wide.label(["nobody"], ["cat"])
        walk(session, act)

    monkeypatch.setattr(upkeep, "_walk", interrupted)
    rate, left = upkeep.evict(narrow.store._session, math.inf)
    assert rate == 0.5
    assert 400 < left == narrow.store._session.awaiting < 600


def test_the_log_says_that_a_sample_is_kept(open_world: Callable[..., World], caplog: Any) -> None:
    """It says so once, which store it is, and when it ends."""
    notices.forget()
    world = open_world(max_awaiting=100)
    predict(world, "burst", 400)
    predict(world, "again", 400)
    (said,) = [record.getMessage() for record in caplog.records if "await" in record.getMessage()]
    assert said.startswith(repr(world.store))
    assert "400 predictions awaited a label" in said
    assert "allow 100: only a sample" in said
    assert "no more than 25 await" in said


def test_a_lowered_ttl_counts_after_a_restart(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and early labels of before are due by the new spans, whoever reads or writes first; one walk sees to it."""
    walks, walk = [], upkeep._walk
    monkeypatch.setattr(upkeep, "_walk", lambda session, act: walks.append(walk(session, act)))
    world = open_world()
    world.predict(["a", "b", "c", "d"], ["cat"] * 4)
    world.label(["d", "early"], ["cat", "dog"])
    world.clock.now = 20.0
    short = open_world(ttl=10.0, early_ttl=10.0)
    short.clock.now = 20.0
    short.store.check_invariants()
    assert short.counts("transitions")["pending", "expired"] == 3
    assert short.store.part().counts["transitions"].get(("early", "orphaned")) == len(walks) == 1
    world.predict(["e"], ["cat"])  # another process of the old spans goes on
    short.predict(["f"], ["cat"])
    assert len(walks) == 1


def test_a_lowered_ttl_counts_before_the_documents_are_reminded(open_world: Callable[..., World]) -> None:
    """Labels meet the rows of documents that are alike as they meet those of others."""
    world = open_world()
    world.predict(["a", "b", "z"], ["cat", "cat", "cat"])
    world.label(["z"], ["cat"])
    world = open_world(ttl=10.0)
    world.clock.now = 20.0
    assert world.label(["a"], ["cat"]) == {"late": 1}
    assert world.label(["b", "z"], ["cat", "cat"]) == {"late": 1, "duplicate": 1}


def test_a_lowered_ttl_is_seen_to_by_whoever_only_writes(open_world: Callable[..., World]) -> None:
    """Nobody reads; the rows of before expire all the same."""
    open_world().predict(["a", "b"], ["cat", "cat"])
    world = open_world(ttl=10.0)
    world.clock.now = 20.0
    world.predict(["c"], ["cat"])
    assert world.store._session.awaiting == 1


def test_one_process_at_a_time_makes_room(open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """Others that find the store full meanwhile do not halve the sample again."""
    worlds = [open_world(max_awaiting=100) for _ in range(3)]
    predict(worlds[0], "before", 90)
    walk, waiting = upkeep._walk, worlds[1:]

    def interrupted(session: Any, act: Any) -> None:
        while waiting:
            predict(waiting.pop(), f"meanwhile {len(waiting)}", 1)
        walk(session, act)

    monkeypatch.setattr(upkeep, "_walk", interrupted)
    predict(worlds[0], "last", 40)
    assert rate(worlds[0]) == 0.5
    predict(worlds[1], "full no more", 1)
    assert rate(worlds[1]) == 0.5


def test_whoever_waited_for_room_finds_it(open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """What awaits is counted anew by whoever is about to make room."""
    world, other = open_world(max_awaiting=100), open_world(max_awaiting=150)
    predict(other, "before", 130)
    recount = Session.recount

    def overtaken(session: Session) -> None:
        monkeypatch.undo()
        upkeep.evict(other.store._session, math.inf)
        recount(session)

    monkeypatch.setattr(Session, "recount", overtaken)
    predict(world, "last", 1)
    assert rate(world) == 0.5


def test_room_that_was_cut_off_is_made_before_the_sample_is_halved_again(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it fails, and whoever tries again, one halving that suffices is the only one."""
    world, other = open_world(max_awaiting=100), open_world(max_awaiting=100)

    def broken(*_: object) -> None:
        msg = "cut off"
        raise StoreError(msg, kind="down")

    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "_walk", broken)
        predict(world, "burst", 120)
        predict(world, "more", 2)
    assert predict(other, "last", 2)
    assert rate(other) == 0.5
    assert other.store._session.awaiting <= 100
    other.store.check_invariants()


def test_rows_that_were_lost_need_no_room(open_world: Callable[..., World]) -> None:
    """What is counted as awaiting and is not there, as where documents are damaged, ends no sample and no call."""
    world = open_world(max_awaiting=100)
    world.store.part()
    write(world.store._database, now=0.0, awaiting=300)
    predict(world, "first", 10)
    assert predict(world, "later", 10) == {"pending": 10}
    assert rate(world) == 1.0
    assert world.store._session.awaiting == 10
