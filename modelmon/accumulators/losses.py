"""What class probabilities cost: log loss, Brier score, calibration, ranks, and fixed score bins for export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.exact import ExactSum, add_grouped
from modelmon.accumulators.sparse import count_codes

if TYPE_CHECKING:
    from modelmon.accumulators.sparse import Flags, Floats, Ints, State

CALIBRATION_BINS = 10
RANKS = 32
_UNKNOWN = RANKS + 1
_SHORT = 128
_EPS = float(np.finfo(np.float64).eps)
ROUNDING = 1e-6
"""How far outside [0, 1] a probability may lie and be taken for the bound: float32 and means of scores round so."""
_LOWER_EDGES = (
    *(1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 7e-3),
    *(0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08),
    *(0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45),
)
SCORE_EDGES: tuple[float, ...] = (*_LOWER_EDGES, 0.5, *(round(1.0 - edge, 6) for edge in reversed(_LOWER_EDGES)))
_EDGES = np.array(SCORE_EDGES)


class Losses:
    """Exact sums of what the scores of joined rows cost.

    >>> losses = Losses()
    >>> losses.update_binary(np.array([0.8, 0.5]), np.array([True, False]))
    >>> losses.scored, round(losses.brier.value(), 6)
    (2, 0.29)
    """

    __slots__ = (
        "brier",
        "calibration_n",
        "calibration_p",
        "calibration_y",
        "log_loss",
        "ranks",
        "score_bins",
        "scored",
        "unscored",
    )

    def __init__(self) -> None:
        """Begin empty."""
        self.scored = 0
        """Number of rows in the sums."""
        self.unscored = 0
        """Number of rows that have no log loss or Brier score."""
        self.log_loss = ExactSum()
        """Sum of -log(p of the true class)."""
        self.brier = ExactSum()
        """Sum of squared errors of the probabilities, over all classes where there are more than two."""
        self.calibration_n: Ints = np.zeros(CALIBRATION_BINS, np.int64)
        """Rows by tenth of the probability (of the predicted class where there are more than two)."""
        self.calibration_p = [ExactSum() for _ in range(CALIBRATION_BINS)]
        """Sum of that probability per tenth."""
        self.calibration_y: Ints = np.zeros(CALIBRATION_BINS, np.int64)
        """Rows per tenth where the event came true."""
        self.ranks: Ints = np.zeros(RANKS + 2, np.int64)
        """Rows by rank of the true class: 0 to 31, then beyond, then unknown."""
        self.score_bins: Ints = np.zeros((2, 2, len(SCORE_EDGES) + 1), np.int64)
        """(added, removed) x (negative, positive) x bin up to and including each of ``SCORE_EDGES``, then above."""

    def update_binary(self, score: Floats, positive: Flags, sign: int = 1) -> None:
        """Count rows of a binary task, or take them away.

        Args:
            score: float64[n], probability of the positive class; outside [0, 1], by more than ``ROUNDING``, it has no
                log loss or Brier score.
            positive: bool[n], whether the true class is the positive one.
            sign: +1 or -1.
        """
        score, positive = np.ascontiguousarray(score, np.float64), positive.astype(np.bool_, copy=False)
        cells = _EDGES.searchsorted(score) + (len(SCORE_EDGES) + 1) * positive
        count_codes(self.score_bins[0 if sign > 0 else 1].reshape(-1), cells)
        if not ((score >= 0.0) & (score <= 1.0)).all():
            inside = (score >= -ROUNDING) & (score <= 1.0 + ROUNDING)
            self.unscored += sign * int(score.size - np.count_nonzero(inside))
            score, positive = score[inside].clip(0.0, 1.0), positive[inside]
        of_truth = np.where(positive, score, 1.0 - score)
        missed = np.where(positive, 1.0 - score, score)
        self._add_terms(of_truth, missed * missed, sign)
        self._calibrate(score, positive, sign)

    def update_multiclass(self, probabilities: Floats, actual_column: Ints, sign: int = 1) -> None:
        """Count rows of a multiclass task, or take them away.

        Args:
            probabilities: float64[n, k]; as for a binary task.
            actual_column: int[n], column of the true class; outside 0 to k - 1 the row has no log loss or Brier score.
            sign: +1 or -1.
        """
        rows, width = probabilities.shape
        known = (actual_column >= 0) & (actual_column < width)
        column = np.where(known, actual_column, 0)
        of_truth = probabilities[np.arange(rows), column]
        rank = np.where(known, np.minimum(_ranks(probabilities, of_truth, column), RANKS), RANKS)
        self._count_ranks(rank, sign)
        if not (known & (probabilities >= 0.0).all(axis=1) & (probabilities <= 1.0).all(axis=1)).all():
            near = (probabilities >= -ROUNDING) & (probabilities <= 1.0 + ROUNDING)
            inside = known & near.all(axis=1)
            self.unscored += sign * int(rows - np.count_nonzero(inside))
            probabilities, column = probabilities[inside].clip(0.0, 1.0), column[inside]
            of_truth = of_truth[inside].clip(0.0, 1.0)
        if not column.size:
            return
        self._add_terms(of_truth, _squared_errors(probabilities, column), sign)
        predicted = probabilities.argmax(axis=1)
        confidence = probabilities[np.arange(column.size), predicted]
        self._calibrate(confidence, predicted == column, sign)

    def update_ranks(self, rank: Ints, sign: int = 1) -> None:
        """Count rows of which only the rank of the true class is known, or take them away.

        Args:
            rank: int[n], 0 for the highest score; -1 where it is below the ranks that were kept.
            sign: +1 or -1.
        """
        self._count_ranks(np.where(rank < 0, _UNKNOWN, np.minimum(rank, RANKS)), sign)
        self.unscored += sign * int(rank.size)

    def _count_ranks(self, rank: Ints, sign: int) -> None:
        count_codes(self.ranks, rank, sign)

    def _add_terms(self, of_truth: Floats, squared: Floats, sign: int) -> None:
        self.scored += sign * int(of_truth.size)
        self.log_loss.add(-np.log(np.minimum(np.maximum(of_truth, _EPS), 1.0 - _EPS)), sign)
        self.brier.add(squared, sign)

    def _calibrate(self, probability: Floats, came_true: Flags, sign: int) -> None:
        tenth = np.minimum((probability * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
        count_codes(self.calibration_n, tenth, sign)
        count_codes(self.calibration_y, tenth[came_true], sign)
        add_grouped(self.calibration_p, probability, tenth, sign=sign)

    @property
    def ranked(self) -> int:
        """Number of rows whose true class was ranked, unknown ranks included."""
        return int(self.ranks.sum())

    @property
    def unknown_ranks(self) -> int:
        """Number of rows whose true class is below the ranks that were kept."""
        return int(self.ranks[_UNKNOWN])

    def top(self, ranks: int) -> int:
        """Return the number of rows whose true class is among the ``ranks`` highest scores (1 to 32)."""
        return int(self.ranks[: min(max(ranks, 0), RANKS)].sum())

    @property
    def is_empty(self) -> bool:
        """Whether no row counts."""
        return not (self.scored or self.unscored or self.ranks.any() or self.score_bins.any())

    def merge(self, other: Losses) -> None:
        """Add the sums and counts of ``other``."""
        self.scored += other.scored
        self.unscored += other.unscored
        self.log_loss.merge(other.log_loss)
        self.brier.merge(other.brier)
        self.calibration_n += other.calibration_n
        self.calibration_y += other.calibration_y
        self.ranks += other.ranks
        self.score_bins += other.score_bins
        for mine, theirs in zip(self.calibration_p, other.calibration_p, strict=True):
            mine.merge(theirs)

    def copy(self) -> Losses:
        """Return an independent copy."""
        twin = Losses()
        twin.merge(self)
        return twin

    def to_state(self) -> State:
        """Return the sums and counts as plain numbers and lists."""
        return {
            "scored": self.scored,
            "unscored": self.unscored,
            "log_loss": self.log_loss.to_state(),
            "brier": self.brier.to_state(),
            "calibration_n": self.calibration_n.tolist(),
            "calibration_p": [total.to_state() for total in self.calibration_p],
            "calibration_y": self.calibration_y.tolist(),
            "ranks": self.ranks.tolist(),
            "score_bins": self.score_bins.tolist(),
        }

    @classmethod
    def from_state(cls, state: State) -> Losses:
        """Rebuild the sums that ``to_state`` wrote."""
        losses = cls()
        losses.scored, losses.unscored = state["scored"], state["unscored"]
        losses.log_loss = ExactSum.from_state(state["log_loss"])
        losses.brier = ExactSum.from_state(state["brier"])
        losses.calibration_n = np.array(state["calibration_n"], np.int64)
        losses.calibration_p = [ExactSum.from_state(total) for total in state["calibration_p"]]
        losses.calibration_y = np.array(state["calibration_y"], np.int64)
        losses.ranks = np.array(state["ranks"], np.int64)
        losses.score_bins = np.array(state["score_bins"], np.int64)
        return losses

    def __eq__(self, other: object) -> bool:
        """Compare everything kept."""
        return self.to_state() == other.to_state() if isinstance(other, Losses) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the sums."""
        return f"Losses(scored={self.scored}, log_loss={self.log_loss.value():.6g}, brier={self.brier.value():.6g})"


def _ranks(probabilities: Floats, of_truth: Floats, column: Ints) -> Ints:
    # Ties go to the higher column, as in scikit-learn's top_k_accuracy_score.
    if column.size <= _SHORT:
        places = np.arange(probabilities.shape[1])
        tied = (probabilities == of_truth[:, None]) & (places > column[:, None])
        ahead: Ints = np.count_nonzero((probabilities > of_truth[:, None]) | tied, axis=1)
        return ahead
    ahead = np.zeros(column.size, np.int64)
    for place, scores in enumerate(probabilities.T):
        ahead += (scores > of_truth) | ((scores == of_truth) & (place > column))
    return ahead


def _squared_errors(probabilities: Floats, column: Ints) -> Floats:
    # In the order of the columns both ways, so that a row's sum never depends on how many rows stand beside it.
    if column.size <= _SHORT:
        errors = probabilities - (np.arange(probabilities.shape[1]) == column[:, None])
        return np.cumsum(errors * errors, axis=1)[:, -1]
    total = np.zeros(column.size)
    for place, scores in enumerate(probabilities.T):
        error = scores - (column == place)
        total += error * error
    return total
