"""Residual sums against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    r2_score,
)

from modelmon.accumulators.residuals import Residuals

NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1e-300, 2.0**31, 2.0**53]))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=60))
def test_the_sums_give_the_errors_of_scikit_learn(rows):
    """Mean absolute, squared and relative error equal scikit-learn's to 1e-12 of their size."""
    truth, predicted = np.array(rows).T
    residuals = Residuals()
    residuals.update(truth, predicted)
    n = residuals.n
    near = {"rel": 1e-12, "abs": 1e-300}
    assert residuals.error_absolute.value() / n == pytest.approx(mean_absolute_error(truth, predicted), **near)
    assert residuals.error_squared.value() / n == pytest.approx(mean_squared_error(truth, predicted), **near)
    relative = mean_absolute_percentage_error(truth, predicted)
    assert residuals.error_relative.value() / n == pytest.approx(relative, **near)
    assert residuals.error.value() == pytest.approx(math.fsum(predicted - truth), **near)


def test_r2_of_a_small_spread_far_from_zero():
    """R2 from the sums is right where a float sum of squares would have lost every digit."""
    generator = np.random.default_rng(0)
    truth = 1e9 + generator.normal(size=5000)
    predicted = truth + 0.3 * generator.normal(size=5000)
    residuals = Residuals()
    residuals.update(truth, predicted)
    total = residuals.truth_squared.fraction() - residuals.truth.fraction() ** 2 / residuals.n
    r2 = 1 - float(residuals.error_squared.fraction() / total)
    assert r2 == pytest.approx(r2_score(truth, predicted), abs=1e-9)


def test_rows_without_a_finite_number_are_counted_apart():
    """Rows that are nan or infinite are left out; an overflowing error counts as the largest float."""
    residuals = Residuals()
    residuals.update(np.array([1.0, np.nan, 2.0, np.inf]), np.array([1.5, 1.0, np.nan, 1.0]))
    assert (residuals.n, residuals.skipped) == (1, 3)
    residuals.update(np.array([-1.7e308, 1e-320]), np.array([1.7e308, 1e308]))
    assert residuals.n == 3
    assert residuals.error_absolute.value() == math.inf
