"""What PyTorch knows of the devices, where a program imported and initialised it; we do neither.

Its allocator says what this process holds of each device, where no driver can be asked.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from modelmon.devices.backend import BackendUnavailable, DeviceLost
from modelmon.devices.facts import DeviceId, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.facts import Tier


def initialised_cuda() -> Any:
    """Return ``torch.cuda`` where somebody initialised it in this process, else None."""
    torch = sys.modules.get("torch")
    try:
        cuda = None if torch is None else torch.cuda
        return cuda if cuda is not None and cuda.is_initialized() else None
    except Exception:
        return None


def uuids() -> list[str]:
    """Return the devices' UUIDs in CUDA's order; nothing unless all of them are known."""
    cuda = initialised_cuda()
    try:
        found = [] if cuda is None else [_uuid(cuda.get_device_properties(at)) for at in range(cuda.device_count())]
    except Exception:
        return []
    return [uuid for uuid in found if uuid is not None] if None not in found else []


def _uuid(properties: Any) -> str | None:
    uuid = getattr(properties, "uuid", None)
    if uuid is None:
        return None
    text = str(uuid)
    return text if text.startswith(("GPU-", "MIG-")) else f"GPU-{text}"


class TorchBackend:
    """Say what PyTorch's allocator holds, without a driver call."""

    name = "torch"

    def __init__(self, monotonic_ns: Callable[[], int] = perf_counter_ns) -> None:
        """Touch nothing yet."""
        self._clock = monotonic_ns
        self._places: dict[str, int] = {}

    def open(self) -> None:
        """Find out which devices PyTorch uses.

        Raises:
            BackendUnavailable: when nobody initialised CUDA in this process, or PyTorch knows no UUIDs.
        """
        found = uuids()
        if not found:
            reason = "PyTorch did not initialise CUDA in this process"
            raise BackendUnavailable(reason)
        self._places = {uuid: place for place, uuid in enumerate(found)}

    def devices(self) -> list[DeviceId]:
        """Return PyTorch's devices in its order."""
        cuda = initialised_cuda()
        if cuda is None:
            return []
        vendor = "amd" if getattr(sys.modules["torch"].version, "hip", None) else "nvidia"
        return [DeviceId(uuid, vendor, cuda.get_device_properties(at).name) for uuid, at in self._places.items()]

    def capabilities(self, device: DeviceId) -> frozenset[str]:  # noqa: ARG002
        """Return the one thing that an allocator knows."""
        return frozenset(("process_memory",))

    def read(self, device: DeviceId, tier: Tier) -> Reading:  # noqa: ARG002
        """Return the bytes that PyTorch's allocator holds of a device.

        Raises:
            DeviceLost: when CUDA fails.
        """
        at = self._clock()
        cuda = initialised_cuda()
        place = self._places.get(device.id)
        if cuda is None or place is None:
            raise DeviceLost(device.id, "NotInitialized")
        try:
            held = cuda.memory_stats(place).get("reserved_bytes.all.current")
        except Exception as error:
            raise DeviceLost(device.id, type(error).__name__) from error
        return Reading(at, proc_mem=held)

    def close(self) -> None:
        """Forget the devices."""
        self._places = {}
