"""Recording rules, run by the real promtool over what two replicas export, against scikit-learn and the snapshot."""

from __future__ import annotations

import warnings

import numpy as np
import promtool
import pytest
from servers import needs
from sklearn import metrics
from small_worlds import WORLDS

from modelmon import Binary, Monitor, Multiclass, Multilabel
from modelmon.accumulators.losses import SCORE_EDGES
from modelmon.identity import class_texts
from modelmon.points.reading import points
from modelmon.readings.metrics import METRICS
from modelmon.rules.recorded import Group, rule_file
from modelmon.rules.recording import Table

RULES = rule_file([Group("modelmon_quality", tuple(Table("model, version").rules()))])
RATIOS = ("precision", "recall", "f1", "jaccard", "specificity", "negative_predictive_value")
EARLIEST = "1m"


def stream(classes: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return true classes and what was predicted; with three or more, one is never predicted and one never true."""
    chance = np.random.default_rng(seed)
    actual = chance.integers(0, classes, rows)
    predicted = np.where(chance.random(rows) < 0.8, actual, chance.integers(0, classes, rows))
    if classes > 2:
        actual[actual == 2] = 0
        predicted[predicted == 1] = 0
    return actual, predicted


def replicas(model: str, task, truths, values) -> list[Monitor]:
    """Return two monitors that saw half of the rows each; some labels were wrong at first, some were taken back."""
    halves = []
    for half in range(2):
        monitor, own = Monitor(), range(half, len(truths), 2)
        ids = [f"{half}-{n}" for n in own]
        monitor.predictions(ids, values[list(own)], model=model, version="1", task=task)
        truth = [truths[n].item() for n in own]
        wrong = [truths[(n + 1) % len(truths)].item() for n in own]
        monitor.labels(ids[:20], wrong[:20], revs=[1] * 20)
        monitor.labels(ids, truth, revs=[2] * len(ids))
        halves.append(monitor)
    return halves


def asked(name: str, value: float, **labels: str) -> dict:
    """Ask that a recorded series has a value."""
    series = promtool.selector(f"modelmon:{name}", {"model": "m", "version": "1", **labels}.items())
    return {"eval_time": EARLIEST, **promtool.close(series, float(value))}


def of_matrix(actual: np.ndarray, predicted: np.ndarray, classes: int) -> list[dict]:
    """Ask for what scikit-learn says of rows."""
    present = sorted({*actual.tolist(), *predicted.tolist()})
    wanted = [
        asked("n", len(actual)),
        asked("accuracy", metrics.accuracy_score(actual, predicted)),
        asked("mcc", metrics.matthews_corrcoef(actual, predicted)),
        asked("kappa", metrics.cohen_kappa_score(actual, predicted)),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted.append(asked("balanced_accuracy", metrics.balanced_accuracy_score(actual, predicted)))
    for name in ("precision", "recall", "f1", "jaccard"):
        score = getattr(metrics, f"{name}_score")
        zero = {} if name == "jaccard" else {"zero_division": np.nan}
        for average in ("micro", "macro", "weighted"):
            value = score(actual, predicted, average=average, labels=present, **zero)
            wanted.append(asked(f"{name}_{average}", value))
        for place, value in zip(present, score(actual, predicted, average=None, labels=present, **zero), strict=True):
            wanted.append(asked(name, value, **{"class": str(place)}))
    absent = set(range(classes)) - set(present)
    wanted += [asked("recall", np.nan, **{"class": str(place)}) for place in absent]
    return wanted


@needs("promtool")
@pytest.mark.parametrize("classes", [2, 5])
def test_matrix_metrics_of_replicas_are_scikit_learn_s(tmp_path, classes):
    """Every metric of the matrix, added up over two replicas with corrections, is scikit-learn's on the same rows."""
    actual, predicted = stream(classes, 700, seed=classes)
    monitors = replicas("m", Multiclass(), actual, predicted)
    read = {}
    for number, monitor in enumerate(monitors):
        read |= promtool.read(monitor.snapshot().points(), instance=f"host:{number}")
    promtool.verify(tmp_path, RULES, [read, read], promql_expr_test=of_matrix(actual, predicted, classes))


@needs("promtool")
def test_area_of_replicas_is_that_of_the_bins_and_bounds_scikit_learn_s(tmp_path):
    """The area under the ROC curve is that of the bins to 1e-12, and scikit-learn's lies within the half-width."""
    chance = np.random.default_rng(5)
    actual = chance.integers(0, 2, 900)
    scores = np.clip(0.25 * actual + 0.75 * chance.random(900) ** 2, 0, 1)
    read = {}
    for number, monitor in enumerate(replicas("m", Binary(positive=1), actual, scores)):
        read |= promtool.read(monitor.snapshot().points(), instance=f"host:{number}")
    bins = np.searchsorted(SCORE_EDGES, scores)
    area = metrics.roc_auc_score(actual, bins)
    ties = np.bincount(bins[actual == 1], minlength=60) @ np.bincount(bins[actual == 0], minlength=60)
    half = 0.5 * ties / (actual.sum() * (1 - actual).sum())
    exact = metrics.roc_auc_score(actual, scores)
    assert abs(exact - area) <= half < 0.02
    wanted = [asked("roc_auc", area), asked("roc_auc:halfwidth", half), *of_matrix(actual, scores >= 0.5, 2)[:5]]
    promtool.verify(tmp_path, RULES, [read, read], promql_expr_test=wanted)


@needs("promtool")
@pytest.mark.parametrize("world", ["binary", "multiclass", "many classes", "multilabel", "regression", "empty"])
def test_recorded_quality_is_the_snapshot_s(tmp_path, world):
    """Whatever the task, recorded metrics and intervals are the snapshot's; what counters cannot tell is absent."""
    wanted = []
    for (model, version), seen in WORLDS[world].items():
        own = {"model": model, "version": version}
        several = world == "multilabel"
        whole = {
            name: np.nan if several else seen.value(name) for name in ("accuracy", "balanced_accuracy", "mcc", "kappa")
        }
        wanted += [asked(name, value, **own) for name, value in whole.items()]
        low, high = (np.nan, np.nan) if several else seen.interval("accuracy")
        wanted += [asked("accuracy:wilson_low", low, **own), asked("accuracy:wilson_high", high, **own)]
        for name in RATIOS:
            if several and name not in {"precision", "recall", "f1", "jaccard"}:
                continue
            for average in ("micro", "macro", "weighted"):
                value = np.nan if world == "regression" else seen.value(name, average=average)
                wanted.append(asked(f"{name}_{average}", value, **own))
            for value, text in zip(seen.classes, class_texts(seen.classes), strict=True):
                of = {**own, "class": text}
                ends = zip(("low", "high"), seen.interval(name, of=value), strict=True)
                wanted.append(asked(name, seen.value(name, of=value), **of))
                wanted += [asked(f"{name}:wilson_{end}", at, **of) for end, at in ends]
    read = promtool.read(points(WORLDS[world]))
    wanted = wanted or [{"eval_time": EARLIEST, **promtool.close('{__name__=~"modelmon:.*"}', np.nan)}]
    promtool.verify(tmp_path, RULES, [read, read], promql_expr_test=wanted)


@needs("promtool")
def test_rows_of_several_labels_have_no_accuracy_when_nobody_shows_them_any_more(tmp_path):
    """What is recorded over an hour outlasts the gauges, which would tell that rows have several labels."""
    monitor, steps = Monitor(), []
    for turn in range(4):
        ids = [f"{turn}-{n}" for n in range(10)]
        monitor.predictions(ids, [["a"]] * 10, model="m", version="1", task=Multilabel(["a", "b"]))
        monitor.labels(ids, [["a", "b"]] * 10)
        steps.append(promtool.read(monitor.snapshot().points()))
    hour = rule_file(
        [Group("q", tuple(rule for each in (None, 3600) for rule in Table("model, version", each).rules()))]
    )
    names = ("n", "accuracy", "accuracy:wilson_low", "mcc", "kappa", "balanced_accuracy")
    wanted = [
        {"eval_time": at, **promtool.close(f"modelmon:{name}:1h", np.nan)} for name in names for at in ("3m", "20m")
    ]
    wanted += [{"eval_time": "20m", "expr": "modelmon:tp:1h > bool 0", "exp_samples": positive("ab", [1, 0])}]
    promtool.verify(tmp_path, hour, [*steps, *[{}] * 17], promql_expr_test=wanted)


def positive(classes: str, values: list[float]) -> list[dict]:
    """Ask for a value of each class."""
    return [
        {"labels": f'{{class="{text}", model="m", version="1"}}', "value": value}
        for text, value in zip(classes, values, strict=True)
    ]


def test_every_metric_of_the_matrix_is_recorded():
    """A metric of the matrix that the snapshot knows has a recording rule, and so has the area under the ROC curve."""
    known = {name for name, metric in METRICS.items() if metric.subject == "matrix"}
    recorded = {rule.record.removeprefix("modelmon:") for rule in Table("model").rules()}
    assert known <= recorded
    assert "roc_auc" in recorded
