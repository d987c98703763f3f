"""Failures: models whose points could not be made, which are left out, counted and told of, and silence no other."""

from __future__ import annotations

from typing import Final

from modelmon import notices
from modelmon.forking import renew_in_child


class _Failures:
    """Count failures of this process by the class of what was raised."""

    def __init__(self) -> None:
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        self.counted: dict[str, int] = {}


_failures: Final = _Failures()


def failures() -> dict[str, int]:
    """Return how often the points of a model could not be made, by ``points:`` and what was raised, in this process."""
    return _failures.counted.copy()


def fail(model: str, version: str, error: Exception) -> None:
    """Count a model left out, and say so."""
    site = f"points:{type(error).__name__}"
    _failures.counted[site] = _failures.counted.get(site, 0) + 1
    told = f"model {model!r}, version {version!r} is not exported, {type(error).__name__}"
    notices.warn(f"points:{model}:{version}", f"{told}: a fault of modelmon itself, please report it")
