"""Predictions and labels as badly as they come, in whole programs; rows L of the catalogue of faults."""

from __future__ import annotations

import math
import os
import random
import warnings
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from modelmon import Binary, LabelClient, Monitor, Multiclass, Regression, SQLiteStore
from modelmon.accumulators.counts import Counts
from modelmon.accumulators.exact import ExactSum
from modelmon.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ["cat", "dog", "eel"]


def cells(own: Any, model: str = "m", version: str = "") -> dict[tuple[str, str], int]:
    """Return the confusion matrix of a model as counts by truth and prediction, without zeros."""
    read = own.snapshot()[model, version].confusion
    pairs = [(actual, predicted) for actual in read.classes for predicted in read.classes]
    return {pair: int(n) for pair, n in zip(pairs, read.matrix.ravel(), strict=True) if n}


@pytest.mark.fault("L1")
@pytest.mark.parametrize("seed", range(50))
def test_labels_before_their_predictions(seed: int) -> None:
    """Predictions and labels in any order end in the matrix of predictions first."""
    chance = random.Random(seed)
    own = Monitor()
    own(model="m", task=Multiclass(CLASSES))(lambda: None)
    rows = [(n, chance.choice(CLASSES), chance.choice(CLASSES)) for n in range(60)]
    acts = [("predict", row) for row in rows] + [("label", row) for row in rows]
    chance.shuffle(acts)
    for act, (n, predicted, actual) in acts:
        if act == "predict":
            own.predictions([n], [predicted], model="m", task=Multiclass(CLASSES))
        else:
            own.label(n, actual)
    expected = confusion_matrix([row[2] for row in rows], [row[1] for row in rows], labels=CLASSES)
    assert own.snapshot()["m"].confusion.matrix.tolist() == expected.tolist()
    own.check_invariants()


@pytest.mark.fault("L3", "L2")
@pytest.mark.parametrize("seed", range(10))
def test_labels_that_contradict_each_other(seed: int) -> None:
    """With corrections, retractions and repeats, in any order, the matrix is scikit-learn's on what stood last."""
    chance = np.random.default_rng(seed)
    own, stands = Monitor(), {}
    predicted = chance.integers(0, 3, 100)
    own.predictions(range(100), predicted, model="m", task=Multiclass((0, 1, 2)))
    for rev in range(600):
        number, truth = int(chance.integers(100)), int(chance.integers(4))
        if truth == 3:
            own.retract(number, rev=rev)
            stands.pop(number, None)
        else:
            for _ in range(int(chance.integers(1, 3))):
                own.label(number, truth, rev=rev)
            stands[number] = truth
    read = own.snapshot()["m"]
    assert read.labelled == len(stands)
    expected = confusion_matrix(list(stands.values()), predicted[list(stands)], labels=[0, 1, 2])
    assert read.confusion.matrix.tolist() == expected.tolist()
    own.check_invariants()


@pytest.mark.fault("L4")
def test_labels_that_never_come(tmp_path: Path) -> None:
    """Past the time to live predictions expire, coverage says how many were labelled, and the file stays small."""
    clock = FakeClock(1e9)
    spans = {"ttl": "1d", "forget_after": "1d", "correction_horizon": "1d", "history": "30d"}
    own = Monitor(store=SQLiteStore(tmp_path / "labels.db"), clock=clock, **spans)
    sizes = []
    for day in range(8):
        ids = range(day * 2000, day * 2000 + 2000)
        own.predictions(ids, [1] * 2000, model="m", task=Binary())
        own.labels(list(ids)[:500], [1] * 500)
        clock.advance(86_400)
        own.flush()
        sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
    clock.advance(5 * 86_400)
    own.predictions([-1], [1], model="m", task=Binary())
    read = own.snapshot()["m"]
    assert read.expired == 8 * 1500
    assert read.coverage == pytest.approx(4000 / 16_001)
    assert max(sizes[4:]) <= 2.5 * max(sizes[:3])
    own.close()


@pytest.mark.fault("L5")
def test_two_predictions_under_one_id() -> None:
    """The same prediction again is a duplicate, another one a conflict; one row stands either way."""
    own = Monitor()
    for value in ("cat", "cat", "cat", "dog"):
        own.predictions(["a"], [value], model="m", task=Multiclass(CLASSES))
    assert own.label("a", "cat")["joined"] == 1
    events = own.snapshot()["m"].prediction_events
    assert (events["pending"], events["duplicate"], events["conflict"]) == (1, 2, 1)
    assert cells(own) == {("cat", "cat"): 1}


@pytest.mark.fault("L8")
@pytest.mark.parametrize("rows", [0, 1, 1000, 1_000_000])
def test_batches_of_any_size(rows: int) -> None:
    """A batch of any size is one call, and each of its rows one prediction."""
    own = Monitor()
    outputs = np.arange(rows) % 3
    predict = own(model="m", task=Multiclass((0, 1, 2)))(lambda: outputs)
    assert predict() is outputs
    read = own.snapshot()["m"]
    assert (read.calls, read.predictions, read.batch_size.count) == (1, rows, 1)
    assert sum(read.predicted.values()) == rows


@pytest.mark.fault("L9")
@pytest.mark.parametrize("lengths", [(3, 2), (2, 3), (0, 1), (1, 0)])
def test_ids_and_outputs_that_differ_in_number(lengths: tuple[int, int]) -> None:
    """The call succeeds, nothing of it awaits a label, and its rows are counted as rejected."""
    own = Monitor()
    ids, outputs = [list(range(n)) for n in lengths]
    predict = own(model="m", id="ids", task=Multiclass((0, 1, 2)))(lambda ids: outputs)  # noqa: ARG005
    assert predict(ids) is outputs
    read = own.snapshot()["m"]
    assert (read.calls, read.awaiting, read.predictions) == (1, 0, 0)
    assert read.rejected["length"] >= min(lengths)
    assert sum(own.labels(range(3), [0, 1, 2]).values()) == 3
    with pytest.raises(ValueError, match="ids"):
        own.labels(range(3), [1, 2])
    own.check_invariants()


@pytest.mark.fault("L10")
def test_scores_that_are_no_probabilities() -> None:
    """Among a hundredth of each bad kind of score, the area is scikit-learn's on the finite ones."""
    chance = np.random.default_rng(1)
    truth = chance.integers(0, 2, 4000)
    score = np.clip(0.4 * truth + 0.6 * chance.random(4000), 0, 1)
    score[::100], score[1::100], score[2::100] = math.nan, math.inf, -math.inf
    score[3::100], score[4::100] = 7.5, -3.0
    own = Monitor()
    own.predictions(range(4000), score, model="m", task=Binary())
    own.labels(range(4000), truth)
    read = own.snapshot()["m"]
    finite = np.isfinite(score)
    assert read.rejected["nan"] == 40
    ranked = np.where(np.isnan(score), 0, score)[~np.isnan(score)]
    with_infinite = roc_auc_score(truth[~np.isnan(score)], np.clip(ranked, -1e9, 1e9))
    without = roc_auc_score(truth[finite], score[finite])
    assert min(abs(read.auc - with_infinite), abs(read.auc - without)) < 2e-3
    own.check_invariants()


@pytest.mark.fault("L11")
def test_labels_that_are_missing() -> None:
    """Of labels a fifth of which are missing, in every way there is to say so, no class is made and none is counted."""
    ways = [
        None,
        math.nan,
        np.nan,
        float("nan"),
        np.float32("nan"),
        pd.NA,
        pd.NaT,
        np.ma.masked,
        np.datetime64("NaT", "s"),
    ]
    own = Monitor()
    own.predictions(range(10_000), np.arange(10_000) % 3, model="m", task=Multiclass())
    truths = [ways[n // 5 % len(ways)] if n % 5 == 0 else n % 3 for n in range(10_000)]
    found = own.labels(range(10_000), truths)
    assert (found["joined"], found["invalid"]) == (8000, 2000)
    assert own.snapshot()["m"].classes == (0, 1, 2)


@pytest.mark.slow
@pytest.mark.fault("L12")
def test_a_million_random_classes() -> None:
    """A million predictions of random texts have at most 257 classes, and every one is counted."""
    own, chance = Monitor(), random.Random(3)
    total = 0
    for _ in range(20):
        texts = [f"{chance.getrandbits(40):x}" for _ in range(50_000)]
        own.predictions(None, texts, model="m", task=Multiclass())
        total += len(texts)
    read = own.snapshot()["m"]
    assert len(read.predicted) <= 257
    assert sum(read.predicted.values()) == total == 1_000_000


@pytest.mark.fault("L14")
@pytest.mark.parametrize("truths", [[], [0] * 20, [1] * 20])
@pytest.mark.parametrize(
    "task", [Binary(), Multiclass((0, 1)), Regression()], ids=["binary", "multiclass", "regression"]
)
def test_one_class_only(truths: list[int], task: Any) -> None:
    """What has no denominator is undefined, no exporter shows it, and nothing warns."""
    own = Monitor()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own.predictions(
            range(20), [0.25] * 20 if isinstance(task, (Binary, Regression)) else [0] * 20, model="m", task=task
        )
        own.labels(range(len(truths)), truths)
        read = own.snapshot()["m"]
        points = [point for point in own.snapshot().points() if point.name == "modelmon.quality"]
        shown = {dict(point.attributes)["metric"]: point.value for point in points}
        str(read)
    assert not any(math.isnan(value) for value in shown.values())
    if not truths:
        assert not shown
    if isinstance(task, Binary):
        assert math.isnan(read.auc)
        assert "auc" not in shown


@pytest.mark.fault("L15")
def test_labels_from_another_program_weeks_late(tmp_path: Path) -> None:
    """Labels that come shuffled through other monitors land in the version and the window of their predictions."""
    path, start, week = tmp_path / "labels.db", 1e9, 7 * 86_400
    clock, chance = FakeClock(start), random.Random(5)
    expected: dict[tuple[str, int], int] = {}
    own = Monitor(store=SQLiteStore(path), clock=clock, window="1d", ttl="60d")
    rows = []
    for which in range(4):
        version = str(which // 2)
        for _ in range(50):
            rows.append((f"{version}-{len(rows)}", chance.choice(CLASSES)))
            own.predictions(
                [rows[-1][0]], [chance.choice(CLASSES)], model="m", version=version, task=Multiclass(CLASSES)
            )
            slot = (version, int(clock.time() // 86_400))
            expected[slot] = expected.get(slot, 0) + 1
        own.flush()
        clock.advance(week)
    own.close()
    chance.shuffle(rows)
    clients = [Monitor(store=SQLiteStore(path), clock=clock, window="1d", ttl="60d") for _ in range(3)]
    for number, (ident, truth) in enumerate(rows):
        assert clients[number % 3].label(ident, truth)["joined"] == 1
    read = clients[0].snapshot()
    for client in clients:
        client.close()
    found = {
        (version, int(start // 86_400)): window.labelled
        for version in ("0", "1")
        for start, window in read["m", version].windows().items()
        if window.labelled
    }
    assert found == expected


@pytest.mark.fault("L16")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_four_processes_join_the_same_predictions(tmp_path: Path) -> None:
    """Of four processes that deliver the same labels at once, each label joins for one of them."""
    path, rows = tmp_path / "labels.db", 5000
    own = Monitor(store=SQLiteStore(path))
    own.predictions(range(rows), [1] * rows, model="m", task=Binary())
    own.close()
    children = []
    for seed in range(4):
        child = os.fork()
        if not child:
            numbers = list(range(rows))
            random.Random(seed).shuffle(numbers)
            with LabelClient(SQLiteStore(path, timeout=60)) as client:
                done = 0
                for begin in range(0, rows, 250):
                    done += client.labels(numbers[begin : begin + 250], [1] * 250)["joined"]
            (tmp_path / f"joined-{seed}").write_text(str(done))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    with LabelClient(SQLiteStore(path)) as client:
        assert cells(client) == {(1, 1): rows}
    assert sum(int((tmp_path / f"joined-{seed}").read_text()) for seed in range(4)) == rows


@pytest.mark.fault("L18")
@pytest.mark.parametrize("edge", [2**31 - 1, 2**32 - 1, 2**53 - 1, 2**63 - 1])
def test_counts_at_the_edges_of_numbers(edge: int) -> None:
    """One more than the largest number of 31, 32, 53 or 63 bits is exactly that."""
    counts = Counts()
    counts.add(("a",), edge)
    counts.add(("a",), 1)
    assert counts.get(("a",)) == edge + 1
    assert Counts.from_state(counts.to_state()).get(("a",)) == edge + 1
    total = ExactSum()
    total.add(np.array([float(edge), 1.0, -float(edge)]))
    assert total.fraction() == Fraction(1)
