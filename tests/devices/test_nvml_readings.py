"""What the NVIDIA backend reads, on drivers new and old, from devices whole and divided."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from modelmon.devices.backend import BackendUnavailable, Telling
from modelmon.devices.facts import CAPABILITIES, Reading
from modelmon.devices.nvml import processes
from modelmon.devices.nvml.backend import NvmlBackend
from modelmon.testing import FakeClock, FakeGpu, FakeNvml, fake_nvml

if TYPE_CHECKING:
    from collections.abc import Iterator

ENERGY, INSTANT, THERMAL = 83, 186, 75
GIB = 1 << 30


class Bench:
    """A pretended driver, a clock that stands still, and a backend opened on them."""

    def __init__(self, stack: ExitStack, *gpus: FakeGpu, old: bool = False) -> None:
        """Open the backend on these processors."""
        self.clock = FakeClock(1000.0)
        self.nvml: FakeNvml = stack.enter_context(fake_nvml(*gpus, clock=self.clock, old=old))
        self.backend = NvmlBackend(self.clock.monotonic_ns)
        self.backend.open()
        stack.callback(self.backend.close)

    def step(self, seconds: float = 0.5, tier: str = "fast", place: int = 0) -> Reading:
        """Let time pass, then read a device."""
        self.clock.advance(seconds)
        return self.backend.read(self.backend.devices()[place], tier)

    def able(self, place: int = 0) -> set[str]:
        """Return what a device can tell."""
        return set(self.backend.capabilities(self.backend.devices()[place]))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close in the end what a test opened."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _outside_of_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    """See processes by the numbers that the driver knows, wherever the tests run."""
    monkeypatch.setattr(processes, "sees_all", lambda: True)


def test_fast_reading_in_three_calls(stack: ExitStack) -> None:
    """Energy, power, utilisation and memory come in three driver calls, stamped with the time before them."""
    bench = Bench(stack, FakeGpu())
    bench.nvml[0].used = 3 * GIB
    bench.nvml[0].busy(1000.0, 1000.25)
    before = bench.nvml.calls()
    reading = bench.step()
    assert bench.nvml.calls() - before == 3
    assert reading.t_ns == reading.energy_t_ns == 1_000_500_000_000
    assert reading.energy_j == pytest.approx(0.25 * 700 + 0.25 * 70)
    assert (reading.energy_source, reading.power_w, reading.power_scope) == ("counter", 70.0, "gpu")
    assert reading.util == pytest.approx(0.5, abs=0.01)
    assert (reading.mem_used, reading.mem_total, reading.mem_reserved) == (3 * GIB, 80 * GIB, 600 << 20)
    assert (reading.temp_c, reading.n_procs, reading.throttle, reading.errors) == (None,) * 4


def test_slow_reading(stack: ExitStack) -> None:
    """The slow tier adds processes, temperature, throttling and errors."""
    gpu = FakeGpu()
    gpu.throttled_ns = {THERMAL: 5_000_000}
    bench = Bench(stack, gpu)
    gpu.processes = {os.getpid(): 2 * GIB, 1: GIB}
    gpu.temperature, gpu.throttle, gpu.corrected = 61, 4, 2
    with gpu.load():
        reading = bench.step(tier="slow")
    assert (reading.proc_mem, reading.n_procs, reading.sm_share) == (2 * GIB, 2, 0.5)
    assert (reading.temp_c, reading.throttle) == (61.0, 4)
    assert reading.throttled_ns == {"thermal": 5_000_000}
    assert reading.errors == {"corrected": 2, "uncorrected": 0}
    assert bench.able() == CAPABILITIES


def test_old_driver(stack: ExitStack) -> None:
    """An old driver counts reserved memory as used, lists processes by an older call, and knows no shares."""
    gpu = FakeGpu()
    bench = Bench(stack, gpu, old=True)
    gpu.used, gpu.processes, gpu.throttle = GIB, {os.getpid(): GIB}, 1
    reading = bench.step(tier="slow")
    assert (reading.mem_used, reading.mem_reserved) == (GIB + (600 << 20), None)
    assert (reading.proc_mem, reading.n_procs, reading.sm_share, reading.throttle) == (GIB, 1, None, 1)
    assert {"memory_reserved", "sm_share"}.isdisjoint(bench.able())


def test_every_capability_may_be_missing_and_is_asked_once(stack: ExitStack) -> None:
    """A function that is not supported leaves its fields None, never 0, and is not called again."""
    missing = {
        "nvmlDeviceGetFieldValues": ("throttled_ns", "errors"),
        "nvmlDeviceGetSamples": (),
        "nvmlDeviceGetMemoryInfo_v2": ("mem_reserved",),
        "nvmlDeviceGetComputeRunningProcesses_v3": (),
        "nvmlDeviceGetProcessUtilization": ("sm_share",),
        "nvmlDeviceGetTemperature": ("temp_c",),
        "nvmlDeviceGetCurrentClocksEventReasons": (),
    }
    gpu = FakeGpu()
    gpu.unsupported = set(missing)
    bench = Bench(stack, gpu)
    asked = {function: bench.nvml.calls(function) for function in missing}
    for tier in ("fast", "slow", "fast", "slow"):
        reading = bench.step(tier=tier)
        assert all(getattr(reading, field) is None for fields in missing.values() for field in fields)
        assert None not in (reading.energy_j, reading.util, reading.mem_used)
    assert reading.power_w == 70.0
    assert reading.n_procs == 0
    assert {function: bench.nvml.calls(function) for function in missing} == asked
    assert not bench.backend.state().errors


def test_fast_tier_keeps_to_three_calls_whatever_is_missing(stack: ExitStack) -> None:
    """Each combination of missing functions still reads in at most three driver calls on the fast tier."""
    functions = [
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetTotalEnergyConsumption",
        "nvmlDeviceGetSamples",
        ENERGY,
        INSTANT,
    ]
    gpus = []
    for mask in range(1 << len(functions)):
        gpu = FakeGpu()
        gpu.unsupported = {function for bit, function in enumerate(functions) if mask >> bit & 1}
        gpus.append(gpu)
    bench = Bench(stack, *gpus)
    for place, gpu in enumerate(gpus):
        for _ in range(3):
            before = bench.nvml.calls()
            reading = bench.step(place=place)
            assert bench.nvml.calls() - before <= 3, gpu.unsupported
            assert None not in (reading.energy_j, reading.util, reading.mem_used), gpu.unsupported


def test_power_is_integrated_where_nothing_counts(stack: ExitStack) -> None:
    """Without a counter energy is power by trapezoids, and says so."""
    gpu = FakeGpu()
    gpu.unsupported = {ENERGY}
    bench = Bench(stack, gpu)
    assert bench.able() & {"energy", "power"} == {"power"}
    readings = [bench.step()]
    with gpu.load():
        readings.append(bench.step())
        readings.append(bench.step())
    readings.append(bench.step(20.0))
    assert [reading.energy_source for reading in readings] == ["power_integral"] * 4
    steps = [0.0, 0.5 * (70 + 700) / 2, 0.5 * 700, 0.0]
    assert [reading.energy_j for reading in readings] == pytest.approx([sum(steps[: n + 1]) for n in range(4)])


def test_power_of_a_module_is_called_so(stack: ExitStack) -> None:
    """Where power of the GPU alone is not known, that of its module is, and the reading says which it is."""
    gpu = FakeGpu()
    gpu.unsupported = {f"{INSTANT}:0"}
    bench = Bench(stack, gpu)
    reading = bench.step()
    assert (reading.power_w, reading.power_scope) == (70.0, "module")


def test_ring_loses_nothing_between_readings(stack: ExitStack) -> None:
    """A burst of load that is over when the device is read shows in full, however long ago the last reading was."""
    bench = Bench(stack, FakeGpu())
    bench.step()
    bench.nvml[0].busy(1001.0, 1002.0)
    reading = bench.step(4.0)
    assert reading.util == pytest.approx(0.25, abs=0.02)


def test_idle_ring_falls_back_to_rates(stack: ExitStack) -> None:
    """A ring without samples says nothing once; then rates are asked, until there is load again."""
    bench = Bench(stack, FakeGpu())
    bench.nvml.fail("nvmlDeviceGetSamples", "NOT_FOUND", times=1)
    assert bench.step().util is None
    assert [bench.step().util, bench.step().util] == [0.0, 0.0]
    rings = bench.nvml.calls("nvmlDeviceGetSamples")
    with bench.nvml[0].load():
        assert [bench.step().util, bench.step().util] == [1.0, 1.0]
    assert bench.nvml.calls("nvmlDeviceGetSamples") == rings + 1


@pytest.mark.parametrize("since", ["boot", "1970", "nobody knows"])
def test_clock_of_the_ring_is_found_out(stack: ExitStack, since: str) -> None:
    """Whatever the ring's time stamps count from, utilisation is the same."""
    ahead = {"boot": 0.0, "1970": time.time() - 1000.0, "nobody knows": 4e12}[since]
    bench = Bench(stack, FakeGpu(ring_ahead=ahead))
    bench.nvml[0].busy(1000.0, 1001.0)
    assert [bench.step().util for _ in range(4)][1::2] == [1.0, 0.0]


def test_samples_that_come_late_are_not_told_as_fresh(stack: ExitStack) -> None:
    """A ring whose newest sample is seconds old says nothing of now."""
    bench = Bench(stack, FakeGpu())
    bench.nvml[0].busy(999.0, 1100.0)
    assert bench.step().util == 1.0
    bench.nvml[0].ring_ahead = -10.0
    assert bench.step(20.0).util is None


class Boastful(FakeGpu):
    """A processor whose samples are beyond belief."""

    def samples(self, after_us: int) -> list[tuple[int, int]]:
        """Tell more than all."""
        return [(at, 101 if place else 100) for place, (at, _) in enumerate(super().samples(after_us))]

    def utilization(self) -> int:
        """Tell more than all."""
        return 101


def test_ring_that_is_larger_or_boasts(stack: ExitStack) -> None:
    """A ring that does not fit is asked for with more room; per cents over 100 are left out and counted."""
    bench = Bench(stack, Boastful())
    before = (bench.backend.state().sentinels or {}).get("util", 0)
    assert bench.step().util == 1.0
    assert (bench.backend.state().sentinels or {})["util"] > before
    bench.nvml.fail("nvmlDeviceGetSamples", "INSUFFICIENT_SIZE", times=1)
    assert [bench.step().util, bench.step().util] == [None, None]
    assert bench.step().mem_total


def test_many_processes_and_none(stack: ExitStack) -> None:
    """The table of processes grows to what the driver lists."""
    bench = Bench(stack, FakeGpu())
    assert bench.step(tier="slow").n_procs == 0
    bench.nvml[0].processes = {pid: pid for pid in range(1, 200)} | {os.getpid(): GIB}
    reading = bench.step(tier="slow")
    assert (reading.proc_mem, reading.n_procs) == (GIB, len(bench.nvml[0].processes))
    with bench.nvml[0].load():
        assert bench.step(tier="slow").sm_share is None
        assert bench.able() >= {"sm_share"}


@pytest.mark.fault("G4")
def test_divided_device_tells_memory_by_instance(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance has memory and no utilisation or energy; its whole device follows it, for the device's own series."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu = FakeGpu(instances=2)
    bench = Bench(stack, gpu)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpu.instances[1].uuid)
    gpu.instances[1].used = GIB
    instance, whole = bench.backend.devices()
    assert (instance.id, instance.parent) == (gpu.instances[1].uuid, whole.id)
    reading = bench.step(tier="slow")
    assert (reading.mem_used, reading.mem_total) == (GIB, 10 * GIB)
    assert (reading.util, reading.energy_j, reading.power_w, reading.sm_share) == (None,) * 4
    whole_reading = bench.step(place=1)
    assert whole_reading.util is None
    assert whole_reading.energy_j is not None
    assert bench.backend.state().mapping == "exact"


@pytest.mark.fault("G4")
def test_hidden_devices_are_not_touched(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """No handle is kept, and nothing read, of a device that this process may not use."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    bench = Bench(stack, FakeGpu(), FakeGpu())
    assert [device.id for device in bench.backend.devices()] == [bench.nvml[1].uuid]
    bench.nvml[0].lost = True
    assert bench.step().energy_j is not None


@pytest.mark.fault("G4")
def test_hidden_processes(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container an empty list means nothing, and a number of ours counts only if all the others are seen too."""
    bench = Bench(stack, FakeGpu())
    monkeypatch.setattr(processes, "sees_all", lambda: False)
    assert bench.step(tier="slow").n_procs is None
    bench.nvml[0].processes = {os.getpid(): GIB, 2**22 + 5: GIB}
    reading = bench.step(tier="slow")
    assert (reading.proc_mem, reading.n_procs, reading.sm_share) == (None, 2, None)
    bench.nvml[0].processes = {os.getpid(): GIB}
    assert bench.step(tier="slow").proc_mem == GIB
    bench.nvml[0].processes = {os.getpid(): 2**64 - 1}
    assert bench.step(tier="slow").proc_mem is None


def test_sees_all_knows_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first namespace of process numbers sees all, another one does not, and without namespaces all is seen."""
    monkeypatch.undo()
    monkeypatch.setattr(os, "readlink", lambda _path: "pid:[4026531836]")
    assert processes.sees_all()
    monkeypatch.setattr(os, "readlink", lambda _path: "pid:[4026532999]")
    assert not processes.sees_all()

    def missing(_path: str) -> str:
        raise OSError

    monkeypatch.setattr(os, "readlink", missing)
    assert processes.sees_all() == (not os.path.isdir("/proc/self"))  # noqa: PTH112


def test_values_that_cannot_be_true_are_absent(stack: ExitStack) -> None:
    """The driver's word for "no value", and values beyond belief, are None and counted."""
    gpu = FakeGpu()
    bench = Bench(stack, gpu)
    gpu.memory, gpu.temperature = 0, 255
    gpu.busy_watts = 200_000.0
    gpu.corrected = 2**64 - 1
    with gpu.load():
        reading = bench.step(tier="slow")
    assert (reading.mem_used, reading.temp_c, reading.power_w) == (None, None, None)
    assert reading.errors == {"uncorrected": 0}
    assert bench.backend.state().sentinels == {"memory": 1, "temperature": 1, "power": 1, "field": 1}


def test_state_and_closing(stack: ExitStack) -> None:
    """A backend tells its driver's version and calls, and closing twice undoes opening once."""
    bench = Bench(stack, FakeGpu())
    state = bench.backend.state()
    assert isinstance(bench.backend, Telling)
    assert state.driver_calls == bench.nvml.calls()
    assert (state.driver_version, state.mapping, state.reopened) == ("580.00.00", "exact", 0)
    bench.backend.close()
    bench.backend.close()
    assert bench.nvml.calls("nvmlShutdown") == 1


def test_no_device_is_no_backend() -> None:
    """A driver that knows no device is as good as none."""
    with fake_nvml(count=0) as nvml, pytest.raises(BackendUnavailable, match="no device"):
        NvmlBackend().open()
    assert nvml.calls("nvmlShutdown") == 1
