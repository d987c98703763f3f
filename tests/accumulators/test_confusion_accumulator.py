"""Confusion counts against scikit-learn and plain counting, in every storage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from modelmon.accumulators.confusion import Confusion


def _rows(classes: int, n: int, seed: int, right: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    actual = generator.integers(0, classes, n, dtype=np.int32)
    other = generator.integers(0, classes, n, dtype=np.int32)
    return actual, np.where(generator.random(n) < right, actual, other).astype(np.int32)


def _of(actual: np.ndarray, predicted: np.ndarray) -> Confusion:
    confusion = Confusion()
    confusion.update(actual, predicted)
    return confusion


# few rows of many classes look to scikit-learn like the targets of a regression, of which it warns
@pytest.mark.filterwarnings("ignore:The number of unique classes is greater:UserWarning")
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([2, 10, 64, 65, 200, 300]),
    st.integers(0, 3000),
    st.integers(0, 2**32 - 1),
)
def test_the_matrix_is_that_of_scikit_learn(classes, n, seed):
    """Matrix and marginals equal scikit-learn's in dense and sparse storage."""
    actual, predicted = _rows(classes, n + 1, seed)
    confusion = Confusion()
    for rows in np.array_split(np.arange(n + 1), 3):
        confusion.update(actual[rows], predicted[rows])
    expected = confusion_matrix(actual, predicted, labels=np.arange(classes))
    assert np.array_equal(confusion.matrix(classes), expected)
    right, support, said = confusion.marginals(classes)
    assert np.array_equal(right, expected.diagonal())
    assert np.array_equal(support, expected.sum(axis=1))
    assert np.array_equal(said, expected.sum(axis=0))
    assert confusion.total == n + 1


@pytest.mark.fault("L12")
def test_past_the_most_pairs_the_sums_of_each_class_stay_exact():
    """Ten thousand classes keep exact marginals in less than a megabyte, and say that cells are gone."""
    actual, predicted = _rows(10_000, 60_000, 1)
    confusion = Confusion(10_000)
    for rows in np.array_split(np.arange(60_000), 7):
        confusion.update(actual[rows], predicted[rows])
    assert not confusion.is_complete
    assert confusion.nbytes < 1_000_000
    right, support, said = confusion.marginals()
    assert np.array_equal(right, np.bincount(actual[actual == predicted], minlength=10_000))
    assert np.array_equal(support, np.bincount(actual, minlength=10_000))
    assert np.array_equal(said, np.bincount(predicted, minlength=10_000))
    with pytest.raises(ValueError, match="marginals"):
        confusion.matrix()
    assert Confusion.from_state(confusion.to_state()) == confusion
    assert confusion.total == 60_000
    confusion.update(np.array([10_004]), np.array([3]))
    assert confusion.marginals()[1][10_004] == 1


def test_a_crowded_matrix_of_few_hundred_classes_stays_whole():
    """Up to 256 classes every cell is kept, however many pairs occur, and later growth loses no sum."""
    actual, predicted = _rows(256, 200_000, 2, right=0.1)
    confusion = _of(actual, predicted)
    for rows in np.array_split(np.arange(200_000), 40):
        confusion.update(actual[rows], predicted[rows])
    assert np.array_equal(confusion.matrix(), 2 * confusion_matrix(actual, predicted, labels=np.arange(256)))
    before = confusion.marginals(300)
    confusion.update(np.array([299]), np.array([0]))
    after = confusion.marginals(300)
    assert [int((new - old).sum()) for new, old in zip(after, before, strict=True)] == [0, 1, 1]


@pytest.mark.parametrize(("classes", "n"), [(5, 200), (90, 2000), (2000, 60_000)])
def test_merging_storages_of_all_kinds(classes, n):
    """Small, sparse and summed-up confusions merge to the marginals of all rows, either way round."""
    small, large = _rows(4, 50, 3), _rows(classes, n, 4)
    both = [np.concatenate(columns) for columns in zip(small, large, strict=True)]
    one, two = _of(*small), _of(*large)
    one.merge(_of(*large))
    two.merge(_of(*small))
    assert one == two == _of(*both)


@pytest.mark.parametrize(("classes", "n"), [(6, 500), (100, 3000), (3000, 60_000)])
def test_new_codes_move_every_count(classes, n):
    """Relabelling by a permutation equals counting under the new codes."""
    actual, predicted = _rows(classes, n, 5)
    mapping = np.random.default_rng(6).permutation(classes + 3)
    confusion = _of(actual, predicted)
    confusion.update(actual[:9], predicted[:9], -1)
    confusion.relabel(mapping, classes + 3)
    expected = _of(mapping[actual], mapping[predicted])
    expected.update(mapping[actual[:9]], mapping[predicted[:9]], -1)
    assert confusion == expected
    assert confusion.size == classes + 3


def test_classes_given_one_code_become_one():
    """Folding two classes into one adds their rows and columns."""
    confusion = _of(np.array([0, 1, 2, 2]), np.array([1, 1, 0, 2]))
    confusion.relabel(np.array([0, 0, 1]), 2)
    assert confusion.matrix().tolist() == [[2, 0], [1, 1]]


def test_added_and_removed_are_kept_apart():
    """A corrected row raises the count of removed rows and never lowers that of added ones."""
    confusion = _of(np.array([0, 1, 1]), np.array([0, 1, 0]))
    confusion.update(np.array([1]), np.array([0]), -1)
    assert confusion.added_matrix(3).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert confusion.removed_matrix(3).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert (confusion.added_total, confusion.removed_total, confusion.total) == (3, 1, 2)
    assert [m.tolist() for m in confusion.added_marginals()] == [[1, 1], [1, 2], [2, 1]]
    assert [m.tolist() for m in confusion.removed_marginals()] == [[0, 0], [0, 1], [1, 0]]
    confusion.update(np.array([], np.int32), np.array([], np.int32))
    assert confusion.size == 2
    assert confusion != _of(np.array([0]), np.array([0]))
