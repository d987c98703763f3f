"""Tests of blocks from ``monitor.call()`` to a snapshot and its labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from modelmon import Binary, ConfigurationError, Monitor, Multiclass, Regression
from modelmon.copies import Deferred

ROW = np.array([0.1, 0.2, 0.7])


def late(array: np.ndarray) -> Deferred:
    """Return a copy that is still on its way from a device."""
    return Deferred(lambda: False, lambda: None, lambda: array, rows=len(array) if array.ndim else 1, size=array.nbytes)


def test_ids_of_blocks_are_as_given_whatever_was_issued_before() -> None:
    """Whole numbers are ids of the caller's, of any size, also where another block had ids issued."""
    own = Monitor()
    with own.call(model="m", task=Multiclass()) as call:
        call.prediction(None, "a")
    issued = call.ids
    assert own.snapshot()["m"].awaiting == 1
    with own.call(model="m", task=Multiclass()) as call:
        for order in (17, 18, 17 + (1 << 43), 1 << 70):
            call.prediction(order, "a")
    assert own.snapshot()["m"].prediction_events == {"pending": 5}
    report = own.labels([*issued, 17, 18, 17 + (1 << 43), 1 << 70], ["a"] * 5)
    assert dict(report) == {"joined": 5}


@pytest.mark.parametrize(
    ("task", "value", "predicted"),
    [
        (Binary(), late(np.array(0.7)), {0: 0, 1: 1}),
        (Regression(), late(np.array([0.7])), {}),
        (Multiclass(), late(ROW), {2: 1}),
        (Multiclass(), np.ma.masked_array(ROW, [0, 0, 0]), {2: 1}),
        (Multiclass(), b"cat", {"cat": 1}),
    ],
    ids=["late scalar", "late array of one", "late row", "unmasked row", "bytes"],
)
@pytest.mark.parametrize("given", ["one", None], ids=["given", "issued"])
def test_one_prediction_of_a_block(monkeypatch, task, value, predicted, given) -> None:
    """What is given as one prediction is one, be it still on its way from a device."""
    if type(value) is Deferred:
        monkeypatch.setattr("modelmon.copies.keep", lambda _: value)
    own = Monitor()
    with own.call(model="m", task=task) as call:
        call.prediction(given, value)
    model = own.snapshot()["m"]
    assert (model.predictions, dict(model.predicted), dict(model.rejected)) == (1, predicted, {})
    assert dict(own.labels(call.ids, ["cat" if "cat" in predicted else 1])) == {"joined": 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [(np.ones((2, 2)), "type"), (pd.Categorical(["a", "b"]), "type"), (np.ma.masked_array(ROW, [0, 1, 0]), "missing")],
    ids=["matrix", "categories", "masked row"],
)
def test_what_is_not_one_prediction_is_counted(value: object, reason: str) -> None:
    """What cannot be read as one prediction is one that was rejected, and blames no hook."""
    own = Monitor()
    with own.call(model="m", task=Multiclass()) as call:
        call.prediction("one", value)
    model = own.snapshot()["m"]
    assert (model.predictions, dict(model.rejected)) == (0, {reason: 1})


def test_ids_of_a_block_are_shown_as_people_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever held the ids, ``call.ids`` has one entry for each, None where it could not be read."""
    own = Monitor()
    with own.call(model="m", task=Multiclass()) as call:
        call.predictions(pd.Categorical(["x", None, "y"]), ["a", "b", "c"])
        call.predictions(pd.array([1, None], dtype="Int64"), ["a", "b"])
        call.predictions(["p", object()], ["a", "b"])
        call.prediction(object(), "a")
        call.prediction(object(), [0.5, 0.5])
        monkeypatch.setattr("modelmon.copies.keep", lambda _: late(np.array([7, 8])))
        call.predictions(object(), [1, 2])
    assert call.ids == ["x", None, "y", 1, None, "p", None, None, None, 7, 8]


def test_a_block_that_came_before_the_task_is_read_by_it() -> None:
    """What is declared later holds for blocks that leave the task out, whichever came first."""
    own = Monitor()
    with own.call(model="fraud"):
        pass
    with own.call(model="fraud", task=Binary()) as call:
        call.prediction("a", 0.9)
    with own.call(model="fraud") as call:
        call.prediction("b", 0.9)
    own.predictions(["c"], [0.2], model="fraud")
    model = own.snapshot()["fraud"]
    assert (model.predictions, dict(model.predicted), dict(model.rejected)) == (3, {0: 1, 1: 2}, {})


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Monitor:
    """Return a monitor that has spent its budget of models."""
    monkeypatch.setattr("modelmon.watching.SERIES_BUDGET", 1)
    monitor = Monitor()
    with monitor.call(model="first"):
        pass
    return monitor


def overflowed(own: Monitor) -> float:
    """Return how often the budget of models was exceeded."""
    points = own.snapshot().points()
    return sum(point.value for point in points if point.name == "modelmon.self.overflow")


@pytest.mark.fault("X14")
def test_models_past_the_budget_are_read_by_one_task_or_not_at_all(full: Monitor) -> None:
    """Nothing raises in a call, and nothing is read by another model's task; what is not counted is rejected."""
    with full.call(model="a", task=Binary(positive="fraud", negative="ok")) as call:
        call.prediction("a", "ok")
    with full.call(model="b", task=Regression()) as call:
        call.prediction("b", 3.0)
    with full.call(model="c") as call:
        call.predictions(["c", object()], ["cat", "dog"])
        call.prediction("d", float("nan"))
    with full.call(model="d", task=Binary(positive="fraud", negative="ok")) as call:
        call.predictions(["e"], ["fraud"])
    full.predictions(["f", "g"], [1.5, 2.5], model="e", task=Regression())
    full(model="f", task=Regression(), id="x")(lambda x: x / 2)(3)
    other = full.snapshot()["__other__"]
    assert (other.calls, other.predictions, dict(other.predicted)) == (5, 2, {"ok": 1, "fraud": 1})
    assert dict(other.rejected) == {"overflow": 6, "task_undeclared": 1}
    assert dict(full.labels(["a", "b", "e"], ["ok", "ok", "fraud"])) == {"joined": 2, "early": 1}
    assert overflowed(full) == 6


@pytest.mark.fault("X14")
def test_names_and_tasks_past_their_budgets_make_no_sites(full: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of many names share one site for each task, and past many tasks one for all, which counts calls alone."""
    monkeypatch.setattr("modelmon.watching._TASK_BUDGET", 2)
    monkeypatch.setattr("modelmon.watching._REMEMBERED", 6)
    for number in range(20):
        with full.call(model=f"m{number}") as call:
            call.prediction(None, "cat")
    assert len(full.home.seats) == 2
    assert overflowed(full) == 20
    for number in range(20):
        with full.call(model=f"m{number}", task=Multiclass(classes=("cat", number))) as call:
            call.prediction(None, "cat")
    other = full.snapshot()["__other__"]
    assert (len(full.home.seats), len(full._contexts)) == (4, 8)
    assert (other.calls, other.predictions, dict(other.predicted)) == (40, 20, {"cat": 20})
    assert dict(other.rejected) == {"overflow": 1, "unknown_class": 19}
    with pytest.raises(ConfigurationError, match="must be text"):
        full.call(model="")
    with full.call(model="first", version="") as call:
        call.prediction(None, "cat")
    assert full.snapshot()["first"].predictions == 1
