"""Mergeable counts: integers, or sums so exact that a row removed leaves no trace; nothing here divides."""

from __future__ import annotations

from modelmon.accumulators.confusion import Confusion
from modelmon.accumulators.counts import Counts
from modelmon.accumulators.durations import Histogram
from modelmon.accumulators.exact import ExactSum
from modelmon.accumulators.losses import Losses
from modelmon.accumulators.multilabel import LabelMatrix
from modelmon.accumulators.residuals import Residuals
from modelmon.accumulators.scores import ClassScores, ScoreHistogram
from modelmon.accumulators.strata import Strata

__all__ = [
    "ClassScores",
    "Confusion",
    "Counts",
    "ExactSum",
    "Histogram",
    "LabelMatrix",
    "Losses",
    "Residuals",
    "ScoreHistogram",
    "Strata",
]
