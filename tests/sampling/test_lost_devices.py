"""Devices that cannot be read: no call is kept meanwhile, and what is drawn is neither lost nor guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from driven_samplers import Driven, driven

from modelmon.testing import FakeGpu

if TYPE_CHECKING:
    from pathlib import Path


def kept(one: Driven) -> int:
    """Return how many calls wait to be settled on the first device."""
    return sum(len(batch[1]) for batch in one.sampler._devices[0].attribution._calls)


def called(one: Driven, rounds: int, *, watts: float | None = 700.0) -> None:
    """Call a model and read, again and again."""
    for _ in range(rounds):
        one.call("m", 0.2, watts=watts)
        one.tick(0.3)


@pytest.mark.parametrize("how", ["lost", "replaced", "raises"])
def test_calls_are_not_kept_for_a_device_that_cannot_be_read(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a device is away, or its driver gone, memory holds no call that ended meanwhile."""
    with driven(tmp_path, FakeGpu(), FakeGpu()) as one:
        called(one, 3)
        if how == "lost":
            one.fake.gpus[0].lost = True
        elif how == "replaced":
            one.fake.fail("*", "LIB_RM_VERSION_MISMATCH")
        else:
            monkeypatch.setattr(one.sampler._backend, "read", lambda *_: 1 / 0)
        for _ in range(3):
            called(one, 5)
            assert kept(one) == 0
        assert one.monitor.snapshot()["m"].calls == 18


@pytest.mark.fault("G2")
def test_what_is_drawn_while_a_device_is_away_belongs_to_no_model(tmp_path: Path) -> None:
    """Once the device is back all that was drawn is accounted for, and its idle power is known as before."""
    with driven(tmp_path) as one:
        for _ in range(6):
            one.tick(0.5)
        called(one, 4)
        before, gpu = one.energy()["m"], one.fake.gpus[0]
        gpu.lost = True
        called(one, 20)
        gpu.lost = False
        one.tick(60.0)
        assert one.energy()["m"] == before
        one.tick(0.5)
        called(one, 4)
        one.tick(0.5)
        assert one.energy()["m"] == pytest.approx(2 * before, rel=0.1)
        drawn = one.count("hw_energy")[gpu.uuid,]
        assert drawn == pytest.approx(77.5 * 70e6 + 28 * 0.2 * 630e6, rel=0.01)
        assert one.energy()["m"] + sum(one.count("gpu_unattributed").values()) == drawn
        assert not one.count("gpu_counter_faults")


def test_calls_before_a_device_was_lost_are_given_their_energy(tmp_path: Path) -> None:
    """What was read while a call ran is settled when that call has ended, though the device went away before."""
    with driven(tmp_path) as one:
        for _ in range(6):
            one.tick(0.5)

        @one.monitor(model="slow")
        def slow() -> None:
            with one.fake.gpus[0].load(700.0):
                for _ in range(4):
                    one.tick(0.5)
                one.fake.gpus[0].lost = True
                one.tick(0.5)

        slow()
        one.tick(0.5)
        assert one.energy()["slow"] == pytest.approx(2 * 700e6, rel=0.05)
        one.tick(0.5)
        assert kept(one) == 0
