"""With the real torch, where it is installed: a build without CUDA is found out, and costs nothing but a look."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "gpu_service.py"
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed here")


def run(*line: str) -> str:
    """Return what a new interpreter printed."""
    done = subprocess.run([sys.executable, *line], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@needs_torch
@pytest.mark.slow
def test_torch_whose_cuda_was_never_used():
    """Calls, streams, blocks and waiting work with the real torch; no event is made, and CUDA is not initialised."""
    program = """
import torch
from modelmon import Monitor, Multiclass
monitor = Monitor()
watched = monitor(model="m", task=Multiclass())(lambda x: (x * 2).argmax(1))
waiting = monitor(model="w", sync="device")(lambda x: x + 1)
stream = monitor(model="s")(lambda: (yield 1))
code = watched.__code__
x = torch.zeros(4, 3)
for _ in range(3):
    watched(x); waiting(x); list(stream())
    with monitor.call(model="b"): pass
snapshot = monitor.snapshot()
assert [snapshot[m].calls for m in "mwsb"] == [3, 3, 3, 3]
assert not any(snapshot[m].device_durations for m in "mwsb")
assert snapshot["m"].predictions == 12
assert torch.cuda.is_initialized() or watched.__code__ is code
print("done")
"""
    assert run("-W", "error", "-c", program) == "done\n"


@needs_torch
@pytest.mark.slow
@pytest.mark.skipif(not EXAMPLE.exists(), reason="no examples here")
def test_example_of_a_service_on_a_gpu():
    """The example runs on what there is and says which."""
    out = run(str(EXAMPLE))
    assert out.startswith("on ")
    assert "the device took" in out or "no device time" in out


def test_nothing_of_cuda_is_loaded_by_watching():
    """A process that watches calls and reads them has no library of CUDA in its memory (no driver is woken)."""
    program = """
from modelmon import Monitor
monitor = Monitor()
watched = monitor(model="m", sync="device")(lambda: 1)
watched(); monitor.snapshot()
try:
    print("libcuda" in open("/proc/self/maps").read())
except OSError:
    print(False)
"""
    assert run("-c", program) == "False\n"
