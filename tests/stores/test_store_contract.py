"""What every store must do; a new database joins `databases.DATABASES` and passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds
from worlds import RETRACT, World

from modelmon.columns import encode_ids
from modelmon.errors import StoreError
from modelmon.stores.memory import MemoryStore
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

ORACLES = Path(__file__).parent.parent / "oracles"
SPANS = {"ttl": 100.0, "early_ttl": 50.0, "correction_horizon": 80.0, "forget_after": 40.0, "window": 10.0}


@pytest.fixture
def make(fresh_store: Any) -> Any:
    """Return a function that opens a world around a fresh store."""
    return lambda **settings: World(fresh_store(), **{**SPANS, **settings})


@pytest.fixture
def world(make: Any) -> World:
    """Return a world with short spans."""
    return make()


@pytest.mark.fault("L2")
def test_a_prediction_and_its_label_make_one_cell(world: World) -> None:
    """One label joins its prediction, and delivering it again changes nothing."""
    assert world.predict(["a", "b"], ["cat", "dog"]) == {"pending": 2}
    assert world.label(["a"], ["dog"]) == {"joined": 1}
    assert world.label(["a"], ["dog"]) == {"duplicate": 1}
    assert world.cells() == {("dog", "cat"): 1}
    world.store.check_invariants()


def test_integers_text_and_numpy_name_the_same_prediction(world: World) -> None:
    """The ids 17, int64(17) and "17" are one; 0 is an id like any other."""
    world.predict(np.array([17, 0, -5]), ["cat"] * 3)
    assert world.predict(["17", 0, "-5"], ["cat"] * 3) == {"duplicate": 3}
    assert world.label(["17", "0", -5], ["cat"] * 3) == {"joined": 3}


def test_integers_and_text_live_together(world: World) -> None:
    """Text ids that come after integer ids disturb none of them."""
    world.predict(list(range(50)), ["cat"] * 50)
    world.predict([f"order-{n}" for n in range(50)], ["cat"] * 50)
    assert world.label([*range(50), *(f"order-{n}" for n in range(50))], ["cat"] * 100) == {"joined": 100}
    world.store.check_invariants()


def test_what_no_slot_can_hold_loses_no_count(world: World) -> None:
    """A time before all times is too old, counted like any other, and what came with it stays counted."""
    assert world.predict(["a", "b"], ["cat", "cat"]) == {"pending": 2}
    assert world.predict(["c", "d", "e"], ["cat"] * 3, at=[-np.inf, -1e300, -3e22]) == {"too_old": 3}
    assert world.label(["a"], ["cat"]) == {"joined": 1}
    assert world.counts("prediction_events") == {"pending": 2, "too_old": 3}
    world.store.check_invariants()


def test_a_prediction_without_a_score_is_the_same_beside_scored_ones(world: World) -> None:
    """A retry is a duplicate whether its batch has scores or not; another score, or one at all, is a conflict."""
    task = Binary("fraud", "ok")
    assert world.predict(["b"], ["fraud"], task=task) == {"pending": 1}
    for _ in range(2):
        world.predict(["a", "b"], ["ok", "fraud"], task=task, scores=[0.1, np.nan])
    assert world.predict(["b"], ["fraud"], task=task) == {"duplicate": 1}
    assert world.counts("prediction_events") == {"pending": 2, "duplicate": 4}
    assert world.predict(["a", "b"], ["ok", "fraud"], task=task, scores=[0.2, 0.9]) == {"conflict": 2}
    assert world.predict(["a", "b"], ["ok", "ok"], task=task) == {"conflict": 2}


@pytest.mark.fault("L1")
def test_an_early_label_waits_for_its_prediction(world: World) -> None:
    """A label that comes first is parked, may be replaced, and joins the prediction that follows."""
    assert world.label(["a"], ["cat"]) == {"early": 1}
    assert world.label(["a"], ["dog"]) == {"early_updated": 1}
    assert world.predict(["a"], ["dog"]) == {"joined_early": 1}
    assert world.cells() == {("dog", "dog"): 1}
    part = world.store.part()
    assert dict(part.counts["transitions"].items()) == {("none", "early"): 1, ("early", "consumed"): 1}


def test_an_early_label_does_not_wait_for_ever(world: World) -> None:
    """Past early_ttl it is an orphan; its prediction then awaits another."""
    world.label(["a"], ["cat"])
    world.clock.now = 50.5
    assert world.predict(["a"], ["cat"]) == {"pending": 1}
    assert world.store.part().counts["transitions"].get(("early", "orphaned")) == 1


@pytest.mark.fault("L3")
def test_corrections_and_retractions_take_back_what_was_counted(world: World) -> None:
    """The cell of the wrong label is removed, and added and removed are counted apart."""
    world.predict(["a"], ["cat"])
    world.label(["a"], ["cat"])
    assert world.label(["a"], ["dog"]) == {"corrected": 1}
    assert (world.cells("added"), world.cells("removed")) == (
        {("cat", "cat"): 1, ("dog", "cat"): 1},
        {("cat", "cat"): 1},
    )
    assert world.label(["a"], [RETRACT]) == {"retracted": 1}
    assert world.cells() == {}
    assert world.counts("transitions")["joined", "pending"] == 1
    assert world.label(["a"], [RETRACT]) == {"duplicate": 1}


def test_a_lost_value_comes_back_only_with_an_order(world: World) -> None:
    """Without a rev or a time the old value is a redelivery; with one it is a correction."""
    world.predict(["a"], ["cat"])
    for value in ("cat", "dog"):
        world.label(["a"], [value])
    assert world.label(["a"], ["cat"]) == {"stale": 1}
    assert world.label(["a"], ["cat"], at=1.0) == {"corrected": 1}
    world.label(["a"], [RETRACT], rev=1)
    assert world.label(["a"], ["cat"], at=2.0) == {"stale": 1}
    assert world.label(["a"], ["cat"], rev=2) == {"joined": 1}


def test_a_lost_value_is_the_same_from_a_file(world: World) -> None:
    """A redelivery is stale whether the text came from a file now, or did before."""
    world.predict(["a", "b"], ["fraud", "fraud"], task=Binary("fraud", "ok"))
    for first, again in ((False, True), (True, False)):
        id_ = ["b" if first else "a"]
        world.label(id_, ["fraud"], textual=first)
        world.label(id_, ["ok"])
        assert world.label(id_, ["fraud"], textual=again) == {"stale": 1}
    assert world.cells() == {("ok", "fraud"): 2}


def test_labels_of_equal_rev_end_alike_whenever_they_arrive(world: World) -> None:
    """With a rev and no time, arrival says nothing: a value beats a retraction, and the greater value wins."""
    for id_, order in (("a", ["cat", "dog", RETRACT]), ("b", [RETRACT, "dog", "cat"]), ("c", ["dog", "cat", "dog"])):
        world.predict([id_], ["cat"])
        for value in order * 2:
            world.clock.now += 1.0
            world.label([id_], [value], rev=1)
    assert world.cells() == {("dog", "cat"): 3}


def test_what_is_overdue_makes_room_before_anything_is_evicted(make: Any) -> None:
    """A store at rest for longer than the ttl has room for as many predictions again."""
    world = make(max_awaiting=10)
    world.predict(list(range(9)), ["cat"] * 9)
    world.clock.now = 150.0
    assert world.predict(list(range(100, 109)), ["cat"] * 9) == {"pending": 9}
    part = world.store.part()
    assert part.gauges["sample_rate"] == 1.0
    assert world.counts("transitions")["pending", "expired"] == 9
    assert world.label(list(range(100, 109)), ["cat"] * 9) == {"joined": 9}


@pytest.mark.fault("L15")
def test_one_label_scores_every_version_and_a_narrower_one_wins(world: World) -> None:
    """Champion and challenger share a label; a label for one version hides it there until it is retracted."""
    for version in ("1", "2"):
        world.predict(["a"], ["cat"], version=version)
    assert world.label(["a"], ["cat"]) == {"joined": 1}
    assert world.label(["a"], ["dog"], model="m", version="2") == {"corrected": 1}
    assert (world.cells(version="1"), world.cells(version="2")) == ({("cat", "cat"): 1}, {("dog", "cat"): 1})
    assert world.label(["a"], [RETRACT], model="m", version="2") == {"corrected": 1}
    assert world.cells(version="2") == {("cat", "cat"): 1}
    assert world.predict(["a"], ["dog"], version="3") == {"joined_early": 1}
    assert world.label(["a"], ["dog"], model="other") == {"early": 1}
    world.store.check_invariants()


@pytest.mark.fault("L5")
def test_a_second_prediction_is_a_duplicate_or_a_conflict(make: Any) -> None:
    """The first prediction under an id counts, or the last where that was chosen."""
    first, last = make(), make(on_conflict="last")
    for world in (first, last):
        world.predict(["a", "b"], ["cat", "cat"])
        world.label(["a"], ["dog"])
        assert world.predict(["a", "b", "a"], ["dog", "cat", "dog"]) in (
            {"conflict": 2, "duplicate": 1},
            {"conflict": 1, "duplicate": 2},
        )
        world.store.check_invariants()
    assert first.cells() == {("dog", "cat"): 1}
    assert last.cells() == {("dog", "dog"): 1}


@pytest.mark.fault("L4")
def test_rows_pass_through_their_deadlines_exactly(world: World) -> None:
    """At its deadline a row still joins; just past it, it is expired, and its label late."""
    world.predict(["a", "b"], ["cat", "cat"])
    world.clock.now = 100.0
    assert world.label(["a"], ["cat"]) == {"joined": 1}
    world.clock.now = 100.1
    assert world.label(["b"], ["cat"]) == {"late": 1}
    world.clock.now = 180.1
    assert world.label(["a"], ["dog"]) == {"closed": 1}
    world.clock.now = 1000.0
    for _ in range(3):
        world.clock.now += 1.0
        world.store.sweep()
    assert world.label(["a"], ["dog"]) == {"early": 1}
    moves = world.counts("transitions")
    assert (moves["closed", "forgotten"], moves["expired", "forgotten"]) == (1, 1)
    world.store.check_invariants()


def test_a_prediction_may_be_too_old_or_too_far_ahead(world: World) -> None:
    """Times older than ttl, an hour ahead, or no time at all make no row."""
    world.clock.now = 1000.0
    given = [899.0, 900.0, 4600.0, 4601.0, np.nan]
    found = world.predict(["a", "b", "c", "d", "e"], ["cat"] * 5, at=given)
    assert found == {"too_old": 1, "pending": 2, "invalid": 2}
    world.store.check_invariants()


@pytest.mark.fault("L6", "L11")
def test_bad_ids_and_missing_truths_are_invalid(world: World) -> None:
    """What is no id or no label has an outcome, and changes nothing."""
    assert world.predict(["a", None, ""], ["cat"] * 3) == {"pending": 1, "invalid": 2}
    assert world.label(["a", None, "a", "a"], [None, "cat", float("nan"), ""]) == {"invalid": 4}
    assert world.counts("label_events") == {"invalid": 3}


@pytest.mark.fault("L12")
def test_classes_of_equal_text_are_not_confused(world: World) -> None:
    """In process "1" is no label for the class 1; text from a file is."""
    world.predict(["a", "b"], [1, 1], task=Multiclass([0, 1]))
    assert world.label(["a"], ["1"]) == {"invalid": 1}
    assert world.label(["a"], ["1"], textual=True) == {"joined": 1}
    assert world.label(["b"], [2]) == {"invalid": 1}
    assert world.label(["b"], [True]) == {"joined": 1}


@pytest.mark.parametrize(
    ("task", "value", "expected"),
    [
        (Binary("fraud"), "ok", "joined"),
        (Binary("fraud"), "fraud", "joined"),
        (Binary("fraud", "ok"), "okay", "invalid"),
        (Binary(1), "1", "invalid"),
        (Binary(1), "0", "invalid"),
        (Binary(1), 7, "joined"),
        (Regression(), 0.5, "joined"),
        (Regression(), "0.5", "invalid"),
        (Regression(), float("inf"), "invalid"),
    ],
)
def test_a_truth_means_what_the_task_says(world: World, task: Any, value: Any, expected: str) -> None:
    """Each task reads truths by its own rules."""
    columns = {"scores": [0.7]} if isinstance(task, Regression) else {"values": [task.positive]}
    world.predict(["a"], task=task, **columns)
    assert world.label(["a"], [value]) == {expected: 1}
    world.store.check_invariants()


def test_textual_labels_are_read_as_numbers_by_a_regression(world: World) -> None:
    """A file's "2.5" is the number; its error is counted exactly."""
    world.predict(["a", "b"], task=Regression(), scores=[2.0, 1.0])
    assert world.label(["a", "b"], ["2.5", "many"], textual=True) == {"joined": 1, "invalid": 1}
    residuals = world.store.part().series["m", ""].ledgers[()].total["residuals"]
    assert (residuals.n, residuals.error.value()) == (1, -0.5)


@pytest.mark.fault("L12")
def test_open_classes_past_the_bound_are_counted_together(world: World) -> None:
    """Past 256 classes further ones are "__other__", and the totals stay exact."""
    names = [f"c{n}" for n in range(300)]
    world.predict(names, names)
    world.label(names, names)
    classes = world.store.part().series["m", ""].classes
    assert (len(classes), classes[-1]) == (257, "__other__")
    assert world.cells()["__other__", "__other__"] == 44
    world.store.check_invariants()


def test_binary_scores_make_losses_and_a_histogram(world: World) -> None:
    """Joined scores enter log loss and histogram, and leave them with a correction."""
    scores = np.linspace(0.05, 0.95, 40)
    values = [int(score >= 0.5) for score in scores]
    world.predict(list(range(40)), values, task=Binary(), scores=scores)
    world.label(list(range(40)), values)
    assert world.label([0, 1], [1, 1]) == {"corrected": 2}
    series = world.store.part().series["m", ""]
    assert series.ledgers[()].total["losses"].scored == 40
    assert series.shared.total["scores"].positives.sum() == 22
    assert series.shared.slots[0]["scores"].total == 40
    world.store.check_invariants()


def test_probability_rows_are_kept_and_their_columns_may_come_in_any_order(world: World) -> None:
    """Two batches with differently ordered columns count into the same classes."""
    rows = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    world.predict(["a", "b"], ["x", "z"], scores=rows, columns=("x", "y", "z"))
    world.predict(["c"], ["x"], scores=rows[1:], columns=("z", "y", "x"))
    world.label(["a", "b", "c"], ["x", "x", "x"])
    series = world.store.part().series["m", ""]
    of_x = series.shared.total["scores"].of(0)
    assert (of_x.positives.sum(), of_x.total) == (3, 3)
    losses = series.ledgers[()].total["losses"]
    assert (losses.scored, losses.top(1), losses.top(3)) == (3, 2, 3)
    world.store.check_invariants()


def test_best_classes_give_ranks(world: World) -> None:
    """Of many classes the five best are kept, and the rank of the true one counts."""
    best = np.array([[3, 1, 2, 0, 4], [0, 1, 2, 3, 4]], np.int32)
    columns = tuple(range(40))
    world.predict(["a", "b"], [3, 0], scores=[0.5, 0.4], best=best, columns=columns)
    world.label(["a", "b"], [1, 30])
    losses = world.store.part().series["m", ""].ledgers[()].total["losses"]
    assert (losses.top(1), losses.top(2), losses.unknown_ranks) == (0, 1, 1)


def test_multilabel_truths_come_as_rows_sets_or_mappings(world: World) -> None:
    """Three forms of one truth are one truth; a partial one leaves labels unknown."""
    task = Multilabel(["a", "b"])
    flags = np.array([[1, 0]], np.uint8)
    world.predict(["x"], task=task, flags=flags, columns=("a", "b"))
    assert world.label(["x"], [{"a"}]) == {"joined": 1}
    assert world.label(["x"], [{"a": True, "b": False}]) == {"duplicate": 1}
    assert world.label(["x"], [{"c"}]) == {"invalid": 1}
    assert world.label(["x"], [{"a": False}]) == {"corrected": 1}
    matrix = world.store.part().series["m", ""].ledgers[()].total["multilabel"]
    assert matrix.matrix().tolist() == [[[0, 1], [0, 0]], [[0, 0], [0, 0]]]
    world.store.check_invariants()


@pytest.mark.fault("L15")
def test_slices_partition_the_rows(world: World) -> None:
    """Each row is counted in its slice only, in the slot of its prediction time."""
    pages = [(("country", "DE"),), (("country", "FR"),), ()]
    world.predict(["a", "b", "c"], ["cat"] * 3, slices=pages, at=[0.0, 15.0, 15.0])
    world.clock.now = 30.0
    world.label(["a", "b", "c"], ["cat"] * 3)
    ledgers = world.store.part().series["m", ""].ledgers
    assert {page: sorted(ledger.slots) for page, ledger in ledgers.items()} == dict(
        zip(pages, ([0], [1], [1]), strict=True)
    )
    assert all(ledger.total["confusion"].total == 1 for ledger in ledgers.values())


def test_slots_past_history_fold_into_the_total(make: Any) -> None:
    """Old slots go, the total keeps their counts."""
    world = make(history=200.0)
    world.predict(["a"], ["cat"])
    world.label(["a"], ["cat"])
    for _ in range(250):
        world.clock.now += 1.0
        world.store.sweep()
    ledger = world.store.part().series["m", ""].ledgers[()]
    assert (dict(ledger.slots), ledger.total["confusion"].total) == ({}, 1)


def test_a_part_stays_as_it_was_taken(world: World) -> None:
    """What is counted later does not appear in an earlier part."""
    world.predict(["a", "b"], ["cat", "cat"], task=Binary("cat"), scores=[0.7, 0.6])
    world.label(["a"], ["cat"])
    before = world.store.part()
    states = json.dumps(before.series["m", ""].ledgers[()].to_state())
    world.label(["a", "b"], ["dog", "cat"])
    world.store.part()
    assert json.dumps(before.series["m", ""].ledgers[()].to_state()) == states
    after = world.store.part()
    assert after.origin == before.origin
    assert after.epoch > before.epoch


def test_a_declared_model_appears_with_its_classes(world: World) -> None:
    """Before its first prediction a model is there, empty."""
    world.store.declare("idle", "1", Multiclass(["a", "b"]))
    world.store.declare("unsaid", "", None)
    part = world.store.part()
    assert part.series["idle", "1"].classes == ("a", "b")
    assert part.series["unsaid", ""].task is None
    assert world.predict(["a"], ["cat"], model="unsaid") == {"pending": 1}


def test_predictions_of_another_kind_of_task_are_refused(world: World) -> None:
    """A model and version has one kind of task; what does not fit is invalid."""
    world.predict(["a"], ["cat"])
    assert world.predict(["b"], task=Regression(), scores=[1.0]) == {"invalid": 1}
    world.store.check_invariants()


def test_forgetting_erases_rows_and_labels_but_no_counts(world: World) -> None:
    """After forget nothing is found under the id; what it counted stays."""
    world.predict(["a", "b"], ["cat", "cat"])
    world.predict(["a"], ["dog"], version="2")
    world.label(["a", "early"], ["cat", "cat"])
    assert world.store.forget(encode_ids(["a", "early", "nobody", None])) == 4
    assert world.cells() == {("cat", "cat"): 1}
    assert world.label(["a"], ["dog"]) == {"early": 1}
    assert world.counts("transitions")["joined", "closed"] == 1
    world.store.check_invariants()


@pytest.mark.fault("L17")
def test_at_capacity_a_sample_by_id_is_kept(make: Any) -> None:
    """The rate halves, rows outside are evicted, and labels and predictions outside are unsampled."""
    world = make(max_awaiting=100)
    world.predict(list(range(300)), ["cat"] * 300)
    world.store.check_invariants()
    rate = world.store.part().gauges["sample_rate"]
    moves = world.counts("transitions")
    kept = 300 - moves["pending", "evicted"]
    assert rate in (0.5, 0.25, 0.125)
    assert kept <= 100
    later = world.predict(list(range(300, 400)), ["cat"] * 100)
    assert later["unsampled"] + later["pending"] == 100
    assert world.label(list(range(1000, 1400)), ["cat"] * 400).keys() == {"early", "unsampled"}
    found = world.label(list(range(400)), ["cat"] * 400)
    assert (found["evicted"], found["unsampled"]) == (300 - kept, later["unsampled"])
    world.store.check_invariants()


@pytest.mark.fault("L17")
def test_the_sample_is_whole_again_once_few_enough_wait(make: Any) -> None:
    """A burst costs its own predictions: once a quarter of the bound waits or less, all that comes is kept."""
    world = make(max_awaiting=100)
    burst = list(range(1000))
    world.predict(burst, ["cat"] * 1000)
    moves = world.counts("transitions")
    waiting = 1000 - moves["pending", "evicted"]
    assert waiting > 26
    outside = world.predict(list(range(2000, 2010)), ["cat"] * 10)["unsampled"]
    labelled = 0
    for number in burst:
        if waiting + 10 - outside - labelled == 26:
            break
        labelled += world.label([number], ["cat"]).get("joined", 0)
    assert world.predict(burst[:1], ["cat"]) == {"duplicate": 1}
    assert world.store.part().gauges["sample_rate"] < 1
    labelled += world.label([number for number in burst if number % 2], ["cat"] * 500)["joined"]
    assert world.predict(list(range(3000, 3050)), ["cat"] * 50) == {"pending": 50}
    assert world.store.part().gauges["sample_rate"] == 1.0
    assert world.label(list(range(3000, 3050)), ["cat"] * 50) == {"joined": 50}
    found = world.label(list(range(2000, 2010)), ["cat"] * 10)
    assert found.get("early", 0) == outside  # nobody knows by now that they were left out
    world.store.check_invariants()
    world.clock.now += 1000.0
    world.store.sweep()
    world.store.check_invariants()


@pytest.mark.fault("L17")
def test_a_sample_from_the_start_shrinks_and_grows_back_to_what_it_was(make: Any) -> None:
    """The share asked for is kept, halved where too many wait, and in force again afterwards, though no more."""
    world = make(max_awaiting=100, sample_rate=0.5)
    assert world.store.part().gauges["sample_rate"] == 0.5
    found = world.predict(list(range(100)), ["cat"] * 100)
    assert 30 < found["pending"] < 70
    assert found["unsampled"] == 100 - found["pending"]
    world.predict(list(range(1000, 1400)), ["cat"] * 400)
    assert world.store.part().gauges["sample_rate"] in (0.25, 0.125)
    world.clock.now = 150.0
    world.store.sweep()
    again = world.predict(list(range(100)), ["cat"] * 100, version="2")
    assert again == found
    assert world.store.part().gauges["sample_rate"] == 0.5
    world.store.check_invariants()


@pytest.mark.fault("L17")
def test_time_makes_the_sample_whole_again(make: Any) -> None:
    """Once what waited has expired, everything is kept again, though no label ever came."""
    world = make(max_awaiting=100)
    for burst in range(3):
        world.predict([f"{burst}-{n}" for n in range(1000)], ["cat"] * 1000)
        assert world.store.part().gauges["sample_rate"] < 1
        world.clock.now += 150.0
        world.store.sweep()
        assert world.predict([f"{burst}-later-{n}" for n in range(50)], ["cat"] * 50) == {"pending": 50}
        world.clock.now += 150.0
        world.store.check_invariants()


@pytest.mark.fault("L17")
def test_under_a_steady_load_the_sample_does_not_swing(make: Any) -> None:
    """Four times as many predictions as have room, labelled in the order they came: one rate is found, and stays."""
    world = make(max_awaiting=200)
    rates = []
    for start in range(0, 4000, 100):
        world.predict(list(range(start, start + 100)), ["cat"] * 100)
        if start >= 800:
            world.label(list(range(start - 800, start - 700)), ["cat"] * 100)
        rates.append(world.store.part().gauges["sample_rate"])
    assert rates[0] == 1.0
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates[10:])) == 1
    world.store.check_invariants()


@pytest.mark.fault("L17")
def test_a_bound_in_bytes_bounds_the_rows_awaiting(make: Any) -> None:
    """At a thousand rows' worth of bytes about a thousand rows await."""
    world = make(max_awaiting_bytes=50_000)
    for start in range(0, 5000, 500):
        world.predict(list(range(start, start + 500)), ["cat"] * 500)
    world.store.check_invariants()
    moves = world.counts("transitions")
    assert 200 < moves["none", "pending"] - moves["pending", "evicted"] <= 1250


@pytest.mark.slow
def test_the_phishing_stream_counts_as_recorded(make: Any) -> None:
    """A public stream with delayed labels gives the recorded counts at every checkpoint."""
    stream = json.loads((ORACLES / "phishing_delay50.json").read_text())
    world = make(ttl=1e6)
    exceptions = set(stream["pred_true_ids_exceptions"])
    checkpoints = {point["events"]: point["metrics"] for point in stream["checkpoints"]}
    for number, (kind, identity, value) in enumerate(stream["events"], 1):
        if kind == "P":
            said = (value or 0.0) >= 0.5
            world.predict([identity], [int(said != (identity in exceptions))], task=Binary())
        else:
            world.label([identity], [int(value)])
        if number in checkpoints:
            cells, point = world.cells(), checkpoints[number]
            found = [cells.get(cell, 0) for cell in ((1, 1), (0, 1), (1, 0), (0, 0))]
            assert found == [point[name] for name in ("tp", "fp", "fn", "tn")]


@pytest.mark.fault("L4")
@pytest.mark.parametrize("name", [pytest.param("digits_lr_multiclass", marks=pytest.mark.slow), "bc_lr_binary"])
def test_delayed_labels_count_as_recorded(make: Any, name: str) -> None:
    """With a ttl, counts at several clock readings are the recorded ones, by window of prediction time too."""
    stream = json.loads((ORACLES / f"{name}.json").read_text())
    delayed = stream["delayed"]
    task = Binary() if name == "bc_lr_binary" else Multiclass(list(range(10)))
    world = make(ttl=delayed["ttl"], window=delayed["window_width"], history=1e9, forget_after=1e9)
    events = [(float(row), 0, row) for row in range(len(stream["y"]))]
    events += [(time, 1, row) for row, time in enumerate(stream["t_label"]) if time is not None]
    events.sort()
    late = 0
    for point in delayed["checkpoints"]:
        while events and events[0][0] <= point["T"]:
            world.clock.now, kind, row = events.pop(0)
            if kind == 0:
                world.predict([row], [stream["pred"][row]], task=task)
            else:
                late += world.label([row], [stream["y"][row]]).get("late", 0)
        world.clock.now = point["T"]
        world.store.check_invariants()
        moves = world.counts("transitions")
        joined = moves.get(("pending", "joined"), 0)
        expired = moves.get(("pending", "expired"), 0)
        pending = moves["none", "pending"] - joined - expired
        expected = tuple(point[key] for key in ("predictions", "joined", "pending", "expired", "late_labels"))
        assert (moves["none", "pending"], joined, pending, expired, late) == expected
        ledger = world.store.part().series["m", ""].ledgers[()]
        for slot, window in point["windows_by_prediction_time"].items():
            tally = ledger.slots[int(slot)]
            assert tally["transitions"].get(("none", "pending")) == window["predictions"]
            assert (tally["confusion"].total if "confusion" in tally else 0) == window["joined"]


def test_a_store_that_is_not_open_says_so() -> None:
    """Before open and after close every use is a StoreError."""
    store = MemoryStore()
    with pytest.raises(StoreError, match="not open"):
        store.part()
    store.open(worlds.JoinSettings(), worlds.HandClock())
    store.close()
    with pytest.raises(StoreError, match="not open"):
        store.sweep()


@pytest.mark.fault("L7")
def test_one_id_used_for_everything_costs_no_more_than_many(world: World) -> None:
    """A constant id, or no id at all, in a large batch is handled at once, not one by one."""
    n = 20_000
    assert world.predict(["same"] * n, ["cat"] * n) == {"pending": 1, "duplicate": n - 1}
    assert world.predict([None] * n, ["cat"] * n) == {"invalid": n}
    assert world.predict(["old"] * n, ["cat"] * n, at=-500.0) == {"too_old": n}
    found = world.predict(["mixed"] * 4, ["cat", "cat", "dog", "cat"], at=[-500.0, 0.0, 0.0, 9000.0])
    assert found == {"too_old": 1, "pending": 1, "conflict": 1, "invalid": 1}
    assert world.label([None] * n, ["cat"] * n) == {"invalid": n}
    assert world.label(["same"] * 50, ["cat", "dog"] * 25) == {
        "joined": 1,
        "corrected": 1,
        "duplicate": 24,
        "stale": 24,
    }
    world.store.check_invariants()
