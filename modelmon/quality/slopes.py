"""Derivatives of the read-offs of a confusion matrix by the shares of its cells, for their intervals.

A read-off depends on the diagonal and the two margins only, so its derivative by cell (i, j) is the sum of its
derivatives by row margin i, by column margin j and, on the diagonal, by that diagonal cell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from modelmon.quality.matrix import Ratio, by_class, margins

if TYPE_CHECKING:
    from numpy.typing import NDArray


def averaged(ratio: Ratio, matrix: NDArray[np.int64], *, weighted: bool) -> NDArray[np.float64]:
    """Return the derivative of a macro or weighted average of precision, recall, F1 or Jaccard index, ``(k, k)``."""
    counts = margins(matrix)
    rows = max(1, int(matrix.sum()))
    hits, support, predicted = counts.hits / rows, counts.support / rows, counts.predicted / rows
    values = by_class(ratio, counts)
    used = counts.present & ~np.isnan(values)
    weights = np.where(used, support if weighted else 1.0, 0.0)
    total = weights.sum()
    if not total:
        return np.full(matrix.shape, math.nan)
    weights = weights / total
    with np.errstate(divide="ignore", invalid="ignore"):
        by_hit, by_support, by_predicted = (
            np.where(used, slope * weights, 0.0) for slope in _single(ratio, hits, support, predicted)
        )
    if weighted:
        mean = float((weights[used] * values[used]).sum())
        by_support = by_support + np.where(used, (values - mean) / total, 0.0)
    return _spread(by_hit, by_support, by_predicted)


def matthews(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the derivative of Matthews' correlation coefficient, ``(k, k)``."""
    agreed, crossed, support, predicted = _shares(matrix)
    true_spread, predicted_spread = 1 - support @ support, 1 - predicted @ predicted
    if true_spread <= 0 or predicted_spread <= 0:
        return np.full(matrix.shape, math.nan)
    scale = math.sqrt(true_spread * predicted_spread)
    value = (agreed - crossed) / scale
    by_hit = np.full(len(matrix), 1 / scale)
    by_support = -predicted / scale + value * support / true_spread
    by_predicted = -support / scale + value * predicted / predicted_spread
    return _spread(by_hit, by_support, by_predicted)


def kappa(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the derivative of Cohen's kappa, ``(k, k)``."""
    agreed, crossed, support, predicted = _shares(matrix)
    if crossed >= 1:
        return np.full(matrix.shape, math.nan)
    by_hit = np.full(len(matrix), 1 / (1 - crossed))
    by_crossed = (agreed - 1) / (1 - crossed) ** 2
    return _spread(by_hit, by_crossed * predicted, by_crossed * support)


def _single(
    ratio: Ratio, hits: NDArray[np.float64], support: NDArray[np.float64], predicted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    none = np.zeros_like(hits)
    if ratio == "recall":
        return 1 / support, -hits / support**2, none
    if ratio == "precision":
        return 1 / predicted, none, -hits / predicted**2
    if ratio == "f1":
        both = support + predicted
        return 2 / both, -2 * hits / both**2, -2 * hits / both**2
    if ratio == "jaccard":
        union = support + predicted - hits
        return (union + hits) / union**2, -hits / union**2, -hits / union**2
    outside = 1 - support - predicted + hits
    base = 1 - (support if ratio == "specificity" else predicted)
    by_base = outside / base**2
    first, second = (by_base - 1 / base, -1 / base) if ratio == "specificity" else (-1 / base, by_base - 1 / base)
    return 1 / base, first, second


def _shares(matrix: NDArray[np.int64]) -> tuple[float, float, NDArray[np.float64], NDArray[np.float64]]:
    shares = matrix / max(1, int(matrix.sum()))
    support, predicted = shares.sum(axis=1), shares.sum(axis=0)
    return float(np.trace(shares)), float(support @ predicted), support, predicted


def _spread(
    by_hit: NDArray[np.float64], by_support: NDArray[np.float64], by_predicted: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(by_support[:, None] + by_predicted[None, :] + np.diag(by_hit))
