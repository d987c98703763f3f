"""Tests of ids that the library issues: as many as there are predictions, and each finds its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from modelmon import Binary, Monitor, Multiclass, Multilabel, Regression, current_prediction_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.tasks import Task

LABELS = Multilabel(classes=("s", "m", "t"))
SURE = np.array([1.0, 3e-9])

OUTPUTS = [
    (LABELS, [0, 1, 1]),
    (LABELS, np.array([0.1, 0.9, 0.8])),
    (LABELS, np.array([[0.1, 0.9, 0.8], [0.1, 0.9, 0.8]])),
    (LABELS, ["s", "m"]),
    (LABELS, [True, None, False]),
    (Multiclass(), [0.1, 0.9]),
    (Multiclass(), SURE),
    (Multiclass(), [1.0, 0.0]),
    (Multiclass(), [2.0, -1.0]),
    (Multiclass(), [0.5, 0.4, 0.05]),
    (Multiclass(), np.array([1.5, 2.5])),
    (Multiclass(), np.array([1, 0])),
    (Multiclass(classes=("a", "b")), np.array([0.1, 0.9], np.float32)),
    (Multiclass(classes=("a", "b")), ["a", "b", "b"]),
    (Binary(), [0.1, 0.9]),
    (Regression(), [0.1, 0.9]),
    (None, [1, 2]),
]


def counts(own: Monitor) -> tuple[int, dict[Any, int], dict[str, int]]:
    """Return what was predicted and what was rejected."""
    model = own.snapshot()["m"]
    return model.predictions, dict(model.predicted), dict(model.rejected)


@pytest.mark.parametrize(("task", "output"), OUTPUTS)
def test_issued_ids_change_nothing_of_what_is_read(task: Task | None, output: Any) -> None:
    """An output is read as without ids, and has one issued id for each prediction, be it a batch or one row."""
    bare, auto = Monitor(), Monitor()
    bare(model="m", task=task)(lambda: output)()
    auto(model="m", task=task, id="auto")(lambda: output)()
    assert counts(auto) == counts(bare)
    ids = current_prediction_ids()
    if not bare.snapshot()["m"].rejected:
        assert auto.forget(ids) == len(set(ids)) == len(ids) == bare.snapshot()["m"].predictions


@pytest.mark.parametrize(("task", "output"), OUTPUTS)
def test_issued_ids_of_items(task: Task | None, output: Any) -> None:
    """An item is one prediction where one id can stand for it, else a batch; none is lost to ids that do not fit."""

    def items() -> Iterator[Any]:
        yield output

    one, auto = Monitor(), Monitor()
    list(one(model="m", task=task, id=lambda _: "one", output=lambda item: item)(items)())
    list(auto(model="m", task=task, id="auto", output=lambda item: item)(items)())
    model, ids = auto.snapshot()["m"], current_prediction_ids()
    if "length" not in one.snapshot()["m"].rejected:
        assert counts(auto) == counts(one)
    assert "length" not in model.rejected
    if not model.rejected:
        assert auto.forget(ids) == len(set(ids)) == len(ids) == model.predictions


def test_a_stream_of_batches_has_ids_for_all_rows() -> None:
    """After each item that is a batch, the ids of its rows are at hand, and labels find each of them."""
    own = Monitor()

    @own(model="m", task=Multiclass(), id="auto", output=lambda item: item)
    def batches() -> Iterator[Any]:
        yield ["a", "b", "c"]
        yield []
        yield np.array([1, 2])

    found = [current_prediction_ids() for _ in batches()]
    assert list(map(len, found)) == [3, 0, 2]
    assert dict(own.labels([one for ids in found for one in ids], ["a", "b", "b", 1, 2])) == {"joined": 5}
    assert own.snapshot()["m"].accuracy == 0.8
