"""Exact sums against rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmon.accumulators.exact import ExactSum, add_grouped

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TERMS = st.lists(st.one_of(FINITE, st.sampled_from([5e-324, -0.0, 1.7976931348623157e308, 2.0**53, 0.1])), max_size=60)


def _sum(terms: np.ndarray) -> ExactSum:
    total = ExactSum()
    total.add(terms)
    return total


@settings(max_examples=150, deadline=None)
@given(TERMS)
def test_the_sum_is_the_rational_sum(terms):
    """Any finite terms, denormal or huge, add up exactly and round once."""
    total = _sum(np.array(terms, np.float64))
    expected = sum((Fraction(term) for term in terms), Fraction())
    assert total.fraction() == expected
    try:
        assert total.value() == float(expected)
    except OverflowError:
        assert total.value() == (math.inf if expected > 0 else -math.inf)


@settings(max_examples=100, deadline=None)
@given(TERMS, st.randoms())
def test_products_are_not_rounded(terms, random):
    """Sums of products equal the rational sum of rational products."""
    x = np.array(terms, np.float64)
    y = np.array(random.sample(terms, len(terms)), np.float64)
    total = ExactSum()
    total.add_product(x, y)
    assert total.fraction() == sum((Fraction(a) * Fraction(b) for a, b in zip(x, y, strict=True)), Fraction())
    total.add_product(x, x)
    total.add_product(x, y, -1)
    assert total.fraction() == sum((Fraction(a) ** 2 for a in x), Fraction())


@settings(max_examples=60, deadline=None)
@given(TERMS, st.integers(1, 4))
def test_groups_add_up_apart(terms, size):
    """Every group gets exactly the sum of its own terms."""
    groups = np.arange(len(terms)) % size
    sums = [ExactSum() for _ in range(size)]
    add_grouped(sums, np.array(terms, np.float64), groups)
    assert sums == [_sum(np.array(terms, np.float64)[groups == group]) for group in range(size)]
    add_grouped(sums, np.array(terms, np.float64), groups, sign=-1)
    assert all(total.is_empty for total in sums)


@pytest.mark.parametrize("size", [3, 5000])
def test_the_sum_equals_fsum(size):
    """A long sum equals the correctly rounded sum of the standard library."""
    terms = np.random.default_rng(size).normal(size=size) * 10.0 ** np.random.default_rng(1).integers(-30, 30, size)
    assert _sum(terms).value() == math.fsum(terms)
    assert "ExactSum(" in repr(_sum(terms))


@pytest.mark.parametrize("size", [2, 100])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_refused_whole(size, bad):
    """A nan or infinite term raises and leaves the sum as it was."""
    total = _sum(np.ones(4))
    terms = np.ones(size)
    terms[-1] = bad
    with pytest.raises(ValueError, match="finite"):
        total.add(terms)
    with pytest.raises(ValueError, match="finite"):
        total.add_product(terms, terms)
    sums = [total]
    with pytest.raises(ValueError, match="finite"):
        add_grouped(sums, terms, np.zeros(size, np.int64))
    assert total.value() == 4.0


def test_infinity_only_beyond_the_largest_float():
    """Sums past the largest float read infinite and come back exactly."""
    total = _sum(np.full(20, 1.7e308))
    assert total.value() == math.inf
    total.add(np.full(19, 1.7e308), -1)
    assert total.value() == 1.7e308
    total.add(np.full(20, 1.7e308), -1)
    assert total.value() == -math.inf
