"""Probes: what turns the running world into records, without a lock or a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelmon.probes.seats import Seat
    from modelmon.probes.sites import UNREADABLE, Site
    from modelmon.probes.wrappers import watch

__all__ = ["UNREADABLE", "Seat", "Site", "watch"]

_PLACES = {"Seat": "seats", "Site": "sites", "UNREADABLE": "sites", "watch": "wrappers"}


def __getattr__(name: str) -> Any:
    """Load a name when it is first asked for: writing wrappers costs imports that not every process needs."""
    if name not in _PLACES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
