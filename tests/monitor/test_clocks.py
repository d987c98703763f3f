"""Tests of the clock that never goes back."""

from __future__ import annotations

import pytest

from modelmon.clocks import StoreClock, SystemClock


class TwoHands:
    """A clock whose wall and monotonic readings are set apart."""

    def __init__(self, wall: float = 1000.0, mono: float = 50.0) -> None:
        """Set both hands, in seconds."""
        self.wall, self.mono = wall, mono

    def time(self) -> float:
        """Return the wall reading."""
        return self.wall

    def monotonic_ns(self) -> int:
        """Return the monotonic reading."""
        return round(self.mono * 1e9)

    def pass_by(self, seconds: float) -> None:
        """Move both hands."""
        self.wall += seconds
        self.mono += seconds


def test_follows_a_clock_whose_hands_agree_exactly() -> None:
    """Time is the wall reading itself, so that deadlines are exact."""
    hands = TwoHands()
    clock = StoreClock(hands)
    for _ in range(1000):
        hands.pass_by(0.1)
        assert clock.now() == hands.wall
    assert clock.steps == 0


@pytest.mark.fault("E15")
def test_a_step_back_is_ignored_and_counted_once() -> None:
    """After a step of an hour back, time goes on by the monotonic reading."""
    hands = TwoHands()
    clock = StoreClock(hands)
    hands.wall -= 3600.0
    seen = []
    for _ in range(10):
        hands.pass_by(1.0)
        seen.append(clock.now())
    assert seen == [1000.0 + second for second in range(1, 11)]
    assert clock.steps == 1


@pytest.mark.fault("E15")
def test_a_lone_step_ahead_is_not_believed() -> None:
    """One reading an hour ahead expires nothing; afterwards all is as before."""
    hands = TwoHands()
    clock = StoreClock(hands)
    hands.wall += 3600.0
    assert clock.now() == 1000.0
    hands.wall -= 3600.0
    hands.pass_by(5.0)
    assert clock.now() == 1005.0
    assert clock.steps == 1


@pytest.mark.fault("E15")
def test_a_step_ahead_is_believed_after_agreeing_readings() -> None:
    """Three readings over more than a second that agree move time ahead for good."""
    hands = TwoHands()
    clock = StoreClock(hands)
    hands.wall += 3600.0
    readings = []
    for _ in range(5):
        hands.pass_by(0.6)
        readings.append(clock.now())
    assert readings[:2] == [1000.6, 1001.2]
    assert abs(readings[-1] - hands.wall) < 1e-6
    assert clock.steps == 1


def test_the_system_clock_reads_both_hands() -> None:
    """The machine's clock gives seconds and nanoseconds that do not go back."""
    clock = SystemClock()
    first, second = clock.monotonic_ns(), clock.monotonic_ns()
    assert second >= first
    assert clock.time() > 1.6e9
