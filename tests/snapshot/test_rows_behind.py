"""How many rows stand behind each number: those that it divides by."""

from __future__ import annotations

import counted
import numpy as np
import pytest

from modelmon import Binary, Monitor, Multilabel, Regression
from modelmon.parts import SeriesPart
from modelmon.readings.rows import rows_behind
from modelmon.testing import FakeClock

generator = np.random.default_rng(5)


def test_assumed_labels_stand_behind_the_matrix() -> None:
    """Rows whose truth was assumed count, as they do in the accuracy that rests on them."""
    clock = FakeClock(1_800_000_000)
    monitor = Monitor(clock=clock, gpu=False)
    monitor.assume_label("ok", after="1d", model="m")
    monitor.predictions(range(60), ["fraud"] * 30 + ["ok"] * 30, model="m", task=Binary("fraud", "ok"))
    clock.advance(2 * 86400)
    model = monitor.snapshot()["m"]
    assert (model.labelled, model.assumed, model.accuracy) == (0, 60, 0.5)
    assert rows_behind(model, "accuracy") == rows_behind(model, "mcc") == rows_behind(model, "f1", None, "macro") == 60
    assert rows_behind(model, "recall", "ok") == 60
    assert rows_behind(model, "precision", "ok") == 30
    shown = {dict(p.attributes)["metric"]: p.value for p in model_points(monitor, "modelmon.quality.support")}
    assert shown["accuracy"] == 60


def model_points(monitor: Monitor, name: str) -> list:
    """Return the points of that name without a class."""
    return [p for p in monitor.snapshot().points() if p.name == name and "class" not in dict(p.attributes)]


def test_whole_rows_of_several_labels() -> None:
    """The accuracy of rows with several labels rests on the rows whose every label is known, other numbers on all."""
    monitor = Monitor(gpu=False)
    monitor.predictions(range(50), [["a", "b"]] * 50, model="m", task=Multilabel(classes=("a", "b")))
    monitor.labels(range(47), [{"a": True}] * 47)
    monitor.labels(range(47, 50), [{"a": False, "b": True}] * 3)
    model = monitor.snapshot()["m"]
    assert model.labelled == 50
    assert rows_behind(model, "accuracy") == rows_behind(model, "precision", None, "samples") == 3
    assert rows_behind(model, "jaccard", None, "samples") == 0
    assert rows_behind(model, "hamming_loss") == rows_behind(model, "precision", None, "micro") == 50
    assert rows_behind(model, "recall", "a") == 47
    assert rows_behind(counted.model(SeriesPart(Multilabel())), "accuracy") == 0


def test_scores_of_some_rows() -> None:
    """Areas, losses and ranks rest on the rows that came with scores."""
    truth, scores = generator.integers(0, 2, 90), generator.random(90)
    scored = counted.binary(truth, scores)
    scored.ledgers[()].total.confusion.update(np.ones(10, np.int64), np.ones(10, np.int64))
    model = counted.model(scored)
    assert rows_behind(model, "accuracy") == 100
    assert {rows_behind(model, name) for name in ("auc", "average_precision", "log_loss", "brier")} == {90}
    assert rows_behind(model, "auc", 0) == rows_behind(model, "auc", 1) == 90
    rows = counted.model(counted.multiclass(truth, generator.dirichlet([1, 1], 90), classes=("x", "y")))
    assert rows_behind(rows, "auc") == rows_behind(rows, "auc", "x") == rows_behind(rows, "top_k", 1) == 90
    assert rows_behind(counted.model(SeriesPart(Binary())), "log_loss") == 0


@pytest.mark.parametrize(("metric", "rows"), [("mae", 40), ("coverage", 40)])
def test_errors_and_coverage(metric: str, rows: int) -> None:
    """Errors rest on the rows that have one, and coverage on those accepted."""
    model = counted.model(counted.regression(np.arange(40.0), np.arange(40.0)))
    assert isinstance(model.task, Regression)
    assert rows_behind(model, metric) == rows
