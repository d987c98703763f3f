"""Confidence intervals from counts; where none is sound the answer is a pair of ``nan``.

Proportions use Wilson's score interval.
F1 is a monotone function of the Jaccard index, which is a proportion, so its interval is Wilson's mapped through
(arXiv 2309.14621).
Other functions of a confusion matrix use the delta method on its multinomial distribution.
Areas under the ROC curve use DeLong's variance on the logit scale, or Hanley's and McNeil's where rows are few.
Average precision is near a mean over positives of values in [0, 1], so it varies at most like a proportion of them
(Boyd, Eng and Page 2013); that bound is used on the logit scale.
Rows are taken as independent.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeAlias

from modelmon.quality import ranking

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelmon.quality.ranking import Bins

Interval: TypeAlias = tuple[float, float]

NONE: Interval = (math.nan, math.nan)
FEW_ROWS = 30
FEW_OF_A_CLASS = 10
RARE = 50


def critical(confidence: float) -> float:
    """Return how many standard errors a two-sided interval reaches.

    Raises:
        ValueError: unless ``confidence`` lies between 0 and 1.

    >>> round(critical(0.95), 4)
    1.96
    """
    if not 0 < confidence < 1:
        msg = f"confidence={confidence!r} must lie between 0 and 1, for example 0.95"
        raise ValueError(msg)
    return NormalDist().inv_cdf((1 + confidence) / 2)


def proportion(hits: int, rows: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's interval of a proportion.

    >>> [round(bound, 4) for bound in proportion(8, 10)]
    [0.4902, 0.9433]
    """
    z = critical(confidence)
    if rows <= 0:
        return NONE
    share, square = hits / rows, z * z
    centre = share + square / (2 * rows)
    reach = z * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    low = 0.0 if hits == 0 else (centre - reach) / (1 + square / rows)
    high = 1.0 if hits == rows else (centre + reach) / (1 + square / rows)
    return max(0.0, low), min(1.0, high)


def f1(hits: int, support: int, predicted: int, *, confidence: float = 0.95) -> Interval:
    """Return the interval of one class's F1, from its true positives, its support and how often it was predicted."""
    low, high = proportion(hits, support + predicted - hits, confidence)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def mean(average: float, variance: float, *, rows: int, confidence: float = 0.95) -> Interval:
    """Return the interval of a mean of ``rows`` independent values of that variance; none below 30 rows."""
    z = critical(confidence)
    if rows < FEW_ROWS or not math.isfinite(average) or not variance >= 0:
        return NONE
    reach = z * math.sqrt(variance / (rows - 1))
    return average - reach, average + reach


def area(bins: Bins, confidence: float = 0.95) -> Interval:
    """Return the interval of the area under the ROC curve, around its bounds where they differ.

    When no pair was ever out of order, the rule of three says how often that may hide a chance of one.
    """
    z = critical(confidence)
    low, middle, high = ranking.roc_area(bins)
    error = area_error(bins, middle)
    fewest = min(float(bins.positives.sum()), float(bins.negatives.sum()))
    if math.isnan(error):
        return NONE
    slack = min(0.5, 3 / fewest)
    return (1.0 - slack if low == 1 else _shifted(low, -z * error)), (slack if high == 0 else _shifted(high, z * error))


def average_precision(bins: Bins, confidence: float = 0.95) -> Interval:
    """Return the interval of average precision, around its bounds where they differ; none below ten positives."""
    z = critical(confidence)
    low, middle, high = ranking.average_precision(bins)
    positives = float(bins.positives.sum())
    if math.isnan(middle) or positives < FEW_OF_A_CLASS:
        return NONE
    error = math.sqrt(middle * (1 - middle) / positives)
    return (1.0 - 3 / positives if low == 1 else _shifted(low, -z * error)), _shifted(high, z * error)


def area_error(bins: Bins, middle: float) -> float:
    """Return the standard error of the area; where either outcome has under 50 rows the larger of two estimates."""
    positives, negatives = float(bins.positives.sum()), float(bins.negatives.sum())
    variance = ranking.delong_variance(bins)
    if min(positives, negatives) < RARE and positives and negatives:
        variance = max(variance, ranking.hanley_mcneil_variance(middle, positives, negatives))
    return math.sqrt(variance) if variance >= 0 else math.nan


def _shifted(area: float, reach: float) -> float:
    """Move an area by ``reach`` on the logit scale; 0 and 1 stay where they are."""
    if area in {0.0, 1.0}:
        return area
    moved = math.log(area / (1 - area)) + reach / (area * (1 - area))
    return 1 / (1 + math.exp(-moved)) if moved > 0 else 1 - 1 / (1 + math.exp(moved))


def multinomial(
    value: float, matrix: NDArray[np.int64], gradient: NDArray[np.float64], *, confidence: float = 0.95
) -> Interval:
    """Return the interval of a function of a confusion matrix by the delta method.

    Args:
        value: the function at the matrix.
        matrix: int64 ``(k, k)``, counts.
        gradient: float64 ``(k, k)``, the function's derivative by each cell's share of the rows.
        confidence: how often the interval should hold.

    Returns:
        The interval; none where a true class has under 10 rows, or where the matrix shows no variance at all.
    """
    z = critical(confidence)
    rows = int(matrix.sum())
    support = matrix.sum(axis=1)
    support = support[(support + matrix.sum(axis=0)) > 0]
    if not rows or math.isnan(value) or support.min() < FEW_OF_A_CLASS:
        return NONE
    shares = matrix / rows
    average = float((shares * gradient).sum())
    variance = float((shares * (gradient - average) ** 2).sum()) / rows
    if not variance > 0:
        return NONE
    reach = z * math.sqrt(variance)
    return value - reach, value + reach
