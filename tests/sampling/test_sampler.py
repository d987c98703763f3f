"""The sampler tick by tick: what it reads, when it knows what, and that nothing drawn is lost."""

from __future__ import annotations

import os
import random
import weakref
from typing import TYPE_CHECKING

import pytest
from driven_samplers import driven

from modelmon import Monitor
from modelmon.devices.backend import BackendLost
from modelmon.sampling.feeds import PATIENCE_NS
from modelmon.snapshot import Snapshot
from modelmon.testing import FakeGpu

if TYPE_CHECKING:
    from pathlib import Path


def test_all_that_is_drawn_is_given_to_models_or_to_none(tmp_path: Path) -> None:
    """Two models and two devices: what models were given and what none was is what the driver counted, exactly."""
    chance = random.Random(3)
    with driven(tmp_path, FakeGpu(), FakeGpu(idle_watts=50.0)) as one:
        one.tick()
        before = [gpu.energy_mj() for gpu in one.fake.gpus]
        for _ in range(120):
            for _ in range(chance.randrange(6)):
                one.call(chance.choice("ab"), chance.uniform(0.001, 0.2), watts=chance.choice([300.0, 700.0]))
                one.clock.advance(chance.uniform(0, 0.1))
            one.tick(0.1)
        counted = sum(gpu.energy_mj() for gpu in one.fake.gpus) - sum(before)
        drawn = sum(one.count("hw_energy").values())
        assert drawn == counted * 1000
        assert sum(one.energy().values()) + sum(one.count("gpu_unattributed").values()) == drawn
        assert min(one.energy().values()) > 0
        assert one.monitor.snapshot()["a"].gpu_busy > 0


def test_a_call_is_given_energy_once_it_has_ended(tmp_path: Path) -> None:
    """Intervals in which a call may run are settled only when its record has come."""
    with driven(tmp_path) as one:
        one.tick()
        one.tick(1.0)

        @one.monitor(model="slow")
        def slow() -> None:
            with one.fake.gpus[0].load():
                for _ in range(6):
                    one.tick(0.5)
                assert sum(one.count("hw_energy").values()) == settled

        settled = sum(one.count("hw_energy").values())
        slow()
        one.tick(0.5)
        assert one.energy()["slow"] == pytest.approx(3 * 700e6, rel=0.05)


def test_a_call_that_goes_on_and_on_is_given_energy_while_it_runs(tmp_path: Path) -> None:
    """After a while running calls are not waited for; their record brings them nothing a second time."""
    with driven(tmp_path) as one:
        one.tick()
        one.tick(2.0)

        @one.monitor(model="endless")
        def endless() -> None:
            with one.fake.gpus[0].load():
                for _ in range(40):
                    one.tick(0.5)
                assert one.energy()["endless"] == pytest.approx((20 - PATIENCE_NS / 1e9) * 700e6, rel=0.1)

        endless()
        for _ in range(3):
            one.tick(0.5)
        assert one.energy()["endless"] == pytest.approx(20 * 700e6, rel=0.05)
        assert sum(one.energy().values()) + sum(one.count("gpu_unattributed").values()) == sum(
            one.count("hw_energy").values()
        )


def test_every_way_to_end_a_call_is_followed(tmp_path: Path) -> None:
    """Calls that raise, streams, and calls whose arguments do not bind hold nothing up."""
    with driven(tmp_path) as one:

        @one.monitor(model="m")
        def fails(x: int) -> None:
            one.clock.advance(0.5)
            raise ValueError(x)

        @one.monitor(model="m")
        def streams() -> object:
            with one.fake.gpus[0].load():
                one.clock.advance(0.5)
                yield 1

        for _ in range(5):
            one.tick(0.5)
        with pytest.raises(ValueError, match="1"):
            fails(1)
        one.tick()
        with pytest.raises(TypeError):
            fails()  # type: ignore[call-arg]
        one.tick(0.5)
        assert list(streams()) == [1]
        one.tick(0.5)
        assert sum(one.count("hw_energy").values()) == (3.5 * 70 + 0.5 * 700) * 1e6
        assert one.energy()["m"] == pytest.approx(0.5 * 770e6, rel=0.03)


def test_a_tick_makes_three_driver_calls_for_each_device_at_most(tmp_path: Path) -> None:
    """Every twentieth tick reads more; no other makes more than three calls a device."""
    with driven(tmp_path, FakeGpu(), FakeGpu(), FakeGpu()) as one:
        one.tick()
        seen = []
        for _ in range(40):
            before = one.fake.calls()
            one.call("m", 0.01)
            one.tick(0.49)
            seen.append(one.fake.calls() - before)
        assert sorted(seen)[:38] == [min(seen)] * 38
        assert 0 < min(seen) <= 3 * 3
        assert sum(one.count("sampler_calls").values()) == one.fake.calls()


def test_no_call_of_a_model_calls_the_driver(tmp_path: Path) -> None:
    """A hundred thousand calls make no driver call at all; ticks alone do."""
    with driven(tmp_path) as one:

        @one.monitor(model="m")
        def identity(x: int) -> int:
            return x

        one.tick()
        before = one.fake.calls()
        for n in range(100_000):
            identity(n)
        assert one.fake.calls() == before


def test_readings_become_rare_where_nothing_is_called(tmp_path: Path) -> None:
    """Half a minute after the last call readings come every five seconds, and at once as before with the next call."""
    with driven(tmp_path) as one:
        one.tick()
        one.call("m", 0.01)
        one.tick(0.5)
        assert one.sampler.period == 500_000_000
        for _ in range(70):
            one.tick(0.5)
        assert one.sampler.period == 5_000_000_000
        one.call("m", 0.01)
        one.tick(0.5)
        assert one.sampler.period == 500_000_000


def test_ticks_left_out_are_counted(tmp_path: Path) -> None:
    """A tick that comes three periods late stands for two that were left out."""
    with driven(tmp_path) as one:
        one.tick()
        one.tick(0.5)
        one.tick(1.6)
        assert one.count("sampler_overruns") == {(): 2}
        assert one.monitor.snapshot().durations("sampler_tick").count == 3


def test_values_too_old_are_absent(tmp_path: Path) -> None:
    """After three periods without a reading a device has a state, and no current value."""
    with driven(tmp_path) as one:
        one.tick()
        one.tick(0.5)
        assert {"hw.power", "hw.temperature", "hw.gpu.utilization", "hw.status"} <= one.names("hw.")
        one.clock.advance(1.4)
        assert "hw.power" in one.names("hw.")
        one.clock.advance(0.2)
        assert one.names("hw.") == {"hw.status", "hw.energy", "hw.errors"}


@pytest.mark.fault("G2")
def test_a_lost_device_says_so_and_the_others_go_on(tmp_path: Path) -> None:
    """A device that fell off the bus is failed and has no values; what it drew while it was away is known later."""
    with driven(tmp_path, FakeGpu(), FakeGpu()) as one:
        one.tick()
        one.fake.gpus[0].lost = True
        one.tick(0.5)
        lost, well = (gpu.uuid for gpu in one.fake.gpus)
        devices = one.monitor.snapshot().devices
        assert (devices[lost].status, devices[well].status) == ("failed", "ok")
        assert not devices[lost].gauges
        assert devices[well].gauges
        assert sum(one.count("sampler_errors").values()) >= 1
        one.fake.gpus[0].lost = False
        one.tick(2.0)
        assert one.monitor.snapshot().devices[lost].status == "ok"
        assert one.count("hw_energy")[lost,] == 2.5 * 70e6


@pytest.mark.fault("G3")
def test_a_driver_that_is_gone_is_left_alone(tmp_path: Path) -> None:
    """Once the driver was replaced under the process nothing is read any more, and models are counted as before."""
    with driven(tmp_path) as one:
        one.tick()
        one.fake.fail("*", "LIB_RM_VERSION_MISMATCH")
        one.call("m", 0.1)
        one.tick(0.5)
        calls = one.fake.calls()
        one.fake.heal()
        one.tick(100.0)
        assert one.fake.calls() == calls
        assert [point.value for point in one.points("modelmon.gpu.available")] == [0.0]
        assert one.monitor.snapshot()["m"].calls == 1


def test_an_error_of_a_backend_costs_one_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a backend raises against its contract is counted and said, and the next reading is tried."""
    with driven(tmp_path) as one:
        one.tick()
        backend = one.sampler._backend

        def bad(*_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(backend, "read", bad)
            one.tick(0.5)
        one.tick(0.5)
        assert one.count("sampler_errors")["read", "ZeroDivisionError"] == 1
        assert one.count("hw_energy") == {(one.fake.gpus[0].uuid,): 70_000_000}


def test_no_driver_is_no_device(tmp_path: Path) -> None:
    """Where nothing can be opened no device is shown, and the driver is tried again only where CUDA is in use."""
    with driven(tmp_path) as one:
        one.fake.fail("*", "DRIVER_NOT_LOADED")
        one.tick()
        one.call("m", 0.1)
        one.tick(100.0)
        assert [point.value for point in one.points("modelmon.gpu.available")] == [0.0]
        assert not one.monitor.snapshot().devices
        assert one.sampler.period == 5_000_000_000


def test_a_busy_recorder_is_visited_at_the_next_tick(tmp_path: Path) -> None:
    """A tick that cannot have the lock in time leaves its counts for the next one, and loses none."""
    with driven(tmp_path) as one:
        one.tick()
        one.call("m", 0.5)
        one.tick()
        before = one.energy()["m"]
        one.call("m", 0.5)
        one.monitor.home.hold(lambda _: one.tick())
        assert one.energy()["m"] == before
        one.tick(0.5)
        assert one.energy()["m"] > 1.5 * before > 0
        assert sum(one.count("hw_energy").values()) == 700e6 + 0.5 * 70e6


def test_each_monitor_has_its_own_models_and_the_first_shows_devices(tmp_path: Path) -> None:
    """Two monitors share the time; their parts together add up to what was drawn, which the first one shows."""
    with driven(tmp_path) as one:
        other = one.new_monitor()
        one.sampler.serve(weakref.ref(other.home))
        one.sampler.serve(weakref.ref(other.home))
        one.tick()
        one.call("m", 0.5)
        one.call("m", 0.5, monitor=other)
        one.tick(0.5)
        assert one.energy()["m"] == one.energy(other)["m"]
        given = one.energy()["m"] + one.energy(other)["m"]
        assert given + sum(one.count("gpu_unattributed").values()) == sum(one.count("hw_energy").values())
        assert not other.snapshot().devices
        assert one.sampler.audience.release(one.monitor.home)
        one.tick(0.5)
        assert other.snapshot().devices
        assert not any(device.status for device in one.monitor.snapshot().devices.values())
        assert not one.sampler.audience.release(other.home)


def test_a_monitor_that_nobody_holds_is_not_followed(tmp_path: Path) -> None:
    """Following a monitor does not keep it."""
    with driven(tmp_path) as one:
        other = one.new_monitor()
        one.sampler.serve(weakref.ref(other.home))
        gone = weakref.ref(other.home)
        one.tick()
        other.close()
        del other
        import gc  # noqa: PLC0415

        gc.collect()
        assert gone() is None
        one.tick(0.5)
        assert sum(one.count("hw_energy").values()) == 35_000_000


def test_a_divided_device_is_given_to_nobody(tmp_path: Path) -> None:
    """No call is known to have run on the whole of a device with instances: its energy stays unattributed."""
    with driven(tmp_path, FakeGpu(instances=2)) as one:
        one.tick()
        one.call("m", 0.5)
        one.tick(0.5)
        assert one.energy().get("m", 0) == 0
        assert one.count("gpu_unattributed") == one.count("hw_energy")


def test_what_others_work_on_a_device_is_told(tmp_path: Path) -> None:
    """Beside another process energy is labelled as shared, unless the driver says how much of the work was ours."""
    with driven(tmp_path, FakeGpu()) as one:
        one.fake.gpus[0].processes = {1: 1 << 30, 2: 1 << 30}
        one.tick()
        one.call("m", 0.5)
        one.tick(0.5)
        scopes = {key[2] for key, _ in one.monitor.snapshot()["m"]._counts("gpu_energy").items()}
        assert scopes <= {"device", "device_shared"}


def test_the_last_tick_settles_what_is_left(tmp_path: Path) -> None:
    """At the end calls that still run are given what is known by then."""
    with driven(tmp_path) as one:
        one.tick()

        @one.monitor(model="m")
        def runs() -> None:
            with one.fake.gpus[0].load():
                one.clock.advance(1.0)
                one.sampler.tick(last=True)
            assert one.energy()["m"] > 600e6

        runs()


def test_a_snapshot_with_devices_is_written_and_read(tmp_path: Path) -> None:
    """Devices survive a trip through text, and a snapshot without any reads as before."""
    with driven(tmp_path) as one:
        one.tick()
        one.call("m", 0.5)
        for _ in range(20):
            one.call("m", 0.2)
            one.tick(0.3)
        whole = one.monitor.snapshot()
        assert whole.devices
        assert next(iter(whole.devices.values())).powers
        assert Snapshot.from_json(whole.to_json()) == whole
        plain = Monitor(gpu=False).snapshot()
        assert "devices" not in plain.to_json()
        assert Snapshot.from_json(plain.to_json()).devices == {}


def test_losing_the_driver_amid_devices_stops_the_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the driver goes while the first of two devices is read, the second is not asked."""
    with driven(tmp_path, FakeGpu(), FakeGpu()) as one:
        one.tick()
        asked = []

        def gone(device: object, _: object) -> None:
            asked.append(device)
            code = "LibRmVersionMismatch"
            raise BackendLost(code)

        monkeypatch.setattr(one.sampler._backend, "read", gone)
        one.tick(0.5)
        assert len(asked) == 1
        assert {device.status for device in one.monitor.snapshot().devices.values()} == {"failed"}


def test_what_slows_a_device_down_degrades_it(tmp_path: Path) -> None:
    """Heat degrades a device; a power cap under full load does not."""
    with driven(tmp_path) as one:
        states = []
        for throttle in (0x1, 0x4, 0x40):
            one.fake.gpus[0].throttle = throttle
            one.tick(11.0)
            states += [device.status for device in one.monitor.snapshot().devices.values()]
        assert states == ["ok", "ok", "degraded"]


def test_memory_of_this_process_is_told_by_the_driver_or_by_exclusion(tmp_path: Path) -> None:
    """In a container a process is not found in the driver's list; alone on a device it holds what is in use."""
    with driven(tmp_path) as one:
        gpu = one.fake.gpus[0]
        gpu.used = 3 << 30
        seen = []
        for processes in ({os.getpid(): 2 << 30}, {99_999_999: 2 << 30}, {99_999_998: 1, 99_999_999: 2 << 30}):
            gpu.processes = processes
            one.tick(11.0)
            found = one.points("modelmon.gpu.memory.process")
            seen.append({dict(point.attributes)["source"]: point.value for point in found})
        assert seen == [{"process": 2 << 30}, {"device_exclusive": 3 << 30}, {}]


def test_powers_of_models_of_one_name_come_once(tmp_path: Path) -> None:
    """Two monitors with a model of one name show one power for it, so that no series comes twice."""
    with driven(tmp_path) as one:
        other = one.new_monitor()
        one.sampler.serve(weakref.ref(other.home))
        one.tick()
        for turn in range(60):
            one.call("m", 0.1 + 0.01 * (turn % 7))
            one.call("m", 0.1, monitor=other)
            one.tick(0.3)
        assert len(one.points("modelmon.gpu.model_power")) == 2
