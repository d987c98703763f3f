"""Ask events of CUDA, by fakes of torch and of NVIDIA's driver, so that no thread's capture of a graph is spoilt."""

from __future__ import annotations

import ctypes
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modelmon.copies import Deferred, captures, keep


class Driver:
    """Stand for the driver: each thread has a mode towards captures, and may exchange it."""

    def __init__(self, code: int = 0) -> None:
        """Fail with a code, if it is not 0."""
        self.code, self.modes = code, threading.local()

    @property
    def mode(self) -> int:
        """The mode of this thread."""
        return getattr(self.modes, "mode", 0)

    def exchange(self, pointer: Any) -> int:
        """Set the mode of this thread, and return its previous one in its place."""
        if not self.code:
            self.modes.mode, pointer._obj.value = pointer._obj.value, self.mode
        return self.code


class Tensor:
    """Stand for a CUDA tensor of torch."""

    layout, dtype, shape, device = "torch.strided", "f", (2,), SimpleNamespace(type="cuda")

    def __init__(self) -> None:
        """Hold two numbers."""
        self.data = np.array([0.25, 0.75])

    def __getattr__(self, name: str) -> Any:
        """Answer what is asked of every tensor."""
        known = {"dim": 1, "numel": 2, "element_size": 8, "is_complex": False, "is_floating_point": True}
        return lambda: {**known, "detach": self, "numpy": self.data}[name]

    def copy_(self, other: Tensor, *, non_blocking: bool) -> None:
        """Copy at once."""
        assert non_blocking
        self.data = other.data


Tensor.__module__ = "torch"


class Event:
    """Stand for torch's event, and note the mode of whoever asks."""

    def __init__(self, driver: Driver, asked: list[int]) -> None:
        """Be asked under this driver."""
        self.driver, self.asked = driver, asked

    def record(self, _stream: object) -> None:
        """Happen."""

    def query(self) -> bool:
        """Tell that it happened."""
        self.asked.append(self.driver.mode)
        return True

    synchronize = query


def kept(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> tuple[Deferred, list[int]]:
    """Return a copy under this driver, and the list of modes in which its event is asked."""
    asked: list[int] = []
    torch: Any = ModuleType("torch")
    torch.empty = lambda *_, **__: Tensor()
    torch.cuda = SimpleNamespace(
        Event=lambda: Event(driver, asked), current_stream=lambda _: None, is_current_stream_capturing=lambda: False
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(captures._Driver, "sought", False)
    monkeypatch.setattr(captures._Driver, "exchange", None)
    library = SimpleNamespace(cuThreadExchangeStreamCaptureMode=driver.exchange)
    monkeypatch.setattr(ctypes, "CDLL", {captures._LIBRARY: library}.__getitem__)
    found = keep(Tensor())
    assert isinstance(found, Deferred)
    assert not captures._Driver.sought, "a call looks for no driver"
    return found, asked


def test_events_of_copies_are_asked_so_that_no_capture_is_spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever thread asks or waits does so in the mode that captures do not mind, and has its own mode back then."""
    driver = Driver()
    copy, asked = kept(driver, monkeypatch)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend([copy.is_ready(), copy.array().tolist(), driver.mode]))
    thread.start()
    thread.join()
    assert found == [True, [0.25, 0.75], 0]
    driver.modes.mode = 1
    assert copy.is_ready()
    assert driver.mode == 1
    assert asked == [captures._RELAXED] * 3


def test_a_driver_that_refuses_is_not_asked_to_take_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mode was not exchanged the event is asked as it is, and nothing is put back."""
    copy, asked = kept(Driver(code=3), monkeypatch)
    assert copy.array().tolist() == [0.25, 0.75]
    assert asked == [0]


@pytest.mark.parametrize("missing", [OSError, AttributeError])
def test_without_such_a_driver_events_are_asked_as_they_are(
    missing: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without NVIDIA's driver, or with one too old, copies are read as ever; it is looked for once."""
    copy, asked = kept(Driver(), monkeypatch)
    sought: list[str] = []

    def none(name: str) -> None:
        sought.append(name)
        raise missing

    monkeypatch.setattr(ctypes, "CDLL", none)
    assert copy.is_ready()
    assert copy.array().tolist() == [0.25, 0.75]
    assert (asked, len(sought)) == ([0, 0], 1)


def test_a_question_that_fails_leaves_the_mode_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode of the thread is put back, whatever becomes of the question."""
    driver = Driver()
    kept(driver, monkeypatch)
    with pytest.raises(ZeroDivisionError):
        captures.aside(lambda: 1 / 0)
    assert driver.mode == 0
