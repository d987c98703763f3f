"""AMD's processors, on a double of their package: nothing here ran on hardware."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from amdsmi_double import AmdSmiLibraryException, Chip, module

from modelmon.devices import amdsmi
from modelmon.devices.amdsmi import AmdSmiBackend
from modelmon.devices.backend import BackendUnavailable, DeviceLost, Telling
from modelmon.testing import FakeClock

if TYPE_CHECKING:
    from modelmon.devices.facts import Reading

MIB = 1 << 20


class Bench:
    """A double, a clock that stands still, and a backend opened on them."""

    def __init__(self, patch: pytest.MonkeyPatch, *chips: Chip) -> None:
        """Open the backend."""
        for name in ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
            patch.delenv(name, raising=False)
        self.smi: Any = module(*chips)
        patch.setitem(sys.modules, "amdsmi", self.smi)
        self.clock = FakeClock(100.0)
        self.backend = AmdSmiBackend(self.clock.monotonic_ns)

    def step(self, seconds: float = 1.0, tier: str = "slow", place: int = 0) -> Reading:
        """Let time pass, then read."""
        self.clock.advance(seconds)
        return self.backend.read(self.backend.devices()[place], tier)


def test_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Utilisation, memory, power, processes, errors and temperature, with what is not available absent."""
    chip = Chip("aa", 0)
    chip.answers["amdsmi_get_gpu_process_list"] = [{"pid": os.getpid(), "memory_usage": {"vram_mem": 77}}, {"pid": 1}]
    bench = Bench(monkeypatch, chip)
    bench.backend.open()
    reading = bench.step()
    assert (reading.util, reading.mem_used, reading.mem_total) == (0.5, 256 * MIB, 1024 * MIB)
    assert (reading.power_w, reading.power_scope, reading.temp_c) == (100, "gpu", 48)
    assert (reading.proc_mem, reading.n_procs) == (77, 2)
    assert reading.errors == {"corrected": 1, "uncorrected": 0}
    chip.answers["amdsmi_get_gpu_activity"] = {"gfx_activity": "N/A"}
    chip.answers["amdsmi_get_power_info"] = {"current_socket_power": 0xFFFF}
    reading = bench.step()
    assert (reading.util, reading.power_w, reading.power_scope) == (None, None, None)
    assert isinstance(bench.backend, Telling)
    assert bench.backend.state().driver_calls == bench.smi.calls
    bench.backend.close()
    bench.backend.close()
    assert bench.smi.opened == 0


def test_counter_is_believed_once_it_moved_as_power_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the counter has shown itself there is no energy; afterwards a fast reading takes three calls."""
    chip = Chip("aa", 0)
    bench = Bench(monkeypatch, chip)
    bench.backend.open()
    for second in range(1, 6):
        chip.draw(100.0 * second)
        assert bench.step().energy_j is None
    chip.draw(600.0)
    reading = bench.step()
    assert (reading.energy_j, reading.energy_source) == (pytest.approx(600.0, rel=1e-6), "counter")
    before = bench.smi.calls
    assert bench.step(tier="fast").energy_j == pytest.approx(600.0, rel=1e-6)
    assert bench.smi.calls - before == 3
    assert "energy" in bench.backend.capabilities(bench.backend.devices()[0])


@pytest.mark.parametrize("error", [AmdSmiLibraryException(2), None])
def test_counter_that_stands_still_or_is_missing(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    """Where the counter does not move though power is drawn, or is not supported, power is integrated, and says so."""
    chip = Chip("aa", 0)
    if error is not None:
        chip.answers["amdsmi_get_energy_count"] = error
    bench = Bench(monkeypatch, chip)
    bench.backend.open()
    readings = [bench.step() for _ in range(10)]
    assert readings[0].energy_j is None
    assert readings[-1].energy_source == "power_integral"
    joules = [reading.energy_j for reading in readings if reading.energy_j is not None]
    assert joules[-1] - joules[0] == pytest.approx(100.0 * (len(joules) - 1))
    assert "energy" not in bench.backend.capabilities(bench.backend.devices()[0])


def test_order_and_visibility_are_hips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices stand in HIP's order, not that of the handles, and hidden ones are left out."""
    chips = (Chip("aa", 1, "AMD Instinct MI250X"), Chip("bb", 0))
    bench = Bench(monkeypatch, *chips)
    bench.backend.open()
    assert [device.id for device in bench.backend.devices()] == ["GPU-bb", "GPU-aa"]
    assert bench.backend.state().mapping == "exact"
    assert bench.step(place=1).power_scope == "module"
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "1")
    bench.backend.close()
    bench.backend.open()
    assert [device.id for device in bench.backend.devices()] == ["GPU-aa"]
    assert bench.backend.state().mapping == "assumed"
    chips[0].answers["amdsmi_get_gpu_enumeration_info"] = {"hip_id": "N/A"}
    chips[1].answers["amdsmi_get_gpu_device_uuid"] = AmdSmiLibraryException(2)
    monkeypatch.delenv("HIP_VISIBLE_DEVICES")
    bench.backend.close()
    bench.backend.open()
    assert [device.id for device in bench.backend.devices()] == ["GPU-aa"]
    assert bench.backend.state().mapping == "assumed"


def test_lost_device_is_tried_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device about which no call works is lost, waited for, and comes back."""
    chip = Chip("aa", 0)
    bench = Bench(monkeypatch, chip)
    bench.backend.open()
    answers = dict(chip.answers)
    chip.answers = dict.fromkeys(answers, AmdSmiLibraryException(8))
    for _ in range(40):
        with pytest.raises(DeviceLost):
            bench.step()
    errors = bench.backend.state().errors or {}
    assert errors["amdsmi_get_gpu_activity", "8"] == 6
    chip.answers = answers
    assert bench.step(61.0).util == 0.5


def test_older_versions_lack_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that the package does not have is left out, and not asked for again."""
    bench = Bench(monkeypatch, Chip("aa", 0))
    del bench.smi.amdsmi_get_gpu_process_list, bench.smi.AmdSmiTemperatureType
    bench.backend.open()
    reading = bench.step()
    assert (reading.n_procs, reading.temp_c) == (None, None)
    assert not bench.backend.state().errors
    assert "processes" not in bench.backend.capabilities(bench.backend.devices()[0])


@pytest.mark.fault("G1")
def test_what_keeps_it_from_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """No driver, a package that raises anything at all, and no device are reasons."""
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    monkeypatch.setattr(amdsmi, "NODE", "/dev/null/kfd")
    with pytest.raises(BackendUnavailable, match="is not there"):
        AmdSmiBackend().open()
    bench = Bench(monkeypatch)
    with pytest.raises(BackendUnavailable, match="no device"):
        bench.backend.open()
    for error in (KeyError("libamd_smi.so"), OSError(), AmdSmiLibraryException(34)):

        def fail(error: Exception = error) -> None:
            raise error

        bench.smi.amdsmi_init = fail
        with pytest.raises(BackendUnavailable, match=type(error).__name__):
            bench.backend.open()

    def unclosable() -> None:
        raise AmdSmiLibraryException(32)

    bench = Bench(monkeypatch, Chip("aa", 0))
    bench.smi.amdsmi_shut_down = unclosable
    bench.backend.open()
    bench.backend.close()
    assert bench.backend.state().errors
