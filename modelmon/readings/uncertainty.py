"""Intervals of what a snapshot reads: which counts stand behind each metric, and which kind of interval they allow.

Every function takes the readings, the class or count asked for (``of``), the average, and the confidence.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from modelmon import intervals
from modelmon.accumulators.confusion import Confusion
from modelmon.accumulators.losses import RANKS, Losses
from modelmon.accumulators.multilabel import LabelMatrix
from modelmon.intervals import NONE, Interval
from modelmon.quality import matrix as quality
from modelmon.quality import regression, slopes
from modelmon.tasks import Multilabel

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from modelmon.quality.ranking import Bins
    from modelmon.readings.combined import Readings

    Uncertain: TypeAlias = Callable[[Readings, Any, Any, float], Interval]

MOST_CLASSES = 512
"""Above this many classes the square of their number is too much to hold for an interval."""


def has_cells(readings: Readings) -> bool:
    """Tell whether single cells of the confusion matrix are kept, and are few enough to hold all of them."""
    held = readings.selection.gather("confusion", Confusion)
    return held is not None and held.is_complete and len(readings.classes) <= MOST_CLASSES


def unknown(_readings: Readings, _of: Any, _average: Any, confidence: float) -> Interval:
    """Say that no sound interval is known from what is kept."""
    intervals.critical(confidence)
    return NONE


def accuracy(readings: Readings, _of: Any, _average: Any, confidence: float) -> Interval:
    """Return the interval of accuracy."""
    if isinstance(readings.task, Multilabel):
        held = readings.selection.gather("multilabel", LabelMatrix) or LabelMatrix()
        return intervals.proportion(held.hits, held.complete, confidence)
    if not readings.tells(None, "micro"):
        return unknown(readings, _of, _average, confidence)
    counts = readings.margins
    return intervals.proportion(int(counts.hits.sum()), int(counts.support.sum()), confidence)


def coverage(readings: Readings, _of: Any, _average: Any, confidence: float) -> Interval:
    """Return the interval of coverage."""
    return intervals.proportion(readings.labelled, readings.accepted, confidence)


def ratio(name: quality.Ratio) -> Uncertain:
    """Return the function for a ratio of one class or an average of it."""

    def interval(readings: Readings, of: Any, average: Any, confidence: float) -> Interval:
        place, how = readings.resolve(of, average)
        if place is not None and readings.tells(place):
            return _of_class(readings.margins, name, place, confidence)
        if isinstance(readings.task, Multilabel) or how in {None, "samples"}:  # no average, or none with an interval
            return unknown(readings, of, average, confidence)
        if how == "micro":
            return _micro(readings, name, confidence)
        value = readings.ratio(name, average=how)
        return _delta(
            readings, value, lambda matrix: slopes.averaged(name, matrix, weighted=how == "weighted"), confidence
        )

    return interval


def balanced_accuracy(readings: Readings, _of: Any, _average: Any, confidence: float) -> Interval:
    """Return the interval of balanced accuracy."""
    value = readings.balanced_accuracy
    return _delta(readings, value, lambda matrix: slopes.averaged("recall", matrix, weighted=False), confidence)


def matthews(readings: Readings, _of: Any, _average: Any, confidence: float) -> Interval:
    """Return the interval of Matthews' correlation coefficient."""
    return _delta(readings, readings.mcc, slopes.matthews, confidence, least=-1.0)


def kappa(readings: Readings, _of: Any, _average: Any, confidence: float) -> Interval:
    """Return the interval of Cohen's kappa."""
    return _delta(readings, readings.kappa, slopes.kappa, confidence, least=-1.0)


def ranking(of_bins: Callable[[Bins, float], Interval]) -> Uncertain:
    """Return the function for a ranking metric of one class, or of the mean over classes.

    The figures of several classes depend on each other in unknown ways, so their mean gets the mean of their intervals,
    which is as wide as it can be.
    """

    def interval(readings: Readings, of: Any, _average: Any, confidence: float) -> Interval:
        intervals.critical(confidence)
        places = readings.scored_places() if of is None else [readings.place(of)]
        return _mean([of_bins(readings.score_bins(place), confidence) for place in places])

    return interval


def _mean(found: list[Interval]) -> Interval:
    defined = [interval for interval in found if not math.isnan(interval[0])]
    if not defined:
        return NONE
    return sum(low for low, _ in defined) / len(defined), sum(high for _, high in defined) / len(defined)


def top_k(readings: Readings, of: Any, _average: Any, confidence: float) -> Interval:
    """Return the interval of the share of true classes among the best ``of``."""
    held = readings.selection.gather("losses", Losses) or Losses()
    if math.isnan(readings.top_k(of)):
        return unknown(readings, of, None, confidence)
    return intervals.proportion(int(held.ranks[:RANKS][:of].sum()), held.ranked, confidence)


def mae(readings: Readings, _of: Any, _average: Any, confidence: float) -> Interval:
    """Return the interval of the mean absolute error."""
    sums = readings.error_sums
    variance = regression.variance(sums.absolute_errors, sums)
    low, high = intervals.mean(readings.mae, variance, rows=sums.rows, confidence=confidence)
    return max(0.0, low) if low == low else low, high  # noqa: PLR0124 - nan stays nan


def bias(readings: Readings, _of: Any, _average: Any, confidence: float) -> Interval:
    """Return the interval of the mean error."""
    sums = readings.error_sums
    variance = regression.variance(sums.errors, sums)
    return intervals.mean(readings.bias, variance, rows=sums.rows, confidence=confidence)


def _of_class(counts: quality.Margins, name: quality.Ratio, place: int, confidence: float) -> Interval:
    if name == "f1":
        hits, support, predicted = (int(c[place]) for c in (counts.hits, counts.support, counts.predicted))
        return intervals.f1(hits, support, predicted, confidence=confidence)
    hits_of, rows_of = quality.terms(name, counts)
    return intervals.proportion(int(hits_of[place]), int(rows_of[place]), confidence)


def _micro(readings: Readings, name: quality.Ratio, confidence: float) -> Interval:
    low, high = accuracy(readings, None, None, confidence)
    if name in {"precision", "recall", "f1"}:
        return low, high
    if name == "jaccard":
        return low / (2 - low), high / (2 - high)
    return NONE


def _delta(
    readings: Readings,
    value: float,
    slope: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    confidence: float,
    *,
    least: float = 0.0,
) -> Interval:
    intervals.critical(confidence)
    if isinstance(readings.task, Multilabel) or math.isnan(value) or not has_cells(readings):
        return NONE
    matrix = readings.confusion.matrix
    low, high = intervals.multinomial(value, matrix, slope(matrix), confidence=confidence)
    return (NONE) if math.isnan(low) else (max(least, low), min(1.0, high))
