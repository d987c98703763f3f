"""States, histories and differences: what evaluation is made of."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmon.accumulators.durations import Histogram
from modelmon.accumulators.increments import grown
from modelmon.alerting.amounts import Buckets, Pair
from modelmon.alerting.history import History
from modelmon.alerting.states import TABLE, Standing

STATES = ("inactive", "pending", "firing", "resolved")


def test_the_table_is_whole():
    """Every state knows what follows on every sign."""
    assert set(TABLE) == set(itertools.product(STATES, ("beyond", "held", "clear")))


def walk(beyond, hold, step=10.0):
    """Return the states that a standing goes through."""
    standing, states = Standing(), []
    for turn, far in enumerate(beyond):
        standing = standing.step(beyond=far, hold=hold, now=turn * step, at=1000 + turn * step)
        states.append(standing.state)
    return states, standing


def test_it_fires_only_when_held():
    """What goes back in time was pending and is inactive again; what holds fires, ends and comes again."""
    states, standing = walk([True, True, False, True, True, True, True, False, False, True], hold=20)
    assert states == ["pending", "pending", "inactive", *["pending"] * 2, *["firing"] * 2, *["resolved"] * 2, "pending"]
    assert standing.since == 1090


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 5))
def test_it_fires_exactly_while_the_condition_held_long_enough(beyond, steps):
    """Firing is: beyond at this and at every one of the last evaluations that the hold spans."""
    states, _ = walk(beyond, hold=steps * 10)
    for turn, state in enumerate(states):
        run = beyond[max(0, turn - steps) : turn + 1]
        assert (state == "firing") is (all(run) and len(run) == steps + 1)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 30))
def test_a_history_reaches_one_window_back(every, steps, rounds):
    """What is compared is at least one window old, not older by more than the spacing, and few samples are kept."""
    window, most = float(every * steps), 8
    history = History(window, most)
    for turn in range(rounds):
        now = float(turn * every)
        age, sample = history.push(now, now)
        assert sample == now - age
        assert age <= window + max(every, window / most) + every
        assert age >= min(window, now) - 1e-6
        assert len(history) <= most + 2


@given(st.lists(st.integers(0, 10**12)), st.lists(st.integers(0, 10**12)))
def test_what_was_added_is_found_again(first, then):
    """The difference of two histograms counts exactly what came in between, with exact sum and the same bins."""
    before, only = Histogram(1e-9), Histogram(1e-9)
    before.update(np.array(first, np.int64))
    after = before.copy()
    after.update(np.array(then, np.int64))
    only.update(np.array(then, np.int64))
    found = grown(after, before)
    assert (found.count, found.sum, found.bounds) == (only.count, only.sum, only.bounds)
    assert found.counts.tolist() == only.counts.tolist()
    if then:
        assert found.minimum <= only.minimum
        assert found.maximum >= only.maximum
        assert math.isclose(found.quantile(0.5), only.quantile(0.5), rel_tol=0.011)


def test_a_count_that_began_anew_counts_as_it_is():
    """After a reset the whole of what is there came in since."""
    assert Pair(1, 5).since(Pair(3, 4)) == Pair(1, 5)
    assert Buckets((1.0,), (1, 2), 3.0).since(Buckets((1.0,), (2, 2), 3.0)).count == 2
    assert Buckets((1.0,), (1, 2), 3.0).since(Buckets((2.0,), (1, 1), 3.0)).count == 2


def test_buckets_read_as_prometheus_reads_them():
    """Quantiles are interpolated within the bucket; beyond the last bound that bound is all that is known."""
    held = Buckets((1.0, 2.0, 4.0), (10, 20, 20, 30), 60.0)
    assert [held.quantile(q) for q in (0, 1 / 6, 0.5, 0.9)] == [0.0, 0.5, pytest.approx(1.5), 4.0]
    assert held.cumulative([0.5, 2.0, 3.0, 9.0]) == [0, 20, 20, 20]
    assert (held.mean, held.count) == (2.0, 30)
    assert math.isnan(Buckets((), (), 0.0).quantile(0.5))
    assert math.isnan(Buckets((1.0,), (0, 0), 0.0).mean)
