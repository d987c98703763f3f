"""Readings of the errors of a regression."""

from __future__ import annotations

from modelmon.accumulators.residuals import Residuals
from modelmon.memos import memo
from modelmon.quality import regression
from modelmon.readings.calls import SeriesReadings


class ErrorReadings(SeriesReadings):
    """Read how predicted numbers met true ones; an error is prediction minus truth."""

    @property
    def mae(self) -> float:
        """The mean magnitude of the error."""
        return regression.mean_absolute_error(self.error_sums)

    @property
    def mse(self) -> float:
        """The mean square of the error."""
        return regression.mean_squared_error(self.error_sums)

    @property
    def rmse(self) -> float:
        """The square root of the mean square of the error."""
        return regression.root_mean_squared_error(self.error_sums)

    @property
    def r2(self) -> float:
        """The share of the truth's variance that the predictions take away."""
        return regression.determination(self.error_sums)

    @property
    def explained_variance(self) -> float:
        """R² of the predictions freed of their bias."""
        return regression.explained_variance(self.error_sums)

    @property
    def bias(self) -> float:
        """The mean error: above 0 when the model says too much."""
        return regression.bias(self.error_sums)

    @property
    def mape(self) -> float:
        """The mean of the error's magnitude over the truth's, as a ratio."""
        return regression.mean_absolute_percentage_error(self.error_sums)

    @memo
    def error_sums(self) -> regression.Sums:
        """The exact sums behind the readings."""
        held = self.selection.gather("residuals", Residuals) or Residuals()
        return regression.Sums(
            rows=held.n,
            truths=held.truth.fraction(),
            squared_truths=held.truth_squared.fraction(),
            errors=held.error.fraction(),
            squared_errors=held.error_squared.fraction(),
            absolute_errors=held.error_absolute.fraction(),
            relative_errors=held.error_relative.fraction(),
        )
