"""What becomes of the NVIDIA backend when the driver, or a device of it, fails."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import fields
from types import ModuleType
from typing import TYPE_CHECKING

import pynvml
import pytest

from modelmon import notices
from modelmon.devices.backend import BackendLost, BackendUnavailable, DeviceLost
from modelmon.devices.facts import Reading
from modelmon.devices.nvml import processes
from modelmon.devices.nvml.backend import NvmlBackend
from modelmon.devices.nvml.codes import Code, Verdict, title, verdict
from modelmon.testing import FakeClock, FakeGpu, FakeNvml, fake_nvml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.devices.facts import DeviceId

GIB = 1 << 30
VALUES = [field.name for field in fields(Reading) if not field.name.endswith("t_ns")]
READING = """
    nvmlDeviceGetFieldValues nvmlDeviceGetSamples nvmlDeviceGetMemoryInfo_v2 nvmlDeviceGetComputeRunningProcesses_v3
    nvmlDeviceGetProcessUtilization nvmlDeviceGetTemperature nvmlDeviceGetCurrentClocksEventReasons *
""".split()
OPENING = (
    """
    nvmlInitWithFlags nvmlSystemGetDriverVersion nvmlDeviceGetCount_v2 nvmlDeviceGetHandleByIndex_v2 nvmlDeviceGetUUID
    nvmlDeviceGetName nvmlDeviceGetMigMode nvmlDeviceGetHandleByUUID nvmlDeviceGetUtilizationRates
""".split()
    + READING
)


class Bench:
    """A pretended driver whose values are all known, and a backend."""

    def __init__(self, nvml: FakeNvml, clock: FakeClock) -> None:
        """Give every value one that is not 0."""
        self.nvml, self.clock = nvml, clock
        for gpu in nvml.gpus:
            gpu.busy(0.0, 1e9)
            gpu.used, gpu.throttle, gpu.corrected, gpu.uncorrected = GIB, 4, 2, 1
            gpu.processes = {os.getpid(): GIB}
            gpu.throttled_ns = {74: 7}
        self.backend = NvmlBackend(clock.monotonic_ns)

    def open(self) -> str:
        """Open the backend; return why it did not."""
        try:
            self.backend.open()
        except BackendUnavailable as error:
            return error.reason
        return ""

    def device(self, place: int = 0) -> DeviceId:
        """Return a device."""
        return self.backend.devices()[place]

    def read(self, seconds: float = 0.5, tier: str = "slow", place: int = 0) -> Reading:
        """Let time pass, then read."""
        self.clock.advance(seconds)
        return self.backend.read(self.device(place), tier)

    def healthy(self, reading: Reading) -> set[str]:
        """Return what a reading tells, having checked that all of it is true."""
        known = {name for name in VALUES if getattr(reading, name) is not None}
        true = {
            "energy_source": "counter",
            "power_w": 700.0,
            "power_scope": "gpu",
            "util": 1.0,
            "mem_used": GIB if reading.mem_reserved else GIB + (600 << 20),
            "mem_total": 80 * GIB,
            "mem_reserved": 600 << 20,
            "proc_mem": GIB,
            "n_procs": 1,
            "sm_share": 1.0,
            "throttle": 4,
            "throttled_ns": {"power_cap": 7},
            "errors": {"corrected": 2, "uncorrected": 1},
            "temp_c": 35.0,
        }
        told = known & true.keys()
        assert {name: getattr(reading, name) for name in told} == {name: true[name] for name in told}
        return known


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """See all processes, and let every notice be said."""
    monkeypatch.setattr(processes, "sees_all", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    notices.forget()


@contextmanager
def bench_of(*gpus: FakeGpu) -> Iterator[Bench]:
    """Give a bench whose backend is not opened yet."""
    clock = FakeClock(1000.0)
    with fake_nvml(*gpus, clock=clock) as nvml:
        bench = Bench(nvml, clock)
        yield bench
        bench.backend.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Open a backend on two pretended processors."""
    with bench_of(FakeGpu(), FakeGpu()) as made:
        made.backend.open()
        yield made


@pytest.mark.fault("G2")
@pytest.mark.parametrize("function", READING)
def test_every_error_of_every_call_while_reading(function: str) -> None:
    """Whatever a call fails with, what is told is true or absent, the error is counted, and all comes back."""
    for code in Code:
        notices.forget()
        with bench_of(FakeGpu()) as bench:
            bench.backend.open()
            whole = bench.healthy(bench.read())
            bench.nvml.fail(function, code)
            device = bench.device()
            for tier in ("slow", "fast", "slow"):
                with suppress(DeviceLost, BackendLost):
                    assert bench.healthy(bench.backend.read(device, tier)) < whole
            bench.nvml.heal()
            errors = bench.backend.state().errors or {}
            what = verdict(code)
            troubles = {Verdict.FAILING, Verdict.DEVICE, Verdict.CLOSED, Verdict.GONE}
            assert bool(errors) == (what in troubles and code != Code.INSUFFICIENT_SIZE), code
            if what is Verdict.GONE:
                with pytest.raises(BackendLost):
                    bench.read()
            elif what is Verdict.UNSUPPORTED:
                assert bench.healthy(bench.read(61.0)) <= whole
            else:
                bench.read(61.0)
                assert bench.healthy(bench.read(1.0)) == whole, code


@pytest.mark.fault("G2")
@pytest.mark.parametrize("function", OPENING)
def test_every_error_of_every_call_while_opening(function: str) -> None:
    """Whatever a call fails with at first, opening says why in a line, or goes on without what it asked for."""
    for code in Code:
        notices.forget()
        with bench_of(FakeGpu()) as bench:
            bench.nvml.fail(function, code)
            reason = bench.open()
            if reason:
                assert title(code) in reason or "no device" in reason
                continue
            for device in bench.backend.devices():
                with suppress(DeviceLost, BackendLost):
                    bench.healthy(bench.backend.read(device, "slow"))
            bench.nvml.heal()
            if verdict(code) is not Verdict.GONE:
                for _ in range(2):
                    bench.clock.advance(61.0)
                    for device in bench.backend.devices():
                        bench.healthy(bench.backend.read(device, "slow"))
                assert bench.backend.devices()


@pytest.mark.fault("G2")
def test_lost_device_is_tried_ever_more_rarely(bench: Bench) -> None:
    """A lost device costs one call after 1, 2, 4 … 60 s, the other is read meanwhile, and it comes back by itself."""
    bench.nvml[0].lost = True
    device = bench.device()
    tried: list[int] = []
    for second in range(300):
        before = bench.nvml.calls()
        with pytest.raises(DeviceLost, match="GpuIsLost"):
            bench.backend.read(device, "fast")
        if bench.nvml.calls() > before:
            tried.append(second)
        assert bench.read(0.0, place=1).energy_j is not None
        assert bench.backend.capabilities(device) == frozenset()
        bench.clock.advance(1.0)
    assert tried[:8] == [0, 1, 3, 7, 15, 31, 63, 123]
    assert len(bench.backend.devices()) == 2
    bench.nvml[0].lost = False
    assert bench.read(61.0).energy_j is not None
    assert bench.healthy(bench.read()) == bench.healthy(bench.read(place=1))
    assert bench.backend.capabilities(device)


@pytest.mark.fault("G3")
def test_unknown_error_is_never_a_stale_value(bench: Bench) -> None:
    """A driver that answers, fails with "unknown", and answers again leaves a gap, and then tells what is true then."""
    first = bench.read()
    bench.nvml.fail(error="UNKNOWN")
    for _ in range(5):
        with pytest.raises(DeviceLost, match="Unknown"):
            bench.read()
    bench.nvml.heal()
    later = bench.read(61.0)
    assert later.energy_j == pytest.approx((first.energy_j or 0) + 700 * (61.0 + 5 * 0.5))


@pytest.mark.fault("G3")
def test_driver_replaced_under_us(bench: Bench) -> None:
    """A driver that was upgraded under us is given up until a restart: no call is made any more."""
    bench.nvml.fail(error="LIB_RM_VERSION_MISMATCH")
    devices = bench.backend.devices()
    with pytest.raises(BackendLost, match="LibRmVersionMismatch"):
        bench.backend.read(devices[0], "fast")
    bench.nvml.heal()
    before = bench.nvml.calls()
    for device in devices * 3:
        bench.clock.advance(100.0)
        with pytest.raises(BackendLost):
            bench.backend.read(device, "fast")
        assert not bench.backend.capabilities(device)
    assert bench.nvml.calls() == before


@pytest.mark.fault("G3")
def test_shut_down_by_others_is_opened_anew_once(bench: Bench) -> None:
    """Another library that shuts the driver down costs one initialisation; one that goes on doing so is waited for."""
    whole = bench.healthy(bench.read())
    bench.nvml.shut_down()
    assert bench.read().energy_j
    assert [bench.healthy(bench.read(place=place)) for place in (0, 1, 1)][::2] == [whole, whole]
    assert bench.backend.state().reopened == 1
    opened = bench.nvml.calls("nvmlInitWithFlags")
    for _ in range(120):
        bench.nvml.shut_down()
        with suppress(DeviceLost):
            bench.read()
    assert 1 <= bench.nvml.calls("nvmlInitWithFlags") - opened <= 6
    assert bench.read(61.0).energy_j
    assert bench.healthy(bench.read()) == whole


@pytest.mark.fault("G3")
def test_driver_that_stays_away(bench: Bench) -> None:
    """Where the driver cannot be initialised again, every device is lost, until it can."""
    bench.nvml.shut_down()
    bench.nvml.fail("nvmlInitWithFlags", "DRIVER_NOT_LOADED")
    for _ in range(10):
        with pytest.raises(DeviceLost):
            bench.read()
    bench.nvml.heal()
    assert bench.read(61.0).energy_j


def test_failing_call_is_asked_ever_more_rarely(bench: Bench) -> None:
    """A call that fails without the device being lost leaves its field out, and is repeated after 1, 2, 4 … s."""
    before = bench.nvml.calls("nvmlDeviceGetMemoryInfo_v2")
    bench.nvml.fail("nvmlDeviceGetMemoryInfo_v2", "TIMEOUT")
    for _ in range(30):
        reading = bench.read(1.0, "fast")
        assert (reading.mem_used, reading.util) == (None, 1.0)
    assert bench.nvml.calls("nvmlDeviceGetMemoryInfo_v2") - before == 5
    assert (bench.backend.state().errors or {})["nvmlDeviceGetMemoryInfo_v2", "Timeout"] == 5
    bench.nvml.heal()
    assert bench.read(61.0).mem_used == GIB


def test_energy_that_could_not_be_asked_is_asked_later() -> None:
    """As long as nobody knows whether the driver counts energy, none is told, neither counted nor integrated."""
    with bench_of(FakeGpu()) as bench:
        bench.nvml.fail("nvmlDeviceGetFieldValues", "TIMEOUT")
        bench.nvml.fail("nvmlDeviceGetTotalEnergyConsumption", "TIMEOUT")
        bench.backend.open()
        reading = bench.read()
        assert (reading.energy_j, reading.energy_source, reading.power_w) == (None, None, 700.0)
        bench.nvml.heal()
        assert bench.read(61.0).energy_source == "counter"


def test_field_that_reports_a_lost_device(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a single field counts like one of the call: "unsupported" leaves it out, "lost" loses the device."""
    functions = sys.modules["modelmon.fakedriver.functions"]
    answered = functions.FUNCTIONS["nvmlDeviceGetFieldValues"]

    def lost(gpu: FakeGpu, number: object, found: object) -> None:
        answered(gpu, number, found)
        functions.out(found)[0].nvmlReturn = Code.GPU_IS_LOST

    everything = {**functions.FUNCTIONS, "nvmlDeviceGetFieldValues": lost}
    monkeypatch.setattr(functions, "FUNCTIONS", everything)
    pynvml._nvmlGetFunctionPointer_cache.clear()
    with pytest.raises(DeviceLost, match="GpuIsLost"):
        bench.read()


def test_device_lost_at_the_start_is_found_later() -> None:
    """A device that cannot say who it is at first joins the others once it can."""
    with bench_of(FakeGpu(), FakeGpu()) as bench:
        bench.nvml[0].lost = True
        bench.backend.open()
        assert [device.id for device in bench.backend.devices()] == [bench.nvml[1].uuid]
        bench.nvml.fail("nvmlDeviceGetCount_v2", "UNINITIALIZED", times=1)
        bench.clock.advance(2.0)
        assert len(bench.backend.devices()) == 1
        bench.nvml[0].lost = False
        bench.clock.advance(61.0)
        assert len(bench.backend.devices()) == 2


@pytest.mark.fault("G1")
@pytest.mark.parametrize("error", ["DRIVER_NOT_LOADED", "NO_PERMISSION", "LIBRARY_NOT_FOUND", "UNKNOWN"])
def test_driver_that_cannot_be_opened(error: str) -> None:
    """A driver that does not open is a reason in one line."""
    with bench_of(FakeGpu()) as bench:
        bench.nvml.fail("nvmlInitWithFlags", error)
        with pytest.raises(BackendUnavailable, match=title(Code[error])):
            bench.backend.open()


@pytest.mark.fault("G1")
def test_other_packages_named_pynvml(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deprecated package of that name, one that cannot be loaded, and none at all are refused with what to do."""
    monkeypatch.setitem(sys.modules, "pynvml", ModuleType("pynvml"))
    with pytest.raises(BackendUnavailable, match="uninstall the package pynvml and install nvidia-ml-py"):
        NvmlBackend().open()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(BackendUnavailable, match="nvidia-ml-py is not installed"):
        NvmlBackend().open()


@pytest.mark.fault("G1")
def test_pynvml_that_raises_while_it_is_loaded(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that raises when imported is a reason too."""
    (tmp_path / "pynvml.py").write_text("raise FutureWarning('deprecated')")  # type: ignore[operator]
    monkeypatch.delitem(sys.modules, "pynvml")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackendUnavailable, match="cannot be loaded: FutureWarning"):
        NvmlBackend().open()


@pytest.mark.fault("G1", "G6")
def test_real_library_that_is_not_there() -> None:
    """On a machine without a driver opening says so; importing our rooms touches neither a driver nor ``pynvml``."""
    program = """
import sys
import modelmon, modelmon.testing, modelmon.devices.selection, modelmon.devices.nvml.backend as backend
assert "pynvml" not in sys.modules and "torch" not in sys.modules
from modelmon.devices.backend import BackendUnavailable
made = backend.NvmlBackend()
assert "pynvml" not in sys.modules
maps = open("/proc/self/maps").read() if sys.platform == "linux" else ""
assert "libnvidia-ml" not in maps and "libcuda" not in maps
try:
    made.open()
except BackendUnavailable as error:
    print(error.reason)
else:
    print("LibraryNotFound")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "NotFound" in done.stdout or "NotLoaded" in done.stdout


def test_errors_of_our_own_tables_are_those_of_pynvml() -> None:
    """Numbers and names agree with ``pynvml``'s, and a number that nobody knows has a name too."""
    for code in Code:
        name = type(pynvml.NVMLError(int(code))).__name__
        assert name in (f"NVMLError_{title(code)}", "NVMLError")  # the latter where this version does not know it
    assert (title(4711), verdict(4711)) == ("Error4711", Verdict.FAILING)


def test_foreign_threads_open_and_close_the_driver(bench: Bench) -> None:
    """Others that initialise and shut down in their threads, each as often, do not disturb the readings."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            pynvml.nvmlInit()
            pynvml.nvmlShutdown()

    threads = [threading.Thread(target=churn) for _ in range(8)]
    for thread in threads:
        thread.start()
    readings = [bench.read(0.5, "fast") for _ in range(200)]
    stop.set()
    for thread in threads:
        thread.join()
    assert all(reading.energy_j for reading in readings)
    assert bench.backend.state().reopened == 0


def test_counter_beyond_belief_is_absent() -> None:
    """The driver's word for "no value" from the call for energy is no energy."""
    gpu = FakeGpu()
    gpu.unsupported = {"nvmlDeviceGetFieldValues"}
    with bench_of(gpu) as bench:
        bench.backend.open()
        gpu.energy_mj = lambda: 2**64 - 1  # type: ignore[method-assign]
        assert bench.read().energy_j is None
        assert (bench.backend.state().sentinels or {})["energy"] == 1


def test_division_that_cannot_be_asked_about() -> None:
    """A divided device whose instances cannot be counted or held counts as whole, or as those that can."""
    for function, instances in (("nvmlDeviceGetMaxMigDeviceCount", 0), ("nvmlDeviceGetMigDeviceHandleByIndex", 1)):
        with bench_of(FakeGpu(instances=2)) as bench:
            bench.nvml.fail(function, "UNKNOWN", times=1)
            bench.backend.open()
            assert len([device for device in bench.backend.devices() if device.parent]) == min(instances, 1)
            assert bench.backend.devices()


def test_backend_closed_before_it_was_opened() -> None:
    """Closing a backend that never opened, or could not, asks nothing of the driver."""
    with bench_of(FakeGpu()) as bench:
        bench.backend.close()
        assert bench.nvml.calls() == 0
