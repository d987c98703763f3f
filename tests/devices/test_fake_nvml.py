"""The pretended driver, as seen by the real ``pynvml``: what a user's test says is what the driver answers."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pynvml
import pytest

from modelmon.devices import presence
from modelmon.errors import ConfigurationError
from modelmon.testing import FakeClock, FakeGpu, FakeNvml, fake_nvml

if TYPE_CHECKING:
    from collections.abc import Callable


def first() -> Any:
    """Return a handle of the first processor."""
    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByIndex(0)


def test_energy_and_utilisation_follow_the_load() -> None:
    """Half a second at 700 W in a second otherwise idle is 350 + 35 J, and the ring says so period by period."""
    clock = FakeClock(100.0)
    with fake_nvml(FakeGpu(energy_period=0.0), clock=clock) as nvml:
        handle = first()
        with nvml[0].load():
            assert pynvml.nvmlDeviceGetPowerUsage(handle) == 700_000
            clock.advance(0.5)
        clock.advance(0.5)
        assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) == 385_000
        assert (nvml[0].joules, nvml[0].busy_seconds) == (385.0, 0.5)
        assert pynvml.nvmlDeviceGetPowerUsage(handle) == 70_000
        assert pynvml.nvmlDeviceGetUtilizationRates(handle).gpu == 0
        samples = pynvml.nvmlDeviceGetSamples(handle, pynvml.NVML_GPU_UTILIZATION_SAMPLES, 100_100_000)[1]
        assert [sample.sampleValue.uiVal for sample in samples] == [100, 100, 100, 0, 0]


def test_loads_may_overlap_and_be_told_ahead() -> None:
    """The greatest of the loads at a time decides; stretches given in order of time add up."""
    clock = FakeClock(10.0)
    with fake_nvml(FakeGpu(idle_watts=50.0), clock=clock) as nvml:
        gpu = nvml[0]
        with gpu.load(300.0):
            clock.advance(1.0)
            with gpu.load(500.0):
                clock.advance(1.0)
            clock.advance(1.0)
        assert gpu.joules == pytest.approx(300 + 500 + 300)
        gpu.busy(13.0, 14.0, watts=150.0)
        gpu.busy(14.5, 15.5)
        clock.advance(2.0)
        assert gpu.joules == pytest.approx(1100 + 150 + 25 + 0.5 * 700)
        with pytest.raises(ValueError, match="in order of time"):
            gpu.busy(12.0, 12.5)


def test_counter_moves_in_steps_and_can_be_reset() -> None:
    """The counter shows what was drawn up to the last tenth of a second, and begins anew after a reset."""
    clock = FakeClock(10.0)
    with fake_nvml(clock=clock) as nvml:
        handle = first()
        clock.advance(0.199)
        assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) == 7000
        nvml[0].reset_counter()
        clock.advance(0.1)
        assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) < 7000


def test_memory_processes_and_identity() -> None:
    """Memory comes in both versions, processes with their bytes, and every device has a UUID and a name."""
    with fake_nvml(FakeGpu("Fake A100", memory=40 << 30), FakeGpu(uuid="GPU-mine"), clock=FakeClock()) as nvml:
        handle = first()
        nvml[0].used = 3 << 30
        nvml[0].processes[4242] = 2 << 30
        assert pynvml.nvmlDeviceGetMemoryInfo(handle).used == (3 << 30) + (600 << 20)
        assert pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2).used == 3 << 30
        listed = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
        assert [(process.pid, process.usedGpuMemory) for process in listed] == [(4242, 2 << 30)]
        assert pynvml.nvmlDeviceGetName(handle) == "Fake A100"
        assert pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByUUID("GPU-mine")) == "GPU-mine"
        assert pynvml.nvmlSystemGetDriverVersion() == "580.00.00"
        assert len(nvml.gpus) == pynvml.nvmlDeviceGetCount() == 2
        with pytest.raises(pynvml.NVMLError_NotFound):
            pynvml.nvmlDeviceGetHandleByUUID("GPU-other")


def test_divided_device() -> None:
    """A divided device has instances with UUIDs and memory of their own, and neither they nor it tell utilisation."""
    with fake_nvml(FakeGpu(instances=2), clock=FakeClock()):
        handle = first()
        assert pynvml.nvmlDeviceGetMigMode(handle) == [1, 1]
        assert pynvml.nvmlDeviceGetMaxMigDeviceCount(handle) == 2
        instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, 1)
        assert pynvml.nvmlDeviceGetUUID(instance).startswith("MIG-")
        assert pynvml.nvmlDeviceGetMemoryInfo(instance).total == 10 << 30
        for device, ask in (
            (handle, pynvml.nvmlDeviceGetUtilizationRates),
            (instance, pynvml.nvmlDeviceGetUtilizationRates),
            (instance, pynvml.nvmlDeviceGetPowerUsage),
            (instance, pynvml.nvmlDeviceGetTotalEnergyConsumption),
        ):
            with pytest.raises(pynvml.NVMLError_NotSupported):
                ask(device)
        with pytest.raises(pynvml.NVMLError_NotFound):
            pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, 2)


def test_faults_are_scripted() -> None:
    """Calls fail after so many, as often as said, for one device or all, until healed; each call is counted."""
    with fake_nvml(count=2, clock=FakeClock()) as nvml:
        handle = first()
        nvml.fail("nvmlDeviceGetPowerUsage", "GPU_IS_LOST", gpu=nvml[0], after=1, times=1)
        assert pynvml.nvmlDeviceGetPowerUsage(handle)
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            pynvml.nvmlDeviceGetPowerUsage(handle)
        assert pynvml.nvmlDeviceGetPowerUsage(handle)
        assert nvml.calls("nvmlDeviceGetPowerUsage") == 3
        assert nvml.calls() > 3
        nvml.fail(error=16)
        with pytest.raises(pynvml.NVMLError_ResetRequired):
            pynvml.nvmlDeviceGetPowerUsage(handle)
        nvml.heal()
        nvml[0].lost = True
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            pynvml.nvmlDeviceGetPowerUsage(handle)
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            pynvml.nvmlDeviceGetHandleByIndex(0)
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            pynvml.nvmlDeviceGetHandleByUUID(nvml[0].uuid)
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            pynvml.nvmlDeviceGetHandleByIndex(2)
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            pynvml.nvmlDeviceGetPowerUsage(pynvml.c_nvmlDevice_t())
        nvml.shut_down()
        with pytest.raises(pynvml.NVMLError_Uninitialized):
            pynvml.nvmlDeviceGetCount()
        with pytest.raises(pynvml.NVMLError_Uninitialized):
            pynvml.nvmlShutdown()
        with pytest.raises(ConfigurationError, match="GPU_IS_LOST"):
            nvml.fail(error="GPU_ON_FIRE")


def test_old_driver_lacks_functions() -> None:
    """An old driver's missing functions are the real error, and any other can be removed as well."""
    with fake_nvml(old=True) as nvml:
        handle = first()
        with pytest.raises(pynvml.NVMLError_FunctionNotFound):
            pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
        nvml.remove("nvmlDeviceGetPowerUsage")
        with pytest.raises(pynvml.NVMLError_FunctionNotFound):
            pynvml.nvmlDeviceGetPowerUsage(handle)


def test_leaving_the_block_restores_and_frees() -> None:
    """After the block ``pynvml`` looks for the real driver again, and a call that was held up returns."""
    before = pynvml.nvmlLib
    with fake_nvml() as nvml:
        assert presence.is_present()
        handle = first()
        nvml.delay("nvmlDeviceGetPowerUsage", 60.0)

        def ask() -> None:
            with suppress(pynvml.NVMLError_Uninitialized):
                pynvml.nvmlDeviceGetPowerUsage(handle)

        asking = threading.Thread(target=ask)
        asking.start()
        while not nvml.calls("nvmlDeviceGetPowerUsage"):
            time.sleep(0.001)
    asking.join(30)
    assert not asking.is_alive()
    assert pynvml.nvmlLib is before


def test_text_that_does_not_fit() -> None:
    """A buffer that is too small is an error, as in C."""
    with fake_nvml(FakeGpu(name="x" * 200)):
        handle = first()
        with pytest.raises(pynvml.NVMLError_InsufficientSize):
            pynvml.nvmlDeviceGetName(handle)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child_goes_on_with_locks_of_its_own() -> None:
    """A child that was forked while another thread was inside the driver can call it, and its calls are its own."""
    with fake_nvml() as nvml:
        handle = first()
        with nvml[0]._lock, nvml._library.faults._lock, nvml._library.counting:
            child = os.fork()
            if not child:
                code = 1
                with suppress(BaseException), nvml[0].load():
                    pynvml.nvmlInit()
                    code = int(pynvml.nvmlDeviceGetPowerUsage(handle) != 700_000)
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert nvml.calls("nvmlDeviceGetPowerUsage") == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda nvml: nvml.fail("nvmlDeviceGetPowerUsag"),
        lambda nvml: nvml.delay("nvmlInit", 1),
        lambda nvml: nvml.remove("nvmlDeviceGetUUID", "nvmlDeviceGetUuid"),
        lambda nvml: nvml.calls("nvmlDeviceGetMemoryInfo_v3"),
        lambda nvml: nvml.fail("nvmlDeviceGetUUID", "NOPE"),
        lambda nvml: nvml.fail("nvmlDeviceGetUUID", gpu=0),
        lambda nvml: nvml.fail("nvmlDeviceGetUUID", gpu=FakeGpu()),
    ],
)
def test_what_would_strike_no_call_is_refused(ask: Callable[[FakeNvml], object]) -> None:
    """A function, error or processor that this driver does not have is refused: a test of it would prove nothing."""
    with fake_nvml(FakeGpu(instances=1)) as nvml:
        nvml.fail("nvmlDeviceGetUUID", gpu=nvml[0].instances[0])
        with pytest.raises(ConfigurationError, match=r"the pretended driver knows|the driver knows|is no processor"):
            ask(nvml)


@pytest.mark.parametrize(
    ("gpus", "options"),
    [((3,), {}), ((FakeGpu,), {}), ((), {"count": -1}), ((FakeGpu(),), {"count": 2}), ((), {"clock": 3})],
)
def test_arguments_that_make_no_driver_are_refused(gpus: Any, options: Any) -> None:
    """What is no processor, no number of them and no clock is refused by name."""
    with (
        pytest.raises(ConfigurationError, match=r"is no FakeGpu|count=|clock=3 needs"),
        fake_nvml(*gpus, **options),
    ):
        pass


@pytest.mark.parametrize(
    "options", [{"idle_watts": -1}, {"busy_watts": float("nan")}, {"memory": -1}, {"instances": -1}, {"util_period": 0}]
)
def test_numbers_that_no_processor_has_are_refused(options: Any) -> None:
    """A processor with less than nothing of something is refused."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        FakeGpu(**options)
