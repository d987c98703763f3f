"""Declare tasks: what is accepted, what it becomes, what is refused."""

from __future__ import annotations

import copy
import enum
import pickle

import numpy as np
import pytest

from modelmon.errors import ConfigurationError
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression, task_from_state, to_state

TASKS = [
    Binary(),
    Binary("fraud", threshold=0.9),
    Binary("yes", "no"),
    Multiclass(),
    Multiclass(["a", 1, 0.5]),
    Multilabel(),
    Multilabel(["x", "y"], threshold=0.3),
    Regression(),
]


class Colour(enum.Enum):
    """Stand for a user's enum."""

    RED = "red"
    BLUE = (0, 0, 255)


@pytest.mark.parametrize("task", TASKS)
def test_task_survives_json_pickle_and_copy(task):
    """A task comes back equal from its state, from pickle and from copies, with an equal hash."""
    for again in (task_from_state(to_state(task)), pickle.loads(pickle.dumps(task)), copy.deepcopy(task)):  # noqa: S301
        assert again == task
        assert hash(again) == hash(task)
        assert repr(again) == repr(task)


def test_tasks_differ_by_kind_and_settings():
    """Two tasks are equal only when kind and settings are."""
    assert len(set(TASKS)) == len(TASKS)
    assert Multiclass() != Multilabel()
    assert Binary() != "Binary()"


def test_task_is_frozen():
    """Neither a setting nor anything else can be set or removed."""
    task = Binary()
    with pytest.raises(AttributeError, match="frozen"):
        task.threshold = 0.1
    with pytest.raises(AttributeError, match="frozen"):
        del task.positive
    with pytest.raises(AttributeError):
        task.extra = 1


@pytest.mark.parametrize(
    ("task", "declared"),
    [
        (Binary(True), (0, 1)),
        (Binary(np.int64(1)), (0, 1)),
        (Binary("1"), ("other", "1")),
        (Binary(0), ("other", 0)),
        (Binary("a", "b"), ("b", "a")),
        (Binary(Colour.RED), ("other", "red")),
        (Binary(Colour.BLUE), ("other", "BLUE")),
        (Multiclass(np.array([2, 0, 1])), (2, 0, 1)),
        (Multiclass(np.array(["b", "a"])), ("b", "a")),
        (Multiclass(range(3)), (0, 1, 2)),
        (Multiclass(), None),
        (Multilabel(iter(["x"])), ("x",)),
        (Regression(), None),
    ],
)
def test_declared_classes_are_canonical(task, declared):
    """Declared classes are values of Python in declared order; a binary task has the negative one first."""
    assert task.declared == declared
    assert task.declared is None or [type(value) for value in task.declared] == [type(value) for value in declared]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Binary(None),
        lambda: Binary(float("nan")),
        lambda: Binary(""),
        lambda: Binary([1]),
        lambda: Binary(1, True),
        lambda: Binary("other"),
        lambda: Binary(threshold="0.5"),
        lambda: Binary(threshold=float("inf")),
        lambda: Binary(threshold=None),
        lambda: Multiclass([]),
        lambda: Multiclass("abc"),
        lambda: Multiclass(3),
        lambda: Multiclass([1, 1.0]),
        lambda: Multiclass(["a", None]),
        lambda: Multilabel(["a", "a"]),
        lambda: Multilabel(threshold=True),
        lambda: task_from_state({"kind": "ranking"}),
        lambda: task_from_state({}),
        lambda: task_from_state({"kind": "regression", "classes": [1]}),
    ],
)
def test_impossible_task_is_refused_at_once(make):
    """A task that cannot work raises where it is declared."""
    with pytest.raises(ConfigurationError):
        make()


def test_declared_classes_do_not_follow_the_list_they_came_from():
    """Changing the list afterwards changes nothing."""
    classes = ["a", "b"]
    task = Multiclass(classes)
    classes.append("c")
    assert task.declared == ("a", "b")
