"""Losses and regressions from sums equal scikit-learn's."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from modelmon.quality import probability, regression

number = st.floats(-1e6, 1e6, allow_nan=False)


def summed(truth, predicted):
    """Return the exact sums of these rows."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    error = predicted - truth
    relative = np.abs(error) / np.maximum(np.abs(truth), np.finfo(float).eps)

    def exact(values):
        return sum(map(Fraction, values.tolist()), Fraction(0))

    def squared(values):
        return sum((Fraction(v) ** 2 for v in values.tolist()), Fraction(0))

    return regression.Sums(
        len(truth), exact(truth), squared(truth), exact(error), squared(error), exact(np.abs(error)), exact(relative)
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(number, number), min_size=2, max_size=40))
def test_regression_equals_scikit_learn(pairs):
    """MAE, MSE, RMSE, MAPE and R² equal scikit-learn's; R² of a constant truth is undefined."""
    truth, predicted = map(list, zip(*pairs, strict=True))
    sums = summed(truth, predicted)
    close = {"rel": 1e-12, "abs": 1e-12}
    assert regression.mean_absolute_error(sums) == pytest.approx(sk.mean_absolute_error(truth, predicted), **close)
    assert regression.mean_squared_error(sums) == pytest.approx(sk.mean_squared_error(truth, predicted), **close)
    expected = sk.root_mean_squared_error(truth, predicted)
    assert regression.root_mean_squared_error(sums) == pytest.approx(expected, **close)
    expected = sk.mean_absolute_percentage_error(truth, predicted)
    assert regression.mean_absolute_percentage_error(sums) == pytest.approx(expected, **close)
    if len(set(truth)) == 1:
        assert math.isnan(regression.determination(sums))
        assert math.isnan(regression.explained_variance(sums))
    elif np.std(truth) > 1e-3 * np.abs(truth).max():
        expected = sk.r2_score(truth, predicted)
        assert regression.determination(sums) == pytest.approx(expected, rel=1e-10, abs=1e-10)
        expected = sk.explained_variance_score(truth, predicted)
        assert regression.explained_variance(sums) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_bias_is_prediction_minus_truth():
    """A model that says too much has a bias above 0."""
    assert regression.bias(summed([1.0, 2.0], [2.0, 2.5])) == 0.75


@pytest.mark.fault("L14")
def test_no_rows_are_undefined():
    """Without rows nothing is defined, and one row has no R²."""
    empty = summed([], [])
    assert math.isnan(regression.mean_absolute_error(empty))
    assert math.isnan(regression.root_mean_squared_error(empty))
    assert math.isnan(regression.determination(summed([1.0], [2.0])))
    assert math.isnan(probability.mean(0.0, 0))
    none = np.zeros(10, dtype=np.int64)
    assert math.isnan(probability.calibration_error(none, np.zeros(10), none))
    assert math.isnan(probability.within_top(none, 0, 1))


def test_within_top_counts_ranks():
    """The share within the top counts ranks from the best, and is undefined beyond the ranks kept."""
    hits = np.array([5, 3, 1])
    assert probability.within_top(hits, 10, 2) == 0.8
    assert math.isnan(probability.within_top(hits, 10, 4))


@pytest.mark.fault("X12", "L18")
def test_errors_whose_squares_no_float_can_hold():
    """Errors near the largest float give finite figures where there are any, infinite ones else, and never an error."""
    sums = summed([1e307, -1e307] * 10, [-1e307, 1e307] * 10)
    assert regression.mean_absolute_error(sums) == 2e307
    assert regression.mean_squared_error(sums) == math.inf
    assert regression.root_mean_squared_error(sums) == pytest.approx(2e307)
    assert regression.determination(sums) == -3
    assert regression.explained_variance(sums) == -3
    assert regression.determination(summed([0.0, 1e-290], [1e290, 1e290])) == -math.inf
