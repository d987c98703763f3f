"""Intervals hold the true value as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelmon import intervals
from modelmon.quality import matrix as quality
from modelmon.quality import slopes
from modelmon.quality.ranking import Bins, average_precision, roc_area

MATRIX = np.array([[50, 10, 5], [8, 60, 2], [4, 6, 30]])


def test_wilson_against_a_table():
    """Wilson's interval has its published values, and its ends are exact at none and all."""
    assert intervals.proportion(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert intervals.proportion(0, 20)[0] == 0
    assert intervals.proportion(20, 20)[1] == 1
    assert all(map(math.isnan, intervals.proportion(0, 0)))


@pytest.mark.parametrize("confidence", [0, 1, 1.5, -0.1])
def test_confidence_must_be_a_probability(confidence):
    """A confidence outside (0, 1) is refused with an example."""
    with pytest.raises(ValueError, match=r"0\.95"):
        intervals.proportion(1, 2, confidence)


def nudged(function, i, j):
    """Return the numeric derivative of a read-off by the share of one cell, other cells fixed."""
    step = 10**6
    matrix = MATRIX * 10**10
    total = int(matrix.sum())
    up, down = matrix.copy(), matrix.copy()
    up[i, j] += step
    down[i, j] -= step
    return (function(quality.margins(up)) - function(quality.margins(down))) / (2 * step) * total


@pytest.mark.parametrize("ratio", ["precision", "recall", "f1", "jaccard", "specificity", "negative_predictive_value"])
@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_slopes_of_averages(ratio, average):
    """Closed-form derivatives agree with numeric ones, up to the constant that the delta method ignores."""
    slope = slopes.averaged(ratio, MATRIX, weighted=average == "weighted")
    check(slope, lambda counts: quality.averaged(ratio, counts, average))


def test_slopes_of_correlations():
    """The derivatives of MCC and kappa agree with numeric ones."""
    check(slopes.matthews(MATRIX), quality.matthews)
    check(slopes.kappa(MATRIX), quality.kappa)


def check(slope, function):
    """Compare a derivative with the numeric one; a constant over all cells does not matter."""
    numeric = np.array([[nudged(function, i, j) for j in range(3)] for i in range(3)])
    difference = slope - numeric
    assert np.ptp(difference) < 1e-5


def test_slopes_without_spread_are_undefined():
    """A constant prediction has no derivative of MCC, and agreement by margins alone none of kappa."""
    assert np.isnan(slopes.matthews(np.array([[5, 0], [5, 0]]))).all()
    assert np.isnan(slopes.kappa(np.array([[5, 0], [0, 0]]))).all()
    assert np.isnan(slopes.averaged("recall", np.zeros((2, 2), dtype=np.int64), weighted=False)).all()


def coverage(read, truth, draws):
    """Return how often an interval holds the truth, over the draws where it exists."""
    held = [low <= truth <= high for low, high in map(read, draws) if not math.isnan(low)]
    assert len(held) > 0.9 * len(draws)
    return np.mean(held)


def test_coverage_of_matrix_intervals():
    """F1, MCC and macro recall intervals at 95 % hold between 92 % and 99.9 % of the time at 400 rows."""
    shares = MATRIX / MATRIX.sum()
    exact = quality.margins((shares * 10**9).round().astype(np.int64))
    draws = np.random.default_rng(0).multinomial(400, shares.ravel(), 500).reshape(-1, 3, 3)

    def matthews(matrix):
        return intervals.multinomial(quality.matthews(quality.margins(matrix)), matrix, slopes.matthews(matrix))

    def recall(matrix):
        value = quality.balanced_accuracy(quality.margins(matrix))
        return intervals.multinomial(value, matrix, slopes.averaged("recall", matrix, weighted=False))

    def first_f1(matrix):
        counts = quality.margins(matrix)
        return intervals.f1(int(counts.hits[0]), int(counts.support[0]), int(counts.predicted[0]))

    assert 0.92 <= coverage(matthews, quality.matthews(exact), draws) <= 0.999
    assert 0.92 <= coverage(recall, quality.balanced_accuracy(exact), draws) <= 0.999
    assert 0.92 <= coverage(first_f1, quality.by_class("f1", exact)[0], draws) <= 0.999


@pytest.mark.parametrize("rows", [(20, 60), (200, 400)])
def test_coverage_of_areas(rows):
    """The interval of the area at 95 % holds at least 92 % of the time, with few and with many rows."""
    generator = np.random.default_rng(1)
    positives, negatives = rows
    truth = 0.5 * (1 + math.erf(1.0 / 2))

    def draw():
        scores = np.concatenate([generator.normal(size=negatives), generator.normal(1.0, size=positives)])
        order = np.argsort(scores)
        positive = (order >= negatives).astype(float)
        return Bins(1 - positive, positive, np.ones(len(order), dtype=bool))

    assert 0.92 <= coverage(intervals.area, truth, [draw() for _ in range(400)]) <= 0.999


def test_perfect_ranking_uses_the_rule_of_three():
    """When no pair was out of order the interval still admits that one may be."""
    perfect = Bins(np.array([30.0, 0.0]), np.array([0.0, 30.0]), np.array([True, True]))
    low, high = intervals.area(perfect)
    assert (low, high) == (0.9, 1.0)
    low, high = intervals.area(Bins(perfect.positives, perfect.negatives, perfect.sharp))
    assert low == 0.0
    assert high == pytest.approx(0.1)


@pytest.mark.parametrize("positives", [20, 300])
def test_coverage_of_average_precision(positives):
    """The interval of average precision at 95 % holds at least 94 % of the time, with few and with many positives."""
    generator = np.random.default_rng(2)

    def draw(few, many):
        scores = np.concatenate([generator.normal(size=many), generator.normal(1.5, size=few)])
        positive = (np.argsort(scores) >= many).astype(float)
        return Bins(1 - positive, positive, np.ones(len(positive), dtype=bool))

    truth = average_precision(draw(40_000, 200_000))[1]
    draws = [draw(positives, 5 * positives) for _ in range(300)]
    assert coverage(intervals.average_precision, truth, draws) >= 0.94


def test_average_precision_at_its_ends():
    """A perfect ranking admits one miss by the rule of three, and under ten positives there is no interval."""
    perfect = Bins(np.array([30.0, 0.0]), np.array([0.0, 30.0]), np.array([True, True]))
    assert intervals.average_precision(perfect) == (0.9, 1.0)
    few = Bins(np.array([30.0, 1.0]), np.array([1.0, 5.0]), np.array([True, True]))
    assert all(map(math.isnan, intervals.average_precision(few)))


def test_blurred_bins_widen_the_interval():
    """The interval starts from the area's own bounds, so binning never makes it narrower."""
    sharp = Bins(np.array([40.0, 30.0, 5.0]), np.array([5.0, 20.0, 40.0]), np.array([True, True, True]))
    blurred = Bins(sharp.negatives, sharp.positives, ~sharp.sharp)
    assert intervals.area(blurred)[0] < intervals.area(sharp)[0] < roc_area(sharp)[1] < intervals.area(sharp)[1]
    assert all(map(math.isnan, intervals.area(Bins(np.zeros(1), np.ones(1), np.ones(1, dtype=bool)))))


def test_no_interval_where_none_is_sound():
    """Under ten rows of a class, without variance, or for a mean of few rows, there is no interval."""
    few = np.array([[5, 1], [2, 50]])
    assert all(map(math.isnan, intervals.multinomial(0.5, few, slopes.matthews(few))))
    perfect = np.array([[50, 0], [0, 50]])
    assert all(map(math.isnan, intervals.multinomial(1.0, perfect, slopes.matthews(perfect))))
    assert all(map(math.isnan, intervals.mean(1.0, 1.0, rows=10)))
    assert intervals.mean(1.0, 1.0, rows=101)[1] == pytest.approx(1.196, abs=1e-3)
