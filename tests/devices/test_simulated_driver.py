"""A simulated driver in C: the backend reads it as it reads the pretended one, and so do programs of other people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelmon.devices.backend import DeviceLost
from modelmon.devices.nvml import processes
from modelmon.devices.nvml.backend import NvmlBackend
from modelmon.testing import FakeClock, FakeGpu, fake_nvml

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable, Iterator

    from modelmon.devices.facts import Reading

# the lowest and the latest are tried together with the lowest and the latest of everything else
VERSIONS = os.environ.get("NVIDIA_ML_PY", "12.555.43 12.575.51 13.590.48").split()
LOADS = ((1000.1, 1000.35), (1001.0, 1003.5), (1004.25, 1004.5))
TIERS = ("fast", "slow", "fast", "fast", "slow", "fast", "fast", "fast", "slow", "fast", "fast", "fast")
PROGRAM = """
import json, os
from nvitop import Device
os.environ.pop("CUDA_VISIBLE_DEVICES", None)
print(json.dumps([{
    "uuid": d.uuid(), "name": d.name(), "used": d.memory_used(), "total": d.memory_total(), "busy": d.gpu_utilization(),
    "power": d.power_usage(), "temperature": d.temperature(),
    "processes": {pid: process.gpu_memory() for pid, process in d.processes().items()},
} for d in Device.all()]))
"""


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "sees_all", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@contextmanager
def opened(clock: FakeClock) -> Iterator[NvmlBackend]:
    """Open a backend for a block."""
    backend = NvmlBackend(clock.monotonic_ns)
    backend.open()
    try:
        yield backend
    finally:
        backend.close()


def readings(clock: FakeClock, move: Callable[[FakeClock], None]) -> list[Reading]:
    """Return what is read every half second, without the clock's own small differences."""
    found = []
    with opened(clock) as backend:
        (device,) = backend.devices()
        for tier in TIERS:
            clock.advance(0.5)
            move(clock)
            reading = backend.read(device, tier)
            util = None if reading.util is None else round(reading.util, 2)
            power = None if reading.power_w is None else round(reading.power_w)
            found.append(replace(reading, util=util, power_w=power, sm_share=None))
        assert "util_ring" in backend.capabilities(device)
    return found


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_two_doubles_tell_the_same(simulator: Callable[..., ctypes.CDLL], *, old: bool) -> None:
    """The same loads, memory and processes give the same readings in C and in Python, on drivers new and old."""
    clock = FakeClock(1000.0)
    with fake_nvml(FakeGpu("Simulated H100", util_period=0.166666), clock=clock, old=old) as nvml:
        gpu = nvml[0]
        for start, end in LOADS:
            gpu.busy(start, end)
        gpu.used, gpu.throttle, gpu.uncorrected = 5 << 30, 4, 3
        gpu.processes = {os.getpid(): 1 << 30, 77: 2 << 30}
        pretended = readings(clock, lambda _: None)
    library = simulator(*(["-DOLD_DRIVER"] if old else []))
    for start, end in LOADS:
        library.sim_span(0, round(start * 1e6), round(end * 1e6))
    for what, value in ((b"used", 5 << 30), (b"throttle", 4), (b"errors", 3)):
        library.sim_set(0, what, value)
    library.sim_process(0, os.getpid(), 1 << 30)
    library.sim_process(0, 77, 2 << 30)
    simulated = readings(FakeClock(1000.0), lambda clock: library.sim_clock(clock.monotonic_ns() // 1000))
    assert simulated == pretended


def test_lost_device_and_division_in_c(simulator: Callable[..., ctypes.CDLL]) -> None:
    """The simulated driver loses a device after so many calls, and divides one."""
    library = simulator(devices=2)
    library.sim_set(1, b"divided", 1)
    clock = FakeClock(1000.0)
    with opened(clock) as backend:
        first, instance, whole = backend.devices()
        assert (instance.parent, whole.id) == (whole.id, "GPU-51400000-0000-0000-0000-000000000001")
        assert backend.read(instance, "fast").mem_total == 10 << 30
        library.sim_fail(b"nvmlDeviceGetMemoryInfo_v2", 15, 1)
        assert backend.read(first, "fast").mem_total == 80 << 30
        with pytest.raises(DeviceLost, match="GpuIsLost"):
            backend.read(first, "fast")
        library.sim_fail(b"nvmlDeviceGetMemoryInfo_v2", 0, 0)
        clock.advance(2.0)
        assert backend.read(first, "fast").mem_total == 80 << 30


def test_fast_tier_takes_three_calls_in_c(simulator: Callable[..., ctypes.CDLL]) -> None:
    """Counted in C, a fast reading is one call each for energy and power, utilisation, and memory."""
    library = simulator()
    asked = (b"nvmlDeviceGetFieldValues", b"nvmlDeviceGetSamples", b"nvmlDeviceGetMemoryInfo_v2")
    clock = FakeClock(1000.0)
    with opened(clock) as backend:
        (device,) = backend.devices()
        clock.advance(0.5)
        library.sim_clock(clock.monotonic_ns() // 1000)
        before, counted = [library.sim_calls(name) for name in asked], backend.state().driver_calls
        backend.read(device, "fast")
        assert [library.sim_calls(name) for name in asked] == [n + 1 for n in before]
        assert backend.state().driver_calls == counted + 3


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install what other people watch processors with, beside our environment."""
    folder = tmp_path_factory.mktemp("tools")
    line = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
        "--target",
        str(folder),
    ]
    subprocess.run([*line, "nvitop>=1.7", "gpustat>=1.1.1"], check=True)
    return folder


def run(built: Callable[..., Path], tools: Path, *arguments: str) -> str:
    """Return what a program prints on the simulated driver, which it finds as it would the real one."""
    environ = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environ |= {"LD_LIBRARY_PATH": str(built()), "PYTHONPATH": str(tools)}
    line = [sys.executable, *arguments]
    return subprocess.run(line, env=environ, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.slow
def test_nvitop_reads_the_simulated_driver(built: Callable[..., Path], tools: Path) -> None:
    """What ``nvitop`` shows of the simulated driver is what the simulator says."""
    busy, idle = json.loads(run(built, tools, "-c", PROGRAM))
    assert (busy["name"], busy["used"], busy["total"], busy["temperature"]) == ("Simulated H100", 3 << 30, 80 << 30, 35)
    assert (busy["busy"], busy["power"], list(busy["processes"].values())) == (100, 700_000, [2 << 30])
    assert (idle["uuid"], idle["used"]) == ("GPU-51400000-0000-0000-0000-000000000001", 0)
    assert (idle["busy"], idle["power"]) == (0, 70_000)


@pytest.mark.slow
def test_gpustat_reads_the_simulated_driver(built: Callable[..., Path], tools: Path) -> None:
    """What ``gpustat`` shows of the simulated driver is what the simulator says."""
    busy, idle = json.loads(run(built, tools, "-m", "gpustat", "--json"))["gpus"]
    assert (busy["memory.used"], busy["memory.total"], busy["utilization.gpu"]) == (3 << 10, 80 << 10, 100)
    assert (busy["power.draw"], idle["power.draw"], idle["utilization.gpu"]) == (700, 70, 0)
    assert [process["gpu_memory_usage"] for process in busy["processes"]] == [2 << 10]


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_versions_of_nvidia_ml_py(version: str, tmp_path: Path) -> None:
    """The tests of the readings and the doubles pass with other versions of the package too."""
    line = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable, "--target"]
    subprocess.run([*line, str(tmp_path), "--no-deps", f"nvidia-ml-py=={version}"], check=True)
    folder = Path(__file__).parent
    chosen = [str(folder / f"test_{name}.py") for name in ("nvml_readings", "fake_nvml", "simulated_driver")]
    suite = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-m", "not slow", *chosen]
    environ = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(suite, env=environ, capture_output=True, text=True, check=False, cwd=folder.parents[1])
    assert done.returncode == 0, done.stdout[-3000:]
