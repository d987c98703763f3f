"""The thread of the sampler: when there is one, how it ends, and what a child and a driver that hangs make of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING

import pytest

from modelmon import ConfigurationError, Monitor, notices
from modelmon.sampling import running
from modelmon.sampling.claims import Claim
from modelmon.sampling.rates import rate
from modelmon.testing import FakeGpu, fake_nvml

if TYPE_CHECKING:
    from pathlib import Path

NAME = "modelmon-gpu"


LEFT: set[threading.Thread] = set()


def threads() -> list[threading.Thread]:
    """Return the sampler's threads, but for what other tests left."""
    return [thread for thread in threading.enumerate() if thread.name == NAME and thread not in LEFT]


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without a sampler, whatever ran before in this process."""
    LEFT.update(thread for thread in threading.enumerate() if thread.name == NAME)
    monkeypatch.setattr(running._process, "held", None)


def watched(monitor: Monitor, model: str = "m"):
    """Return a watched function."""

    @monitor(model=model)
    def identity(x: int) -> int:
        return x

    return identity


def settled(monitor: Monitor) -> bool:
    """Wait until the sampler has read a few times; tell whether it did."""
    done = threading.Event()
    for _ in range(500):
        if monitor.snapshot().durations("sampler_tick").count >= 3:
            return True
        done.wait(0.02)
    return False


def test_the_thread_starts_at_the_first_call_and_ends_with_the_last_monitor() -> None:
    """No thread and no driver call before the first call; none after both monitors are closed."""
    with fake_nvml(FakeGpu()) as fake:
        first, second = Monitor(gpu=20), Monitor(gpu="auto")
        functions = watched(first), watched(second)
        assert not threads()
        assert not fake.calls()
        for function in functions:
            function(1)
        assert len(threads()) == 1
        assert settled(first)
        assert first.snapshot().devices
        first.close()
        assert len(threads()) == 1
        second.close()
        assert not threads()
        for n in range(1024):  # now and then a call looks whether there is something to start
            functions[0](n)
        assert len(threads()) == 1
        first.close()
        assert not threads()


@pytest.mark.parametrize("how", ["setting", "environment"])
def test_switched_off_there_is_no_driver_call_and_no_thread(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``gpu=False`` and ``MODELMON_GPU=off`` forbid every driver call, the latter whatever the program says."""
    if how == "environment":
        monkeypatch.setenv("MODELMON_GPU", "OFF")
    with fake_nvml() as fake:
        monitor = Monitor(gpu=False if how == "setting" else 10)
        watched(monitor)(1)
        monitor.snapshot()
        monitor.close()
        assert not threads()
        assert not fake.calls()


def test_a_value_of_the_variable_that_says_nothing_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who misspells ``off`` is told so once; other ways to say yes or no are taken in silence."""
    monkeypatch.setattr(notices, "_said", {})
    for said, hertz in (("none", 5.0), ("None", 5.0), ("on", 5.0), ("", 5.0), (" No ", 0.0)):
        monkeypatch.setenv("MODELMON_GPU", said)
        assert rate(5) == hertz
    assert caplog.messages == ["MODELMON_GPU='none' says nothing: \"off\" forbids every call of a driver"]


def test_without_a_driver_nothing_starts() -> None:
    """``auto`` starts nothing where no driver is seen."""
    if rate("auto"):
        pytest.skip("this machine has a driver")
    monitor = Monitor()
    watched(monitor)(1)
    assert not threads()
    assert rate(5) == 5.0


@pytest.mark.parametrize("gpu", [True, 0, -1, 1000, "on", None])
def test_rates_that_make_no_sense_are_refused(gpu: object) -> None:
    """How often to read is a number within reason, and True is none."""
    with pytest.raises(ConfigurationError, match="gpu="):
        Monitor(gpu=gpu)


def test_a_round_that_fails_is_counted_and_the_next_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours in a round costs that round."""
    with fake_nvml():
        monitor = Monitor(gpu=20)
        one = running.Running(20.0, monitor.home.clock.monotonic_ns, None)
        one._tick()
        one._sampler.serve(running.weakref.ref(monitor.home))
        one._complain(ZeroDivisionError())
        assert monitor.snapshot().counts("self:internal_errors").get(("gpu:ZeroDivisionError",)) == 1
        assert one._ticker.seconds >= 1
        one._sampler.close()


@pytest.mark.fault("G6")
def test_a_claim_is_had_by_one_and_by_the_next_when_it_ends(tmp_path: Path) -> None:
    """Of two that claim a device one has it; when it lets go the other one gets it."""
    first, second = Claim("GPU-1/../x", str(tmp_path)), Claim("GPU-1/../x", str(tmp_path))
    assert first.held()
    assert first.held()
    assert not second.held()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    first.drop()
    assert second.held()
    second.drop()
    second.drop()


def test_a_claim_follows_no_link_and_needs_its_directory(tmp_path: Path) -> None:
    """A link in the claim's place is not followed; where nobody can claim, each shows what it sees."""
    target = tmp_path / "target"
    (tmp_path / "GPU-1.lock").symlink_to(target)
    assert not Claim("GPU-1", str(tmp_path)).held()
    assert not target.exists()
    os.mkfifo(tmp_path / "GPU-2.lock")
    assert not Claim("GPU-2", str(tmp_path)).held()
    assert not Claim("GPU-1", str(tmp_path / "none")).held()


def test_without_a_directory_the_temporary_files_hold_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims of one user lie among the temporary files; where nothing can be written each process shows devices."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here = Claim("GPU-1", None)
    assert here.held()
    assert not Claim("GPU-1", None).held()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert Claim("GPU-1", None).held()

    def nowhere() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    assert Claim("GPU-1", None)._path.parent.name == ""
    with fake_nvml():
        assert Claim("GPU-1", None).held()


PROGRAM = """
import os, sys, threading
from modelmon import Monitor
from modelmon.testing import fake_nvml

driver = fake_nvml()
fake = driver.__enter__()
monitor = Monitor(gpu=20, directory=sys.argv[1])

@monitor(model="m")
def identity(x):
    return x

def own():
    return monitor.home.hold(lambda held: held.part())

def ticks():
    counts = own().counts
    return counts["sampler_tick"].count if "sampler_tick" in counts else 0

def wait(n):
    for _ in range(1000):
        if ticks() >= n:
            return True
        threading.Event().wait(0.01)
    return False

identity(1)
assert wait(2)
before = fake.calls()
child = os.fork()
if not child:
    gpu_threads = [thread for thread in threading.enumerate() if thread.name == "modelmon-gpu"]
    assert not own().devices and not gpu_threads
    assert monitor.home.gpu is None
    identity(2)
    ended = wait(2)
    os._exit(0 if ended and not own().devices else 1)
assert os.waitpid(child, 0)[1] == 0
assert own().devices
assert len(monitor.snapshot().devices) == 1
fake.delay("*", 600)
for _ in range(3):
    threading.Event().wait(0.06)
    identity(3)
assert own().series["m", ""].ledgers[()].total["calls"].total == 4
print("done", flush=True)
"""


@pytest.mark.fault("G5", "G6")
def test_a_child_starts_clean_and_a_driver_that_hangs_holds_up_nothing(tmp_path: Path) -> None:
    """A child has a sampler of its own; ten minutes in the driver cost neither a call nor the end of the program."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr


def test_the_end_of_the_program_brings_a_last_reading() -> None:
    """While the thread runs a last round settles what is left, and is waited for but a moment; without one, nothing."""
    with fake_nvml(FakeGpu()):
        monitor = Monitor(gpu=0.1)
        watched(monitor)(1)
        one = running._process.held
        assert one is not None
        wait = one.begin()
        assert wait is not None
        assert wait(2.0)
        monitor.close()
        assert one.begin() is None


def test_no_thread_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where no thread can be started a warning says what that means, and calls go on."""
    notices.forget()
    monkeypatch.setattr(running.Ticker, "start", lambda _: False)
    monitor = Monitor(gpu=5)
    assert watched(monitor)(1) == 1
    monitor.close()
    assert "no thread could be started, so graphics processors are not read" in caplog.text


def test_a_child_forgets_the_sampler_of_its_parent(tmp_path: Path) -> None:
    """Renewed, a process holds no sampler; claims of the parent's are let go of, and its driver is not called."""
    with fake_nvml(FakeGpu()) as fake:
        monitor = Monitor(gpu=20, directory=tmp_path / "machine")
        watched(monitor)(1)
        assert settled(monitor)
        held = running._process.held
        calls = fake.calls()
        held._ticker.stop(5)
        held.abandon()
        (device,) = held._sampler._devices
        assert device.claim._descriptor == -1
        running._process.renew()
        assert running._process.held is None
        assert fake.calls() - calls <= 6
        monitor.close()
        held._sampler.close()


@pytest.mark.fault("G5")
def test_a_driver_that_is_slow_at_the_close_keeps_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in the driver while the last monitor closes lets go of the claim at once, and of all when it ends."""
    asked, answer = threading.Event(), threading.Event()
    monkeypatch.setattr(running, "EXIT_S", 0.01)
    with fake_nvml(FakeGpu()):
        monitor = Monitor(gpu=20, directory=tmp_path)
        watched(monitor)(1)
        assert settled(monitor)
        (thread,) = threads()
        sampler = running._process.held._sampler
        backend, (device,) = sampler._backend, sampler._devices
        read = backend.read

        def slow(*about: object) -> object:
            asked.set()
            answer.wait(30)
            return read(*about)

        monkeypatch.setattr(backend, "read", slow)
        assert asked.wait(30)
        monitor.close()
        assert thread.is_alive()
        assert device.claim._descriptor == -1
        answer.set()
        thread.join(30)
        assert device.claim._descriptor == -1
        assert sampler._backend is None
        watched(monitor)(1)
        for _ in range(500):
            if monitor.snapshot().devices[device.id.id].status:
                break
            threading.Event().wait(0.01)
        assert monitor.snapshot().devices[device.id.id].status == "ok"
        monitor.close()
        for thread in threads():
            thread.join(30)


def test_a_driver_that_fails_to_close_keeps_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong while the driver is let go of keeps no device from being shown by others."""
    with fake_nvml(FakeGpu()):
        monitor = Monitor(gpu=20, directory=tmp_path)
        watched(monitor)(1)
        assert settled(monitor)
        (thread,), sampler = threads(), running._process.held._sampler
        monkeypatch.setattr(sampler._backend, "close", lambda: 1 / 0)
        monitor.close()
        thread.join(30)
        assert sampler._devices[0].claim._descriptor == -1


def test_closed_before_its_first_round_a_sampler_loads_nothing() -> None:
    """A thread whose monitors were closed before it read anything ends without calling a driver."""
    with fake_nvml() as fake:
        monitor = Monitor(gpu=20)
        one = running.Running(20.0, monitor.home.clock.monotonic_ns, None)
        assert not one.release(monitor.home, 0)
        one._tick()
        assert one._sampler is None
        assert not fake.calls()
