"""Read-offs of confusion matrices equal scikit-learn's on the same rows."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from modelmon.quality import matrix as quality
from modelmon.quality import multilabel

ORACLES = Path(__file__).parent.parent / "oracles"
RATIOS = ("precision", "recall", "f1", "jaccard")

rows = st.integers(1, 5).flatmap(
    lambda k: st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=60)
)


def same(ours: float, theirs: float) -> bool:
    """Tell whether two numbers agree to 1e-12, or both are undefined."""
    return (math.isnan(ours) and math.isnan(theirs)) or abs(ours - theirs) <= 1e-12


def sklearn_ratio(ratio, truth, predicted, average, labels=None):
    """Return scikit-learn's ratio with undefined as nan."""
    score = getattr(sk, f"{ratio}_score")
    extra = {} if ratio == "jaccard" else {"zero_division": np.nan}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return score(truth, predicted, average=average, labels=labels, **extra)


def counted(truth, predicted, size):
    """Return the margins of these rows over ``size`` classes."""
    return quality.margins(sk.confusion_matrix(truth, predicted, labels=np.arange(size)))


@settings(max_examples=60, deadline=None)
@given(rows)
def test_ratios_equal_scikit_learn(pairs):
    """Per class and in every average, absent classes included, ratios equal scikit-learn's to 1e-12."""
    truth, predicted = map(list, zip(*pairs, strict=True))
    counts = counted(truth, predicted, 7)
    present = sorted({*truth, *predicted})
    for ratio in RATIOS:
        values = quality.by_class(ratio, counts)
        theirs = sklearn_ratio(ratio, truth, predicted, None, present)
        assert all(same(values[c], t) for c, t in zip(present, theirs, strict=True)), ratio
        for average in ("micro", "macro", "weighted"):
            expected = sklearn_ratio(ratio, truth, predicted, average)
            assert same(quality.averaged(ratio, counts, average), expected), (ratio, average)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_whole_matrix_scores_equal_scikit_learn(pairs):
    """Accuracy, balanced accuracy, MCC and kappa equal scikit-learn's wherever they are defined."""
    truth, predicted = map(list, zip(*pairs, strict=True))
    counts = counted(truth, predicted, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert same(quality.accuracy(counts), sk.accuracy_score(truth, predicted))
        assert same(quality.balanced_accuracy(counts), sk.balanced_accuracy_score(truth, predicted))
        matthews, kappa = quality.matthews(counts), quality.kappa(counts)
        if len(set(truth)) > 1 and len(set(predicted)) > 1:
            assert same(matthews, sk.matthews_corrcoef(truth, predicted))
        else:
            assert math.isnan(matthews)
        if len({*truth, *predicted}) > 1:
            assert same(kappa, sk.cohen_kappa_score(truth, predicted))
        else:
            assert math.isnan(kappa)


def test_one_against_the_rest():
    """Specificity and negative predictive value are the recall and precision of everything else."""
    generator = np.random.default_rng(5)
    truth, predicted = generator.integers(0, 4, (2, 500))
    counts = counted(truth, predicted, 4)
    for c in range(4):
        rest, called = truth != c, predicted != c
        assert same(quality.by_class("specificity", counts)[c], sk.recall_score(rest, called))
        assert same(quality.by_class("negative_predictive_value", counts)[c], sk.precision_score(rest, called))


def test_a_class_never_predicted_has_f1_of_zero():
    """F1 of a class with support that nobody predicted is 0, while its precision is undefined."""
    counts = quality.margins(np.array([[2, 0], [2, 0]]))
    assert quality.by_class("f1", counts)[1] == 0
    assert math.isnan(quality.by_class("precision", counts)[1])
    assert quality.averaged("precision", counts, "macro") == 0.5


@pytest.mark.fault("L14")
def test_nothing_counted_is_undefined():
    """Without rows every read-off is nan."""
    counts = quality.margins(np.zeros((2, 2), dtype=np.int64))
    assert math.isnan(quality.accuracy(counts))
    assert math.isnan(quality.balanced_accuracy(counts))
    assert math.isnan(quality.matthews(counts))
    assert math.isnan(quality.kappa(counts))
    assert all(math.isnan(quality.averaged("f1", counts, how)) for how in ("micro", "macro", "weighted"))


@pytest.mark.fault("L18")
def test_counts_beyond_64_bit_products():
    """MCC and kappa stay exact when products of counts outgrow 64 bits."""
    matrix = np.array([[4 * 10**12, 10**12], [2 * 10**12, 3 * 10**12]])
    small = quality.margins(matrix // 10**12)
    large = quality.margins(matrix)
    assert quality.matthews(large) == pytest.approx(quality.matthews(small), abs=1e-15)
    assert quality.kappa(large) == pytest.approx(quality.kappa(small), abs=1e-15)


@pytest.mark.parametrize("case", json.loads((ORACLES / "edge_cases.json").read_text())["cases"])
def test_edge_cases_of_the_reference(case):
    """Defined values of the reference's edge cases are met; its zeros for want of a denominator are nan here."""
    counts = counted(case["y"], case["pred"], 4)
    expected = case["sklearn"]
    assert same(quality.accuracy(counts), expected["accuracy"])
    assert same(quality.balanced_accuracy(counts), expected["balanced_accuracy"])
    assert same(quality.averaged("f1", counts, "macro"), expected["f1_macro"])
    for ours, theirs in ((quality.matthews(counts), expected["mcc"]), (quality.kappa(counts), expected["kappa"])):
        assert same(ours, theirs or 0.0) or (math.isnan(ours) and not theirs)


def test_label_matrices_equal_scikit_learn():
    """Multilabel ratios, subset accuracy and Hamming loss equal scikit-learn's."""
    generator = np.random.default_rng(6)
    truth, predicted = generator.integers(0, 2, (2, 300, 5))
    predicted[:, 3] = 0
    matrices = sk.multilabel_confusion_matrix(truth, predicted)
    counts = quality.label_margins(matrices)
    for ratio in ("precision", "recall", "f1"):
        theirs = sklearn_ratio(ratio, truth, predicted, None)
        assert all(same(a, b) for a, b in zip(quality.by_class(ratio, counts), theirs, strict=True))
        for average in ("micro", "macro", "weighted"):
            expected = sklearn_ratio(ratio, truth, predicted, average)
            assert same(quality.averaged(ratio, counts, average), expected)
    assert same(multilabel.hamming_loss(matrices), sk.hamming_loss(truth, predicted))
    matching = int((truth == predicted).all(axis=1).sum())
    assert same(multilabel.subset_accuracy(matching, 300), sk.accuracy_score(truth, predicted))
    assert math.isnan(multilabel.subset_accuracy(0, 0))
    assert math.isnan(multilabel.hamming_loss(np.zeros((2, 2, 2), dtype=np.int64)))
