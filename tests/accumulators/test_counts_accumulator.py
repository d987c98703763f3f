"""Counts under keys."""

from __future__ import annotations

import pytest

from modelmon.accumulators.counts import Counts


def test_a_key_never_counted_reads_zero():
    """Absent keys read 0 and equal keys that were declared with 0."""
    counts = Counts()
    assert counts.get(("ok",)) == 0
    counts.add(("ok",), 0)
    assert list(counts) == [("ok",)]
    assert len(counts) == 1
    assert counts.is_empty
    assert counts == Counts()


def test_numbers_and_texts_stay_apart():
    """The keys 1 and "1" are two; 1 and 1.0 are one."""
    counts = Counts()
    counts.add((1,), 2)
    counts.add(("1",), 3)
    counts.add((1.0,), 5)
    assert dict(counts.items()) == {(1,): 7, ("1",): 3}
    assert counts.total == 10


@pytest.mark.fault("L18")
def test_counts_have_no_limit():
    """Counts pass 2**64 unharmed."""
    counts = Counts()
    counts.add(("x",), 2**70)
    counts.merge(counts.copy())
    assert Counts.from_state(counts.to_state()).get(("x",)) == 2**71
