"""Which backend reads the processors here: the first that opens, or the one that was asked for."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, cast

from modelmon import forking, notices
from modelmon.devices.backend import BackendUnavailable, Factory
from modelmon.devices.null import NullBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.backend import GpuBackend

GROUP: Final = "modelmon.gpu_backends"
OWN: Final = {
    "nvml": "modelmon.devices.nvml.backend:NvmlBackend",
    "amdsmi": "modelmon.devices.amdsmi:AmdSmiBackend",
    "torch": "modelmon.devices.torch_allocator:TorchBackend",
    "null": "modelmon.devices.null:NullBackend",
}


def factories() -> dict[str, Callable[[], Factory]]:
    """Return how to load each backend, in the order they are tried: drivers', other packages', PyTorch's, none."""
    others = {name: load for name, load in _entry_points().items() if name not in OWN}
    own = {name: _loader(target) for name, target in OWN.items()}
    return {"nvml": own["nvml"], "amdsmi": own["amdsmi"], **others, "torch": own["torch"], "null": own["null"]}


def choose(wish: str = "auto", monotonic_ns: Callable[[], int] = perf_counter_ns) -> GpuBackend:
    """Return an opened backend, the null one if none can be opened; say in one line which and why; never raise.

    Args:
        wish: ``auto``, or the name of a backend.
        monotonic_ns: the clock that readings are stamped by.
    """
    known = factories()
    if wish not in known and wish != "auto":
        return _told(NullBackend(), [f"{wish}: no backend of that name; there are {', '.join(known)}"])
    reasons: list[str] = []
    for name in known if wish == "auto" else (wish,):
        backend = _opened(name, known[name], monotonic_ns, reasons)
        if backend is not None:
            return _told(backend, reasons)
    return _told(NullBackend(), reasons)


def _opened(
    name: str, load: Callable[[], Factory], monotonic_ns: Callable[[], int], reasons: list[str]
) -> GpuBackend | None:
    try:
        backend = load()(monotonic_ns)
        backend.open()
    except BackendUnavailable as error:
        reasons.append(f"{name}: {error.reason}")
    except Exception as error:
        reasons.append(f"{name}: {type(error).__name__}")
    else:
        return backend
    return None


def _told(backend: GpuBackend, reasons: list[str]) -> GpuBackend:
    why = "; ".join(reasons)
    if isinstance(backend, NullBackend):
        backend.reason = why
        notices.inform(f"GPUs are not watched ({why})")
    else:
        notices.inform(f"GPUs are watched through {backend.name}" + (f" ({why})" if why else ""))
    return backend


def _loader(target: str) -> Callable[[], Factory]:
    module, _, name = target.partition(":")
    return lambda: cast("Factory", getattr(forking.load(module), name))


def _entry_points() -> dict[str, Callable[[], Factory]]:
    try:
        metadata: Any = forking.load("importlib.metadata")  # loads much, and only the sampler needs it
        return {point.name: point.load for point in metadata.entry_points(group=GROUP)}
    except Exception:
        return {}
