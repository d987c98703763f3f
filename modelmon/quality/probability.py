"""Quality of probabilities from their sums: mean losses, calibration, and how near the top the truth stood."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mean(total: float, rows: int) -> float:
    """Return a mean loss; nan without rows.

    >>> mean(3.0, 4), mean(0.0, 0)
    (0.75, nan)
    """
    return total / rows if rows else math.nan


def calibration_error(rows: NDArray[np.int64], forecast: NDArray[np.float64], happened: NDArray[np.int64]) -> float:
    """Return the expected calibration error: how far frequencies lie from forecasts, weighted by rows.

    Args:
        rows: int64 ``(b,)``, rows by bin of the forecast probability.
        forecast: float64 ``(b,)``, sums of the forecast probabilities.
        happened: int64 ``(b,)``, how often the forecast came true.

    >>> calibration_error(np.array([2, 2]), np.array([0.5, 1.5]), np.array([1, 2]))
    0.25
    """
    total = int(rows.sum())
    return float(np.abs(happened - forecast).sum()) / total if total else math.nan


def within_top(hits: NDArray[np.int64], ranked: int, count: int) -> float:
    """Return the share of rows whose true class stood among the ``count`` best.

    Args:
        hits: int64 ``(r,)``, rows by rank of the true class, the best rank first.
        ranked: rows whose rank is known.
        count: how many of the best to look at, one or more; beyond ``r`` the answer is not known and nan.
    """
    if not ranked or count > len(hits):
        return math.nan
    return int(hits[:count].sum()) / ranked
