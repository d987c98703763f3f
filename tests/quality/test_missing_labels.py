"""Whether labels are missing by class, and the confusion matrix with that allowed for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from modelmon.accumulators.strata import Strata
from modelmon.quality import matrix as quality
from modelmon.quality import missing


@pytest.mark.parametrize("degrees", [1, 2, 3, 7, 31, 255])
def test_tail_of_chi_square(degrees):
    """The tail is scipy's, far into it."""
    for statistic in (0.0, 1e-6, 0.3, degrees - 0.5, degrees, degrees + 1.7, 4 * degrees, 300.0, 1400.0):
        expected = stats.chi2.sf(statistic, degrees)
        assert missing.chi_square_tail(statistic, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_association_is_the_chi_square_test(seed):
    """The test of equal coverage is the usual one of a table of counts."""
    rng = np.random.default_rng(seed)
    accepted = rng.integers(100, 500, 4)
    labelled = rng.binomial(accepted, rng.uniform(0.3, 0.7, 4))
    found = missing.association(labelled, accepted)
    expected = stats.chi2_contingency(np.stack([labelled, accepted - labelled]), correction=False)
    assert (found.statistic, found.degrees) == (pytest.approx(expected.statistic), expected.dof)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-8)
    assert found.effect == pytest.approx(math.sqrt(expected.statistic / accepted.sum()))
    assert found.spread == pytest.approx((labelled / accepted).max() - (labelled / accepted).min())


def test_rare_classes_are_put_together():
    """Classes too small to be tested count as one, and not at all where even that is too small."""
    accepted, labelled = np.array([1000, 1000, 6, 6, 6]), np.array([500, 520, 6, 6, 6])
    assert missing.association(labelled, accepted).degrees == 2
    assert missing.association(labelled[:3], accepted[:3]).degrees == 1


@pytest.mark.parametrize(
    ("labelled", "accepted"),
    [([], []), ([0, 0], [0, 0]), ([5], [10]), ([0, 0], [90, 90]), ([90, 90], [90, 90]), ([1, 2], [3, 4])],
)
def test_nothing_to_test(labelled, accepted):
    """Without two classes, or without both labelled and unlabelled rows, nothing is tested."""
    found = missing.association(np.array(labelled, np.int64), np.array(accepted, np.int64))
    assert math.isnan(found.p_value)
    assert not found.p_value < 0.001


def test_false_alarms_are_as_rare_as_said():
    """Of classes with the same coverage about 5 % seem different at the level of 5 %."""
    rng = np.random.default_rng(5)
    accepted = np.array([3000, 200, 40])
    values = [missing.association(rng.binomial(accepted, 0.4), accepted).p_value for _ in range(2000)]
    assert 0.035 < np.mean(np.array(values) < 0.05) < 0.065


def world(rows, seed, prevalence=0.3):
    """Return (scores, truth) of a model that is right about its scores."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(math.log(prevalence / (1 - prevalence)), 2.5, rows)
    scores = 1 / (1 + np.exp(-logit))
    return scores, rng.random(rows) < scores, rng


def counted(scores, truth, seen):
    """Return the strata and the labelled matrix that a store would keep."""
    predicted = scores >= 0.5
    strata, cells = Strata(), np.zeros((2, 2), np.int64)
    strata.accept(scores, predicted)
    strata.label(scores[seen], predicted[seen], truth[seen])
    np.add.at(cells, (truth[seen].astype(int), predicted[seen].astype(int)), 1)
    return strata, cells


def figures(matrix):
    """Return (precision, recall, f1) of the positive class."""
    margins = quality.margins(missing.whole(np.asarray(matrix, float)))
    return [float(quality.by_class(name, margins)[1]) for name in ("precision", "recall", "f1")]


def test_missing_at_random_given_the_score_is_mended():
    """Where high scores are labelled more often, weighing by score finds the true figures, and bare counts do not."""
    scores, truth, rng = world(200_000, 1)
    seen = rng.random(len(scores)) < 0.03 + 0.9 * scores**2
    strata, cells = counted(scores, truth, seen)
    _, whole = counted(scores, truth, np.ones(len(scores), bool))
    true, naive = figures(whole), figures(cells)
    found = figures(missing.weighed_by_score(strata.labelled, strata.accepted))
    assert naive[2] - true[2] > 0.05
    assert found == pytest.approx(true, abs=0.01)
    assert missing.weighed_by_score(strata.labelled, strata.accepted).sum() == pytest.approx(len(scores))
    by_class = figures(missing.weighed_by_class(cells, strata.accepted.sum(axis=0)))
    assert by_class[0] == pytest.approx(naive[0])
    assert abs(by_class[2] - true[2]) > 0.02


def test_missing_by_the_truth_itself_is_seen_but_not_mended():
    """All positives and a fifth of the negatives: precision looks too good however weighed, and the test says so."""
    scores, truth, rng = world(50_000, 2)
    seen = truth | (rng.random(len(scores)) < 0.2)
    strata, cells = counted(scores, truth, seen)
    _, whole = counted(scores, truth, np.ones(len(scores), bool))
    true, naive = figures(whole), figures(cells)
    assert naive[0] - true[0] > 0.1
    assert figures(missing.weighed_by_score(strata.labelled, strata.accepted))[0] - true[0] > 0.05
    test = missing.association(cells.sum(axis=0), strata.accepted.sum(axis=0))
    assert test.p_value < 1e-100
    assert test.spread > 0.3


def test_everything_labelled_is_left_alone():
    """Where every row has its label the weighed matrix is the matrix."""
    scores, truth, _ = world(5000, 3)
    strata, cells = counted(scores, truth, np.ones(len(scores), bool))
    assert missing.weighed_by_score(strata.labelled, strata.accepted) == pytest.approx(cells.astype(float))
    assert missing.weighed_by_class(cells, cells.sum(axis=0)) == pytest.approx(cells.astype(float))


def test_strata_have_labels_enough():
    """There are at most twenty strata, and each has thirty labels where there are as many."""
    rng = np.random.default_rng(4)
    accepted = rng.integers(0, 200, 90)
    labelled = rng.binomial(accepted, 0.2)
    group = missing.strata(labelled, accepted)
    assert len(np.unique(group)) == group[-1] + 1 <= missing.STRATA
    assert np.bincount(group, labelled).min() >= missing.FEWEST_LABELS
    assert not missing.strata(np.array([1, 0, 2]), np.array([5, 5, 5])).any()


def test_a_class_without_labels_is_unknown():
    """Nothing is known of a predicted class that no label met; a class that never occurred takes nothing away."""
    cells = np.array([[5, 0, 0], [1, 0, 0], [0, 0, 0]])
    assert np.isnan(missing.weighed_by_class(cells, np.array([12, 3, 0]))[:, 1]).all()
    assert missing.weighed_by_class(cells, np.array([12, 0, 0])).tolist() == [[10, 0, 0], [2, 0, 0], [0, 0, 0]]
    assert not missing.whole(np.zeros((2, 2))).any()


def test_states_of_strata():
    """Strata written with other bins are not read as these."""
    strata = Strata()
    strata.accept(np.array([0.5, np.nan]), np.array([True, False]))
    state = strata.to_state()
    assert Strata.from_state(state) == strata
    assert strata.nbytes > 0
    with pytest.raises(ValueError, match="bits"):
        Strata.from_state(state | {"shift": 40})
    wide = Strata()
    wide.accept(np.array([-1e300, 1e300]), np.array([True, False]))
    assert wide.accepted.tolist() == [[0, 1], [1, 0]]
    assert wide.keys[1] - wide.keys[0] < 10_000
