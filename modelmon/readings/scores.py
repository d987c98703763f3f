"""Readings of scores: how well they rank, and how far they can be taken for probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.accumulators.losses import RANKS, Losses
from modelmon.accumulators.scores import ClassScores, ScoreHistogram
from modelmon.memos import memo
from modelmon.quality import probability, ranking
from modelmon.readings.classes import ClassReadings
from modelmon.tasks import Binary

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Triple = tuple[float, float, float]

BEST_KEPT = 5
"""How many of the best classes are kept of a prediction over many classes."""

MOST_WHOLE = 32
"""Up to so many classes whole rows of probabilities are kept."""


class ScoreReadings(ClassReadings):
    """Read how scores met true classes."""

    @property
    def auc(self) -> float:
        """The area under the ROC curve; above two classes the mean over classes, each against the rest."""
        return self._area[1]

    @property
    def auc_bounds(self) -> tuple[float, float]:
        """Between what the area lies for certain; equal as long as every distinct score is kept."""
        low, _, high = self._area
        return low, high

    def auc_of(self, of: Any) -> float:
        """Return the area under the ROC curve of one class against the rest.

        Raises:
            KeyError: when there is no such class.
        """
        return ranking.roc_area(self.score_bins(self.place(of)))[1]

    @property
    def average_precision(self) -> float:
        """Average precision; above two classes the mean over classes, each against the rest."""
        return self._precision[1]

    @property
    def average_precision_bounds(self) -> tuple[float, float]:
        """Between what average precision lies for certain."""
        low, _, high = self._precision
        return low, high

    def average_precision_of(self, of: Any) -> float:
        """Return average precision of one class against the rest.

        Raises:
            KeyError: when there is no such class.
        """
        return ranking.average_precision(self.score_bins(self.place(of)))[1]

    @property
    def log_loss(self) -> float:
        """The mean of -log of the probability given to the true class, over the rows that have probabilities."""
        losses = self._losses
        return probability.mean(losses.log_loss.value(), losses.scored) if self._probable else math.nan

    @property
    def brier(self) -> float:
        """The mean squared error of the probabilities, above two classes summed over classes."""
        losses = self._losses
        return probability.mean(losses.brier.value(), losses.scored) if self._probable else math.nan

    @property
    def calibration_error(self) -> float:
        """How far frequencies lie from forecast probabilities, over ten bins of equal width, weighted by rows."""
        losses = self._losses
        if not self._probable:
            return math.nan
        forecast = np.array([total.value() for total in losses.calibration_p])
        return probability.calibration_error(losses.calibration_n, forecast, losses.calibration_y)

    @property
    def calibration(self) -> list[tuple[int, float, float]]:
        """Rows, mean forecast and observed frequency in each of ten bins of equal width; nan in bins without rows."""
        losses = self._losses
        if not self._probable:
            return []
        columns = (losses.calibration_n.tolist(), losses.calibration_p, losses.calibration_y.tolist())
        bins = zip(*columns, strict=True)
        return [(n, p.value() / n, y / n) if n else (0, math.nan, math.nan) for n, p, y in bins]

    def scored_at_least(self, place: int, thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return how many rows score each threshold or more for the class at a place of ``classes``.

        Returns:
            int64 ``(2, n)``: rows that are not the class, rows that are.
        """
        return self._histogram(place).at_least(thresholds)

    @property
    def _probable(self) -> bool:
        """Whether scores are probabilities: a stream that mostly lies outside [0, 1] meets it by chance only."""
        return self._losses.scored > self._losses.unscored

    def top_k(self, count: int) -> float:
        """Return the share of labelled predictions whose true class was among the ``count`` best.

        Raises:
            ValueError: when ``count`` is below 1.
        """
        if count < 1:
            msg = f"top_k({count!r}): look at one class or more"
            raise ValueError(msg)
        losses = self._losses
        if self.merged is not None or (losses.unknown_ranks and count > BEST_KEPT):
            return math.nan
        return probability.within_top(losses.ranks[:RANKS], losses.ranked, count)

    def score_bins(self, place: int) -> ranking.Bins:
        """Return the scores of the class at a place of ``classes`` against the rest, in ascending bins."""
        bins = _bins(self._histogram(place))
        if place == 1 or not isinstance(self.task, Binary):
            return bins
        return ranking.Bins(bins.positives[::-1], bins.negatives[::-1], bins.sharp[::-1])

    def scored_rows(self, place: int) -> int:
        """Return how many labelled rows have a score for the class at a place of ``classes``."""
        return self._histogram(place).total

    def scored_places(self) -> list[int]:
        """Return the places of the classes that are averaged over: the positive one, or every one with scores."""
        if isinstance(self.task, Binary):
            return [1]
        scores = self.selection.gather_shared("scores", ClassScores)
        return [] if scores is None else scores.codes()

    def _histogram(self, place: int) -> ScoreHistogram:
        """Return the scores of a class; of a binary task those of the positive one."""
        if isinstance(self.task, Binary):
            return self.selection.gather_shared("scores", ScoreHistogram) or ScoreHistogram()
        scores = self.selection.gather_shared("scores", ClassScores)
        return ScoreHistogram() if scores is None else scores.of(place)

    @memo
    def _area(self) -> Triple:
        return self._ranked(ranking.roc_area)

    @memo
    def _precision(self) -> Triple:
        return self._ranked(ranking.average_precision)

    def _ranked(self, read: Callable[[ranking.Bins], Triple]) -> Triple:
        found = [read(self.score_bins(place)) for place in self.scored_places()]
        found = [reading for reading in found if not math.isnan(reading[1])]
        if not found:
            return math.nan, math.nan, math.nan
        low, middle, high = (math.fsum(column) / len(found) for column in zip(*found, strict=True))
        return low, middle, high

    @property
    def _losses(self) -> Losses:
        return self.selection.gather("losses", Losses) or Losses()


def _bins(histogram: ScoreHistogram) -> ranking.Bins:
    negatives, positives = histogram.negatives.astype(np.float64), histogram.positives.astype(np.float64)
    return ranking.Bins(negatives, positives, histogram.single)
