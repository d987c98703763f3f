"""Quality of regressions from exact sums, so that no order of adding, removing or merging shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

_FAR = 2**600
"""A power of two whose square divides any square of a float into the range of floats."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Hold exact sums over rows; an error is prediction minus truth.

    Attributes:
        rows: how many rows.
        truths: sum of the truths.
        squared_truths: sum of their squares.
        errors: sum of the errors.
        squared_errors: sum of their squares.
        absolute_errors: sum of their magnitudes.
        relative_errors: sum of magnitude over the truth's magnitude.
    """

    rows: int
    truths: Fraction
    squared_truths: Fraction
    errors: Fraction
    squared_errors: Fraction
    absolute_errors: Fraction
    relative_errors: Fraction


def mean_absolute_error(sums: Sums) -> float:
    """Return the mean magnitude of the error."""
    return _mean(sums.absolute_errors, sums.rows)


def mean_squared_error(sums: Sums) -> float:
    """Return the mean square of the error."""
    return _mean(sums.squared_errors, sums.rows)


def root_mean_squared_error(sums: Sums) -> float:
    """Return the square root of the mean square of the error, which may be finite where the square is not."""
    if not sums.rows:
        return math.nan
    found = mean_squared_error(sums)
    return (
        math.sqrt(found) if math.isfinite(found) else math.sqrt(_mean(sums.squared_errors / _FAR**2, sums.rows)) * _FAR
    )


def bias(sums: Sums) -> float:
    """Return the mean error, prediction minus truth: above 0 when the model says too much."""
    return _mean(sums.errors, sums.rows)


def variance(total: Fraction, sums: Sums) -> float:
    """Return the variance of the errors, or of their magnitudes, of which ``total`` is the sum; nan without rows.

    The difference is taken before it is rounded: beside a large mean little or nothing would be left of it.
    """
    return _number((sums.squared_errors - total * total / sums.rows) / sums.rows) if sums.rows else math.nan


def mean_absolute_percentage_error(sums: Sums) -> float:
    """Return the mean of the error's magnitude over the truth's, as a ratio."""
    return _mean(sums.relative_errors, sums.rows)


def determination(sums: Sums) -> float:
    """Return R²: the share of the truth's variance that the predictions take away; nan for a constant truth."""
    spread = _spread(sums)
    return math.nan if not spread else _number(1 - sums.squared_errors / spread)


def explained_variance(sums: Sums) -> float:
    """Return R² of the predictions freed of their bias; nan for a constant truth."""
    spread = _spread(sums)
    if not spread:
        return math.nan
    return _number(1 - (sums.squared_errors - sums.errors * sums.errors / sums.rows) / spread)


def _spread(sums: Sums) -> Fraction | None:
    # One row has no variance, and an exact sum of squares about the mean is 0 only for a truth that never changes.
    if sums.rows <= 1:
        return None
    return sums.squared_truths - sums.truths * sums.truths / sums.rows


def _mean(total: Fraction, rows: int) -> float:
    return _number(total / rows) if rows else math.nan


def _number(exact: Fraction) -> float:
    """Return the nearest float, infinite beyond the largest one."""
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
