"""What begins anew in a forked child: one hook for the whole library, holding nothing alive and never raising."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """Something with threads, locks or counts that a child must not inherit."""

    def renew(self) -> None:
        """Begin anew in a child; runs in the child before any code of the user, so it takes no inherited lock."""
        ...


_renewables: weakref.WeakSet[Renewable] = weakref.WeakSet()
_hooked: list[bool] = []


def renew_in_child(thing: Renewable) -> None:
    """Have ``thing.renew()`` called in every forked child, for as long as the thing lives."""
    _renewables.add(thing)
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked.append(True)
        os.register_at_fork(after_in_child=_renew_all)


def _renew_all() -> None:
    for thing in list(_renewables):
        try:
            thing.renew()
        except Exception:  # noqa: S112  (a fork hook that raises would print into the host's stderr)
            continue
