"""Readings of late and missing labels, from what a monitor counted."""

from __future__ import annotations

import math

import counted
import numpy as np
import pytest

from modelmon import Binary, Monitor, Multiclass, Regression
from modelmon.parts import SeriesPart
from modelmon.snapshot import Snapshot
from modelmon.tallies import Ledger
from modelmon.testing import FakeClock

HOUR, DAY = 3600.0, 86_400.0
START = 1000 * DAY


def lived(arrive, delay, values, truth, *, until, step=0.5 * HOUR, task=None, **settings):
    """Return the snapshot of a monitor that lived through predictions at ``arrive`` and labels ``delay`` later."""
    clock = FakeClock(START)
    monitor = Monitor(clock=clock, **settings)
    ids, label_at = np.arange(len(arrive)), arrive + delay
    for end in np.arange(step, until + step / 2, step):
        clock.set(START + end)
        made = (arrive > end - step) & (arrive <= end)
        if made.any():
            monitor.predictions(ids[made], values[made], model="m", task=task, at=START + arrive[made])
        came = (label_at > end - step) & (label_at <= end)
        if came.any():
            monitor.labels(ids[came], truth[came])
    return monitor.snapshot()["m"]


def evenly(rows, until, seed=1, *, median=DAY, spread=1.2):
    """Return (arrivals, delays) of rows that come evenly and whose labels take a day, more or less."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, until, rows), median * np.exp(spread * rng.standard_normal(rows)), rng


@pytest.fixture(scope="module")
def five_days():
    """A model five days after its start, whose labels take a day in the middle and ten at worst."""
    arrive, delay, rng = evenly(20_000, 5 * DAY)
    values = rng.integers(0, 3, len(arrive))
    return lived(arrive, delay, values, values, until=5 * DAY, task=Multiclass())


def test_delay_estimate(five_days):
    """The estimate finds the true median and 90 % point, which the joined labels alone make look shorter."""
    delay = five_days.label_delay_estimate
    assert five_days.label_delay.quantile(0.5) / DAY < 0.75
    assert delay.quantile(0.5) / DAY == pytest.approx(1.0, rel=0.05)
    assert delay.quantile(0.9) / DAY == pytest.approx(4.65, rel=0.1)
    assert delay.survival(DAY) == pytest.approx(0.5, abs=0.02)
    assert delay.labelled == five_days.labelled
    assert delay.labelled + delay.waiting == five_days.accepted
    assert delay.horizon == pytest.approx(5 * DAY, rel=0.02)
    assert delay.unlabelled_share == pytest.approx(0.09, abs=0.02)
    assert math.isnan(delay.quantile(0.99))
    assert delay.quantile(0.5, of_labelled=True) < delay.quantile(0.5)
    assert repr(delay).startswith("LabelDelayEstimate(labelled=")
    with pytest.raises(ValueError, match="between 0 and 1"):
        delay.quantile(1.5)


def test_maturity(five_days):
    """Where 95 % never came yet, maturity is when 95 % of those that come at all are there."""
    maturity = five_days.maturity
    assert maturity == five_days.label_delay_estimate.quantile(0.95, of_labelled=True)
    assert 3 * DAY < maturity < 5 * DAY


def test_mature_window(five_days):
    """A mature window is the newest stretch whose slots are all old enough; its coverage is near what it will be."""
    young, old = five_days.window("1d"), five_days.window("1d", mature="3d")
    assert len(young.windows()) == 24
    starts = list(old.windows())
    assert len(starts) == 24
    assert starts[-1] + HOUR == START + 2 * DAY
    assert young.coverage < 0.3
    assert old.coverage > 0.75
    found = five_days.window("6h", mature=True)
    assert max(found.windows()) + HOUR <= START + 5 * DAY - five_days.maturity
    assert len(found.windows()) == 6
    assert five_days.window("1s", mature=0).windows().keys() == {START + 5 * DAY - HOUR}
    assert not five_days.window("1d", mature="30d").accepted


def test_nothing_is_mature_without_labels():
    """Without a label nothing is known of maturity, and a mature window is empty."""
    arrive, _, _ = evenly(100, DAY)
    waiting = lived(arrive, np.full(100, 1e9), np.ones(100, int), np.ones(100, int), until=DAY, task=Multiclass())
    assert math.isnan(waiting.maturity)
    assert not waiting.window("1d", mature=True).accepted
    assert waiting.label_delay_estimate.unlabelled_share == 1.0
    assert math.isnan(counted.model(SeriesPart()).label_delay_estimate.unlabelled_share)


def test_rows_that_gave_up_waiting():
    """Rows that expired count as never labelled, also where their slots are folded away."""
    arrive, delay, rng = evenly(4000, 2 * DAY, median=HOUR, spread=0.5)
    delay = np.where(rng.random(4000) < 0.25, 1e9, delay)
    values = np.ones(4000, int)
    spans = {"ttl": DAY, "correction_horizon": 6 * HOUR, "forget_after": HOUR}
    for history in (40 * DAY, 3.5 * DAY):
        found = lived(arrive, delay, values, values, until=5 * DAY, history=history, task=Multiclass(), **spans)
        assert found.expired > 900
        assert found.label_delay_estimate.unlabelled_share == pytest.approx(0.25, abs=0.02)
        assert found.label_delay_estimate.quantile(0.375) == pytest.approx(HOUR, rel=0.35)
        assert found.label_delay_estimate.waiting + found.labelled == found.accepted


def test_coverage_by_class():
    """Coverage is told class by class of what was predicted; what was never predicted has none."""
    monitor = Monitor()
    monitor.predictions(range(100), ["a"] * 60 + ["b"] * 40, model="m", task=Multiclass(("a", "b", "c")))
    monitor.labels(range(50), ["a"] * 50)
    model = monitor.snapshot()["m"]
    assert model.accepted_by_class == {"a": 60, "b": 40, "c": 0}
    assert model.coverage_by_class == pytest.approx({"a": 5 / 6, "b": 0.0, "c": math.nan}, nan_ok=True)
    missing = model.missing
    assert missing.is_selective
    assert missing.rows == 100
    assert missing.coverage["a"] == pytest.approx(5 / 6)
    monitor.check_invariants()


def test_coverage_follows_replaced_predictions_and_slices():
    """A prediction that another replaces counts under the other's class; slices tell their own coverage."""
    monitor = Monitor(on_conflict="last")
    monitor.predictions(range(10), [0] * 10, model="m", task=Multiclass(), attributes={"site": "x"})
    monitor.labels(range(5), [0] * 5)
    monitor.predictions(range(3, 7), [1] * 4, model="m", task=Multiclass(), attributes={"site": "x"})
    monitor.predictions(range(20, 22), [1] * 2, model="m", task=Multiclass(), attributes={"site": "y"})
    model = monitor.snapshot()["m"]
    assert model.accepted_by_class == {0: 6, 1: 6}
    assert model.slice(site="x").coverage_by_class == {0: 0.5, 1: 0.5}
    assert model.slice(site="y").coverage_by_class[1] == 0.0
    assert Snapshot.from_json(monitor.snapshot().to_json())["m"].coverage_by_class == model.coverage_by_class
    monitor.check_invariants()


def test_tasks_without_one_class():
    """Numbers have no predicted class, so nothing is told by class."""
    monitor = Monitor()
    monitor.predictions(range(10), [0.5] * 10, model="m", task=Regression())
    monitor.labels(range(5), [1.5] * 5)
    model = monitor.snapshot()["m"]
    assert model.coverage_by_class == {}
    assert not model.missing.is_selective
    assert math.isnan(model.estimated("accuracy"))
    assert "Regression" in model.why("accuracy", method="poststratified")


def scored(rows, seed=1):
    """Return (scores, truth, generator) of a model that is right about its scores."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-rng.normal(-1.0, 2.5, rows)))
    return scores, rng.random(rows) < scores, rng


def partly(scores, truth, seen):
    """Return (naive, true) snapshots of a monitor that got some of the labels, and of one that got all."""
    found = []
    for chosen in (seen, np.ones(len(seen), bool)):
        monitor = Monitor()
        monitor.predictions(np.arange(len(scores)), scores, model="m", task=Binary())
        monitor.labels(np.flatnonzero(chosen), truth[chosen].astype(int))
        monitor.check_invariants()
        found.append(monitor.snapshot()["m"])
    return found


def test_poststratified_estimates():
    """Where labels are missing by the score, the estimates are those of all labels, and the bare figures are not."""
    scores, truth, rng = scored(60_000)
    naive, true = partly(scores, truth, rng.random(len(scores)) < 0.03 + 0.9 * scores**2)
    for metric in ("accuracy", "precision", "recall", "f1", "specificity", "balanced_accuracy", "mcc", "kappa"):
        assert naive.estimated(metric) == pytest.approx(true.value(metric), abs=0.02), metric
        assert true.estimated(metric) == pytest.approx(true.value(metric), abs=1e-9), metric
    assert naive.f1() - true.f1() > 0.05
    assert naive.estimated("recall", of=0) == pytest.approx(true.recall(0), abs=0.02)
    assert naive.estimated("f1", average="macro") == pytest.approx(true.f1(average="macro"), abs=0.02)
    assert naive.why("recall", method="poststratified") == ""
    assert naive.window("1h").estimated("f1") == naive.estimated("f1")


def test_slices_are_weighed_by_class():
    """In slices no scores are kept, so only the predicted class makes the strata."""
    scores, truth, _ = scored(5000)
    monitor = Monitor()
    for site, first in (("x", 0), ("y", 2500)):
        rows = slice(first, first + 2500)
        monitor.predictions(np.arange(5000)[rows], scores[rows], model="m", task=Binary(), attributes={"site": site})
    monitor.labels(np.arange(1000), truth[:1000].astype(int))
    page = monitor.snapshot()["m"].slice(site="x")
    cells, accepted = page.confusion.matrix, np.array(list(page.accepted_by_class.values()))
    weight = accepted / cells.sum(axis=0)
    expected = (np.diagonal(cells) * weight).sum() / accepted.sum()
    assert page.estimated("accuracy") == pytest.approx(expected)


def test_what_cannot_be_estimated():
    """Where an estimate cannot be had it is nan, and the reason is told."""
    monitor = Monitor()
    monitor.predictions(range(10), [0] * 5 + [1] * 5, model="m", task=Multiclass())
    why = {"method": "poststratified"}
    assert math.isnan(monitor.snapshot()["m"].estimated("accuracy"))
    assert "no prediction is labelled" in monitor.snapshot()["m"].why("accuracy", **why)
    monitor.labels(range(3), [0] * 3)
    model = monitor.snapshot()["m"]
    assert "no prediction of 1 is labelled" in model.why("accuracy", **why)
    monitor.labels([7], [1])
    model = monitor.snapshot()["m"]
    assert model.estimated("accuracy") == 1.0
    assert math.isnan(model.estimated("auc"))
    assert "not estimated" in model.why("auc", **why)
    with pytest.raises(ValueError, match="poststratified"):
        model.estimated("accuracy", method="guess")
    with pytest.raises(KeyError):
        model.estimated("nonsense")
    assert model.why("accuracy") == ""


def test_a_ratio_without_a_denominator():
    """An estimate whose denominator is 0 is nan for the same reason as the metric itself."""
    monitor = Monitor()
    monitor.predictions(range(10), [0] * 10, model="m", task=Multiclass((0, 1)))
    monitor.labels(range(3), [0] * 3)
    model = monitor.snapshot()["m"]
    assert math.isnan(model.estimated("precision", of=1))
    assert "never predicted" in model.why("precision", of=1, method="poststratified")


def test_too_many_classes_for_cells():
    """Past the classes whose cells are kept nothing is estimated."""
    monitor = Monitor()
    values = [f"c{number}" for number in range(250)] * 10
    monitor.predictions(range(2500), values, model="m", task=Multiclass())
    monitor.labels(range(2500), values)
    model = monitor.snapshot()["m"]
    assert model.estimated("accuracy") == 1.0
    assert len(model.accepted_by_class) == 250


def test_a_part_without_counts_of_classes():
    """A part that counted no predicted classes, such as a process's, leaves coverage by class undefined."""
    model = counted.model(SeriesPart(Binary(), (0, 1), {(): Ledger()}))
    assert model.coverage_by_class == pytest.approx({0: math.nan, 1: math.nan}, nan_ok=True)
