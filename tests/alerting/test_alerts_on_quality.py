"""Rules about quality, which read slots of prediction time, and objectives, whose budget burns."""

from __future__ import annotations

import math

import pytest
from watched_models import START, World

from modelmon import Burn, Objective, Rule

HOUR = 3600.0


def test_a_correction_can_resolve():
    """Quality is read anew each time, so labels that change change the verdict."""
    world = World(Rule("misses", "recall", of=1, below=0.8, window="1h", mature=False))
    ids = world.predict([0] * 4 + [1] * 6, [1] * 10)
    assert world.after() == [("misses", "firing")]
    assert (world.alert("misses").value, world.alert("misses").support) == (0.6, 10)
    world.monitor.labels(ids[:4], [0] * 4)
    assert world.after() == [("misses", "resolved")]
    world.monitor.labels(ids[4:], [0] * 6)
    assert world.after() == []
    assert world.alert("misses").reason


def test_late_labels_are_counted_where_the_prediction_was_made():
    """A window that was fine is not any more when its late labels say so."""
    world = World(Rule("wrong", "accuracy", below=0.8, window="1h", mature=False))
    ids = world.predict([1] * 10)
    world.monitor.labels(ids[:5], [1] * 5)
    assert world.after() == []
    world.monitor.labels(ids[5:], [0] * 5)
    assert world.after() == [("wrong", "firing")]


def test_the_interval_must_lie_beyond_and_rows_must_be_enough():
    """Eight of ten is not surely less than 0.9, and a rule may want more rows than there are."""
    world = World(
        Rule("sure", "accuracy", below=0.9, confidence=0.95, mature=False),
        Rule("many", "recall", of=1, below=0.9, min_support=9, mature=False),
        Rule("macro", "f1", average="macro", below=0.9, min_support=10, mature=False),
        Rule("any", "f1", of=1, below=0.1, mature=False),
        Rule("class", "precision", of="fraud", below=0.9, mature=False),
        Rule("error", "mae", above=0.1, mature=False),
        Rule("rank", "top_k", of=2, above=0.1, mature=False),
    )
    world.predict([1] * 8 + [0] * 2, [1] * 8 + [1, 0])
    world.after()
    states = {alert.name: alert.state for alert in world.evaluation.alerts}
    assert states["sure"] == "inactive"
    assert states["many"] == "firing"
    assert world.alert("many").support == 9
    assert world.alert("any").support == 9
    assert world.alert("macro").support == 10
    assert world.alert("class").reason == "no class 'fraud' was seen yet"
    assert world.alert("error").support == 0
    assert world.alert("sure").interval[1] > 0.9


def test_rows_without_a_probability_support_nothing_that_is_worked_out_of_probabilities():
    """Five scores among twenty labelled rows are five rows for the Brier score and its like."""
    metrics = ("brier", "log_loss", "calibration_error")
    world = World(*(Rule(metric, metric, above=0, min_support=6, mature=False) for metric in metrics))
    world.predict([0.9] * 5, [0] * 5)
    world.predict([1] * 15, [1] * 15)
    assert world.after() == []
    assert {world.alert(metric).support for metric in metrics} == {5}
    world.predict([0.9], [0])
    assert world.after() == [(metric, "firing") for metric in metrics]


def test_only_predictions_that_are_old_enough_are_judged():
    """With a deadline a window ends that long ago, so that labels on their way are not missed."""
    world = World(Rule("wrong", "accuracy", below=0.8, window="1h", mature="2h"))
    ids = world.predict([1] * 10)
    world.monitor.labels(ids[:2], [0, 0])
    assert world.after() == []
    assert "old enough" in world.alert("wrong").reason
    world.monitor.labels(ids[2:], [1] * 8)
    assert world.after(3 * HOUR) == []
    assert world.alert("wrong").value == 0.8
    world.monitor.labels(ids[2:3], [0])
    assert world.after() == [("wrong", "firing")]


def test_by_default_the_age_at_which_labels_are_there_decides():
    """It is learnt from the labels so far; before the first nothing is judged but that labels are missing."""
    world = World(
        Rule("wrong", "accuracy", below=0.8, window="6h"), Rule("blind", "coverage", below=0.5, hold=HOUR, window="6h")
    )
    ids = world.predict([1] * 20)
    assert world.after(60) == [("blind", "pending")]
    assert "old enough" in world.alert("wrong").reason
    assert world.after(HOUR) == [("blind", "firing")]
    world.monitor.labels(ids, [0] * 20)
    assert ("wrong", "firing") in world.after(2 * HOUR)
    assert world.alert("blind").state == "resolved"


def test_too_few_labels_decide_nothing():
    """A rule can ask that so large a share of the window has its label."""
    world = World(Rule("wrong", "accuracy", below=0.8, min_coverage=0.5, mature=False))
    ids = world.predict([1] * 10)
    world.monitor.labels(ids[:4], [0] * 4)
    assert world.after() == []
    assert world.alert("wrong").reason == "40% of the labels are there, 50% are needed"
    world.monitor.labels(ids[4:5], [0])
    assert world.after() == [("wrong", "firing")]


def test_coverage_has_the_interval_of_a_share():
    """Its support are the predictions that were accepted."""
    world = World(Rule("blind", "coverage", below=0.5, confidence=0.95, mature=False))
    ids = world.predict([1] * 100)
    world.monitor.labels(ids[:20], [1] * 20)
    assert world.after() == [("blind", "firing")]
    alert = world.alert("blind")
    assert (alert.value, alert.support) == (0.2, 100)
    assert 0.1 < alert.interval[0] < 0.2 < alert.interval[1] < 0.5


def burning(**given):
    """Return an objective with one burn of a minute and a quarter of it."""
    burns = (Burn("fast", 10, 60, 15, "page"),)
    return Objective("answers", given.pop("metric", "calls"), target=0.99, burns=burns, **given)


def test_a_budget_must_burn_in_both_windows():
    """The long window tells that it matters, the short one that it still goes on."""
    world = World(burning())
    world.call(99)
    world.call(1, error=ValueError())
    assert world.after() == []
    assert world.alert("answers").value == pytest.approx(1.0)
    world.call(40, error=ValueError())
    assert world.after() == [("answers", "firing")]
    alert = world.alert("answers")
    assert alert.value == pytest.approx((41 / 140) / 0.01)
    assert (alert.severity, alert.threshold, alert.side, alert.support) == ("page", 10, "above", 140)
    assert alert.sentence == "firing: answers (fast burn) for fraud 1: burn rate is 29.29, above 10 fires"
    assert alert.to_dict()["burn"] == "fast"
    world.call(100)
    assert world.after() == [("answers", "resolved")]
    assert world.alert("answers").value == 0.0


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({"metric": "duration", "within": 0.25}, 0.4),
        ({"metric": "modelmon.call.duration", "within": 0.25}, 0.4),
        ({"metric": "modelmon.calls", "bad": {"error.type": "KeyError"}}, 0.1),
        ({"metric": "calls", "bad": {"error.type": "KeyError"}}, 0.1),
        ({"metric": "calls", "bad": {"outcome": "ok"}}, 0.7),
        ({"metric": "errors", "bad": {"error.type": "KeyError"}}, 1 / 3),
        ({"metric": "predictions", "bad": {"predicted": "0"}}, 3 / 7),
    ],
    ids=lambda given: "-".join(map(str, given.values())) if isinstance(given, dict) else "",
)
def test_what_is_bad_can_be_told_in_many_ways(given, rate):
    """Slow calls, kinds of errors, classes; by names of readings and of points."""
    world = World(burning(**dict(given)))
    world.call(4, seconds=0.5)
    world.call(1, error=KeyError())
    world.call(2, error=ValueError())
    world.call(3, answer=0)
    world.after()
    assert world.alert("answers").value == pytest.approx(rate / 0.01)


def test_a_burn_of_too_few_calls_decides_nothing():
    """Neither does one of none."""
    world = World(burning(min_support=10))
    world.after()
    assert math.isnan(world.alert("answers").value)
    world.call(9, error=ValueError())
    assert world.after() == []
    assert world.alert("answers").reason == "9 rows of the 10 that are needed"
    world.call(1, error=ValueError())
    assert world.after() == [("answers", "firing")]
    assert world.alert("answers").since > START


def test_an_interval_that_is_not_known_is_said():
    """A rule with a confidence that has nothing to compare says so, rather than just not firing."""
    world = World(Rule("macro", "f1", average="macro", below=0.9, confidence=0.9, window="1h", mature=False))
    world.predict([1, 0, 1], [0, 0, 1])
    world.after()
    alert = world.alert("macro")
    assert (alert.state, math.isnan(alert.interval[0])) == ("inactive", True)
    assert "no interval is known" in alert.reason
    world.predict([1, 0] * 100, [0, 1] * 100)
    assert world.after() == [("macro", "firing")]
    assert not world.alert("macro").reason
