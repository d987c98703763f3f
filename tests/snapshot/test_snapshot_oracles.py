"""Readings of real streams equal the recorded results of scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path

import counted
import numpy as np
import pytest

from modelmon.tasks import Multiclass

ORACLES = Path(__file__).parent.parent / "oracles"
EXACT = {"rel": 0, "abs": 1e-12}
MATRIX = ("accuracy", "balanced_accuracy", "mcc", "kappa", "log_loss", "brier")


def stream(name):
    """Return a recorded stream."""
    return json.loads((ORACLES / f"{name}.json").read_text())


def check_binary(fraud, expected):
    """Compare every binary metric of the record."""
    assert fraud.confusion.matrix.tolist() == [[expected["tn"], expected["fp"]], [expected["fn"], expected["tp"]]]
    for name in MATRIX:
        assert getattr(fraud, name) == pytest.approx(expected[name], **EXACT), name
    for name in ("precision", "recall", "f1", "specificity", "jaccard"):
        assert getattr(fraud, name)() == pytest.approx(expected[name], **EXACT), name
    assert fraud.negative_predictive_value() == pytest.approx(expected["npv"], **EXACT)
    assert fraud.calibration_error == pytest.approx(expected["ece10"], **EXACT)
    check_ranking(fraud, expected)


def check_ranking(fraud, expected):
    """Compare the two ranking metrics; a few hundred distinct scores are kept exactly."""
    low, high = fraud.auc_bounds
    assert low == high == fraud.auc == pytest.approx(expected["roc_auc"], **EXACT)
    low, high = fraud.average_precision_bounds
    assert low == high == fraud.average_precision == pytest.approx(expected["average_precision"], **EXACT)


def test_breast_cancer():
    """Every metric of 569 binary scores is scikit-learn's."""
    record = stream("bc_lr_binary")
    check_binary(counted.model(counted.binary(record["y"], record["score"])), record["sklearn"])


@pytest.mark.fault("L15")
@pytest.mark.parametrize("at", range(3))
def test_breast_cancer_with_delay(at):
    """At every checkpoint the joined rows give scikit-learn's metrics, in all and by window of prediction time."""
    record = stream("bc_lr_binary")
    checkpoint, ttl = record["delayed"]["checkpoints"][at], record["delayed"]["ttl"]
    times, arrivals = np.arange(len(record["y"]), dtype=float), np.array(record["t_label"])
    joined = np.flatnonzero((arrivals <= checkpoint["T"]) & (arrivals <= times + ttl))
    truth, scores = np.array(record["y"])[joined], np.array(record["score"])[joined]
    series = counted.binary(truth, scores, times=times[joined])
    fraud = counted.model(series, window=record["delayed"]["window_width"], taken_at=checkpoint["T"])
    check_binary(fraud, checkpoint["cumulative"])
    windows = fraud.windows()
    expected = checkpoint["windows_by_prediction_time"]
    shown = {str(int(start // 100)): window for start, window in windows.items()}
    assert set(shown) == {number for number, window in expected.items() if window["joined"]}
    for number, window in shown.items():
        assert window.labelled == expected[number]["joined"]
        assert window.accuracy == pytest.approx(expected[number]["metrics"]["accuracy"], **EXACT)
        assert window.auc == pytest.approx(expected[number]["metrics"]["roc_auc"], **EXACT)


def test_phishing():
    """Every metric of a stream of 1,250 rows with ties, some predicted against the threshold, is scikit-learn's."""
    record = stream("phishing_delay50")
    truth = {event[1]: event[2] for event in record["events"] if event[0] == "L"}
    scores = {event[1]: event[2] for event in record["events"] if event[0] == "P"}
    exceptions = set(record["pred_true_ids_exceptions"])
    order = sorted(truth)
    values = np.array([0.0 if scores[i] is None else scores[i] for i in order])
    predicted = np.array([(s >= 0.5) != (i in exceptions) for i, s in zip(order, values, strict=True)]).astype(int)
    series = counted.binary([int(truth[i]) for i in order], values, predicted=predicted)
    check_binary(counted.model(series), record["sklearn"])


def check_digits(digits, expected):
    """Compare every matrix metric of the record."""
    assert digits.confusion.matrix.tolist() == expected["confusion"]
    for name in ("precision", "recall", "f1"):
        for average in ("micro", "macro", "weighted"):
            value = getattr(digits, name)(average=average)
            assert value == pytest.approx(expected[f"{name}_{average}"], **EXACT)
        by_class = getattr(digits, name)(average=None)
        assert list(by_class.values()) == pytest.approx(expected["per_class"][name], **EXACT)
        assert getattr(digits, name)(3) == by_class[3]
    assert list(digits.support.values()) == expected["per_class"]["support"]
    for name in ("accuracy", "balanced_accuracy", "mcc", "kappa"):
        assert getattr(digits, name) == pytest.approx(expected[name], **EXACT)


def test_digits():
    """Every metric of ten classes with probabilities is scikit-learn's, AUC within its own bounds."""
    record = stream("digits_lr_multiclass")
    expected = record["sklearn"]
    digits = counted.model(counted.multiclass(record["y"], record["proba"], classes=range(10)))
    check_digits(digits, expected)
    assert digits.log_loss == pytest.approx(expected["log_loss"], **EXACT)
    assert digits.brier == pytest.approx(expected["brier_multiclass"], **EXACT)
    assert digits.top_k(2) == pytest.approx(expected["top2"], **EXACT)
    assert digits.top_k(3) == pytest.approx(expected["top3"], **EXACT)
    low, high = digits.auc_bounds
    assert low - 1e-12 <= expected["roc_auc_ovr_macro"] <= high + 1e-12
    assert high - low <= 2e-3
    for value, area in enumerate(expected["roc_auc_ovr_per_class"]):
        assert digits.auc_of(value) == pytest.approx(area, abs=1e-3)


@pytest.mark.parametrize("at", range(3))
def test_digits_with_delay(at):
    """At every checkpoint the joined rows give scikit-learn's matrix, in all and by window of prediction time."""
    record = stream("digits_lr_multiclass")
    checkpoint, ttl = record["delayed"]["checkpoints"][at], record["delayed"]["ttl"]
    times, arrivals = np.arange(len(record["y"]), dtype=float), np.array(record["t_label"])
    joined = np.flatnonzero((arrivals <= checkpoint["T"]) & (arrivals <= times + ttl))
    truth, rows = np.array(record["y"])[joined], np.array(record["proba"])[joined]
    width = record["delayed"]["window_width"]
    series = counted.multiclass(truth, rows, classes=range(10), times=times[joined] / width * 100.0)
    digits = counted.model(series)
    check_digits(digits, checkpoint["cumulative"])
    for start, window in digits.windows().items():
        check_digits(window, checkpoint["windows_by_prediction_time"][str(int(start // 100))]["metrics"])


@pytest.mark.parametrize("case", stream("edge_cases")["cases"])
def test_edge_cases(case):
    """Absent classes take no part in averages, as in scikit-learn; its zeros without denominator are nan here."""
    model = counted.model(counted.labelled(case["y"], case["pred"], classes=range(5), task=Multiclass(range(5))))
    expected = case["sklearn"]
    assert model.accuracy == expected["accuracy"]
    assert model.balanced_accuracy == pytest.approx(expected["balanced_accuracy"], **EXACT)
    assert model.f1() == pytest.approx(expected["f1_macro"], **EXACT)
    assert np.isnan(model.mcc) or model.mcc == pytest.approx(expected["mcc"], **EXACT)
