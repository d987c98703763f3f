"""Losses against scikit-learn and plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, top_k_accuracy_score

from modelmon.accumulators.losses import RANKS, SCORE_EDGES, Losses

UNIT = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 5e-324, 1.0 - 2.0**-53, 0.5]))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(UNIT, st.booleans()), min_size=2, max_size=80))
def test_binary_losses_are_those_of_scikit_learn(rows):
    """Log loss and Brier score equal scikit-learn's to 1e-12, saturated scores included."""
    rows = [*rows, (0.25, True), (0.75, False)]
    scores, positive = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    losses = Losses()
    losses.update_binary(scores, positive)
    n = len(rows)
    assert losses.scored == n
    assert losses.log_loss.value() / n == pytest.approx(log_loss(positive, scores), abs=1e-12)
    brier = brier_score_loss(positive, scores)
    assert losses.brier.value() / n == pytest.approx(brier, abs=1e-12)
    assert losses.calibration_n.sum() == n
    assert losses.calibration_y.sum() == positive.sum()
    assert sum(total.value() for total in losses.calibration_p) == pytest.approx(scores.sum(), abs=1e-9)


def test_calibration_bins_are_tenths():
    """A probability belongs to the tenth it begins in; 1 belongs to the last."""
    losses = Losses()
    losses.update_binary(np.array([0.0, 0.05, 0.1, 0.95, 1.0]), np.array([True, False, True, True, False]))
    assert losses.calibration_n.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert losses.calibration_y.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert losses.calibration_p[9].value() == 1.95


def test_score_bins_hold_their_upper_edge():
    """The 59 edges ascend and mirror each other; a score on an edge belongs below it; removed rows count apart."""
    assert len(SCORE_EDGES) == 59
    assert list(SCORE_EDGES) == sorted(set(SCORE_EDGES))
    assert np.allclose(np.array(SCORE_EDGES) + np.array(SCORE_EDGES)[::-1], 1.0, atol=1e-15)
    losses = Losses()
    edges = np.array(SCORE_EDGES)
    losses.update_binary(np.concatenate((edges, [0.0, 1.0, 7.0])), np.zeros(62, np.bool_))
    losses.update_binary(np.array([0.5]), np.array([True]), -1)
    assert losses.score_bins[0, 0].tolist() == [2, *[1] * 58, 2]
    assert losses.score_bins[1, 1].sum() == losses.score_bins[1, 1, 29] == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 8), st.integers(9, 60))
def test_multiclass_losses_are_those_of_scikit_learn(seed, classes, n):
    """Log loss, Brier score and top-k accuracy equal scikit-learn's, ties included."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), n)
    probabilities[: n // 3] = 1 / classes
    probabilities[n // 3] = np.eye(classes)[0]
    actual = generator.integers(0, classes, n)
    losses = Losses()
    losses.update_multiclass(probabilities, actual)
    labels = np.arange(classes)
    assert losses.log_loss.value() / n == pytest.approx(log_loss(actual, probabilities, labels=labels), abs=1e-12)
    brier = ((probabilities - np.eye(classes)[actual]) ** 2).sum() / n
    assert losses.brier.value() / n == pytest.approx(brier, abs=1e-12)
    for k in range(1, classes):
        assert losses.top(k) / losses.ranked == pytest.approx(
            top_k_accuracy_score(actual, probabilities, k=k, labels=labels), abs=1e-12
        )
    right = probabilities.argmax(axis=1) == actual
    assert losses.calibration_y.sum() == right.sum()
    assert sum(total.value() for total in losses.calibration_p) == pytest.approx(probabilities.max(axis=1).sum())


def test_rows_that_cannot_be_scored_are_counted():
    """Scores outside [0, 1] and truths that are no column give no loss, and are not lost from the ranks."""
    losses = Losses()
    losses.update_binary(np.array([0.5, 1.5, -0.1, np.nan]), np.array([True, True, False, True]))
    assert (losses.scored, losses.unscored) == (1, 3)
    losses = Losses()
    losses.update_multiclass(np.array([[0.2, 0.8], [3.0, -2.0], [0.5, 0.5], [0.5, 0.5]]), np.array([1, 0, -1, 2]))
    assert (losses.scored, losses.unscored) == (1, 3)
    assert (losses.top(1), losses.top(2), losses.ranked) == (2, 2, 4)
    losses.update_multiclass(np.array([[2.0, 0.0]]), np.array([0]))
    assert losses.scored == 1


def test_ranks_alone():
    """Ranks count as given; an unknown rank is known to be unknown."""
    losses = Losses()
    losses.update_ranks(np.array([0, 0, 4, -1, 31, 32, 500]))
    assert [losses.top(k) for k in (0, 1, 4, 5, RANKS, 99)] == [0, 2, 2, 3, 4, 4]
    assert (losses.ranked, losses.unknown_ranks, losses.unscored) == (7, 1, 7)


def test_removal_needs_no_equal_batches():
    """The term of a row does not depend on where in which batch it stands, so removing it alone is exact."""
    generator = np.random.default_rng(0)
    scores, positive = generator.random(1000) ** 9, generator.random(1000) < 0.5
    probabilities, actual = generator.dirichlet(np.ones(17), 1000), generator.integers(0, 17, 1000)
    losses = Losses()
    losses.update_binary(scores, positive)
    losses.update_multiclass(probabilities, actual)
    for start in range(0, 1000, 7):
        losses.update_binary(scores[start : start + 7], positive[start : start + 7], -1)
        losses.update_multiclass(probabilities[start : start + 7], actual[start : start + 7], -1)
    assert not losses.ranks.any()
    assert losses.log_loss.is_empty
    assert losses.brier.is_empty


def test_rounding_is_no_reason_to_leave_a_row_out():
    """A probability that rounding carried past a bound counts as the bound; what lies further out is no probability."""
    losses = Losses()
    losses.update_binary(np.array([1.0 + 2**-52, 1.0000001, -1e-9, 1.01]), np.array([True, True, False, True]))
    assert (losses.scored, losses.unscored) == (3, 1)
    assert losses.log_loss.value() == pytest.approx(0.0, abs=1e-12)
    assert losses.brier.value() == 0.0
    wide = Losses()
    wide.update_multiclass(np.array([[1.0000001, -1e-8], [0.5, 0.5], [1.2, -0.2]]), np.array([0, 1, 0]))
    assert (wide.scored, wide.unscored) == (2, 1)
    assert wide.log_loss.value() == pytest.approx(-np.log(0.5))
    wide.update_multiclass(np.array([[1.0000001, -1e-8], [0.5, 0.5], [1.2, -0.2]]), np.array([0, 1, 0]), sign=-1)
    assert (wide.scored, wide.unscored, wide.log_loss.value()) == (0, 0, 0.0)
