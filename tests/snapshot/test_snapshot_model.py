"""Readings of one model: calls, the join, windows and slices."""

from __future__ import annotations

import math

import counted
import numpy as np
import pytest

from modelmon.parts import SeriesPart
from modelmon.snapshot import Snapshot
from modelmon.tallies import Ledger
from modelmon.tasks import Binary, Multiclass, Regression


def called(**active):
    """Return what a process counts: three calls, one of which raised."""
    ledger = Ledger()
    for tally in ledger.book(3):
        tally.counts("calls").add(("ok", ""), 2)
        tally.counts("calls").add(("error", "ValueError"), 1)
        tally.counts("calls").add(("cancelled", "CancelledError"), 1)
        tally.durations("duration:ok").update(np.array([5_000_000, 15_000_000]))
        tally.durations("duration:error").update(np.array([1_000_000]))
        tally.sizes("batch_size").update(np.array([20, 20]))
        tally.durations("time_to_first_item").update(np.array([2_000_000]))
        tally.counts("items").add((), 8)
        tally.counts("predicted").add((1,), 3)
        tally.counts("predicted").add(("zebra",), 1)
        tally.counts("rejected").add(("nan",), 2)
    return SeriesPart(Binary(), (), {(): ledger}, active={(): active.get("active", 0)})


def test_calls():
    """Calls, outcomes, errors, predictions and rejections read as counts; what never came reads 0."""
    fraud = counted.model(called(active=2))
    assert (fraud.model, fraud.version) == counted.KEY
    assert fraud.calls == 4
    assert fraud.outcomes == {"ok": 2, "error": 1, "cancelled": 1}
    assert fraud.outcomes["abandoned"] == 0
    assert fraud.errors == {"ValueError": 1}
    assert fraud.in_flight == 2
    assert fraud.predictions == 4
    assert list(fraud.predicted.items()) == [(0, 0), (1, 3), ("zebra", 1)]
    assert fraud.rejected["nan"] == 2
    assert fraud.items == 8


def test_durations_are_seconds():
    """Durations read in seconds over all outcomes or by outcome; sizes in rows."""
    fraud = counted.model(called())
    assert fraud.duration.count == 3
    assert fraud.duration.sum == 0.021
    assert fraud.duration.mean == pytest.approx(0.007)
    assert (fraud.duration.minimum, fraud.duration.maximum) == (0.001, 0.015)
    assert fraud.duration.quantile(0.5) == pytest.approx(0.005, rel=0.005)
    assert fraud.duration.cumulative([0.001, 0.005, 0.01, 1.0]) == [1, 2, 2, 3]
    assert set(fraud.durations) == {"ok", "error"}
    assert fraud.durations["ok"].sum == 0.02
    assert fraud.batch_size.mean == 20
    assert fraud.time_to_first_item.count == 1
    assert repr(fraud.batch_size) == "Distribution(count=2, mean=20, median=20)"
    with pytest.raises(ValueError, match="between 0 and 1"):
        fraud.duration.quantile(99)


@pytest.mark.fault("L14")
def test_nothing_counted():
    """A declared model that was never called reads zeros and nan."""
    idle = counted.model(SeriesPart(Binary()))
    assert (idle.calls, idle.predictions, idle.labelled, idle.awaiting, idle.in_flight) == (0, 0, 0, 0, 0)
    assert idle.confusion.matrix.tolist() == [[0, 0], [0, 0]]
    assert idle.predicted == {0: 0, 1: 0}
    assert idle.windows() == {}
    for empty in (idle.duration, idle.time_per_item, idle.device_duration, idle.label_delay):
        assert empty.count == 0
        assert empty.sum == 0
        assert all(map(math.isnan, (empty.mean, empty.minimum, empty.maximum, empty.quantile(0.5))))
    assert idle.time_per_item.cumulative([1.0]) == [0]
    assert all(
        map(math.isnan, (idle.coverage, idle.accuracy, idle.auc, idle.log_loss, idle.calibration_error, idle.top_k(1)))
    )
    assert all(map(math.isnan, (idle.mae, idle.rmse, idle.r2, idle.bias, idle.mape, idle.hamming_loss)))


def test_join():
    """States are what went in minus what went out, and figures that count up never fall."""
    ledger = Ledger()
    moves = [("none", "pending", 100), ("none", "joined", 10), ("pending", "joined", 40), ("pending", "expired", 20)]
    moves += [("pending", "evicted", 5), ("joined", "joined", 3), ("joined", "pending", 2), ("joined", "expired", 1)]
    moves += [("joined", "closed", 30), ("closed", "forgotten", 12), ("joined", "forgotten", 4)]
    moves += [("expired", "forgotten", 7)]
    for tally in ledger.book(0):
        for before, after, n in moves:
            counted.moved(tally, before, after, n)
        tally.counts("prediction_events").add(("duplicate",), 6)
        tally.counts("label_events").add(("late",), 2)
        tally.durations("label_delay").update(np.array([60, 120]) * 10**9)
    fraud = counted.model(SeriesPart(Binary(), (0, 1), {(): ledger}))
    assert fraud.accepted == 110
    assert fraud.occupancy == {
        "pending": 37,
        "joined": 13,
        "closed": 18,
        "expired": 14,
        "evicted": 5,
        "forgotten": 23,
    }
    assert fraud.awaiting == 37
    assert fraud.labelled == 13 + 18 + 12 + 4
    assert fraud.coverage == 47 / 110
    assert (fraud.expired, fraud.evicted) == (21, 5)
    assert fraud.prediction_events["duplicate"] == 6
    assert fraud.label_events == {"late": 2}
    assert fraud.transitions["pending", "joined"] == 40
    assert fraud.transitions["closed", "joined"] == 0
    assert fraud.label_delay.mean == 90


def timed():
    """Return binary rows one every ten seconds from 0 to 990, positive every third."""
    times = np.arange(100) * 10.0
    truth = (np.arange(100) % 3 == 0).astype(int)
    return counted.binary(truth, (np.arange(100) % 7) / 7, times=times)


@pytest.mark.parametrize(("span", "rows"), [("5m", 40), (300.0, 40), (310, 40), (301, 40), (399, 40), (401, 50)])
def test_windows_are_whole_slots(span, rows):
    """A window reads every slot of 100 s that ends after it began; the snapshot was taken at 999 s."""
    fraud = counted.model(timed(), taken_at=999.0)
    assert fraud.window(span).labelled == rows
    assert fraud.window(span).margins.support.sum() == rows


def test_a_short_window_is_the_current_slot():
    """A window below one slot reads the current slot, even just after it began."""
    fraud = counted.model(timed(), taken_at=901.0)
    assert fraud.window(50).labelled == 10
    assert fraud.window("30d").labelled == 100
    assert fraud.window("30d").window(50).labelled == 10
    assert fraud.window(50).window("30d").labelled == 10


def test_windows_are_oldest_first():
    """Slots come by their start, the oldest first, sum up to the total, and read like any snapshot."""
    fraud = counted.model(timed(), taken_at=999.0)
    windows = fraud.windows()
    assert list(windows) == [100.0 * k for k in range(10)]
    assert sum(window.confusion.matrix for window in windows.values()).tolist() == fraud.confusion.matrix.tolist()
    assert all(0 <= window.auc <= 1 for window in windows.values())
    assert list(fraud.window(150).windows()) == [800.0, 900.0]


def test_windows_of_different_widths():
    """Origins with different widths of slot are read each by its own."""
    wide = counted.part("wide", series={counted.KEY: called()}, window=3600.0, kind="process", taken_at=3.5 * 3600)
    narrow = counted.part("narrow", series={counted.KEY: timed()}, taken_at=999.0)
    fraud = Snapshot((wide, narrow))[counted.KEY]
    assert fraud.window("1h").calls == 4
    assert fraud.window("1h").labelled == 0
    assert fraud.window("4h").labelled == 100
    assert fraud.windows()[3 * 3600.0].calls == 4


def sliced():
    """Return calls of three slices and some without attributes, on two attributes."""
    pages = {
        (): 1,
        (("country", "DE"), ("device", "ios")): 10,
        (("country", "DE"), ("device", "web")): 20,
        (("country", "FR"), ("device", "web")): 40,
    }
    found = {}
    for page, n in pages.items():
        found[page] = Ledger()
        for tally in found[page].book(0):
            tally.counts("calls").add(("ok", ""), n)
            tally.confusion.update(np.zeros(n, dtype=int), np.ones(n, dtype=int))
    shared = Ledger()
    shared.total.scores().update(np.array([0.1, 0.9]), np.array([False, True]))
    return SeriesPart(Binary(), (0, 1), found, shared, active=dict.fromkeys(pages, 1))


def test_slices():
    """A slice adds up every combination that has the attributes, and the whole adds up all."""
    fraud = counted.model(sliced())
    assert fraud.calls == 71
    assert fraud.in_flight == 4
    assert fraud.slice(country="DE").calls == 30
    assert fraud.slice(device="web").in_flight == 2
    assert fraud.slice(country="DE").slice(device="web").confusion.matrix.sum() == 20
    assert fraud.slice(country="FR", device="web").calls == 40
    assert {page: reading.calls for page, reading in fraud.slices().items()} == {
        (): 1,
        (("country", "DE"), ("device", "ios")): 10,
        (("country", "DE"), ("device", "web")): 20,
        (("country", "FR"), ("device", "web")): 40,
    }


def test_unknown_slices():
    """A slice that nobody counted is a KeyError that names those there are."""
    fraud = counted.model(sliced())
    with pytest.raises(KeyError, match=r"country=DE, device=ios; country=DE, device=web"):
        fraud.slice(country="IT")
    with pytest.raises(KeyError, match="slices: none"):
        counted.model(called()).slice(country="DE")


def test_scores_are_of_the_whole_model():
    """Score histograms are not kept by slice, so a slice has no area; a model without slices has."""
    fraud = counted.model(sliced())
    assert fraud.auc == 1
    assert math.isnan(fraud.slice(country="DE").auc)
    assert fraud.slice().auc == 1
    alone = counted.model(timed())
    assert alone.slices()[()].auc == alone.auc


def test_disagreeing_tasks():
    """Origins that read one model differently are still read together, whichever comes first."""
    parts = [
        counted.part(name, series={counted.KEY: SeriesPart(task)})
        for name, task in (("a", Regression()), ("b", None), ("c", Multiclass()))
    ]
    assert Snapshot(tuple(parts))[counted.KEY].task == Snapshot(tuple(parts[::-1]))[counted.KEY].task == Regression()
