"""Whether to read graphics processors at all, and how often."""

from __future__ import annotations

import os
from typing import Any, Final

from modelmon.devices.presence import is_present

VARIABLE: Final = "MODELMON_GPU"
"""``off`` forbids every call of a driver, whatever the program asks for."""
HERTZ: Final = 2.0
_OFF: Final = ("off", "0", "false", "no")


def rate(gpu: Any) -> float:
    """Return how many readings a second are wanted; 0 where none are.

    Args:
        gpu: the setting: ``"auto"``, False, or a number that asks for readings whether a driver is seen or not.
    """
    if gpu is False or os.environ.get(VARIABLE, "").strip().lower() in _OFF:
        return 0.0
    if gpu == "auto":
        return HERTZ if is_present() else 0.0
    return float(gpu)
