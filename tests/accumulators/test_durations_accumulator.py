"""Decimal histograms against the sorted values themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmon.accumulators.durations import Histogram, bin_of, bins_of, bound_of

EDGES = sorted(
    {digits * 10**power + near for digits in (1, 100, 101, 500, 999) for power in range(16) for near in (-1, 0, 1)}
)
LIKE = st.integers(12_300, 12_500)
VALUES = st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 10**10), st.integers(0, 2000), st.sampled_from(EDGES))


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_a_bin_ends_at_three_digits(value):
    """The bound of a value's bin is the least three-digit number not below it."""
    bound = bound_of(bin_of(value))
    step = 10 ** max(0, len(str(value)) - 3)
    assert bound == -(-value // step) * step
    assert bin_of(bound) == bin_of(value)
    assert bin_of(bound + 1) == bin_of(bound) + 1


@settings(max_examples=100, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=40))
def test_bins_of_arrays_are_bins_of_values(values):
    """The vectorised bins equal the bins of the single values, past 2**53 too."""
    array = np.array(values, np.int64)
    assert bins_of(array, min(values), max(values)).tolist() == [bin_of(value) for value in values]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 10**10), st.sampled_from(EDGES)), min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_numpys_within_half_a_percent(values, q):
    """Quantiles lie within 0.5 % of those of the values themselves; count, sum, mean and ends are exact."""
    histogram = Histogram(1.0)
    histogram.update(np.array(values, np.int64))
    exact = float(np.quantile(np.array(values, np.float64), q))
    quantile = histogram.quantile(q)
    assert abs(quantile - exact) <= 0.005 * exact + 1e-9
    assert (histogram.count, histogram.sum) == (len(values), sum(values))
    assert (histogram.minimum, histogram.maximum) == (min(values), max(values))
    assert float(min(values)) <= quantile <= float(max(values))
    assert histogram.mean == sum(values) / len(values)


def test_counts_at_decimal_bounds_are_exact():
    """A bound such as 0.005 s counts what is at or below it to the nanosecond."""
    bounds = [0.001, 0.0025, 0.005, 0.25, 1.0, 7.5, 10.0, math.inf, 0.0, -1.0]
    nanoseconds = [round(bound * 1e9) for bound in bounds if 0 < bound < math.inf]
    values = np.array([value + near for value in nanoseconds for near in (-1, 0, 1)] * 5, np.int64)
    histogram = Histogram(1e-9)
    histogram.update(values)
    assert histogram.cumulative(bounds) == [
        *(int((values <= value).sum()) for value in nanoseconds),
        values.size,
        0,
        0,
    ]
    assert histogram.counts.sum() == values.size
    assert histogram.bounds == sorted(histogram.bounds)


def test_a_bound_of_more_digits_never_counts_what_is_above_it():
    """A bound inside a bin leaves the bin out, even where everything counted so far lies below."""
    histogram = Histogram(1.0)
    histogram.update(np.array([12_345, 12_399]))
    assert histogram.cumulative([12_350, 12_399, 12_400]) == [0, 0, 2]
    assert histogram.cumulative([12_300, 99_999, math.inf]) == [0, 2, 2]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(LIKE, min_size=1, max_size=3),
    st.lists(LIKE, min_size=1, max_size=3),
    st.lists(LIKE, min_size=1, max_size=5),
)
def test_what_is_under_a_bound_never_falls(earlier, later, bounds):
    """Whatever comes, a bucket that was exported only grows, and holds nothing above its bound."""
    histogram = Histogram(1.0)
    histogram.update(np.array(earlier, np.int64))
    before = histogram.cumulative(bounds)
    histogram.update(np.array(later, np.int64))
    after = histogram.cumulative(bounds)
    assert all(map(int.__le__, before, after))
    assert all(n <= sum(value <= bound for value in earlier + later) for n, bound in zip(after, bounds, strict=True))


def test_empty_reads_nan_and_odd_input_is_clamped():
    """An empty histogram has no quantile; negative durations count as zero."""
    histogram = Histogram(1e-9)
    assert math.isnan(histogram.quantile(0.5))
    assert math.isnan(histogram.mean)
    histogram.update(np.array([-5, 10]))
    histogram.update(np.full(100, -1))
    assert histogram.cumulative([0.0]) == [101]
    assert histogram.minimum == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        histogram.quantile(1.5)
    with pytest.raises(ValueError, match="scales"):
        histogram.merge(Histogram(1.0))


@pytest.mark.fault("L18")
def test_sums_pass_64_bits():
    """The sum stays exact where int64 would overflow, and where floats would round."""
    histogram = Histogram(1.0)
    values = np.full(1000, 2**62 + 1)
    histogram.update(values)
    histogram.add(2**53 + 1, 3)
    assert histogram.sum == 1000 * (2**62 + 1) + 3 * (2**53 + 1)
    assert Histogram.from_state(histogram.to_state()) == histogram


def test_numpy_quantiles_agree():
    """On many values quantiles agree with numpy's to 0.5 %."""
    values = np.random.default_rng(0).lognormal(13, 2, 50_000).astype(np.int64)
    histogram = Histogram(1e-9)
    for batch in np.array_split(values, 7):
        histogram.update(batch)
    levels = [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0]
    exact = np.quantile(values, levels, method="inverted_cdf") * 1e-9
    assert np.abs(np.array([histogram.quantile(q) for q in levels]) / exact - 1).max() <= 0.005
