"""Ranking quality from bins equals scikit-learn's, or bounds it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn import metrics as sk

from modelmon import intervals
from modelmon.quality import ranking


def binned(truth, scores, *, width=None):
    """Return bins of these scores; without ``width`` one bin per score, else bins of that width that may hold many."""
    keys = np.asarray(scores, dtype=float)
    keys = keys if width is None else np.floor(keys / width)
    values, inverse = np.unique(keys, return_inverse=True)
    positives = np.bincount(inverse, weights=np.asarray(truth), minlength=len(values))
    rows = np.bincount(inverse, minlength=len(values))
    sharp = np.full(len(values), width is None)
    return ranking.Bins(rows - positives, positives, sharp)


rows = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(np.linspace(0, 1, 23).tolist())), min_size=2, max_size=80)
both = rows.filter(lambda pairs: len({truth for truth, _ in pairs}) == 2)


@pytest.mark.fault("L20")
@settings(max_examples=150, deadline=None)
@given(both)
def test_one_bin_per_score_is_exact(pairs):
    """With one bin per score the three readings coincide and equal scikit-learn's."""
    truth, scores = zip(*pairs, strict=True)
    low, middle, high = ranking.roc_area(binned(truth, scores))
    assert low == middle == high == pytest.approx(sk.roc_auc_score(truth, scores), abs=1e-12)
    low, middle, high = ranking.average_precision(binned(truth, scores))
    assert low == middle == high == pytest.approx(sk.average_precision_score(truth, scores), abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(both, st.sampled_from([0.09, 0.2, 0.5, 2.0]))
def test_bounds_hold_the_truth(pairs, width):
    """Whatever the order inside a bin, scikit-learn's value lies within the bounds."""
    truth, scores = zip(*pairs, strict=True)
    bins = binned(truth, scores, width=width)
    low, middle, high = ranking.roc_area(bins)
    assert low - 1e-12 <= sk.roc_auc_score(truth, scores) <= high + 1e-12
    assert low <= middle <= high
    low, middle, high = ranking.average_precision(bins)
    assert low - 1e-12 <= sk.average_precision_score(truth, scores) <= high + 1e-12


def test_bounds_are_attained():
    """The best and the worst order inside one bin give exactly the bounds."""
    bins = ranking.Bins(np.array([3.0]), np.array([2.0]), np.array([False]))
    truth = np.array([0, 0, 0, 1, 1])
    assert ranking.roc_area(bins)[0] == sk.roc_auc_score(truth, -np.arange(5)) == 0
    assert ranking.roc_area(bins)[2] == sk.roc_auc_score(truth, np.arange(5)) == 1
    assert ranking.average_precision(bins)[0] == pytest.approx(sk.average_precision_score(truth, -np.arange(5)))
    assert ranking.average_precision(bins)[2] == sk.average_precision_score(truth, np.arange(5)) == 1


@pytest.mark.fault("L14")
@pytest.mark.parametrize(("negatives", "positives"), [((), ()), ((2.0,), (0.0,)), ((0.0,), (2.0,))])
def test_one_outcome_is_undefined(negatives, positives):
    """Without both outcomes there is nothing to rank."""
    bins = ranking.Bins(np.array(negatives), np.array(positives), np.ones(len(positives), dtype=bool))
    assert all(math.isnan(value) for value in ranking.roc_area(bins) + ranking.average_precision(bins))
    assert math.isnan(ranking.delong_variance(bins))


def test_digamma_equals_scipy():
    """Digamma is right from 0.01 to 1e15."""
    values = np.concatenate([np.arange(1.0, 60.0), 10 ** np.linspace(-2, 15, 500)])
    assert np.allclose(ranking.digamma(values), special.digamma(values), rtol=2e-14, atol=2e-14)


def test_delong_equals_its_definition():
    """DeLong's variance from bins equals the one from the pairwise comparisons."""
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 2, 200)
    scores = np.round(generator.normal(size=200) + truth, 1)
    positives, negatives = scores[truth == 1], scores[truth == 0]
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    expected = wins.mean(axis=1).var(ddof=1) / len(positives) + wins.mean(axis=0).var(ddof=1) / len(negatives)
    assert ranking.delong_variance(binned(truth, scores)) == pytest.approx(expected, abs=1e-15)


def test_no_area_leaves_the_unit_interval():
    """Rounded sums over more than 2**53 pairs give no area above 1, no bound below 0, and intervals all the same."""
    generator = np.random.default_rng(3)
    for _ in range(300):
        counts = generator.integers(1, 10**8, (2, generator.integers(2, 40))).astype(float)
        none = np.zeros(counts.shape[1])
        perfect = ranking.Bins(np.r_[counts[0], none], np.r_[none, counts[1]], np.ones(2 * len(none), bool))
        low, middle, high = ranking.roc_area(perfect)
        assert low <= middle <= high <= 1
        assert middle == pytest.approx(1)
        assert max(ranking.average_precision(perfect)) <= 1
        assert 0.99 < intervals.area(perfect)[0] <= intervals.area(perfect)[1] <= 1


@pytest.mark.parametrize("negatives", [1e9, 3e11, 7e12])
@pytest.mark.parametrize("positives", [10.0, 50.0])
def test_bounds_beside_very_many_negatives(negatives, positives):
    """What is lost in rounding makes no lower bound negative, nor greater than the value."""
    bins = ranking.Bins(np.array([negatives, 10.0]), np.array([positives, 0.0]), np.array([False, True]))
    low, middle, high = ranking.average_precision(bins)
    assert 0 <= low <= middle <= high <= 1
    assert 0 <= intervals.average_precision(bins)[0] <= intervals.average_precision(bins)[1] <= 1
