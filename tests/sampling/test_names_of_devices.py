"""Who a device is, once nobody reads it: what was counted of it stays under the same name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from driven_samplers import driven

from modelmon.directory.sums import added
from modelmon.parts import latest_devices
from modelmon.snapshot.whole import Snapshot
from modelmon.testing import FakeGpu

if TYPE_CHECKING:
    from pathlib import Path


def names(snapshot: Snapshot) -> dict[str, str]:
    """Return the names of devices by the name of the points that carry them."""
    return {point.name: dict(point.attributes)["hw.name"] for point in snapshot.points() if point.name[:3] == "hw."}


def test_the_last_export_of_a_monitor_names_devices_as_all_before(tmp_path: Path) -> None:
    """What a monitor counted keeps its attributes once it reads no more, and nothing is said of what is now."""
    with driven(tmp_path, FakeGpu("A")) as one:
        one.tick()
        one.call("m", 0.5)
        one.tick(0.5)
        before = {point.attributes for point in one.points("hw.energy")}
        assert not one.sampler.audience.release(one.monitor.home)
        assert {point.attributes for point in one.points("hw.energy")} == before
        assert names(one.monitor.snapshot()) == {"hw.energy": "A", "hw.errors": "A"}


def test_processes_that_ended_leave_the_names_of_devices(tmp_path: Path) -> None:
    """Added up for a machine, what ended processes counted keeps its device; who reads it says what is now."""
    with driven(tmp_path, FakeGpu("A")) as one:
        one.tick()
        one.call("m", 0.5)
        one.tick(0.5)
        parts = one.monitor.snapshot().parts
    ended = added(parts, "ended", living=False)
    assert names(Snapshot(ended)) == {"hw.energy": "A", "hw.errors": "A"}
    later = [replace(part, taken_at=part.taken_at + 60) for part in ended]
    (device,) = latest_devices([*later, *parts]).values()
    assert device.status == "ok"
    assert "hw.status" in names(Snapshot(added([*parts, *later], "machine", living=True)))
