"""Whether to read graphics processors at all, and how often."""

from __future__ import annotations

import os
from typing import Any, Final

from modelmon.devices.presence import is_present
from modelmon.notices import warn

VARIABLE: Final = "MODELMON_GPU"
"""``off`` forbids every call of a driver, whatever the program asks for."""
HERTZ: Final = 2.0
_OFF: Final = ("off", "0", "false", "no")
_ON: Final = ("", "on", "1", "true", "yes", "auto")


def rate(gpu: Any) -> float:
    """Return how many readings a second are wanted; 0 where none are.

    Args:
        gpu: the setting: ``"auto"``, False, or a number that asks for readings whether a driver is seen or not.
    """
    said = os.environ.get(VARIABLE, "").strip().lower()
    if gpu is False or said in _OFF:
        return 0.0
    if said not in _ON:
        warn("gpu:variable", f'{VARIABLE}={said!r} says nothing: "off" forbids every call of a driver', once=True)
    if gpu == "auto":
        return HERTZ if is_present() else 0.0
    return float(gpu)
