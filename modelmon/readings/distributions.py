"""Distributions: histograms of durations or sizes, for reading in base units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelmon.accumulators.increments import grown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.accumulators.durations import Histogram


@dataclass(frozen=True, slots=True)
class Distribution:
    """Read a histogram; durations are in seconds, sizes in rows.

    Quantiles are within 0.5 % of the value; count, sum and mean are exact.
    """

    _histogram: Histogram | None = None

    @property
    def count(self) -> int:
        """How many values there are."""
        return 0 if self._histogram is None else int(self._histogram.count)

    @property
    def sum(self) -> float:
        """The sum of all values."""
        return 0.0 if self._histogram is None else self._scaled(self._histogram.sum)

    @property
    def mean(self) -> float:
        """The mean value; nan without values."""
        return math.nan if not self.count or self._histogram is None else float(self._histogram.mean)

    @property
    def minimum(self) -> float:
        """The least value, exactly; nan without values."""
        return math.nan if not self.count or self._histogram is None else self._scaled(self._histogram.minimum)

    @property
    def maximum(self) -> float:
        """The greatest value, exactly; nan without values."""
        return math.nan if not self.count or self._histogram is None else self._scaled(self._histogram.maximum)

    @property
    def bins(self) -> list[tuple[float, float, int]]:
        """How many values lie above one number and up to another, ascending, for the bins that hold any.

        A bin spans at most 1 % of its values; zeros are in one that spans nothing.
        """
        held = self._histogram
        if held is None:
            return []
        ends = zip(held.floors, held.bounds, held.counts.tolist(), strict=True)
        return [(self._scaled(above), self._scaled(upto), n) for above, upto, n in ends]

    def quantile(self, q: float) -> float:
        """Return the value that a share ``q`` of the values does not exceed; nan without values.

        Raises:
            ValueError: unless ``q`` lies in [0, 1].
        """
        if not 0 <= q <= 1:
            msg = f"quantile {q!r} must lie between 0 and 1"
            raise ValueError(msg)
        return math.nan if not self.count or self._histogram is None else float(self._histogram.quantile(q))

    def since(self, older: Distribution | None) -> Distribution:
        """Return what came in after an older reading of the same; all of it where that counts more than this."""
        if self._histogram is None or older is None:
            return self
        return Distribution(grown(self._histogram, older._histogram))  # noqa: SLF001  (of the same class)

    def cumulative(self, bounds: Sequence[float]) -> list[int]:
        """Return how many values are at most each bound; exact for bounds of three significant digits."""
        if self._histogram is None:
            return [0] * len(bounds)
        return [int(n) for n in self._histogram.cumulative(bounds)]

    def _scaled(self, value: int) -> float:
        # Dividing by the whole number of parts gives the float nearest to the decimal value; a product would not.
        return value / round(1 / self._histogram.scale) if self._histogram is not None else math.nan

    def __repr__(self) -> str:
        """Show count, mean and median."""
        return f"Distribution(count={self.count}, mean={self.mean:.4g}, median={self.quantile(0.5):.4g})"
