"""Read-offs of a confusion matrix; all of them need only its diagonal and its margins.

Definitions are scikit-learn's with ``zero_division=np.nan``: a ratio whose denominator is 0 is ``nan``, and averages
leave ``nan`` out. Classes that are neither true nor predicted anywhere take no part in an average.
What scikit-learn reports as 0 for want of a denominator (MCC of a constant predictor) is ``nan`` here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Average: TypeAlias = Literal["micro", "macro", "weighted"]
Ratio: TypeAlias = Literal["precision", "recall", "f1", "specificity", "negative_predictive_value", "jaccard"]


@dataclass(frozen=True, slots=True)
class Margins:
    """Hold diagonal and margins of a confusion matrix of ``k`` classes, or of ``k`` matrices, one per label.

    Attributes:
        hits: int64 ``(k,)``, rows of the class that were predicted as it.
        support: int64 ``(k,)``, rows of the class.
        predicted: int64 ``(k,)``, rows predicted as the class.
        rows: int64 ``(k,)``, rows in all, as seen by each class.
    """

    hits: NDArray[np.int64]
    support: NDArray[np.int64]
    predicted: NDArray[np.int64]
    rows: NDArray[np.int64]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Tell which classes are true or predicted somewhere."""
        return np.asarray((self.support + self.predicted) > 0)


def margins(matrix: NDArray[np.int64]) -> Margins:
    """Take the margins of a matrix whose rows are true and whose columns are predicted.

    >>> margins(np.array([[2, 1], [0, 3]])).predicted.tolist()
    [2, 4]
    """
    rows = np.full(len(matrix), matrix.sum(), dtype=np.int64)
    return Margins(np.diagonal(matrix).copy(), matrix.sum(axis=1), matrix.sum(axis=0), rows)


def label_margins(matrices: NDArray[np.int64]) -> Margins:
    """Take the margins of ``(L, 2, 2)`` matrices, one per label, with the positive label last."""
    hits = matrices[:, 1, 1]
    return Margins(hits, matrices[:, 1, :].sum(axis=1), matrices[:, :, 1].sum(axis=1), matrices.sum(axis=(1, 2)))


def terms(ratio: Ratio, counts: Margins) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return numerator and denominator of a ratio for every class, int64 ``(k,)`` each."""
    hits, support, predicted = counts.hits, counts.support, counts.predicted
    if ratio == "precision":
        return hits, predicted
    if ratio == "recall":
        return hits, support
    if ratio == "f1":
        return 2 * hits, support + predicted
    if ratio == "jaccard":
        return hits, support + predicted - hits
    outside = counts.rows - support - predicted + hits
    return outside, counts.rows - (support if ratio == "specificity" else predicted)


def by_class(ratio: Ratio, counts: Margins) -> NDArray[np.float64]:
    """Return a ratio for every class, float64 ``(k,)``.

    >>> by_class("recall", margins(np.array([[2, 1], [0, 0]]))).tolist()
    [0.6666666666666666, nan]
    """
    numerator, denominator = terms(ratio, counts)
    return _divide(numerator, denominator)


def averaged(ratio: Ratio, counts: Margins, average: Average) -> float:
    """Average a ratio over the classes that occur.

    ``micro`` divides the sums, ``macro`` weighs classes alike, ``weighted`` by support.

    >>> averaged("recall", margins(np.array([[2, 1], [0, 3]])), "macro")
    0.8333333333333333
    """
    present = counts.present
    numerator, denominator = terms(ratio, counts)
    if average == "micro":
        return _ratio(_total(numerator[present]), _total(denominator[present]))
    values = _divide(numerator, denominator)
    defined = present & ~np.isnan(values)
    if not defined.any():
        return math.nan
    values, weights = values[defined], counts.support[defined].astype(np.float64)
    if average == "macro" or not weights.any():
        return float(values.mean())
    return float(np.average(values, weights=weights))


def accuracy(counts: Margins) -> float:
    """Return the share of rows predicted as what they are.

    >>> accuracy(margins(np.array([[2, 1], [0, 3]])))
    0.8333333333333334
    """
    return _ratio(_total(counts.hits), _total(counts.support))


def balanced_accuracy(counts: Margins) -> float:
    """Return the mean recall of the classes that have rows."""
    recalls = by_class("recall", counts)[counts.support > 0]
    return float(recalls.mean()) if len(recalls) else math.nan


def matthews(counts: Margins) -> float:
    """Return Matthews' correlation coefficient of any number of classes (R_K); nan when either margin is constant."""
    hits, rows, crossed, true_squares, predicted_squares = _agreement(counts)
    spread = (rows * rows - true_squares) * (rows * rows - predicted_squares)
    return (hits * rows - crossed) / math.sqrt(spread) if spread > 0 else math.nan


def kappa(counts: Margins) -> float:
    """Return Cohen's kappa: agreement beyond what the margins alone would give."""
    hits, rows, crossed, _, _ = _agreement(counts)
    return _ratio(hits * rows - crossed, rows * rows - crossed)


def _agreement(counts: Margins) -> tuple[int, int, int, int, int]:
    # Products of counts outgrow 64 bits from three billion rows on, so they are taken in Python's integers.
    support, predicted = counts.support.tolist(), counts.predicted.tolist()
    crossed = sum(t * p for t, p in zip(support, predicted, strict=True))
    squares = sum(t * t for t in support), sum(p * p for p in predicted)
    return _total(counts.hits), sum(support), crossed, *squares


def _total(values: NDArray[np.int64]) -> int:
    return int(values.sum())


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan


def _divide(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> NDArray[np.float64]:
    quotient = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient
