"""The share of rows without a label by age, against Kaplan's and Meier's estimate row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelmon.accumulators.durations import Histogram
from modelmon.quality.survival import NOWHERE, Delays, Waiting, curve

HOUR = 3600.0


def binned(delays):
    """Return delays as the histogram of a store keeps them."""
    histogram = Histogram(1e-9)
    histogram.update(np.rint(np.asarray(delays) * 1e9).astype(np.int64))
    low, high = np.array(histogram.floors) / 1e9, np.array(histogram.bounds) / 1e9
    return Delays(low, high, histogram.counts.astype(float))


def slots(ages, width, now):
    """Return waiting rows as the slots of a store keep them."""
    numbers, rows = np.unique(np.floor((now - np.asarray(ages)) / width).astype(int), return_counts=True)
    youngest = np.maximum(now - (numbers + 1) * width, 0.0)
    return Waiting(youngest, now - numbers * width, rows.astype(float), np.zeros(len(rows)))


def row_by_row(delays, ages):
    """Return Kaplan's and Meier's (times, shares) from single rows."""
    times = np.unique(delays)
    shares, share = [], 1.0
    for time in times:
        at_risk = np.count_nonzero(delays >= time) + np.count_nonzero(ages >= time)
        share *= 1 - np.count_nonzero(delays == time) / at_risk
        shares.append(share)
    return times, np.array(shares)


def watched(seed, *, rows=4000, until=120 * HOUR, median=24 * HOUR, spread=1.2):
    """Return (delays that were seen, ages of the rows that still wait) of rows that came evenly until now."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(0, until, rows)
    delay = median * np.exp(spread * rng.standard_normal(rows))
    seen = delay <= age
    return delay[seen], age[~seen]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width", [HOUR, 24 * HOUR])
def test_bins_and_slots_lose_next_to_nothing(seed, width):
    """From bins of delay and slots of time the curve is that of single rows, within a percent."""
    delays, ages = watched(seed)
    times, shares = row_by_row(delays, ages)
    found = curve(binned(delays), slots(ages, width, 120 * HOUR))
    well_known = times < 100 * HOUR
    differ = [abs(found.at(t) - s) for t, s in zip(times[well_known], shares[well_known], strict=True)]
    assert max(differ) < (0.005 if width == HOUR else 0.02)


def test_truth_is_found_where_joined_rows_mislead():
    """Five days in, the true median of a day and 90 % point of 4.65 days are seen, which joined rows make shorter."""
    delays, ages = watched(7, rows=200_000)
    found = curve(binned(delays), slots(ages, HOUR, 120 * HOUR))
    day = 24 * HOUR
    assert np.quantile(delays, [0.5, 0.9]) / day == pytest.approx([0.67, 2.06], abs=0.25)
    assert found.reaches(0.5) / day == pytest.approx(1.0, rel=0.02)
    assert found.reaches(0.1) / day == pytest.approx(4.65, rel=0.05)


def test_delays_far_below_a_slot():
    """Labels that come within seconds are judged well although the slots are hours."""
    delays, ages = watched(3, rows=50_000, until=1.5 * HOUR, median=60.0, spread=0.8)
    found = curve(binned(delays), slots(ages, HOUR, 1.5 * HOUR))
    assert found.reaches(0.5) == pytest.approx(60.0, rel=0.03)
    assert found.reaches(0.05) == pytest.approx(60.0 * math.exp(0.8 * 1.645), rel=0.05)


def test_nothing_waiting():
    """With no row waiting the curve is the distribution of the delays."""
    delays = np.arange(1.0, 101.0)
    found = curve(binned(delays), slots([], HOUR, HOUR))
    assert found.at(50.0) == pytest.approx(0.5)
    assert found.reaches(0.0) == 100.0
    assert found.reaches(1.0) == 0.0
    assert math.isnan(found.at(101.0))
    assert math.isnan(found.at(-1.0))


def test_nothing_labelled():
    """With rows waiting and none labelled everything still waits, up to the age that was seen."""
    found = curve(binned([]), slots([10.0, 4000.0], HOUR, 2 * HOUR))
    assert found.at(3600.0) == 1.0
    assert math.isnan(found.reaches(0.5))
    assert math.isnan(curve(binned([]), slots([], HOUR, HOUR)).at(0.0))
    assert math.isnan(NOWHERE.reaches(0.5))


def test_never_labelled():
    """Rows that never get a label leave the curve standing at their share."""
    delays = np.full(300, 60.0)
    waiting = Waiting(np.array([HOUR]), np.array([2 * HOUR]), np.array([700.0]), np.zeros(1))
    found = curve(binned(delays), waiting)
    assert found.shares[-1] == pytest.approx(0.7)
    assert math.isnan(found.reaches(0.5))


def test_rows_that_left_unseen():
    """Rows that left at unknown ages count as waiting for part of the time, whether their slots are known or not."""
    rng = np.random.default_rng(1)
    delays = rng.uniform(0, HOUR, 20_000)
    keep = rng.random(20_000) < 0.5
    left = np.array([float(np.count_nonzero(~keep))])
    for oldest in (HOUR, math.inf):
        waiting = Waiting(np.array([HOUR]), np.array([oldest]), np.zeros(1), left)
        found = curve(binned(delays[keep]), waiting)
        assert 0.3 * HOUR < found.reaches(0.5) < 0.8 * HOUR
    nowhere = Waiting(np.zeros(1), np.array([math.inf]), np.zeros(1), left)
    assert curve(binned(delays[keep]), nowhere).shares[-1] == pytest.approx(0.5, abs=0.02)


def test_labels_at_once():
    """A label that came with its prediction has no delay."""
    found = curve(binned([0.0, 0.0, 5.0, 5.0]), slots([], HOUR, HOUR))
    assert found.reaches(0.5) == 0.0
    assert found.at(1.0) == pytest.approx(0.5)
