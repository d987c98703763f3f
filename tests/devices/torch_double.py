"""A module in the place of PyTorch, as far as the backends look at it."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace


class Cuda:
    """``torch.cuda`` with devices of these UUIDs."""

    def __init__(self, *uuids: str | None) -> None:
        """Be initialised, with nothing allocated."""
        self.uuids = uuids
        self.initialised = True
        self.broken = False
        self.held = 0

    def is_initialized(self) -> bool:
        """Tell whether somebody used CUDA."""
        return self.initialised

    def device_count(self) -> int:
        """Return the number of devices."""
        if self.broken:
            message = "CUDA error: an illegal memory access was encountered"
            raise RuntimeError(message)
        return len(self.uuids)

    def get_device_properties(self, place: int) -> SimpleNamespace:
        """Return name, and UUID where the version has one."""
        uuid = self.uuids[place]
        named = {} if uuid is None else {"uuid": uuid}
        return SimpleNamespace(name=f"Double #{place}", **named)

    def memory_stats(self, _place: int) -> dict[str, int]:
        """Return what the allocator holds."""
        self.device_count()
        return {"reserved_bytes.all.current": self.held}


def module(*uuids: str | None, hip: str | None = None) -> ModuleType:
    """Return a module."""
    made = ModuleType("torch")
    made.cuda = Cuda(*uuids)  # type: ignore[attr-defined]
    made.version = SimpleNamespace(hip=hip)  # type: ignore[attr-defined]
    return made
