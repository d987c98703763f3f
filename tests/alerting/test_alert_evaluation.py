"""Rules about calls, evaluated on snapshots of a monitor whose clock a test sets."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watched_models import World

from modelmon import Alert, Monitor, Rule, Snapshot
from modelmon.alerting import Evaluation
from modelmon.alerting.evaluation import table
from modelmon.testing import FakeClock


def test_a_quantile_fires_when_it_held_and_ends_when_nothing_is_slow_any_more():
    """It is pending first; the window forgets what is older than itself, and the alert says so."""
    world = World(Rule("slow", "duration", quantile=0.9, above=0.25, hold=30, window=60))
    world.call(10, seconds=0.01)
    assert world.after() == []
    world.call(5, seconds=1.0)
    assert world.after() == [("slow", "pending")]
    assert world.after() == []
    assert world.after() == [("slow", "firing")]
    alert = world.alert("slow")
    assert alert.value == pytest.approx(1.0, rel=0.01)
    assert (alert.support, alert.since, alert.side, alert.threshold) == (15, alert.at, "above", 0.25)
    assert [world.after() for _ in range(3)] == [[], [("slow", "resolved")], []]
    assert math.isnan(world.alert("slow").value)
    assert world.alert("slow").sentence == "resolved: slow for fraud 1: nothing came in within the window"


def test_every_model_has_a_state_of_its_own():
    """One fires while the other stays quiet; a rule about one model is about no other."""
    world = World(
        Rule("errors", "errors", per="calls", above=0.5),
        Rule("other", "errors", above=0, model="x"),
        Rule("version", "errors", above=0, model="fraud", version="2"),
    )
    second = world.watch("fraud", "2")
    world.call(4, error=ValueError())
    world.call(4, watched=second)
    assert world.after() == [("errors", "firing")]
    assert {(a.name, a.version): a.state for a in world.evaluation.alerts} == {
        ("errors", "1"): "firing",
        ("errors", "2"): "inactive",
        ("version", "2"): "inactive",
    }


def test_a_whole_interval_must_lie_beyond():
    """Three bad calls of ten are not certain to be more than a tenth; thirty of a hundred are."""
    world = World(Rule("errors", "errors", per="calls", above=0.1, confidence=0.99))
    world.call(3, error=ValueError())
    world.call(7)
    assert world.after() == []
    low, high = world.alert("errors").interval
    assert low < 0.1 < high
    world.call(27, error=ValueError())
    world.call(63)
    assert world.after() == [("errors", "firing")]
    assert world.alert("errors").interval[0] > 0.1
    assert "interval 0.1" in world.alert("errors").sentence


def test_too_few_rows_decide_nothing():
    """The alert keeps the number and says how many rows are needed."""
    world = World(Rule("errors", "errors", per="calls", above=0.1, min_support=10))
    world.call(9, error=ValueError())
    assert world.after() == []
    alert = world.alert("errors")
    assert (alert.value, alert.support, alert.reason) == (1.0, 9, "9 rows of the 10 that are needed")
    assert alert.sentence.endswith("9 rows of the 10 that are needed")
    world.call(1, error=ValueError())
    assert world.after() == [("errors", "firing")]


def test_silence_is_only_said_of_a_window_that_was_watched_whole():
    """A program that has just begun is not silent yet."""
    world = World(Rule("silent", "calls", below=1, window=60))
    assert [world.after() for _ in range(3)] == [[], [], []]
    assert world.alert("silent").reason == "watched for 45 of 60 s so far"
    assert world.after() == [("silent", "firing")]
    world.call()
    assert world.after() == [("silent", "resolved")]


def test_what_was_counted_before_is_held_against_nobody():
    """The first snapshot is where counting begins; what appears later was nothing before."""
    world = World()
    world.call(5, error=ValueError())
    world.evaluation = Evaluation([Rule("errors", "errors", above=0)])
    assert world.after() == []
    late = world.watch("late", "1")
    world.call(1, error=KeyError(), watched=late)
    assert world.after() == [("errors", "firing")]
    assert [(alert.model, alert.value) for alert in world.changes] == [("late", 1.0)]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (Rule("r", "calls", above=100), 12),
        (Rule("r", "calls", of="error", above=100), 4),
        (Rule("r", "errors", above=100), 4),
        (Rule("r", "errors", of="KeyError", above=100), 1),
        (Rule("r", "predictions", above=100), 8),
        (Rule("r", "predictions", of=0, above=100), 3),
        (Rule("r", "predictions", of=0, per="predictions", above=100), 3 / 8),
        (Rule("r", "rejected", above=100), 0),
        (Rule("r", "rejected", of="nan", above=100), 0),
        (Rule("r", "items", above=100), 0),
        (Rule("r", "in_flight", above=100), 0),
        (Rule("r", "awaiting", above=100), 2),
        (Rule("r", "prediction_events", above=100), 2),
        (Rule("r", "label_events", of="joined", above=100), 0),
        (Rule("r", "duration", above=100), 0.5),
        (Rule("r", "duration", of="error", quantile=1, above=100), 0.5),
        (Rule("r", "batch_size", quantile=0.5, above=100), 1),
        (Rule("r", "time_to_first_item", above=100), math.nan),
        (Rule("r", "label_delay", above=100), math.nan),
        (Rule("r", "modelmon.calls", above=100), 12),
        (Rule("r", "modelmon.calls", where={"error.type": "KeyError"}, per="calls", above=100), 1 / 12),
        (Rule("r", "modelmon.calls", where={"outcome": "abandoned"}, above=100), 0),
        (Rule("r", "modelmon.call.duration", quantile=1, above=100), 0.5),
        (Rule("r", "modelmon.call.duration", where={"outcome": "abandoned"}, above=100), math.nan),
        (Rule("r", "modelmon.call.active", above=100), 0),
        (Rule("r", "modelmon.join.occupancy", where={"state": "pending"}, above=100), 2),
        (Rule("r", "modelmon.label.coverage", below=-1), 0.0),
        (Rule("r", "modelmon.quality", where={"metric": "accuracy"}, below=-1), None),
    ],
    ids=lambda given: f"{given.metric}-{given.of}" if isinstance(given, Rule) else "",
)
def test_any_number_can_be_watched(rule, value):
    """Counts, ratios, distributions and levels, by the names of readings and of points."""
    world = World(rule)
    world.call(3, error=ValueError(), seconds=0.5)
    world.call(1, error=KeyError(), seconds=0.5)
    world.call(5, seconds=0.5)
    world.call(3, seconds=0.5, answer=0)
    world.monitor.predictions([1, 2], [1, 0], model="second", version="1")
    world.after()
    found = {alert.model: alert.value for alert in world.evaluation.alerts}
    if value is None:
        assert not found
        return
    stored = rule.metric in {"awaiting", "prediction_events", "modelmon.join.occupancy", "modelmon.label.coverage"}
    seen = found["second" if stored else "fraud"]
    assert seen == pytest.approx(value, rel=0.01, nan_ok=True)


def test_numbers_of_the_library_itself_belong_to_no_model():
    """A rule about them has one state, and appears with its number."""
    world = World(Rule("dropped", "modelmon.self.dropped", above=0), Rule("age", "modelmon.store.lag", above=1))
    assert world.after() == []
    assert world.evaluation.alerts == ()
    world.monitor.home.count("dropped", "test")
    assert world.after() == [("dropped", "firing")]
    alert = world.alert("dropped", "", "")
    assert alert.sentence == "firing: dropped: modelmon.self.dropped is 1, above 0 fires"


def test_numbers_of_the_library_itself_are_divided_by_each_other():
    """Neither of them belongs to a model."""
    world = World(Rule("share", "modelmon.self.dropped", per="modelmon.exporter.failures", above=0.4))
    world.monitor.home.count("dropped", "test")
    world.monitor.home.fail_export("log", "test")
    world.monitor.home.fail_export("log", "test")
    assert world.after() == [("share", "firing")]


def test_a_point_is_read_in_the_window_that_is_asked_for():
    """Beside its total, quality by the name of its point is that of any window, as exporters show it."""
    where = {"metric": "accuracy"}
    world = World(
        Rule("late", "modelmon.quality", where=where | {"window": "1h"}, below=0.5),
        Rule("ever", "modelmon.quality", where=where | {"window": "total"}, below=0.5),
    )
    world.predict([1] * 10, [1] * 10)
    assert world.after(7200) == []
    world.predict([1] * 4, [0] * 4)
    assert world.after() == [("late", "firing")]
    assert (world.alert("late").value, world.alert("ever").value) == (0.0, 10 / 14)


def test_a_clock_that_is_set_back_neither_holds_nor_forgets():
    """Time that goes back counts as none; an empty snapshot changes nothing."""
    world = World(Rule("errors", "errors", above=0, hold=30))
    world.call(1, error=ValueError())
    assert world.after() == [("errors", "pending")]
    snapshot = world.monitor.snapshot()
    old = Snapshot.from_json(snapshot.to_json().replace(str(snapshot.taken_at), str(snapshot.taken_at - 5000)))
    assert world.evaluation.evaluate(old) == []
    assert world.evaluation.evaluate(Snapshot()) == []
    assert world.alert("errors").state == "pending"


def test_a_model_that_is_gone_fires_no_longer():
    """Where a snapshot does not know it any more, its alerts end and say why; other rules go on."""
    world = World(Rule("errors", "errors", above=0))
    world.call(1, error=ValueError())
    assert world.after() == [("errors", "firing")]
    other = Monitor(clock=FakeClock(world.clock.time() + 15))
    other.predictions([1], [1], model="another")
    assert [alert.state for alert in world.evaluation.evaluate(other.snapshot())] == ["resolved"]
    assert world.alert("errors").reason == "there is no such model any more"


def test_a_rule_that_cannot_be_evaluated_holds_up_no_other():
    """Its states stay as they were, and what it raised can be told."""
    world = World()
    evaluation = Evaluation([Rule("broken", "in_flight", above=1), Rule("errors", "errors", above=0)])
    evaluation.evaluate(world.monitor.snapshot())
    object.__setattr__(evaluation._tracks[0].condition.measure, "rule", None)
    world.call(1, error=ValueError())
    world.clock.advance(15)
    assert [alert.name for alert in evaluation.evaluate(world.monitor.snapshot())] == ["errors"]
    assert list(evaluation.troubles) == ["broken"]
    assert isinstance(evaluation.troubles["broken"], AttributeError)


def test_an_alert_is_told_apart_from_every_other():
    """Its id is the same for one change and another for the next, and as a document it is plain JSON."""
    world = World(Rule("errors", "errors", above=0, window=15, note="Look at the log."))
    world.call(1, error=ValueError())
    world.after()
    first = world.changes[0]
    world.after()
    second = world.changes[0]
    assert isinstance(first, Alert)
    assert (first.state, second.state) == ("firing", "resolved")
    assert first.id != second.id
    document = first.to_dict()
    assert document["id"] == first.id
    assert (document["value"], document["interval"], document["note"]) == (1.0, [None, None], "Look at the log.")
    assert document["message"] == first.sentence


def test_the_table_shows_every_state():
    """A person reads rule, model, state, value, threshold and why nothing could be decided."""
    world = World(Rule("errors", "errors", per="calls", above=0.5), Rule("misses", "recall", below=0.5, mature=False))
    world.call(2, error=ValueError())
    world.after()
    heading, errors, misses = table(world.evaluation.alerts).splitlines()
    assert heading.split() == ["rule", "model", "state", "value", "threshold", "reason"]
    assert errors.split() == ["errors", "fraud", "1", "firing", "1", "above", "0.5"]
    assert "undefined" in misses


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_a_window_holds_exactly_what_came_in_it(rounds):
    """Whatever came in how many periods, a rule of four periods finds the calls of the last four, none twice."""
    world = World(
        Rule("errors", "errors", per="calls", above=0.5, window=60), Rule("calls", "calls", above=7, window=60)
    )
    for turn, (good, bad) in enumerate(rounds):
        world.call(good)
        world.call(bad, error=ValueError())
        world.after(15)
        recent = rounds[max(0, turn - 3) : turn + 1]
        calls, errors = sum(map(sum, recent)), sum(bad for _, bad in recent)
        assert world.alert("calls").value == calls
        assert (world.alert("calls").state == "firing") is (calls > 7)
        assert (world.alert("errors").state == "firing") is (errors / max(calls, 1) > 0.5)


def test_a_long_name_is_found_in_points_too():
    """Points show the name cut; a rule names the model as it is."""
    name = "long" * 50
    share = Rule("share", "modelmon.calls", where={"outcome": "error"}, per="calls", above=0.4)
    world = World(Rule("points", "modelmon.calls", above=0, model=name, version="1"), share)
    long = world.watch(name, "1")
    assert world.after() == []
    world.call(watched=long)
    world.call(watched=long, error=ValueError())
    assert world.after() == [("points", "firing"), ("share", "firing")]
    assert (world.alert("points", name).value, world.alert("share", name).value) == (2.0, 0.5)
