"""What a GPU backend is, for those written here and elsewhere, and how it says that it cannot go on.

Rules:

1. One thread uses a backend, the sampler's; nothing here is called on the path of a prediction.
2. ``open`` is the first that may touch the driver, or import what does.
3. ``read`` makes at most three driver calls on the fast tier, and stamps the time before them.
4. What the driver cannot say is None; only a device or driver that is gone raises.
5. After a fork nothing of the parent's backend is called, not even ``close``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from modelmon.errors import ModelmonError

if TYPE_CHECKING:
    from modelmon.devices.facts import BackendState, DeviceId, Reading, Tier


class BackendUnavailable(ModelmonError):  # noqa: N818  (the public contract names it so)
    """Report that a backend cannot be opened here, and why.

    Attributes:
        reason: one line for a person.
    """

    def __init__(self, reason: str) -> None:
        """Say why."""
        super().__init__(reason)
        self.reason = reason


class DeviceLost(ModelmonError):  # noqa: N818
    """Report that one device cannot be read at present; the backend itself tries it again, each time later.

    Attributes:
        device: the device's UUID.
        code: the driver's word for it, such as ``GpuIsLost``.
    """

    def __init__(self, device: str, code: str) -> None:
        """Say which and why."""
        super().__init__(f"{device}: {code}")
        self.device = device
        self.code = code


class BackendLost(ModelmonError):  # noqa: N818
    """Report that the driver as a whole is gone until this process is restarted.

    Attributes:
        code: the driver's word for it, such as ``LibRmVersionMismatch``.
    """

    def __init__(self, code: str) -> None:
        """Say why."""
        super().__init__(code)
        self.code = code


class GpuBackend(Protocol):
    """Read the graphics processors of one maker, or of one library."""

    name: str

    def open(self) -> None:
        """Get ready, in the sampler's thread.

        Raises:
            BackendUnavailable: when it cannot work here.
        """
        ...

    def devices(self) -> list[DeviceId]:
        """Return the devices that this process may use, none other."""
        ...

    def capabilities(self, device: DeviceId) -> frozenset[str]:
        """Return the words of ``facts.CAPABILITIES`` that hold for this device."""
        ...

    def read(self, device: DeviceId, tier: Tier) -> Reading:
        """Return a reading of a device.

        Raises:
            DeviceLost: when this device cannot be read at present.
            BackendLost: when no device will be read again in this process.
        """
        ...

    def close(self) -> None:
        """Let go of the driver; never raises, and may be called twice."""
        ...


@runtime_checkable
class Telling(Protocol):
    """What a backend may also have: an account of itself."""

    def state(self) -> BackendState:
        """Return what this backend has counted so far."""
        ...


Factory = Callable[[Callable[[], int]], GpuBackend]
"""What the entry points of the group ``modelmon.gpu_backends`` load: given a monotonic clock in ns, make a backend."""
