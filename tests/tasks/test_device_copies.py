"""Keep tensors of devices that this machine lacks, by fakes that bear the modules and names of the real types."""

from __future__ import annotations

import signal
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from modelmon import Monitor
from modelmon.columns import encode_classes, encode_ids
from modelmon.copies import Deferred, Rejection, keep, kept_bytes
from modelmon.outputs import read
from modelmon.tasks import Binary, Multiclass


class Device:
    """Stand for a CUDA device: copies land when it finishes, and waiting for it in ``keep`` is an error."""

    def __init__(self):
        """Start idle and not capturing."""
        self.finished = False
        self.capturing = False
        self.waits = 0
        self.copies = []

    def finish(self):
        """Let every copy land."""
        for host, source in self.copies:
            host.data[...] = source
        self.finished = True


class Tensor:
    """Stand for torch's tensor; it takes its module's and its own name from torch."""

    layout = "torch.strided"

    def __init__(self, data, kind, device):
        """Hold data on a device."""
        self.data, self.fake = np.array(data), device
        self.device = SimpleNamespace(type=kind)
        self.dtype = self.data.dtype
        self.shape = self.data.shape

    def dim(self):
        """Return the number of axes."""
        return self.data.ndim

    def numel(self):
        """Return the number of elements."""
        return self.data.size

    def element_size(self):
        """Return bytes per element."""
        return self.data.itemsize

    def is_complex(self):
        """Tell whether the numbers are complex."""
        return False

    def is_floating_point(self):
        """Tell whether the numbers are floats."""
        return self.data.dtype.kind == "f"

    def detach(self):
        """Return itself without gradients."""
        return self

    def float(self):
        """Return it as single floats."""
        return Tensor(self.data.astype(np.float32), "cpu", self.fake)

    def copy_(self, other, *, non_blocking):
        """Begin a copy that lands when the device finishes."""
        assert non_blocking
        self.fake.copies.append((self, other.data))

    def numpy(self):
        """Return the host data."""
        assert self.device.type == "cpu"
        assert self.fake.finished, "read before its event"
        return self.data


Tensor.__module__ = "torch"


@pytest.fixture
def device(monkeypatch):
    """Give a fake CUDA device behind a fake module torch."""
    fake = Device()

    class Event:
        def record(self, stream):
            assert stream == "stream"

        def query(self):
            return fake.finished

        def synchronize(self):
            fake.waits += 1
            fake.finish()

    def empty(shape, *, dtype, device, pin_memory):
        assert pin_memory
        return Tensor(np.full(shape, 77, dtype), device, fake)

    torch = ModuleType("torch")
    torch.empty = empty
    torch.cuda = SimpleNamespace(
        Event=Event, current_stream=lambda _device: "stream", is_current_stream_capturing=lambda: fake.capturing
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    return fake


def test_cuda_tensor_is_copied_without_waiting(device):
    """A CUDA tensor is kept as a pinned copy under way, read after its event, later writes to it unseen."""
    tensor = Tensor([0.25, 0.75], "cuda", device)
    kept = keep(tensor)
    assert isinstance(kept, Deferred)
    assert not kept.is_ready()
    assert device.waits == 0
    assert (kept.rows, kept_bytes(kept)) == (2, 16)
    device.finish()
    assert kept.is_ready()
    assert kept.array().tolist() == [0.25, 0.75]


def test_unfinished_copy_is_waited_for_when_read(device):
    """Whoever reads predictions or ids before the copy has landed waits, and reads what the device computed."""
    kept = keep(Tensor([0.25, 0.75], "cuda", device))
    found = read(Binary(), [kept], [keep(Tensor([7, 8], "cuda", device))])
    assert device.waits > 0
    assert found.scores.tolist() == [0.25, 0.75]
    assert found.ids.texts() == ["7", "8"]


def test_scalars_of_a_device_and_lists_of_them_are_read(device):
    """A tensor without axes is one prediction, a list of such tensors a batch, a list of rows a matrix."""
    scalar, single = Tensor(0.75, "cuda", device), Tensor([0.25], "cuda", device)
    row = Tensor([0.5, 0.5], "cuda", device)
    kept = [keep(scalar), keep(single), keep([scalar, single, 0.5]), keep([row, row])]
    found = read(Binary(), kept, ["a", "b", ("c", "d", "e"), ("f", "g")])
    assert found.scores.tolist() == [0.75, 0.25, 0.75, 0.25, 0.5, 0.5, 0.5]
    assert found.rows.tolist() == [0, 1, 2, 2, 2, 3, 3]


def test_narrow_floats_are_widened_on_the_host(device):
    """Half precision becomes single precision after the copy."""
    kept = keep(Tensor(np.array([0.5, 1], np.float16), "cuda", device))
    device.finish()
    assert kept.array().dtype == np.float32


def test_tensor_under_graph_capture_is_rejected(device):
    """While a graph is being captured no copy is made and no event recorded."""
    device.capturing = True
    kept = keep(Tensor([1, 2], "cuda", device))
    assert isinstance(kept, Rejection)
    assert (kept.reason, kept.rows) == ("capture", 2)
    assert device.copies == []
    assert read(Binary(), [kept]).rejected == {"capture": 2}


def test_other_devices_and_shapes_are_rejected(device):
    """Tensors that cannot be copied without waiting, and those of three axes, are rejected."""
    assert keep(Tensor([1, 2], "mps", device)).reason == "type"
    assert keep(Tensor(np.ones((2, 2, 2)), "cuda", device)).reason == "shape"


def test_broken_device_costs_the_call_alone(device, monkeypatch):
    """A copy whose event fails counts as ready, gives a rejection, and the other calls of the batch are read."""

    def fail(_self):
        raise RuntimeError

    event = sys.modules["torch"].cuda.Event
    monkeypatch.setattr(event, "query", fail)
    monkeypatch.setattr(event, "synchronize", fail)
    kept = keep(Tensor([0.5, 0.5], "cuda", device))
    assert kept.is_ready()
    found = read(Binary(), [0.75, kept, 0.25])
    assert found.rows.tolist() == [0, 2]
    assert found.rejected == {"type": 2}
    assert found.sizes.tolist() == [1, 2, 1]


class ArrayImpl:
    """Stand for JAX's array: it cannot change, and computes until it is ready."""

    def __init__(self, data, *, ready=True):
        """Hold data that may still be under way."""
        self.data, self.ready, self.started = np.array(data), ready, False
        self.shape, self.nbytes = self.data.shape, self.data.nbytes

    def is_ready(self):
        """Tell whether it has been computed."""
        return self.ready

    def copy_to_host_async(self):
        """Begin the transfer."""
        self.started = True

    def block_until_ready(self):
        """Wait."""
        self.ready = True

    def __array__(self, *_args, **_kwargs):
        """Return it, which must not be asked before it is ready."""
        assert self.ready
        return self.data


ArrayImpl.__module__ = "jaxlib._jax"


def test_jax_array_is_copied_when_ready_and_deferred_when_not(monkeypatch):
    """A finished JAX array is copied at once; an unfinished one is transferred without waiting."""
    monkeypatch.setitem(sys.modules, "jaxlib", ModuleType("jaxlib"))
    done = ArrayImpl([1, 0])
    kept = keep(done)
    done.data[:] = 9
    assert kept.tolist() == [1, 0]
    computing = ArrayImpl([0.5, 0.75], ready=False)
    kept = keep(computing)
    assert isinstance(kept, Deferred)
    assert computing.started
    assert not kept.is_ready()
    assert kept.array().tolist() == [0.5, 0.75]
    assert keep(ArrayImpl(np.ones((2, 2, 2)))).reason == "shape"
    assert keep(ArrayImpl(0.5)) == 0.5
    assert encode_classes(ArrayImpl(["a", "b"])).tolist() == ["a", "b"]
    assert encode_ids(ArrayImpl([5, 6], ready=False)).texts() == ["5", "6"]


class Shape(tuple):
    """Stand for TensorFlow's shape."""

    __slots__ = ()

    def num_elements(self):
        """Return the number of elements."""
        return int(np.prod(self))


class EagerTensor:
    """Stand for TensorFlow's eager tensor."""

    def __init__(self, data, device):
        """Hold data on a device."""
        self.data, self.device, self.reads = np.array(data), f"/job:localhost/device:{device}:0", 0
        self.shape = Shape(self.data.shape)

    def numpy(self):
        """Return its data; a scalar where it has no axes."""
        self.reads += 1
        return self.data if self.data.ndim else self.data[()]


EagerTensor.__module__ = "tensorflow.python.framework.ops"


def test_tensorflow_tensor(monkeypatch):
    """An eager tensor in host memory is copied at once, one on a GPU is read later."""
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    tensor = EagerTensor([1, 2], "CPU")
    kept = keep(tensor)
    tensor.data[:] = 9
    assert kept.tolist() == [1, 2]
    assert keep(EagerTensor(0.5, "CPU")) == 0.5
    remote = EagerTensor([0.5, 0.25], "GPU")
    kept = keep(remote)
    assert isinstance(kept, Deferred)
    assert kept.is_ready()
    assert remote.reads == 0
    assert kept_bytes(kept) == 16
    assert kept.array().tolist() == [0.5, 0.25]
    assert keep(EagerTensor(np.ones((1, 2, 2)), "CPU")).reason == "shape"


def test_type_of_a_library_that_is_not_imported_is_unknown():
    """A type that only claims to come from a library is no array of it."""
    kind = type("EagerTensor", (), {"__module__": "tensorflow_of_mine.ops"})
    assert keep(kind()).reason == "type"
    assert "jax" not in sys.modules
    assert keep(type("ArrayImpl", (), {"__module__": "jax._src.array"})()).reason == "type"


class SoftTimeLimitError(Exception):
    """What a handler of signals raises."""


def _limit(*_):
    raise SoftTimeLimitError


@pytest.fixture
def limit():
    """Return a function in which a soft time limit strikes."""
    before = signal.signal(signal.SIGTERM, _limit)
    yield lambda: signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


def _lost():
    raise RuntimeError


def test_time_limits_are_no_trouble_of_a_device(limit):
    """What a signal's handler raises passes; what a device raises makes the copy ready, and refused when read."""
    kept = Deferred(limit, limit, limit, rows=2, size=16)
    for ask in (kept.is_ready, kept.wait, kept.array):
        with pytest.raises(SoftTimeLimitError):
            ask()
    kept = Deferred(_lost, _lost, _lost, rows=2, size=16)
    kept.wait()
    assert kept.is_ready()
    assert (kept.array().reason, kept.array().rows) == ("type", 2)


@pytest.mark.parametrize("how", ["call", "block"])
def test_time_limits_in_the_wait_for_a_device_cost_no_prediction(limit, monkeypatch, how):
    """A drain waits while the records are in their buffer, so the next one counts what this one did not."""
    waits = [limit, lambda: None]
    late = Deferred(lambda: False, lambda: waits.pop(0)() if waits else None, lambda: np.array([1, 0]), rows=2, size=16)
    monkeypatch.setattr("modelmon.copies.keep", lambda _: late)
    own = Monitor()
    if how == "call":
        own(model="m", task=Multiclass())(lambda: [1, 0])()
    else:
        with own.call(model="m", task=Multiclass()) as call:
            call.predictions(None, object())
    assert own.home.attempt(lambda: None, 1.0, drain=True)
    with pytest.raises(SoftTimeLimitError):
        own.snapshot()
    snapshot = own.snapshot()
    assert (snapshot["m"].calls, snapshot["m"].predictions, dict(snapshot["m"].rejected)) == (1, 2, {})
    assert [point.value for point in snapshot.points() if point.name == "modelmon.self.dropped" and point.value] == []
