"""Read outputs of many calls by their task: every type, every way to be wrong, and nothing lost in between."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmon.copies import Rejection, keep
from modelmon.outputs import read
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

INFINITE, NAN = float("inf"), float("nan")


def reading(task, outputs, ids=None):
    """Keep outputs and ids as a caller would, and read them."""
    return read(task, [keep(output) for output in outputs], None if ids is None else [keep(each) for each in ids])


def numbers(array):
    """Return an array as lists, nan as None."""
    if array is None:
        return None
    return np.where(np.isnan(array), None, array.astype(object)).tolist()


def tensor(values, **settings):
    """Make a tensor where torch is installed; elsewhere skip the case that asks for it."""
    return pytest.importorskip("torch").tensor(values, **settings)


SCORES = {
    "list": lambda v: v,
    "tuple": tuple,
    "numpy": np.array,
    "single": lambda v: np.array(v, np.float32),
    "half": lambda v: np.array(v, np.float16),
    "big-endian": lambda v: np.array(v, ">f8"),
    "reversed": lambda v: np.array(v[::-1])[::-1],
    "objects": lambda v: np.array(v, object),
    "column": lambda v: np.array(v)[:, None],
    "two-columns": lambda v: np.stack([1 - np.array(v), v], axis=1),
    "rows": lambda v: [[1 - x, x] for x in v],
    "pandas": pd.Series,
    "Float64": lambda v: pd.Series(v, dtype="Float64"),
    "frame": lambda v: pd.DataFrame({"p": v}),
    "polars": pl.Series,
    "arrow": pa.array,
    "torch": tensor,
    "bfloat16": lambda v: tensor(v).bfloat16(),
    "grad": lambda v: tensor(v, requires_grad=True),
    "scalars": lambda v: [np.float32(x) for x in v],
    "tensors": lambda v: [tensor(x) for x in v],
}


@pytest.mark.fault("L13")
@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("size", [1, 3])
def test_binary_scores_of_every_type(kind, size):
    """Float outputs are scores of the positive class, whatever holds them."""
    values = [0.5, 0.25, 0.75][:size]
    found = reading(Binary("fraud", "fine"), [SCORES[kind](values), 0.25])
    assert found.scores.tolist() == [*values, 0.25]
    assert found.classes.tolist() == [["fraud", "fine", "fraud"][position] for position in range(size)] + ["fine"]
    assert found.rows.tolist() == [0] * size + [1]
    assert found.sizes.tolist() == [size, 1]
    assert found.rejected == {}


LABELS = {
    "list": lambda v: v,
    "numpy": np.array,
    "objects": lambda v: np.array(v, object),
    "pandas": pd.Series,
    "polars": pl.Series,
    "category": lambda v: pd.Series(v, dtype="category"),
    "arrow": pa.array,
    "dictionary": lambda v: pa.array(v).dictionary_encode(),
    "column": lambda v: np.array(v)[:, None],
    "masked": np.ma.array,
}


@pytest.mark.fault("L13")
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize(
    "values",
    [["b", "a", "b"], [2, 0, 2], [True, False, True], ["only"]],
)
@pytest.mark.parametrize("task", [None, Multiclass()])
def test_labels_of_every_type(kind, values, task):
    """Labels are classes, with a task and without."""
    found = reading(task, [LABELS[kind](values)])
    assert found.classes.tolist() == values
    assert found.task == Multiclass()
    assert found.scores is None


PROBABILITIES = {
    "numpy": np.array,
    "list": lambda v: v,
    "tuples": lambda v: tuple(map(tuple, v)),
    "single": lambda v: np.array(v, np.float32),
    "fortran": np.asfortranarray,
    "torch": tensor,
    "frame": pd.DataFrame,
    "polars": lambda v: pl.DataFrame(v, orient="row"),
    "arrays": lambda v: [np.array(row) for row in v],
    "tensors": lambda v: [tensor(row) for row in v],
}


@pytest.mark.fault("L13")
@pytest.mark.parametrize("kind", PROBABILITIES)
def test_probability_rows_of_every_type(kind):
    """Rows of probabilities predict the most probable class, the first of equal ones, and are kept whole."""
    rows = [[0.125, 0.25, 0.625], [0.5, 0.5, 0.0]]
    found = reading(Multiclass(["a", "b", "c"]), [PROBABILITIES[kind](rows)])
    assert found.classes.tolist() == ["c", "a"]
    assert found.scores.tolist() == rows
    assert found.columns == ("a", "b", "c")
    assert reading(None, [PROBABILITIES[kind](rows)]).classes.tolist() == [2, 0]


@pytest.mark.fault("L10", "L11")
@pytest.mark.parametrize(
    ("task", "outputs", "classes", "rejected"),
    [
        (Binary(), [True, 0, 1, "x", 1.0, 0.4], [1, 0, 1, 0, 1, 0], {}),
        (Binary(), ["1"], [], {"unknown_class": 1}),
        (Binary("a", "b"), ["a", "b", "c", 1], ["a", "b"], {"unknown_class": 2}),
        (Binary("a"), ["a", "b", 7, ""], ["a", "other", "other"], {"missing": 1}),
        (Binary(threshold=0.9), [0.9, 0.89999], [1, 0], {}),
        (Binary(), [NAN, INFINITE, -INFINITE, 0.5], [1], {"nan": 1, "infinite": 2}),
        (Binary(), [[0.5, None, NAN]], [1], {"missing": 1, "nan": 1}),
        (Binary(), [-3.5, 7.0], [0, 1], {}),
        (Binary(), [np.ones((2, 3)), np.ones((2, 2, 2))], [], {"shape": 4}),
        (Binary(), [np.array([[0.5, NAN], [NAN, 0.5], [0.25, 0.75]])], [1], {"nan": 2}),
        (Binary(), [[[1, 0], ["a"]]], [], {"shape": 2}),
        (Multiclass(), [1, 1.0, np.int8(1), "1", b"1", True], [1, 1, 1, "1", "1", 1], {}),
        (Multiclass([1, "b"]), [True, "b", "1", 2], [1, "b"], {"unknown_class": 2}),
        (Multiclass(), [[1, None, NAN, "", pd.NA, 2]], [1, 2], {"missing": 4}),
        (Multiclass(), [pd.Series([1, None], dtype="Int64"), np.ma.array([3, 4], mask=[1, 0])], [1, 4], {"missing": 2}),
        (Multiclass(), [np.array([0.3, 0.9])], [], {"shape": 2}),
        (Multiclass(), [np.array([0.25, 0.75])], [1], {}),
        (Multiclass([0.5, 1.5]), [np.array([0.5, 1.5])], [0.5, 1.5], {}),
        (Multiclass(), [np.array([0.0, 1.0, 2.0])], [0, 1, 2], {}),
        (Multiclass(["a", "b"]), [np.ones((2, 3))], [], {"shape": 2}),
        (Multiclass(["a", "b"]), [np.array([[1, 0], [0, 1]])], ["a", "b"], {}),
        (Multiclass(), [np.ones((1, 2)), np.ones((1, 3))], [0], {"shape": 1}),
        (Multiclass(), [np.array([[0.5, NAN], [INFINITE, 0], [0, 1]])], [1], {"nan": 1, "infinite": 1}),
        (Multiclass(), [[[1, 2], [3]]], [], {"shape": 2}),
        (Multiclass(), [[object(), 1, [2]]], [], {"shape": 3}),
        (Multiclass(), [[object(), 1, 2]], [1, 2], {"type": 1}),
        (Multiclass(), [object(), {"a": 1}, None], [], {"type": 2}),
        (
            Multiclass(),
            [np.datetime64("2020"), np.array(["2020", "2021"], "M8[D]"), np.zeros(3, [("a", int)])],
            [],
            {"type": 6},
        ),
        (Multiclass(), [10**400, 2**80], [2**80], {"type": 1}),
        (None, [0.5, [0.25, 0.5], np.array([0.5]), np.ones(3), np.ones((2, 1))], [], {"task_undeclared": 9}),
        (None, [1, "a", True, 0.5, [1, 2]], [1, "a", 1, 1, 2], {"task_undeclared": 1}),
        (None, [np.eye(2, dtype=int), [["a"], ["b", "c"]]], [], {"task_undeclared": 4}),
        (None, [[0.5, None]], [], {"task_undeclared": 2}),
    ],
)
def test_classes_and_rejections(task, outputs, classes, rejected):
    """What is read is the class it says; what is not is counted under its reason, and nothing else is lost."""
    found = reading(task, outputs)
    assert ([] if found.classes is None else found.classes.tolist()) == classes
    assert found.rejected == rejected
    assert int(found.sizes.sum()) == len(found) + sum(rejected.values())


@pytest.mark.fault("L13")
@pytest.mark.parametrize(
    ("outputs", "values", "rejected"),
    [
        ([1, 2.5, True, np.float32(0.5)], [1, 2.5, 1, 0.5], {}),
        ([np.arange(3), np.ones(2), pd.Series([1, None], dtype="Int64")], [0, 1, 2, 1, 1, 1], {"missing": 1}),
        ([np.array([[1.5], [2.5]])], [1.5, 2.5], {}),
        (["x", NAN, INFINITE, [1.5, NAN]], [1.5], {"type": 1, "nan": 2, "infinite": 1}),
        ([[1.0, INFINITE, "x"]], [1], {"infinite": 1, "type": 1}),
        ([[1.0, NAN, None, "x", -INFINITE, 10**400]], [1], {"nan": 1, "missing": 1, "type": 2, "infinite": 1}),
        ([np.ones((2, 2)), [[1, 2]]], [], {"shape": 3}),
        ([10**400, 10**300, [1, 2**70]], [1e300, 1, float(2**70)], {"type": 1}),
        ([pd.Series([1.5, 2.5], dtype="category"), [None]], [1.5, 2.5], {"missing": 1}),
        ([-(2.0**1023), 1.7e308, 1.7e308], [-(2.0**1023), 1.7e308, 1.7e308], {}),
        ([[1.7e308, 1.7e308]], [1.7e308, 1.7e308], {}),
    ],
)
def test_regression(outputs, values, rejected):
    """Numbers of every type are predicted values, what is no finite number is counted."""
    found = reading(Regression(), outputs)
    assert ([] if found.scores is None else found.scores.tolist()) == values
    assert found.rejected == rejected
    assert found.classes is None


@pytest.mark.parametrize(
    ("task", "outputs", "flags", "rejected"),
    [
        (Multilabel(["a", "b"]), [[1, 0], np.array([0, 1]), (True, True)], [[1, 0], [0, 1], [1, 1]], {}),
        (Multilabel(["a", "b"]), [np.array([[1, 0], [0, 2]])], [[1, 0]], {"type": 1}),
        (Multilabel(["a", "b"]), [[0.5, 0.4], np.array([[0.9, 0.1], [NAN, 1]])], [[1, 0], [1, 0]], {"nan": 1}),
        (
            Multilabel(["a", "b"]),
            [{"a"}, frozenset(), [["b"], []], [{"a", "b"}]],
            [[1, 0], [0, 0], [0, 1], [0, 0], [1, 1]],
            {},
        ),
        (Multilabel(["a", "b"]), [["a", "b", "z"]], [[1, 0], [0, 1]], {"unknown_class": 1}),
        (Multilabel(["a", "b"]), [np.ones((2, 3)), [1, 0, 1]], [], {"shape": 3}),
        (Multilabel(), [np.eye(2), [1, 0]], [[1, 0], [0, 1], [1, 0]], {}),
        (Multilabel(), [{"a"}], [], {"unknown_class": 1}),
        (Multilabel(["a", "b"]), [object(), None, [[object()]]], [], {"type": 2}),
        (Multilabel(["a", "b"], threshold=0.2), [np.array([[0.3, 0.1]])], [[1, 0]], {}),
        (Multilabel(["a"]), [1, 0.9, True, np.array([[1], [0]])], [[1], [1], [1], [1], [0]], {}),
    ],
)
def test_multilabel(task, outputs, flags, rejected):
    """Flags, scores and names of labels become flags; what fits no label is counted."""
    found = reading(task, outputs)
    assert ([] if found.flags is None else found.flags.tolist()) == flags
    assert found.rejected == rejected
    assert int(found.sizes.sum()) == len(found) + sum(rejected.values())


def test_tensors_among_other_outputs():
    """Tensors are read as arrays are under every other task and under none."""
    ones, rows = tensor([1.0, 1.0]), tensor([[0.3, 0.1]])
    assert reading(None, [0.5, ones]).rejected == {"task_undeclared": 3}
    assert reading(Regression(), [np.arange(3), ones]).scores.tolist() == [0, 1, 2, 1, 1]
    assert reading(Multilabel(["a", "b"], threshold=0.2), [rows]).flags.tolist() == [[1, 0]]


def test_many_classes_keep_the_best_five():
    """Above 32 classes the predicted class, its score and the five best are kept, equal ones as scikit-learn ranks."""
    probabilities = np.random.default_rng(5).random((50, 40)).round(1)
    found = reading(Multiclass(), [probabilities])
    ranked = np.argsort(probabilities, axis=1, kind="mergesort")[:, ::-1][:, :5]
    assert (found.best == ranked).all()
    assert (found.scores == probabilities.max(axis=1)).all()
    assert found.classes.tolist() == probabilities.argmax(axis=1).tolist()
    assert reading(Multiclass(), [probabilities[:, :32]]).best is None
    mixed = reading(Multiclass(), [probabilities[:1], 7])
    assert mixed.best.tolist() == [ranked[0].tolist(), [-1] * 5]
    assert numbers(mixed.scores) == [probabilities[0].max(), None]


def test_rows_without_scores_are_nan_beside_scored_ones():
    """Labels among scores have no score, and rows keep the order of their calls."""
    found = reading(Binary(), [0.75, 1, [0.25, 0.5], 0])
    assert found.rows.tolist() == [0, 1, 2, 2, 3]
    assert numbers(found.scores) == [0.75, None, 0.25, 0.5, None]
    assert found.classes.tolist() == [1, 1, 0, 1, 0]
    assert reading(Binary(), [1, 0]).scores is None
    found = reading(Multiclass(["a", "b"]), ["b", np.array([[0.75, 0.25]])])
    assert numbers(found.scores) == [[None, None], [0.75, 0.25]]


def test_one_dimensional_output_under_one_id_is_one_prediction():
    """Probabilities, two binary columns and flags that come without the axis of rows are one row."""
    assert reading(Multiclass(), [np.array([0.1, 0.2, 0.7])], ["a"]).classes.tolist() == [2]
    assert reading(Multiclass(), [np.array([0.2, 0.8])], [["a", "b"]]).rejected == {"shape": 2}
    assert reading(None, [[0.4, 0.6]], ["a"]).classes.tolist() == [1]
    assert reading(Binary(), [[0.4, 0.6]], ["a"]).scores.tolist() == [0.6]
    assert reading(Binary(), [[0.4, 0.6]], [["a", "b"]]).scores.tolist() == [0.4, 0.6]
    assert reading(Multilabel(), [[1, 0]], ["a"]).flags.tolist() == [[1, 0]]
    assert reading(Multilabel(), [[1, 0]], [["a", "b"]]).flags.tolist() == [[1], [0]]
    named = reading(Multilabel(["a", "b"]), [["a", "b"], ("b",), []], ["x", "y", "z"])
    assert (named.flags.tolist(), named.rejected) == ([[1, 1], [0, 1], [0, 0]], {})
    assert reading(Multilabel(["a", "b"]), [["a", "b"]], [["x", "y"]]).flags.tolist() == [[1, 0], [0, 1]]
    assert reading(Regression(), [[1.5, 2.5]], ["a"]).rejected == {"length": 2}


@pytest.mark.fault("L13")
@pytest.mark.parametrize(
    "task",
    [None, Binary(), Multiclass(), Multilabel(), Regression()],
)
def test_masked_and_rare_outputs(task):
    """Masked rows, rows of text and integers past every array are read or counted, with any task."""
    outputs = [
        np.ma.array([[0.5, 0.5], [0.25, 0.75]], mask=[[0, 1], [0, 0]]),
        np.ma.array(["a", "b"], mask=[0, 1]),
        np.array([["a", "b"], ["c", "d"]]),
        [[2**70, 1], [1, 0]],
        [2**70, 1],
    ]
    found = reading(task, outputs, [[1, 2], ["x", "y"], [3, 4], np.ma.array([5, 6], mask=[0, 1]), [7, 8]])
    bad = found.rejected.get("bad_id", 0)
    assert len(found) + sum(found.rejected.values()) - bad == 10
    assert found.sizes.tolist() == [2] * 5


@pytest.mark.fault("L8")
@pytest.mark.parametrize(
    "task",
    [None, Binary(), Multiclass(), Multilabel(), Regression()],
)
def test_nothing_is_nothing(task):
    """No calls, None and empty batches give no predictions and no rejections."""
    for outputs in (
        [],
        [None],
        [None, None],
        [[]],
        [np.array([])],
        [np.empty((0, 2))],
        [[], None],
        [pd.Series([], dtype=float)],
    ):
        found = reading(task, outputs)
        assert len(found) == 0
        assert found.rejected == {}
        assert found.sizes.tolist() == [0] * len(outputs)
        with_ids = reading(task, outputs, [[] if each is not None else None for each in outputs])
        assert with_ids.rejected == {}


@pytest.mark.fault("L9")
@pytest.mark.parametrize(
    ("output", "ids", "rows"),
    [
        ([0.5, 0.6], ["a"], 2),
        ([0.5], ["a", "b"], 1),
        (np.ones(3), ["a", "b"], 3),
        (0.5, ["a", "b"], 1),
        ([0.5, 0.6, 0.7], "a", 3),
        (np.ones(2), np.arange(3), 2),
        ([], ["a"], 0),
        (0.5, [], 1),
    ],
)
def test_lengths_that_differ_cost_the_whole_call(output, ids, rows):
    """Of a call with another number of ids than predictions nothing is read, and the calls beside it are."""
    found = reading(Binary(), [0.75, output, [0.25, 0.5]], ["x", ids, ["y", "z"]])
    assert found.ids.texts() == ["x", "y", "z"]
    assert found.scores.tolist() == [0.75, 0.25, 0.5]
    assert found.rejected == ({"length": rows} if rows else {})
    assert found.rejected_with_ids == rows
    assert found.sizes.tolist() == [1, rows, 2]


def test_bad_rows_of_a_call_of_wrong_length_are_counted_once():
    """A nan in a call that is rejected whole is not counted a second time."""
    found = reading(Binary(), [[NAN, 0.5]], [["a"]])
    assert found.rejected == {"length": 2}


@pytest.mark.fault("L6")
def test_predictions_under_bad_ids_are_read_and_counted():
    """A prediction without a valid id still counts as a prediction, and as rejected under its id."""
    found = reading(Binary(), [0.75, [0.25, 0.5], 0.1, [0.1, 0.2]], [None, ["a", True], object(), None])
    assert found.scores.tolist() == [0.75, 0.25, 0.5, 0.1, 0.1, 0.2]
    assert found.ids.texts() == ["", "a", "", "", "", ""]
    assert found.rejected == {"bad_id": 5}
    assert found.rejected_with_ids == 0


ID_TYPES = {
    "list": lambda v: v,
    "numpy": np.array,
    "pandas": pd.Series,
    "polars": pl.Series,
    "arrow": pa.array,
    "tuple": tuple,
    "category": lambda v: pd.Series(v, dtype="category"),
    "objects": lambda v: np.array(v, object),
}


@pytest.mark.parametrize("first", ID_TYPES)
@pytest.mark.parametrize("second", ID_TYPES)
def test_ids_of_different_types_meet_in_one_reading(first, second):
    """Calls whose ids come in different types, numbers and texts, give one column of ids."""
    outputs = [[0.1, 0.2], [0.3, 0.4], 0.5, [0.6]]
    ids = [ID_TYPES[first]([1, 2]), ID_TYPES[second](["a", "4"]), 5, ["b"]]
    assert reading(Binary(), outputs, ids).ids.texts() == ["1", "2", "a", "4", "5", "b"]


def test_rejections_of_the_caller_are_counted_with_their_rows():
    """What the caller could not keep is counted under its reason."""
    found = read(Binary(), [Rejection("capture", 3), 0.5, Rejection("hook")], ["a", "b", "c"])
    assert found.rejected == {"capture": 3, "hook": 1}
    assert found.rejected_with_ids == 4
    assert found.sizes.tolist() == [3, 1, 1]
    assert found.ids.texts() == ["b"]


@pytest.mark.fault("X12")
def test_unforeseen_value_does_not_take_others_with_it():
    """Something that no rule foresees, here objects of ours that lie, is refused alone."""

    class Broken:
        def __len__(self):
            raise RuntimeError

    found = read(Binary(), [0.25, np.array([Broken()], object), (1, Broken()), 0.75], ["a", "b", Broken(), "c"])
    assert found.scores.tolist() == [0.25, 0.75]
    assert found.rows.tolist() == [0, 3]
    assert "type" in found.rejected


OUTPUT = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.floats(),
    st.text(max_size=2),
    st.binary(max_size=2),
    st.lists(st.floats(0, 1), max_size=4),
    st.lists(st.integers(0, 2), max_size=4),
    st.lists(st.sampled_from(["a", "b", None]), max_size=3),
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), max_size=3),
    st.lists(st.lists(st.integers(0, 1), max_size=2), max_size=2),
    st.lists(st.floats(), min_size=1, max_size=4).map(np.array),
    st.sampled_from([np.eye(2), np.ones((2, 3)), np.ma.array([1, 2], mask=[0, 1])]),
    st.sets(st.sampled_from(["a", "b", 1])),
    st.builds(object),
)
TASK = st.sampled_from(
    [
        None,
        Binary(),
        Binary("a", "b"),
        Multiclass(),
        Multiclass(["a", "b"]),
        Multilabel(),
        Multilabel(["a", "b"]),
        Regression(),
    ]
)
IDS = st.one_of(
    st.none(), st.integers(), st.text(max_size=2), st.lists(st.one_of(st.integers(), st.text(max_size=2)), max_size=3)
)


@pytest.mark.fault("L13")
@settings(max_examples=100, deadline=None)
@given(TASK, st.lists(st.tuples(OUTPUT, IDS), max_size=6), st.booleans())
def test_every_prediction_is_read_or_counted(task, calls, with_ids):
    """Whatever comes, each row of each call is either read or rejected, once, and reads as it does by itself."""
    outputs = [output for output, _ in calls]
    found = reading(task, outputs, [each for _, each in calls] if with_ids else None)
    bad = found.rejected.get("bad_id", 0)
    assert int(found.sizes.sum()) == len(found) + sum(found.rejected.values()) - bad
    assert (np.diff(found.rows) >= 0).all()
    assert found.classes is None or (len(found.classes) == len(found) and (found.classes.codes >= 0).all())
    for part in (found.scores, found.flags, found.best, found.ids):
        assert part is None or len(part) == len(found)
    assert not with_ids or found.rejected_with_ids == sum(found.rejected.values()) - bad
    if task is not None and task.declared is not None:
        for position, (output, each) in enumerate(calls):
            alone = reading(task, [output], [each] if with_ids else None)
            there = found.rows == position
            assert len(alone) == int(there.sum())
            if len(alone) and alone.classes is not None:
                assert alone.classes.tolist() == [
                    value for value, here in zip(found.classes.tolist(), there, strict=True) if here
                ]


@pytest.mark.fault("L8")
@pytest.mark.parametrize("size", [1, 1_000, 1_000_000])
def test_batch_sizes(size):
    """One, a thousand and a million rows in one call are read as they are."""
    scores = np.linspace(0, 1, size)
    found = reading(Binary(), [scores], [np.arange(size)])
    assert len(found) == size
    assert found.scores[-1] == scores[-1]
    assert found.ids.integers[-1] == size - 1
