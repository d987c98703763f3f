"""Watched estimators pass for what they stand in for, and one of their methods gives the predictions."""

# What is unpickled here was pickled here; hooks get arguments that they need not read.
# ruff: noqa: S301, ARG002, ARG005

from __future__ import annotations

import copy
import pickle
import sys
import tracemalloc
from itertools import islice
from threading import Thread

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import modelmon.sklearn
from modelmon.errors import ConfigurationError
from modelmon.monitoring import Monitor
from modelmon.sklearn import WatchedEstimator, watch
from modelmon.tasks import Binary, Multiclass, Regression

X, Y = load_breast_cancer(return_X_y=True)
FITTED = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
IDS = [f"row-{i}" for i in range(len(Y))]
FEW = X[:20]
ID_OF = {row[0]: [f"few-{i}", f"few-{i + 1}"] for i, row in enumerate(FEW)}
by_row = {"id": lambda arguments: IDS[: len(arguments["X"])]}


@pytest.mark.parametrize(
    "order",
    [
        ("predict", "predict_proba"),
        ("predict_proba", "predict"),
        ("decision_function", "predict", "predict_proba"),
        ("predict", "decision_function", "predict"),
    ],
)
def test_one_method_gives_the_predictions(order):
    """Whatever the order of the calls, scores beat classes, and the others are only timed."""
    monitor = Monitor()
    watched = watch(FITTED, model="m", monitor=monitor, **by_row)
    for name in order:
        assert np.array_equal(getattr(watched, name)(X), getattr(FITTED, name)(X))
    monitor.labels(IDS, Y)
    seen = monitor.snapshot()["m"]
    assert (seen.calls, seen.labelled) == (len(order), len(Y))
    assert seen.auc == pytest.approx(0.9974, abs=1e-3)
    if "predict_proba" in order:
        assert seen.accuracy == FITTED.score(X, Y)
        assert seen.predictions == len(Y)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("order", [("predict", "predict_proba"), ("predict_proba", "predict")])
def test_one_method_gives_the_predictions_of_calls_with_few_rows(order, rows):
    """A single row, of which a lone value is kept, is counted once too."""
    monitor = Monitor()
    watched = watch(FITTED, model="m", monitor=monitor, id=lambda arguments: ID_OF[arguments["X"][0, 0]][:rows])
    for start in range(0, 20, rows):
        for name in order:
            getattr(watched, name)(FEW[start : start + rows])
    monitor.labels([f"few-{i}" for i in range(20)], Y[:20])
    seen = monitor.snapshot()["m"]
    assert (seen.calls, seen.predictions, seen.labelled) == (40 // rows, 20, 20)
    assert dict(seen.prediction_events) == {"pending": 20}
    assert seen.log_loss > 0  # the scores are those that count


class Quick(ClassifierMixin, BaseEstimator):
    """Classify by the first letter, at no cost."""

    classes_ = np.array([0, 1])

    def predict_proba(self, X):  # noqa: N803  (the name that scikit-learn gives)
        """Score two rows."""
        return np.array([[0.4, 0.6], [0.5, 0.5]])

    def predict(self, X):  # noqa: N803
        """Classify two rows."""
        return np.array([1, 0])


class Dated(Quick):
    """Predict dates, which are no classes."""

    def predict(self, X):  # noqa: N803
        """Date two rows."""
        return np.array(["2026-01-01", "2026-01-02"], "datetime64[D]")


def test_predictions_of_no_known_type_are_not_lent():
    """What cannot be kept is counted at once; the scores of the same rows count all the same."""
    monitor = Monitor()
    watched = watch(Dated(), model="m", monitor=monitor, id="X")
    watched.predict(["a", "b"])
    watched.predict_proba(["a", "b"])
    seen = monitor.snapshot()["m"]
    assert dict(seen.rejected) == {"type": 2}
    assert seen.awaiting == 2


@pytest.mark.parametrize("name", ["predict", "predict_proba"])
def test_threads_forget_ids_at_the_same_moment(name, monkeypatch):
    """However many threads call at once and let go of old ids, every prediction is counted with its id."""
    monkeypatch.setattr(modelmon.sklearn, "_REMEMBERED", 8)
    monitor, errors = Monitor(), []
    method = getattr(watch(Quick(), model="m", monitor=monitor, id="X"), name)

    def work(thread):
        try:
            for i in range(1500):
                method([f"{thread}-{i}-0", f"{thread}-{i}-1"])
        except Exception as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=work, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    seen = monitor.snapshot()["m"]
    assert not errors
    assert not seen.rejected
    assert (seen.predictions, seen.awaiting) == (12_000, 12_000)


def test_latest_ids_are_those_remembered(monkeypatch):
    """Ids are let go of in the order in which they were last called, and what was let go of counts anew."""
    monkeypatch.setattr(modelmon.sklearn, "_REMEMBERED", 2)
    monitor = Monitor()
    watched = watch(Quick(), model="m", monitor=monitor, id="X")
    a, b, c = ["a1", "a2"], ["b1", "b2"], ["c1", "c2"]
    for ids in (a, b, a, c):  # b is let go of, a is not
        watched.predict_proba(ids)
    watched.predict(a)
    assert monitor.snapshot()["m"].predictions == 8
    watched.predict(b)
    assert monitor.snapshot()["m"].predictions == 10


def test_remembered_ids_take_no_room():
    """What is remembered of a call's ids does not grow with their number."""
    identify = modelmon.sklearn._Turns("ids").identify(0)
    names = (f"customer-{number:012d}" for number in range(500_000))
    identify({"ids": list(islice(names, 1000))})
    tracemalloc.start()
    try:
        for _ in range(60):
            identify({"ids": list(islice(names, 1000))})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 500_000  # of about 5 MB that the texts take


@pytest.mark.parametrize(
    ("ids", "others", "counted"),
    [
        (["a", "b"], ["a", "b"], 2),
        (["a", "b"], ["a", "c"], 4),
        (np.array([-1, 7]), np.array([-2, 7]), 4),  # whose hashes are one
        (np.array([1, 2]), np.array([1, 2]), 2),
        (None, None, 4),  # no ids
        ([object(), object()], [object(), object()], 4),  # of no kind that could be compared
    ],
    ids=["texts", "other texts", "other numbers", "numbers", "none", "unknown"],
)
def test_which_ids_are_the_same(ids, others, counted):
    """Two methods take turns where their calls have the very same ids, and only there."""
    monitor = Monitor()
    given = iter([ids, others])
    watched = watch(Quick(), model="m", monitor=monitor, id=lambda arguments: next(given))
    watched.predict([1, 2])
    watched.predict_proba([1, 2])
    assert monitor.snapshot()["m"].predictions == counted


def test_classes_alone():
    """An estimator of which only ``predict`` is called is judged by its classes."""
    monitor = Monitor()
    watch(FITTED, model="m", monitor=monitor, **by_row).predict(X)
    monitor.labels(IDS, Y)
    assert monitor.snapshot()["m"].accuracy == FITTED.score(X, Y)


def test_margins_are_judged_at_zero():
    """Where margins are all there is, zero divides the classes."""
    estimator = LinearSVC().fit(StandardScaler().fit_transform(X), Y)
    scaled = StandardScaler().fit_transform(X)
    monitor = Monitor()
    watched = watch(estimator, model="m", monitor=monitor, **by_row)
    watched.decision_function(scaled)
    assert not hasattr(watched, "predict_proba")
    monitor.labels(IDS, Y)
    assert monitor.snapshot()["m"].accuracy == estimator.score(scaled, Y)


def test_margins_beside_probabilities_are_judged_at_zero():
    """Where an estimator has probabilities too, zero still divides its margins, which are taken for none of them."""
    monitor = Monitor()
    watch(FITTED, model="m", monitor=monitor, **by_row).decision_function(X)
    monitor.labels(IDS, Y)
    seen = monitor.snapshot()["m"]
    assert seen.accuracy == FITTED.score(X, Y)
    assert seen.predicted[1] == FITTED.predict(X).sum()
    assert seen.auc == pytest.approx(roc_auc_score(Y, FITTED.decision_function(X)), abs=1e-9)
    assert np.isnan([seen.log_loss, seen.brier, seen.calibration_error]).all()


class Margins(ClassifierMixin, BaseEstimator):
    """Take rows for margins."""

    classes_ = np.array([0, 1])

    def decision_function(self, X):  # noqa: N803
        """Return the rows."""
        return X


@pytest.mark.parametrize(
    ("margins", "task", "positive"),
    [
        (np.array([0.1, 0.7, 0.9, -0.1, 3.0]), None, 4),
        (np.array([0.1, 0.7, 0.9, -0.1, 3.0], np.float32), Binary(), 4),
        (np.array([0.1, 0.7, 0.9, -0.1, 3.0]), Binary(threshold=0.7), 3),
        (np.array([0.1, 0.7, 0.9, -0.1, 3.0]), Binary(threshold=-1.0), 5),
        (np.array([-1e-300, -0.0, 0.2, 0.4, 0.6]), Binary(threshold=0.0), 4),
        (np.array([1, 0, 0, 0, 1]), None, 2),  # no margins, but classes
    ],
    ids=["own task", "declared", "threshold", "low threshold", "zero", "classes"],
)
def test_margins_pass_for_no_probabilities(margins, task, positive):
    """However many margins lie between 0 and 1, they are cut where the task says and have no log loss."""
    monitor = Monitor()
    watch(Margins(), model="m", task=task, id=lambda arguments: range(5), monitor=monitor).decision_function(margins)
    truths = [0, 1, 0, 0, 1]
    monitor.labels(range(5), truths)
    seen = monitor.snapshot()["m"]
    assert (seen.predictions, seen.predicted[1]) == (5, positive)
    assert np.isnan(seen.log_loss)
    if margins.dtype.kind == "f":
        assert seen.auc == pytest.approx(roc_auc_score(truths, margins))


def test_a_lone_margin_is_judged_at_zero():
    """A margin of a single row is one too, with ids and without."""
    monitor = Monitor()
    for identify in (None, lambda arguments: ["row"]):
        watched = watch(FITTED, model="m", monitor=monitor, id=identify)
        for row in range(20):
            watched.decision_function(X[row : row + 1])
    assert monitor.snapshot()["m"].predicted[1] == 2 * FITTED.predict(X[:20]).sum()


def test_calls_without_ids():
    """Without ids every call's predictions are counted."""
    monitor = Monitor()
    watched = watch(FITTED, model="m", monitor=monitor)
    watched.predict(X)
    watched.predict_proba(X)
    assert monitor.snapshot()["m"].predictions == 2 * len(Y)


def test_tasks_come_from_the_estimator():
    """Classes are read from the estimator; regressors are regressions."""
    flowers, kinds = load_iris(return_X_y=True)
    cases = [
        (FITTED, Binary(positive=1, negative=0)),
        (LogisticRegression(max_iter=500).fit(flowers, kinds), Multiclass(classes=(0, 1, 2))),
        (LinearRegression().fit(flowers, kinds), Regression()),
        (StandardScaler().fit(flowers), None),
    ]
    for estimator, task in cases:
        watched = watch(estimator, model="m", monitor=Monitor())
        assert watched._self_settings["task"] == task
        assert watched._self_settings["monitor"].snapshot() is not None
    assert watch(FITTED, task=Regression(), monitor=Monitor())._self_settings["task"] == Regression()


def test_stand_in_passes_for_the_estimator():
    """Type, parameters, attributes and string are the estimator's."""
    watched = watch(FITTED, monitor=Monitor())
    assert isinstance(watched, Pipeline)
    assert watched.get_params().keys() == FITTED.get_params().keys()
    assert watched.n_features_in_ == X.shape[1]
    assert repr(watched.named_steps) == repr(FITTED.named_steps)
    assert watched.score(X, Y) == FITTED.score(X, Y)
    assert type(clone(watched)) is Pipeline
    assert len(cross_val_score(watched, X[:60], Y[:60], cv=2)) == 2
    watched.set_params(logisticregression__C=0.5).set_params(logisticregression__C=1.0)
    with pytest.raises(AttributeError, match="oops"):
        _ = watched.oops


def test_default_model_name():
    """The model is named after the estimator's class."""
    monitor = Monitor()
    watch(FITTED, version="3", monitor=monitor).predict(X)
    assert ("sklearn.pipeline.Pipeline", "3") in monitor.snapshot()


def test_stand_in_inside_a_pipeline():
    """A watched last step is watched inside a pipeline."""
    monitor = Monitor()
    last = watch(FITTED[-1], model="last", monitor=monitor)
    pipeline = Pipeline([("scale", FITTED[0]), ("last", last)])
    assert np.array_equal(pipeline.predict(X), FITTED.predict(X))
    assert monitor.snapshot()["last"].calls == 1


@pytest.mark.fault("C8")
@pytest.mark.parametrize(
    "send", [lambda w: pickle.loads(pickle.dumps(w)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
def test_copies_are_watched(send):
    """A pickled or copied stand-in is a stand-in."""
    sent = send(watch(FITTED, model="sent", id="X"))
    assert type(sent) is WatchedEstimator
    assert np.array_equal(sent.predict(X), FITTED.predict(X))
    assert sent._self_settings["monitor"].snapshot()["sent"].calls >= 1


def test_files_of_joblib(tmp_path):
    """A stand-in can be dumped and loaded with joblib."""
    joblib.dump(watch(FITTED, model="dumped"), tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    assert type(loaded) is WatchedEstimator
    assert np.array_equal(loaded.predict_proba(X), FITTED.predict_proba(X))


def test_ids_that_fail_change_nothing():
    """A function of the arguments that fails is counted; the estimator answers all the same."""
    monitor = Monitor()
    watched = watch(FITTED, model="m", monitor=monitor, id=lambda arguments: 1 / 0)
    assert np.array_equal(watched.predict(X), FITTED.predict(X))
    assert monitor.snapshot()["m"].calls == 1


class Callables(BaseEstimator):
    """Predict through what is no plain method."""

    def __init__(self, predict):
        """Take what predicts."""
        self.predict = predict


class Telling:
    """Tell its parameters to whoever asks."""

    def __call__(self, rows):
        """Predict nothing."""


@pytest.mark.parametrize(
    ("estimator", "wanted", "message"),
    [
        (FITTED, "auto", "id='auto' must name the argument"),
        (FITTED, 5, "id=5 must name the argument"),
        (FITTED, "ids", "id='ids' is no parameter of predict_proba, which has self, X, params"),
        (Callables(Telling()), "ids", "id='ids' is no parameter of predict, which has rows"),
        (Callables(min), "ids", "id='ids' is no parameter of predict, which has none"),
    ],
    ids=["issued", "no name", "unknown name", "callable object", "no parameters"],
)
def test_ids_that_no_call_could_give_are_refused(estimator, wanted, message):
    """What the ids come from is checked where it is said, not at every call in vain."""
    monitor = Monitor()
    with pytest.raises(ConfigurationError, match=message):
        watch(estimator, model="m", id=wanted, monitor=monitor)
    assert not monitor.snapshot()


def test_ids_by_the_name_of_an_argument():
    """The name of a parameter is taken from methods and from callables that tell their parameters."""
    for estimator, name in ((FITTED, "X"), (Callables(Telling()), "rows"), (Callables(lambda rows: None), "rows")):
        assert type(watch(estimator, id=name, monitor=Monitor())) is WatchedEstimator


def test_the_positive_class_must_be_the_one_that_is_scored():
    """Scores speak of the second class; a task that calls the first one positive would turn every number round."""
    fitted = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], ["bad", "bad", "good", "good"])
    with pytest.raises(ConfigurationError, match="positive='good'"):
        watch(fitted, model="m", task=Binary(positive="bad", negative="good"), monitor=Monitor())
