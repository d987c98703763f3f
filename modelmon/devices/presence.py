"""Whether a driver of graphics processors seems to be here, asked of the file system and never of the driver."""

from __future__ import annotations

import os
from typing import Final

NODES: Final = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd", "/dev/nvhost-gpu")
_pretended: list[object] = []


def is_present() -> bool:
    """Tell whether a driver's device node exists, or a test pretends that one does."""
    return bool(_pretended) or any(os.path.exists(node) for node in NODES)  # noqa: PTH110  (a call less of pathlib)


def is_pretended() -> bool:
    """Tell whether a double stands in for a driver, so that other processes have nothing to do with its devices."""
    return bool(_pretended)


def pretend(who: object) -> None:
    """Have a driver be present from now on, for a double of one."""
    _pretended.append(who)


def stop_pretending(who: object) -> None:
    """Take back one ``pretend``."""
    _pretended.remove(who)
