"""Ranking quality from a histogram of scores, with bounds that hold whatever the order inside a bin.

Bins stand in ascending order of score and carry counts of negatives and positives; bins that are known to hold one
single score are marked ``sharp``.
The area under the ROC curve is the probability that a positive outranks a negative, ties counting half; pairs inside
a bin that is not sharp may lie either way, which gives the bounds, and both bounds can be attained.
Average precision is the step sum over distinct scores; its bounds are the best and the worst order inside each bin,
the worst one as an expectation in closed form by the digamma function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


_SERIES_FROM = 10.0
"""From here on eight terms of digamma's series reach 1e-16."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Hold a histogram of scores by outcome.

    Attributes:
        negatives: float64 ``(b,)``, rows that are not the class, ascending by score.
        positives: float64 ``(b,)``, rows that are.
        sharp: bool ``(b,)``, bins that hold one score.
    """

    negatives: NDArray[np.float64]
    positives: NDArray[np.float64]
    sharp: NDArray[np.bool_]


def roc_area(bins: Bins) -> tuple[float, float, float]:
    """Return lower bound, middle and upper bound of the area under the ROC curve; nan unless both outcomes occur.

    >>> roc_area(Bins(np.array([1.0, 1.0]), np.array([0.0, 1.0]), np.array([True, True])))
    (0.75, 0.75, 0.75)
    """
    negatives, positives = bins.negatives, bins.positives
    pairs = float(negatives.sum() * positives.sum())
    if pairs == 0:
        return math.nan, math.nan, math.nan
    below = np.cumsum(negatives) - negatives
    within = positives * negatives
    middle = min(1.0, float(positives @ below + 0.5 * within.sum()) / pairs)  # past 2**53 pairs sums are rounded
    half = 0.5 * float(within[~bins.sharp].sum()) / pairs
    return max(0.0, middle - half), middle, min(1.0, middle + half)


def average_precision(bins: Bins) -> tuple[float, float, float]:
    """Return lower bound, value with ties inside bins, and upper bound of average precision."""
    total = float(bins.positives.sum())
    if total == 0 or not bins.negatives.any():
        return math.nan, math.nan, math.nan
    held = bins.positives > 0
    hits, false = bins.positives[::-1], bins.negatives[::-1]
    true_above = (np.cumsum(hits) - hits)[held[::-1]]
    false_to = np.cumsum(false)[held[::-1]]
    hits, false, sharp = hits[held[::-1]], false[held[::-1]], bins.sharp[::-1][held[::-1]]
    reached = true_above + hits
    tied = hits * reached / (reached + false_to)
    low, high, blurred = tied.copy(), tied.copy(), ~sharp
    hits, false, reached, above = hits[blurred], false[blurred], reached[blurred], true_above[blurred]
    false_to = false_to[blurred]
    high[blurred] = hits * reached / (reached + false_to - false)
    low[blurred] = hits - false_to * (digamma(reached + false_to + 1) - digamma(above + false_to + 1))
    low = np.clip(low, 0.0, tied)  # beside very many negatives the difference of digammas is lost in rounding
    worst, middle, best = (min(1.0, float(shares.sum()) / total) for shares in (low, tied, high))
    return worst, middle, best


def digamma(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithmic derivative of the gamma function for values above 0, to 1e-14 relative.

    >>> float(np.round(digamma(np.array([1.0]))[0], 12))
    -0.577215664902
    """
    shifted = np.array(values, dtype=np.float64)
    steps = np.zeros_like(shifted)
    small = np.flatnonzero(shifted < _SERIES_FROM)
    raised = shifted[small]
    for _ in range(int(_SERIES_FROM)):
        steps[small] -= 1.0 / raised
        raised += 1.0
    shifted[small] = raised
    inverse = 1.0 / (shifted * shifted)
    series = np.zeros_like(shifted)
    for coefficient in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        series = (series + coefficient) * inverse
    return np.asarray(steps + np.log(shifted) - 0.5 / shifted - series)


def delong_variance(bins: Bins) -> float:
    """Return DeLong's variance of the area, pairs inside a bin counting half; nan below two rows of either outcome."""
    positives, negatives = float(bins.positives.sum()), float(bins.negatives.sum())
    if min(positives, negatives) <= 1:
        return math.nan
    below = np.cumsum(bins.negatives) - bins.negatives
    above = positives - np.cumsum(bins.positives)
    over = (below + bins.negatives / 2) / negatives
    under = (above + bins.positives / 2) / positives
    area = float(bins.positives @ over) / positives
    first = float(bins.positives @ (over - area) ** 2) / (positives * (positives - 1))
    second = float(bins.negatives @ (under - area) ** 2) / (negatives * (negatives - 1))
    return first + second


def hanley_mcneil_variance(area: float, positives: float, negatives: float) -> float:
    """Return Hanley's and McNeil's variance of the area, which stays honest where one outcome is rare."""
    first, second = area / (2 - area), 2 * area * area / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (first - area**2) + (negatives - 1) * (second - area**2)
    return spread / (positives * negatives)
