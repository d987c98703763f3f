"""Score histograms against scikit-learn's ranking metrics and plain counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

from modelmon.accumulators.keys import coarse_keys, fine_keys, scores_of
from modelmon.accumulators.scores import ClassScores, ScoreHistogram

SCORES = st.one_of(
    st.floats(0, 1),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, 5e-324, 0.5, math.nextafter(0.5, 0), math.nextafter(1, 0), math.nextafter(1, 2)]),
    st.sampled_from([2.0**power for power in (-1022, -41, -40, -4, 16, 40, 41, 1023)]),
)


def _fed(scores: np.ndarray, positive: np.ndarray, capacity: int = 2048, parts: int = 5) -> ScoreHistogram:
    histogram = ScoreHistogram(capacity)
    for rows in np.array_split(np.arange(scores.size), parts):
        histogram.update(scores[rows], positive[rows])
    return histogram


def _auc(histogram: ScoreHistogram) -> tuple[float, float, float]:
    """Return the lowest AUC the bins allow, that of ties, and the highest."""
    positives, negatives = histogram.positives.astype(float), histogram.negatives.astype(float)
    pairs = positives.sum() * negatives.sum()
    ahead = np.cumsum(negatives) - negatives
    tie = (positives @ ahead + positives @ negatives / 2) / pairs
    half = (positives * negatives)[~histogram.single].sum() / 2 / pairs
    return tie - half, tie, tie + half


@settings(max_examples=200, deadline=None)
@given(st.lists(SCORES, min_size=1, max_size=60))
def test_keys_keep_the_order(scores):
    """Fine keys are one per distinct score and read back; coarse keys never descend, 0 and 1 stand apart at any cut."""
    values = np.unique(np.array(scores) + 0.0)
    fine, coarse = fine_keys(values), coarse_keys(values)
    assert (fine[1:] > fine[:-1]).all()
    assert np.array_equal(scores_of(fine), values)
    assert (coarse[1:] >= coarse[:-1]).all()
    histogram = ScoreHistogram()
    histogram.update(values, np.zeros(values.size, np.bool_))
    histogram.coarsen(60)
    assert histogram.negatives[histogram.single].sum() == np.isin(values, [0.0, 1.0]).sum()


@pytest.mark.fault("L20")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=200), st.sampled_from([8, 20, 100]))
def test_the_true_auc_lies_in_the_bounds(rows, capacity):
    """Whatever the scores, bounds hold, and are met exactly while the scores fit."""
    scores, positive = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    histogram = _fed(scores, positive, capacity)
    assert histogram.keys.size <= capacity
    assert (histogram.positives.sum(), histogram.total) == (positive.sum(), len(rows))
    assert histogram.exact == (np.unique(scores + 0.0).size <= capacity)
    if 0 < positive.sum() < len(rows):
        low, tie, high = _auc(histogram)
        # scikit-learn refuses infinite scores and merges none: hand it the ranks.
        truth = roc_auc_score(positive, np.unique(scores + 0.0, return_inverse=True)[1])
        assert low - 1e-12 <= truth <= high + 1e-12
        if histogram.exact:
            assert tie == pytest.approx(truth, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 100, 512]), st.permutations(range(6)))
def test_shards_of_coarse_histograms_merge_as_one_pass(seed, capacity, order):
    """Merging shards in any order ends at the very bins of one pass, and single rows do too."""
    generator = np.random.default_rng(seed)
    scores, positive = generator.beta(0.3, 0.5, 1800), generator.random(1800) < 0.2
    scores[::7] = generator.choice([0.0, 1.0, 0.25], scores[::7].size)
    whole = _fed(scores, positive, capacity, 1)
    shards = [_fed(scores[part::6], positive[part::6], capacity, 40) for part in range(6)]
    merged = ScoreHistogram(capacity)
    for part in order:
        merged.merge(shards[part])
    assert merged == whole == _fed(scores, positive, capacity, 300)
    assert not merged.exact


@pytest.mark.parametrize("capacity", [64, 4096])
def test_rows_removed_were_never_added(capacity):
    """Removing old rows leaves the bins of the others at the same resolution, with nothing negative or empty."""
    generator = np.random.default_rng(1)
    scores, positive = generator.random(3000) ** 3, generator.random(3000) < 0.5
    histogram = _fed(scores, positive, capacity)
    for rows in np.array_split(np.arange(2000), 9):
        histogram.update(scores[rows], positive[rows], -1)
    fresh = _fed(scores[2000:], positive[2000:], capacity)
    fresh.coarsen(histogram.shift)
    assert histogram == fresh
    histogram.update(scores[2000:], positive[2000:], -1)
    assert histogram.is_empty


def _real_streams() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(0)
    digits = load_digits()
    rows = generator.integers(0, len(digits.data), 30_000)
    noisy = digits.data[rows] + generator.normal(size=(rows.size, 64)) * 2
    bayes = GaussianNB(var_smoothing=1e-3).fit(digits.data[:900], digits.target[:900]).predict_proba(noisy)
    cancer = load_breast_cancer()
    again = generator.integers(0, len(cancer.data), 30_000)
    features = StandardScaler().fit(cancer.data)
    model = LogisticRegression().fit(features.transform(cancer.data[::3]), cancer.target[::3])
    jittered = features.transform(cancer.data[again]) + generator.normal(size=(again.size, 30))
    spread = generator.normal(size=200_000)
    rare = generator.random(200_000) < 1 / (1 + np.exp(14 - 2 * spread))
    rare[:2] = [True, False]
    uniform = generator.beta(2, 5, 30_000)
    lucky = generator.random(30_000) < uniform
    return {
        "bayes": (digits.target[rows] == 3, bayes[:, 3]),
        "logistic": (cancer.target[again] == 1, model.predict_proba(jittered)[:, 1]),
        "decision": (cancer.target[again] == 1, model.decision_function(jittered)),
        "rare": (rare, 1 / (1 + np.exp(14 - 2 * spread))),
        "single": (np.arange(1_000_000) == 77, generator.random(1_000_000)),
        "narrow": (lucky, 0.5 + 1e-4 * uniform),
        "narrow, high": (lucky, 0.999 + 1e-6 * uniform),
        "saturated": (lucky, np.where(uniform < 0.3, 0.0, np.where(uniform > 0.4, 1.0, uniform))),
        "log-likelihood": (lucky, 3000 * uniform - 1e4),
    }


@pytest.mark.fault("L20")
def test_bounds_are_narrow_on_real_scores():
    """At 2,048 keys the AUC of model scores is within 5e-5 and its bounds within 2e-3 (2.5e-3 for unbounded scores)."""
    for name, (positive, scores) in _real_streams().items():
        histogram = _fed(scores, positive)
        low, tie, high = _auc(histogram)
        truth = roc_auc_score(positive, scores)
        assert not histogram.exact, name
        assert low <= truth <= high, name
        assert abs(tie - truth) <= (5e-5 if positive.sum() > 20 else 1e-3), name
        assert high - low <= (2.5e-3 if scores.max() > 1 or scores.min() < 0 else 2e-3), (name, high - low)


@pytest.mark.fault("L20")
def test_constant_and_tied_scores_are_exact():
    """Few distinct scores stay exact for ever; -0.0 and 0.0 are one score."""
    positive = np.arange(100_000) % 3 == 0
    histogram = _fed(np.full(100_000, 0.3), positive)
    assert histogram.exact
    assert _auc(histogram) == (0.5, 0.5, 0.5)
    signed = _fed(np.array([0.0, -0.0]), np.array([True, False]))
    assert signed.keys.tolist() == [0]
    assert "ScoreHistogram(" in repr(signed)


@pytest.mark.fault("L10")
def test_a_score_that_is_nan_has_no_place():
    """Rows without a score are left out and the others counted."""
    histogram = _fed(np.array([0.5, np.nan, 0.7]), np.array([True, True, False]))
    assert histogram.total == 2


def test_shrinking_bounds_the_bytes():
    """Shrinking keeps every row in fewer keys; a capacity never grows again by it."""
    generator = np.random.default_rng(3)
    histogram = _fed(generator.random(9000), generator.random(9000) < 0.5, 512)
    before = histogram.nbytes
    histogram.shrink(64)
    histogram.shrink(512)
    assert histogram.capacity == 64
    assert histogram.keys.size <= 64
    assert histogram.total == 9000
    assert histogram.nbytes < before / 4
    histogram.update(generator.random(5), np.ones(5, np.bool_))
    assert histogram.nbytes > 9000
    with pytest.raises(ValueError, match="at least 8"):
        ScoreHistogram(4)


def _multiclass(n: int, seed: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    actual = generator.integers(0, classes, n)
    logits = generator.normal(size=(n, classes)) + 1.5 * np.eye(classes)[actual]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), actual


def test_every_class_against_all_others():
    """The class histograms give scikit-learn's one-vs-rest macro AUC."""
    probabilities, actual = _multiclass(4000, 0)
    scores = ClassScores()
    for rows in np.array_split(np.arange(4000), 90):
        scores.update(probabilities[rows], actual[rows])
    bounds = np.array([_auc(scores.of(code)) for code in scores.codes()]).mean(axis=0)
    truth = roc_auc_score(actual, probabilities, multi_class="ovr")
    assert bounds[0] <= truth <= bounds[2]
    assert bounds[1] == pytest.approx(truth, abs=1e-4)
    assert scores.total == 4000
    assert not scores.exact
    assert scores.of(99).is_empty


def test_class_codes_move_with_their_histograms():
    """New codes take the histograms along; two classes cannot become one."""
    probabilities, actual = _multiclass(300, 1, 3)
    scores = ClassScores()
    scores.update(probabilities, actual)
    scores.relabel(np.array([2, 0, 1]), 3)
    expected = ClassScores()
    expected.update(probabilities[:, [1, 2, 0]], np.array([2, 0, 1])[actual])
    assert scores == expected
    with pytest.raises(ValueError, match="cannot become one"):
        scores.relabel(np.array([0, 0, 1]), 3)


def test_class_histograms_shrink_together():
    """Shrinking applies to every class, later ones included; the buffer is counted in the bytes."""
    probabilities, actual = _multiclass(5000, 2)
    scores = ClassScores()
    scores.update(probabilities[:10], actual[:10])
    assert scores.nbytes >= 10 * 5 * 8
    scores.update(probabilities, actual)
    scores.shrink(32)
    assert all(scores.of(code).keys.size <= 32 for code in scores.codes())
    scores.update(np.ones((1, 7)) / 7, np.array([6]))
    assert scores.of(6).capacity == 32
    assert scores.of(6).positives.tolist() == [1]
