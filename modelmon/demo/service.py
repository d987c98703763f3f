"""The service of the demo: two scikit-learn models on bundled data, each behind a watched function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelmon.monitoring import Monitor
from modelmon.tasks import Binary, Multiclass

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "2026.10"
NOISE = 4.0  # grey levels of 16: handwriting on a bad scanner, so that the confusion matrix has something to show
BENIGN, MALIGNANT = "benign", "malignant"


@dataclass(frozen=True, slots=True)
class Service:
    """Hold the watched functions and the cases that will be sent to them.

    Attributes:
        monitor: what watches both functions.
        read_digits: ids, images (n, 64) → probabilities (n, 10); model ``digits``.
        screen: id, measurements (2,) → probability of malignancy; model ``tumours``.
        images: float64 (cases, 64), and ``digits`` int64 (cases,) what they show.
        scans: float64 (cases, 2), and ``findings`` what they turned out to be.
    """

    monitor: Monitor
    read_digits: Callable[[list[str], Any], Any]
    screen: Callable[[str, Any], float]
    images: Any
    digits: Any
    scans: Any
    findings: list[str]


def open_service() -> Service:
    """Train both models and watch the functions that serve them."""
    monitor = Monitor()
    reader, images, digits = _train_reader()
    screener, scans, findings = _train_screener()

    @monitor(model="digits", version=VERSION, task=Multiclass(classes=tuple(range(10))), id="ids")
    def read_digits(ids: list[str], images: Any) -> Any:  # noqa: ARG001 - the watcher reads the ids
        return reader.predict_proba(images)

    @monitor(model="tumours", version=VERSION, task=Binary(positive=MALIGNANT, negative=BENIGN), id="scan_id")
    def screen(scan_id: str, measurements: Any) -> float:  # noqa: ARG001 - the watcher reads the id
        return float(screener.predict_proba([measurements])[0, 1])  # ValueError where a measurement is missing

    return Service(monitor, read_digits, screen, images, digits, scans, findings)


def _train_reader() -> tuple[Any, Any, Any]:
    data = load_digits()
    train, rest, known, truth = train_test_split(data.data, data.target, test_size=0.7, random_state=1)
    model = LogisticRegression(C=0.001, max_iter=500).fit(train, known)
    rng = np.random.default_rng(7)
    return model, np.clip(rest + rng.normal(0.0, NOISE, rest.shape), 0.0, 16.0), truth


def _train_screener() -> tuple[Any, Any, list[str]]:
    data = load_breast_cancer()
    measurements = data.data[:, :2]  # radius and texture: with all thirty there is nothing left to watch
    malignant = data.target == 0
    train, rest, known, truth = train_test_split(measurements, malignant, test_size=0.8, random_state=1)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(train, known)
    return model, rest, [MALIGNANT if found else BENIGN for found in truth]
