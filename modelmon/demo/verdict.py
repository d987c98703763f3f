"""The verdict of the demo: every number of ours beside scikit-learn's, on the rows that the plain record joins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import metrics

from modelmon.demo.service import BENIGN, MALIGNANT, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.demo.post import Post
    from modelmon.demo.traffic import Traffic
    from modelmon.snapshot import ModelSnapshot, Snapshot

EXACT = 1e-12
THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """Hold one number twice: ours and theirs, and how far they may lie apart."""

    model: str
    metric: str
    ours: float
    theirs: float
    tolerance: float = EXACT

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return bool(abs(self.ours - self.theirs) <= self.tolerance)


def compare(snapshot: Snapshot, traffic: Traffic, post: Post) -> list[Line]:
    """Return all lines of the comparison."""
    truths = post.known()
    digits, tumours = snapshot["digits", VERSION], snapshot["tumours", VERSION]
    images = [id_ for id_ in traffic.answers if id_.startswith("image") and id_ in truths]
    scans = [id_ for id_ in traffic.answers if id_.startswith("scan") and id_ in truths]
    return [
        *_counts("digits", digits, traffic, sum(id_.startswith("image") for id_ in traffic.answers), len(images)),
        *_digits(digits, np.array([truths[i] for i in images]), np.array([traffic.answers[i] for i in images])),
        *_counts("tumours", tumours, traffic, sum(id_.startswith("scan") for id_ in traffic.answers), len(scans)),
        Line("tumours", "errors", tumours.outcomes["error"], traffic.failed, 0),
        *_tumours(tumours, np.array([truths[i] for i in scans]), np.array([traffic.answers[i] for i in scans])),
    ]


def _counts(model: str, ours: ModelSnapshot, traffic: Traffic, served: int, labelled: int) -> Iterator[Line]:
    yield Line(model, "calls", ours.calls, traffic.calls[model], 0)
    yield Line(model, "predictions", ours.predictions, served, 0)
    yield Line(model, "labelled", ours.labelled, labelled, 0)
    yield Line(model, "awaiting", ours.awaiting, served - labelled, 0)


def _digits(ours: ModelSnapshot, truth: Any, rows: Any) -> Iterator[Line]:
    said = rows.argmax(axis=1)
    wide = np.arange(10)
    off = int(np.abs(ours.confusion.matrix - metrics.confusion_matrix(truth, said, labels=wide)).sum())
    yield Line("digits", "cells that differ", off, 0, 0)
    yield Line("digits", "accuracy", ours.accuracy, metrics.accuracy_score(truth, said))
    yield Line("digits", "F1, macro", ours.f1(average="macro"), metrics.f1_score(truth, said, average="macro"))
    yield Line("digits", "MCC", ours.mcc, metrics.matthews_corrcoef(truth, said))
    yield Line("digits", "log loss", ours.log_loss, metrics.log_loss(truth, rows, labels=wide))
    yield Line("digits", "top-2 accuracy", ours.top_k(2), metrics.top_k_accuracy_score(truth, rows, k=2, labels=wide))
    theirs = metrics.roc_auc_score(truth, rows, multi_class="ovr", labels=wide)
    yield Line("digits", "AUC, macro", ours.auc, theirs, _width(ours))


def _tumours(ours: ModelSnapshot, truth: Any, scores: Any) -> Iterator[Line]:
    said = np.where(scores >= THRESHOLD, MALIGNANT, BENIGN)
    sick = truth == MALIGNANT
    off = int(np.abs(ours.confusion.matrix - metrics.confusion_matrix(truth, said, labels=[BENIGN, MALIGNANT])).sum())
    yield Line("tumours", "cells that differ", off, 0, 0)
    yield Line("tumours", "accuracy", ours.accuracy, metrics.accuracy_score(truth, said))
    yield Line("tumours", "precision", ours.precision(), metrics.precision_score(truth, said, pos_label=MALIGNANT))
    yield Line("tumours", "recall", ours.recall(), metrics.recall_score(truth, said, pos_label=MALIGNANT))
    yield Line("tumours", "F1", ours.f1(), metrics.f1_score(truth, said, pos_label=MALIGNANT))
    yield Line("tumours", "Brier score", ours.brier, metrics.brier_score_loss(sick, scores))
    yield Line("tumours", "AUC", ours.auc, metrics.roc_auc_score(sick, scores), _width(ours))


def _width(ours: ModelSnapshot) -> float:
    """Return how far the exact AUC may lie from ours, which ours itself states."""
    low, high = ours.auc_bounds
    return max(high - ours.auc, ours.auc - low) + EXACT
