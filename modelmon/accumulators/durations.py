"""Histograms of non-negative integers with three significant decimal digits.

Every number of up to three significant digits is the upper bound of a bin, which holds values up to and including it,
so counts at decimal bounds such as 0.005 s are exact.
Bins 0 to 1000 hold one integer each; above, every decade d has the bounds 101 x 10**d to 1000 x 10**d.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.sparse import add_tables, count_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.accumulators.sparse import Ints, State

_SINGLE = 1000
_PER_DECADE = 900
_LARGEST = 2**63 - 1
_FLOAT_EXACT = 2**53
_SMALL = 8
_FLOAT_DECADES = np.array([10.0**d for d in range(17)])


def bins_of(values: Ints, lowest: int, highest: int) -> Ints:
    """Return the bin of every value.

    Args:
        values: int64[n], n > 0.
        lowest: The least value, 0 or more.
        highest: The greatest value.
    """
    if highest <= _SINGLE:
        return values
    if highest > _FLOAT_EXACT:
        return np.array([bin_of(value) for value in values.tolist()], np.int64)
    below = (values - 1).astype(np.float64)
    first, last = _decade_of(lowest), _decade_of(highest)
    decade: Ints = np.full(values.size, first, np.int64)
    for opening in range(first + 1, last + 1):
        decade += below >= _SINGLE * 10 ** (opening - 1)
    # The quotient of integers below 2**53 is never rounded up to the next integer here, because that is below 1000.
    below /= 10**first if first == last else _FLOAT_DECADES.take(decade)
    decade *= _PER_DECADE
    decade += below.astype(np.int64)
    decade += 1
    return decade


def _decade_of(value: int) -> int:
    return max(0, len(str(value - 1)) - 3) if value > _SINGLE else 0


def bin_of(value: int) -> int:
    """Return the bin of one value."""
    if value <= _SINGLE:
        return value
    decade = _decade_of(value)
    return (value - 1) // int(10**decade) + 1 + _PER_DECADE * decade


def bound_of(place: int) -> int:
    """Return the largest value that bin ``place`` holds."""
    if place <= _SINGLE:
        return place
    decade, rest = divmod(place - 101, _PER_DECADE)
    return (rest + 101) * int(10**decade)


@lru_cache(maxsize=64)
def _counts_per_unit(scale: float) -> Fraction:
    # By the decimal digits as written: 1e-9 is meant to be one in 10**9, which no float is.
    return 1 / Fraction(str(scale))


@lru_cache(maxsize=1024)
def _limit_of(bound: float, scale: float) -> int:
    if math.isinf(bound):
        return _LARGEST
    return min(math.floor(Fraction(str(bound)) * _counts_per_unit(scale)), _LARGEST)


class Histogram:
    """Count non-negative integers in bins of at most 1 % width, with exact count, sum, minimum and maximum.

    >>> histogram = Histogram(1e-9)
    >>> histogram.update(np.array([1_000_000, 2_000_000, 5_000_000]))
    >>> histogram.cumulative([0.001, 0.002, 0.005]), round(histogram.quantile(0.5), 4)
    ([1, 2, 3], 0.002)
    """

    __slots__ = ("_bins", "_counts", "_per_unit", "count", "maximum", "minimum", "scale", "sum")

    def __init__(self, scale: float = 1.0) -> None:
        """Begin empty.

        Args:
            scale: The value of one count in the unit of reading: 1e-9 where nanoseconds are read as seconds.
        """
        self.scale = scale
        self._per_unit = _counts_per_unit(scale)
        self._bins: Ints = np.empty(0, np.int64)
        self._counts: Ints = np.empty((1, 0), np.int64)
        self.count = 0
        self.sum = 0
        self.minimum = _LARGEST
        self.maximum = 0

    def update(self, values: Ints) -> None:
        """Count every value; a negative one counts as 0.

        Args:
            values: int64[n].
        """
        if values.size <= _SMALL:
            for value in values.tolist():
                self.add(value)
            return
        values = values.astype(np.int64, copy=False)
        lowest, highest = int(values.min()), int(values.max())
        if lowest < 0:
            values = np.maximum(values, 0)
            lowest, highest = 0, max(highest, 0)
        bins, counts = count_keys(bins_of(values, lowest, highest))
        whole = highest * values.size <= _LARGEST
        total = int(values.sum()) if whole else sum(values.tolist())
        minimum, maximum = min(self.minimum, lowest), max(self.maximum, highest)
        self._bins, self._counts = add_tables(self._bins, self._counts, bins, counts[None, :])
        # No call from here on: what a signal handler raises strikes at calls, and would leave half of it counted.
        self.count += values.size
        self.sum += total
        self.minimum, self.maximum = minimum, maximum

    def add(self, value: int, n: int = 1) -> None:
        """Count one value ``n`` times; a negative one counts as 0."""
        value = min(max(value, 0), _LARGEST)
        place = bin_of(value)
        at = int(self._bins.searchsorted(place))
        if at < self._bins.size and self._bins[at] == place:
            bins, counts = self._bins, self._counts.copy()
            counts[0, at] += n
        else:
            bins, counts = np.insert(self._bins, at, place), np.insert(self._counts, at, n, axis=1)
        minimum, maximum = min(self.minimum, value), max(self.maximum, value)
        self._bins, self._counts = bins, counts  # no call from here on, as above
        self.count += n
        self.sum += n * value
        self.minimum, self.maximum = minimum, maximum

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not self.count

    @property
    def bounds(self) -> list[int]:
        """The largest value of every bin that holds any, ascending."""
        return [bound_of(place) for place in self._bins.tolist()]

    @property
    def floors(self) -> list[int]:
        """What every value of every bin in ``bounds`` is above; of the lowest bin 0, which holds zeros."""
        return [bound_of(max(place - 1, 0)) for place in self._bins.tolist()]

    @property
    def counts(self) -> Ints:
        """The count of every bin in ``bounds``."""
        counts: Ints = self._counts[0].copy()
        return counts

    @property
    def mean(self) -> float:
        """The exact mean in scaled units, nan when empty."""
        return self._scaled(Fraction(self.sum, self.count)) if self.count else math.nan

    def quantile(self, q: float) -> float:
        """Return the quantile, interpolated between the two closest ranks as ``numpy.quantile`` does by default.

        Each of the two is known within 0.5 %, the least and the greatest exactly.

        Args:
            q: 0 to 1.

        Returns:
            The quantile in scaled units, nan when empty.

        Raises:
            ValueError: ``q`` is not in 0 to 1.
        """
        if not 0.0 <= q <= 1.0:
            message = f"a quantile is asked between 0 and 1, not {q!r}"
            raise ValueError(message)
        if not self.count:
            return math.nan
        place = Fraction(q) * (self.count - 1)
        below = math.floor(place)
        low, high = (self._ranked(rank) for rank in (below, math.ceil(place)))
        return self._scaled(low + (high - low) * (place - below))

    def _ranked(self, rank: int) -> Fraction:
        """Return the value that has so many values before it: the middle of its bin, or an extreme itself."""
        if rank in {0, self.count - 1}:
            return Fraction(self.maximum if rank else self.minimum)
        place = int(self._bins[np.searchsorted(np.cumsum(self._counts[0]), rank, side="right")])
        high = bound_of(place)
        low = bound_of(place - 1) + 1 if place else 0
        return Fraction(max(low, self.minimum) + min(high, self.maximum), 2)

    def cumulative(self, bounds: Sequence[float]) -> list[int]:
        """Count the values at or below each bound, exactly for bounds of up to three significant digits.

        Args:
            bounds: In scaled units, in any order; infinity counts everything.
        """
        running = [0, *np.cumsum(self._counts[0]).tolist()]
        return [running[self._bins_within(bound)] for bound in bounds]

    def _bins_within(self, bound: float) -> int:
        if bound < 0:
            return 0
        limit = _limit_of(float(bound), self.scale)
        place = bin_of(limit)
        # The bin of the bound itself counts only where it ends there: nothing above the bound is counted, whatever the
        # maximum is now, since what is counted once stays counted when greater values come.
        whole = bound_of(place) <= limit or limit == _LARGEST
        return int(self._bins.searchsorted(place, side="right" if whole else "left"))

    def _scaled(self, value: Fraction) -> float:
        return float(value / self._per_unit)

    def merge(self, other: Histogram) -> None:
        """Add the counts of ``other``, whose scale must be the same.

        Raises:
            ValueError: The scales differ.
        """
        if other.scale != self.scale:
            message = f"histograms of scales {self.scale} and {other.scale} do not add up"
            raise ValueError(message)
        self._bins, self._counts = add_tables(self._bins, self._counts, other._bins, other._counts)
        self.count += other.count
        self.sum += other.sum
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def copy(self) -> Histogram:
        """Return an independent copy."""
        twin = Histogram(self.scale)
        twin._bins, twin._counts = self._bins.copy(), self._counts.copy()
        twin.count, twin.sum, twin.minimum, twin.maximum = self.count, self.sum, self.minimum, self.maximum
        return twin

    def to_state(self) -> State:
        """Return the histogram as plain numbers and lists; the sum is text, since it may pass 2**63."""
        return {
            "scale": self.scale,
            "bins": self._bins.tolist(),
            "counts": self._counts[0].tolist(),
            "sum": str(self.sum),
            "minimum": str(self.minimum),
            "maximum": str(self.maximum),
        }

    @classmethod
    def from_state(cls, state: State) -> Histogram:
        """Rebuild the histogram that ``to_state`` wrote."""
        histogram = cls(state["scale"])
        histogram._bins = np.array(state["bins"], np.int64)
        histogram._counts = np.array([state["counts"]], np.int64)
        histogram.count = int(histogram._counts.sum())
        histogram.sum = int(state["sum"])
        histogram.minimum, histogram.maximum = int(state["minimum"]), int(state["maximum"])
        return histogram

    def __eq__(self, other: object) -> bool:
        """Compare everything kept."""
        return self.to_state() == other.to_state() if isinstance(other, Histogram) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show count, mean and three quantiles."""
        middle, high, higher = (self.quantile(q) for q in (0.5, 0.95, 0.99))
        return (
            f"Histogram(count={self.count}, mean={self.mean:.6g}, p50={middle:.6g}, p95={high:.6g}, p99={higher:.6g})"
        )
