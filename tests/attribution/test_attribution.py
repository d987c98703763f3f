"""One device, call by call: nothing drawn is lost or given twice, whatever the counter and the calls do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelmon.attribution import Attribution, Settlement
from modelmon.attribution.exposures import Calls, exposures, swept
from modelmon.attribution.splitting import split

S = 1_000_000_000
READINGS = st.lists(
    st.tuples(
        st.integers(1, 3 * S),
        st.one_of(st.none(), st.integers(-(10**9), 2 * 10**9), st.just(0)),
        st.one_of(st.none(), st.floats(0, 1)),
    ),
    max_size=12,
)
CALLS = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(0, 20 * S), st.integers(0, 6 * S), st.sampled_from([1.0, 0.5, 3.0])),
    max_size=12,
)


def balanced(settled: Settlement) -> bool:
    """Tell whether what was given and what was not add up to what was drawn, none of it negative."""
    parts = [*settled.energy.values(), settled.unattributed]
    return sum(parts) == settled.drawn and min(parts) >= 0


@given(READINGS, CALLS, st.lists(st.integers(0, 30 * S), max_size=4))
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_or_given_twice(readings: Any, calls: Any, moments: list[int]) -> None:
    """Whatever is read and called, each settlement adds up to the microjoule, and all to the counter's moves."""
    device = Attribution()
    at = counter = moved = 0
    device.sample(0, 0)
    for model, start, lasting, weight in calls:
        device.calls(model, [start], [start + lasting], [weight])
    for step, move, util in readings:
        at += step
        counter = counter if move is None else counter + move
        device.sample(at, None if move is None else counter, util)
    found = [device.settle(until) for until in [*sorted(moments), at]]
    assert all(map(balanced, found))
    moved = sum(settled.drawn for settled in found)
    if not any(settled.resets or settled.glitches for settled in found):
        assert moved <= max(counter, 0)
    assert sum(sum(settled.busy.values()) for settled in found) <= at


@example(2**70 + 12345, [1.0])
@given(st.integers(0, 10**15), st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=20))
def test_parts_add_up_to_the_whole(whole: int, shares: list[float]) -> None:
    """Parts by largest remainder are none negative and add up."""
    parts = split(whole, shares)
    assert sum(parts) == whole
    assert min(parts) >= 0


@given(CALLS.filter(bool), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_exposures_add_up_to_the_time_in_which_calls_ran(calls: Any, n: int) -> None:
    """The exposures of an interval are as long as at least one call ran in it, counted by the millisecond."""
    edges = np.linspace(0, 26 * S, n + 1).astype(np.int64)
    columns, starts, lengths, weights = (np.array(column) for column in zip(*calls, strict=True))
    starts = starts // 1_000_000 * 1_000_000
    ends = starts + lengths // 1_000_000 * 1_000_000
    numbers = np.array(["ABC".index(model) for model in columns])
    found = exposures(edges, Calls(numbers, starts, ends, weights.astype(float)), 3)
    rows = zip(numbers.tolist(), starts.tolist(), ends.tolist(), weights.tolist(), strict=True)
    few = swept(edges.tolist(), [(*row[:3], float(row[3])) for row in rows if row[2] > row[1]], 3)
    assert np.allclose(few, found, rtol=1e-9, atol=10)
    covered = np.zeros(26_000, bool)
    for start, end in zip(starts, ends, strict=True):
        covered[start // 1_000_000 : end // 1_000_000] = True
    assert found.sum() / 1e6 == pytest.approx(covered.sum())
    assert (found >= 0).all()


def read(device: Attribution, joules: list[float], step: int = S) -> None:
    """Give a device a reading each step: its counter in joules."""
    for n, energy in enumerate(joules):
        device.sample(n * step, round(energy * 1e6))


def test_a_call_alone_is_given_all_above_idle() -> None:
    """Idle power is known from quiet times; a call gets the rest, of the very interval in which it ran."""
    device = Attribution()
    read(device, [0, 50, 100, 150, 200, 500, 550])
    device.calls("m", [4 * S + S // 2], [5 * S])
    settled = device.settle(6 * S)
    assert settled.energy == {("m", "exclusive"): 275_000_000}
    assert settled.unattributed == 275_000_000
    assert settled.busy == {("m", "calls"): S // 2}
    assert balanced(settled)


def test_a_reading_that_did_not_move_waits_for_the_next() -> None:
    """A counter that stands where it stood says nothing yet; after two seconds it says that nothing was drawn."""
    device = Attribution()
    device.sample(0, 0)
    device.sample(S, 0)
    assert device.settle(S).drawn == 0
    device.sample(S + S // 2, 30)
    assert device.settle(2 * S).until_ns == S + S // 2
    device.sample(4 * S, 30)
    assert device.settle(4 * S) == Settlement(4 * S)


def test_a_counter_that_goes_back_or_jumps_is_counted_and_left_out() -> None:
    """A reset and a glitch are counted once each, and no total falls or leaps."""
    device = Attribution()
    read(device, [100, 150, 3, 53, 90_000, 90_050])
    settled = device.settle(5 * S)
    assert (settled.resets, settled.glitches, settled.drawn) == (1, 1, 150_000_000)
    assert device.settle(9 * S).resets == 0


def test_a_device_without_a_counter_still_tells_busy_time() -> None:
    """Without energy nothing is drawn, and the device's own word about its work is shared by the calls."""
    device = Attribution()
    device.sample(0, None, 0.5)
    device.calls("m", [0, 0], [S, S])
    device.calls("n", [0, 0], [S, S])
    device.sample(S // 2, None, 0.5)
    device.sample(S, None, 1.0)
    settled = device.settle(S)
    assert settled.busy == {("m", "utilization"): 375_000_000, ("n", "utilization"): 375_000_000}
    assert settled.drawn == 0
    device.sample(5 * S, 7)
    device.sample(6 * S, 1007)
    assert device.settle(6 * S).drawn == 1000


def test_running_calls_are_not_given_the_same_again() -> None:
    """What a call was given while it ran is not given to it once more when its record comes."""
    device = Attribution()
    read(device, [0, 100, 200, 300])
    first = device.settle(2 * S, running=[("m", 0, 2)])
    assert first.energy == {("m", "exclusive"): 200_000_000}
    device.calls("m", [0, 0], [3 * S, 3 * S])
    second = device.settle(3 * S)
    assert second.energy == {("m", "exclusive"): 100_000_000}


def test_weights_say_how_much_of_a_moment_a_call_takes() -> None:
    """A call of weight 3 beside one of weight 1 has three quarters of the time."""
    device = Attribution()
    read(device, [0, 100])
    device.calls("m", [0], [S], [3.0])
    device.calls("n", [0], [S])
    assert device.settle(S).energy == {("m", "time_share"): 75_000_000, ("n", "time_share"): 25_000_000}


def test_many_models_share_what_is_learnt() -> None:
    """Past sixteen models the last ones are learnt as one, and energy is still split among all."""
    device = Attribution()
    for n in range(40):
        device.sample(n * S, n * 100_000_000)
        for model in range(20):
            device.calls(model, [n * S], [n * S + S // 2 + model * (n % 7)])
    settled = device.settle(39 * S)
    assert balanced(settled)
    assert {model for model, _ in settled.energy} == set(range(20))
    assert set(settled.powers) <= set(range(15))


def test_readings_out_of_order_are_left_out() -> None:
    """A reading older than the last one changes nothing."""
    device = Attribution()
    read(device, [0, 100])
    device.sample(S // 2, 60_000_000)
    assert device.settle(S).drawn == 100_000_000
    assert device.settle(S // 2).drawn == 0


def test_what_a_device_draws_unseen_is_given_to_nobody() -> None:
    """Where calls were forgotten, all that is drawn until the counter is read again is unattributed, and drawn."""
    device = Attribution()
    device.forget()
    for n in range(5):  # at 100 W without a call
        device.sample(n * S, n * 100_000_000)
    device.calls("A", [4 * S], [6 * S])
    device.sample(5 * S, 900_000_000)
    device.forget()  # an interval awaits its settlement
    seen = device.settle(5 * S)
    assert (seen.energy, seen.unattributed) == ({("A", "exclusive"): 500_000_000}, 400_000_000)
    device.forget()
    device.sample(15 * S, None, 1.0)  # it is back, without its counter yet
    device.calls("A", [15 * S], [17 * S])
    device.sample(17 * S, 6_000_000_000, 1.0)
    device.calls("A", [17 * S], [18 * S])
    device.sample(18 * S, 6_500_000_000)
    unseen, seen = device.settle(17 * S), device.settle(18 * S)
    assert (unseen.energy, unseen.busy) == ({}, {})
    assert unseen.drawn == unseen.unattributed == 5_100_000_000
    assert (seen.energy, seen.unattributed) == ({("A", "exclusive"): 500_000_000}, 0)


def test_a_device_without_a_counter_is_seen_again_at_the_first_reading() -> None:
    """Without a counter there is none to wait for: busy time is told from the first reading on."""
    device = Attribution()
    device.sample(0, None, 0.5)
    device.forget()
    device.sample(3 * S, None, 1.0)
    device.calls("A", [3 * S], [6 * S])
    device.sample(6 * S, None, 1.0)
    assert device.settle(6 * S).busy == {("A", "calls"): 3 * S}
