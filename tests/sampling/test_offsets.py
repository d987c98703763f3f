"""Monitors with clocks of their own: their calls are placed in the machine's time, or left out."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING

import pytest
from driven_samplers import driven

from modelmon import Monitor, notices
from modelmon.sampling import running
from modelmon.sampling.offsets import Offset
from modelmon.testing import FakeClock, fake_nvml

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000


class Shifted:
    """A clock that goes with another one, some time behind it."""

    def __init__(self, clock: FakeClock, behind_s: float) -> None:
        """Take the clock that it goes with."""
        self._clock, self._behind = clock, round(behind_s * 1e9)

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._clock.time()

    def monotonic_ns(self) -> int:
        """Return nanoseconds."""
        return self._clock.monotonic_ns() - self._behind


def looked(*readings: tuple[int, int, int]) -> list[tuple[bool, int]]:
    """Return what is known after each look: before, theirs, after, in milliseconds."""
    ours = iter([reading[side] * MS for reading in readings for side in (0, 2)])
    theirs = iter([reading[1] * MS for reading in readings])
    offset = Offset(lambda: next(ours), lambda: next(theirs))
    found = []
    for _ in readings:
        offset.look()
        found.append((offset.known, offset.ns // MS))
    return found


def test_one_and_the_same_clock_is_known_at_once() -> None:
    """What lies between two readings of ours is ours, however long the thread slept between them."""
    assert looked((0, 0, 0), (0, 0, 0), (500, 501, 502), (1000, 1090, 1100)) == [(True, 0)] * 4


def test_another_zero_is_known_at_the_second_look() -> None:
    """A clock that keeps its distance is believed once that was seen; slow drift is followed."""
    assert looked((0, 7000, 0), (5, 7005, 5), (500, 7500, 500), (1500, 8501, 1500)) == [
        (False, -7000),
        (False, -7000),
        (True, -7000),
        (True, -7001),
    ]


@pytest.mark.parametrize("last", [7000, 7100, 7490, 7530, 9500])
def test_a_clock_that_goes_otherwise_is_believed_no_more(last: int) -> None:
    """Whether it stands still, lags, hurries or jumps, and whatever it does afterwards."""
    assert looked((0, 7000, 0), (500, last, 500), (1000, last + 500, 1000))[1:] == [(False, 500 - last)] * 2


def test_a_clock_with_another_zero_is_given_its_part(tmp_path: Path) -> None:
    """Two models that take turns are given the same, though one is stamped an hour behind the other."""
    with driven(tmp_path) as one:
        own = Monitor(gpu=False, clock=Shifted(one.clock, 3600))
        one.sampler.serve(weakref.ref(own.home))
        for _ in range(6):
            one.tick(0.5)
        for _ in range(5):
            one.call("plain", 0.1)
            one.call("own", 0.1, monitor=own)
            one.tick(0.3)
        one.tick(0.5)
        given = one.energy()["plain"], one.energy(own)["own"]
        assert given[0] == given[1] == pytest.approx(5 * 0.1 * 700e6, rel=0.05)
        assert sum(given) + sum(one.count("gpu_unattributed").values()) == sum(one.count("hw_energy").values())


def test_a_clock_of_its_own_pace_is_given_nothing_and_holds_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A replay beside the sampler gets no energy, which is said once; others get theirs, and all is accounted for."""
    notices.forget()
    with driven(tmp_path) as one, caplog.at_level("INFO", "modelmon"):
        replay = Monitor(gpu=False, clock=FakeClock(start=5.0))
        one.sampler.serve(weakref.ref(replay.home))
        for _ in range(6):
            one.tick(0.5)

        @replay(model="runs")
        def runs() -> None:
            for _ in range(5):
                one.call("plain", 0.1)
                one.call("replayed", 0.1, monitor=replay)
                one.tick(0.3)
            assert one.energy()["plain"] > 0

        runs()
        one.tick(0.5)
        assert not any(one.energy(replay).values())
        assert replay.snapshot()["replayed"].calls == 5
        given = one.energy()["plain"]
        assert given + sum(one.count("gpu_unattributed").values()) == sum(one.count("hw_energy").values())
    (said,) = [message for message in caplog.messages if "clock=" in message]
    assert said.endswith("its models are given no energy and no time of graphics processors")


def test_devices_are_read_by_the_machines_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes first, its clock is not that of the devices."""
    monkeypatch.setattr(running._process, "held", None)
    with fake_nvml():
        monitor = Monitor(gpu=20, clock=FakeClock())
        monitor(model="m")(lambda: 1)()
        assert running._process.held._clock is time.perf_counter_ns
        monitor.close()
