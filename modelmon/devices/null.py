"""No processors: what is used where nothing can be read, so that nothing is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelmon.devices.backend import DeviceLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.devices.facts import DeviceId, Reading, Tier


class NullBackend:
    """Know no device.

    Attributes:
        reason: why, for a person.
    """

    name = "null"

    def __init__(self, monotonic_ns: Callable[[], int] | None = None, reason: str = "") -> None:  # noqa: ARG002
        """Keep the reason."""
        self.reason = reason

    def open(self) -> None:
        """Do nothing."""

    def devices(self) -> list[DeviceId]:
        """Return none."""
        return []

    def capabilities(self, device: DeviceId) -> frozenset[str]:  # noqa: ARG002
        """Return none."""
        return frozenset()

    def read(self, device: DeviceId, tier: Tier) -> Reading:  # noqa: ARG002
        """Find no device.

        Raises:
            DeviceLost: always.
        """
        raise DeviceLost(device.id, "NotFound")

    def close(self) -> None:
        """Do nothing."""
