"""Keep tensors of torch, JAX and TensorFlow without ever waiting for a device.

1. A tensor in host memory is copied at once.
2. A CUDA tensor is copied to pinned memory on the current stream, and an event recorded behind the copy.
3. While the stream is being captured into a graph, any such work would become part of the graph: it is rejected.
4. Whoever reads the copy may ask its event during a capture of whatever thread: it is asked so that none is spoilt.
5. Arrays of JAX and TensorFlow that are still being computed cannot change, so a reference stands for the copy until
   it is read; they offer no other way that does not wait.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from modelmon.copies.arrays import keep_array, keep_scalar, rows_of
from modelmon.copies.captures import aside
from modelmon.copies.kept import Deferred, Rejection

_SINGLE = 4  # bytes: narrower floats have no counterpart in numpy, or a slow one
_ROW_DIMENSIONS = 2


def keep_torch(value: Any) -> Any:
    """Keep a torch tensor."""
    device = value.device.type
    if device not in {"cpu", "cuda"} or value.is_complex() or str(value.layout) != "torch.strided":
        return Rejection("type", rows_of(value))
    if value.dim() > _ROW_DIMENSIONS:
        return Rejection("shape", rows_of(value))
    if device == "cuda":
        return _keep_cuda(value)
    value = value.detach()
    if value.dim() <= 1 and value.numel() == 1:
        return value.item()
    return _host_array(value, copy=True)


def _host_array(value: Any, *, copy: bool) -> Any:
    """Return a tensor in host memory as a numpy array, narrow floats widened to float32."""
    if value.is_floating_point() and value.element_size() < _SINGLE:
        return value.float().numpy()
    return (value.clone() if copy else value).numpy()


def _keep_cuda(value: Any) -> Any:
    torch = sys.modules["torch"]
    if torch.cuda.is_current_stream_capturing():
        return Rejection("capture", rows_of(value))
    value = value.detach()
    host = torch.empty(value.shape, dtype=value.dtype, device="cpu", pin_memory=True)
    host.copy_(value, non_blocking=True)
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(value.device))
    return Deferred(
        partial(aside, event.query),
        partial(aside, event.synchronize),
        partial(_host_array, host, copy=False),
        rows=rows_of(value),
        size=int(value.numel() * value.element_size()),
    )


def keep_jax(value: Any) -> Any:
    """Keep a concrete JAX array."""
    if len(value.shape) > _ROW_DIMENSIONS:
        return Rejection("shape", rows_of(value))
    if value.is_ready():
        return _keep_hosted(sys.modules["numpy"].asarray(value))
    value.copy_to_host_async()
    return Deferred(
        value.is_ready,
        value.block_until_ready,
        partial(_materialised, value),
        rows=rows_of(value),
        size=int(value.nbytes),
        computing=True,
    )


def keep_tensorflow(value: Any) -> Any:
    """Keep an eager TensorFlow tensor."""
    if len(value.shape) > _ROW_DIMENSIONS:
        return Rejection("shape", rows_of(value))
    if "CPU" in value.device:
        return _keep_hosted(value.numpy())
    finish = partial(_numpy_of, value)
    return Deferred(_always, _nothing, finish, rows=rows_of(value), size=8 * int(value.shape.num_elements() or 0))


def _keep_hosted(array: Any) -> Any:
    return keep_array(array, _no_objects) if hasattr(array, "ndim") and hasattr(array, "copy") else keep_scalar(array)


def _no_objects(elements: Any) -> Any:
    return Rejection("type", len(elements))


def _materialised(value: Any) -> Any:
    return keep_array(sys.modules["numpy"].asarray(value), _no_objects)


def _numpy_of(value: Any) -> Any:
    return _keep_hosted(value.numpy())


def _always() -> bool:
    return True


def _nothing() -> None:
    return
