"""Which backend is taken, and what it says of it; PyTorch's allocator where no driver can be asked."""

from __future__ import annotations

import importlib.metadata
import logging
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch_double

from modelmon import forking, notices
from modelmon.devices import presence, selection, torch_allocator
from modelmon.devices.backend import BackendUnavailable, DeviceLost
from modelmon.devices.facts import DeviceId
from modelmon.devices.nvml.backend import NvmlBackend
from modelmon.testing import FakeClock, FakeGpu, fake_nvml

if TYPE_CHECKING:
    from collections.abc import Callable

A, B = "GPU-aaaa", "GPU-bbbb"


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages so far."""
    return [record.message for record in caplog.records if record.name == "modelmon"]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.MonkeyPatch:
    """Have no ``amdsmi``, no ``torch`` and no other packages' backends here."""
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [])  # noqa: ARG005
    caplog.set_level(logging.INFO)
    notices.forget()
    return monkeypatch


def test_first_that_opens_is_taken(bare: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where NVIDIA's driver is, it is taken, in one line."""
    with fake_nvml():
        backend = selection.choose()
        assert isinstance(backend, NvmlBackend)
        backend.close()
        selection.choose().close()
    assert said(caplog) == ["GPUs are watched through nvml"]


@pytest.mark.fault("G1")
def test_none_opens(bare: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing is, the null backend is taken, and one line says why none of the others was."""
    with fake_nvml() as nvml:
        nvml.fail("nvmlInitWithFlags", "DRIVER_NOT_LOADED")
        backend = selection.choose()
    assert (backend.name, backend.devices()) == ("null", [])
    (message,) = said(caplog)
    assert message.startswith("GPUs are not watched (nvml: the driver cannot be opened: DriverNotLoaded; amdsmi: ")
    assert "torch: PyTorch did not initialise CUDA" in message
    device = DeviceId(A, "nvidia", "none")
    assert not backend.capabilities(device)
    with pytest.raises(DeviceLost):
        backend.read(device, "fast")
    backend.close()


def test_named_backend(bare: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A backend that is asked for by name is the only one tried, and an unknown name is said to be one."""
    assert selection.choose("null").name == "null"
    assert selection.choose("voodoo").name == "null"
    assert "voodoo: no backend of that name; there are nvml, amdsmi, torch, null" in said(caplog)[-1]


class Other:
    """A backend of another package."""

    name = "other"

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        """Open without any trouble."""

    def open(self) -> None:
        """Do nothing."""


def test_entry_points(bare: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Other packages' backends come after the drivers known here; one that cannot be loaded is passed over."""

    def broken() -> None:
        raise RuntimeError

    points = [SimpleNamespace(name="bad", load=broken), SimpleNamespace(name="other", load=lambda: Other)]
    bare.setattr(importlib.metadata, "entry_points", lambda group: points if group == selection.GROUP else [])
    assert list(selection.factories()) == ["nvml", "amdsmi", "bad", "other", "torch", "null"]
    assert selection.choose("other").name == "other"
    with fake_nvml() as nvml:
        nvml.fail("nvmlInitWithFlags", "NO_PERMISSION")
        assert selection.choose().name == "other"
    assert "bad: RuntimeError" in said(caplog)[-1]

    def unreadable(group: str) -> None:
        raise OSError

    bare.setattr(importlib.metadata, "entry_points", unreadable)
    assert list(selection.factories()) == ["nvml", "amdsmi", "torch", "null"]


def test_own_backends_are_declared() -> None:
    """What is declared to other packages is what is taken here."""
    points = importlib.metadata.entry_points(group=selection.GROUP)
    declared = {point.name: point.value for point in points}
    assert {name: declared.get(name) for name in selection.OWN} == selection.OWN
    for target in selection.OWN.values():
        module, _, name = target.partition(":")
        assert callable(getattr(forking.load(module), name))


def test_torch_tells_what_it_holds(bare: pytest.MonkeyPatch) -> None:
    """Without a driver PyTorch's allocator says what this process holds, and nothing else."""
    torch = torch_double.module("aaaa", "bbbb")
    bare.setitem(sys.modules, "torch", torch)
    with fake_nvml() as nvml:
        nvml.fail("nvmlInitWithFlags", "NO_PERMISSION")
        backend = selection.choose("auto", FakeClock(7.0).monotonic_ns)
    assert backend.name == "torch"
    device = backend.devices()[1]
    assert (device.id, device.vendor, device.name) == (B, "nvidia", "Double #1")
    torch.cuda.held = 512
    reading = backend.read(device, "fast")
    assert (reading.t_ns, reading.proc_mem, reading.mem_used) == (7_000_000_000, 512, None)
    assert backend.capabilities(device) == {"process_memory"}
    torch.cuda.broken = True
    with pytest.raises(DeviceLost, match="RuntimeError"):
        backend.read(device, "fast")
    torch.cuda.initialised = False
    assert backend.devices() == []
    backend.close()
    with pytest.raises(DeviceLost):
        backend.read(device, "slow")
    with pytest.raises(BackendUnavailable):
        backend.open()


def test_torch_of_amd(bare: pytest.MonkeyPatch) -> None:
    """PyTorch on ROCm names its devices after AMD."""
    bare.setitem(sys.modules, "torch", torch_double.module("GPU-cccc", hip="6.4"))
    backend = torch_allocator.TorchBackend()
    backend.open()
    assert [(device.id, device.vendor) for device in backend.devices()] == [("GPU-cccc", "amd")]


def test_torch_that_is_broken_or_too_old_is_left_alone(bare: pytest.MonkeyPatch) -> None:
    """A PyTorch that raises, or knows no UUIDs, is as good as none."""
    torch = torch_double.module("aaaa", None)
    bare.setitem(sys.modules, "torch", torch)
    assert torch_allocator.uuids() == []
    torch.cuda.broken = True
    assert torch_allocator.uuids() == []
    del torch.cuda
    assert torch_allocator.uuids() == []


@pytest.mark.fault("G4")
def test_torch_knows_best_which_devices_are_visible(bare: pytest.MonkeyPatch) -> None:
    """Once CUDA is initialised its own order is taken, where before it was assumed."""
    bare.setenv("CUDA_VISIBLE_DEVICES", "0")
    clock = FakeClock(5.0)
    with fake_nvml(FakeGpu("T4", uuid=A), FakeGpu("H100", uuid=B), clock=clock):
        backend = NvmlBackend(clock.monotonic_ns)
        backend.open()
        assert [device.id for device in backend.devices()] == [A]
        assert backend.state().mapping == "assumed"
        bare.setitem(sys.modules, "torch", torch_double.module("bbbb"))
        assert [device.id for device in backend.devices()] == [B]
        assert backend.state().mapping == "exact"
        assert backend.read(backend.devices()[0], "fast").energy_j is not None
        backend.close()


def test_presence_asks_for_nodes_only(monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory) -> None:
    """A driver is there where one of its nodes is, or a test pretends so."""
    node = tmp_path / "nvidia0"  # type: ignore[operator]
    monkeypatch.setattr(presence, "NODES", (str(node),))
    assert not presence.is_present()
    node.touch()
    assert presence.is_present()
    node.unlink()
    with fake_nvml():
        assert presence.is_present()
    assert not presence.is_present()
