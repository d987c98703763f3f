"""Multilabel counts against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, multilabel_confusion_matrix, precision_recall_fscore_support

from modelmon.accumulators.multilabel import LabelMatrix


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 6))
def test_complete_truths_give_the_figures_of_scikit_learn(seed, n, width):
    """Cells, subset accuracy and sample averages equal scikit-learn's."""
    generator = np.random.default_rng(seed)
    truth = (generator.random((n, width)) < 0.4).astype(np.uint8)
    predicted = np.where(generator.random((n, width)) < 0.3, 1 - truth, truth).astype(np.uint8)
    matrix = LabelMatrix(width)
    matrix.update(truth, predicted)
    assert np.array_equal(matrix.matrix(), multilabel_confusion_matrix(truth, predicted))
    assert matrix.hits / matrix.complete == accuracy_score(truth, predicted)
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted, average="samples", zero_division=np.nan
    )
    for total, rows, expected in (
        (matrix.precision, matrix.precision_rows, precision),
        (matrix.recall, matrix.recall_rows, recall),
        (matrix.f1, matrix.f1_rows, f1),
    ):
        assert (total.value() / rows if rows else np.nan) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_an_unknown_flag_counts_nowhere():
    """Partial truths count in the labels they know, and not in whole-row figures."""
    matrix = LabelMatrix(3)
    matrix.update(np.array([[1, 255, 0], [0, 0, 1]], np.uint8), np.array([[1, 1, 1], [0, 0, 1]], np.uint8))
    assert matrix.matrix().tolist() == [[[1, 0], [0, 1]], [[1, 0], [0, 0]], [[0, 1], [0, 1]]]
    assert (matrix.rows, matrix.complete, matrix.hits) == (2, 1, 1)


def test_removed_rows_are_kept_apart_and_labels_move():
    """Removal never lowers what was added; labels keep their counts under new places; more labels may come."""
    matrix = LabelMatrix(2)
    truth, predicted = np.array([[1, 0]], np.uint8), np.array([[1, 1]], np.uint8)
    matrix.update(truth, predicted)
    matrix.update(truth, predicted, -1)
    assert matrix.added_matrix().sum() == matrix.removed_matrix().sum() == 2
    assert not matrix.matrix().any()
    assert (matrix.rows, matrix.f1_rows) == (0, 0)
    matrix.relabel(np.array([2, 0]), 3)
    assert matrix.added_matrix().tolist() == [[[0, 1], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 1]]]
    other = LabelMatrix(5)
    other.update(np.ones((1, 5), np.uint8), np.ones((1, 5), np.uint8))
    matrix.merge(other)
    assert matrix.size == 5
