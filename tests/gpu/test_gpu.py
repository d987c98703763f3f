"""What only a real CUDA device can show; skipped where torch sees none."""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

from modelmon import Monitor, Multiclass

CHECK = Path(__file__).with_name("check.py")


def has_cuda() -> bool:
    """Tell whether torch sees a device, asked in another process, since asking may spoil later forks of this one."""
    if find_spec("torch") is None or not Path("/dev/nvidiactl").exists():
        return False
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


needs_cuda = pytest.mark.skipif(not has_cuda(), reason="torch sees no CUDA device here")


@pytest.fixture
def torch():
    """Give torch with CUDA initialised."""
    import torch  # noqa: PLC0415  (only where there is one)

    torch.cuda.init()
    return torch


@needs_cuda
def test_device_time_is_longer_than_the_submission_and_agrees_with_waiting(torch):
    """Events tell the time of work that the host did not wait for, within a tenth of what a host that waits sees."""
    monitor = Monitor()
    a = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)

    def multiply():
        for _ in range(20):
            torch.mm(a, a)

    timed, waited = monitor(model="timed")(multiply), monitor(model="waited", sync="device")(multiply)
    for _ in range(5):
        timed()
        waited()
    torch.cuda.synchronize()
    monitor.flush()
    snapshot = monitor.snapshot()
    told, truth = (snapshot[name].device_duration.quantile(0.5) for name in ("timed", "waited"))
    assert told > snapshot["timed"].duration.quantile(0.5)
    assert told == pytest.approx(truth, rel=0.1)


@needs_cuda
@pytest.mark.fault("G7")
def test_capture_of_a_graph_survives_watched_calls(torch):
    """A graph that watched calls build is captured and replays; those calls are left to the host."""
    monitor = Monitor()
    x = torch.zeros(1024, device="cuda")
    step = monitor(model="m", task=Multiclass())(lambda: (x.add_(1), 1)[1])
    step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    graph.replay()
    torch.cuda.synchronize()
    monitor.flush()
    assert monitor.snapshot()["m"].untimed == {"capturing": 1}


@needs_cuda
def test_streams_and_threads(torch):
    """Calls on streams of several threads are all timed, however they interleave."""
    monitor = Monitor()
    x = torch.randn(2048, 2048, device="cuda")
    predict = monitor(model="m")(lambda: torch.mm(x, x))
    predict()

    def serve():
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(200):
                predict()

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.cuda.synchronize()
    monitor.flush()
    assert monitor.snapshot()["m"].device_durations["device_event"].count == 800


def test_check_says_where_there_is_no_device(tmp_path):
    """Without torch the check says what is missing and claims nothing."""
    (tmp_path / "torch.py").write_text("raise ImportError\n")
    line = [sys.executable, str(CHECK)]
    done = subprocess.run(line, check=False, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "torch cannot be imported" in done.stdout
    assert "nothing is claimed" in done.stdout
