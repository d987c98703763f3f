"""Leasing: which of many processes shows exporters what they share, so that sums over processes are right.

The lease is kept in the store and ends by itself, so that another process takes over where its holder is gone.
It is asked for only when a reader reads, and extended while that reader keeps coming.
A program that ends gives it back; one that is killed cannot, and holds it until it ends.
Who serves a store (``modelmon serve``) goes before all that merely use it: it has a lease of its own, and as long as
somebody holds that one, nobody else shows the store.
"""

from __future__ import annotations

import os
from binascii import hexlify
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from modelmon.parts import Part
    from modelmon.stores.contract import Store

LEASE_S: Final = 15.0
LAST_KNOWN_S: Final = 60.0
SERVING: Final = "serve"
SERVING_S: Final = 120.0
"""Name and length of the lease of who serves a store; it is extended by scrapes alone."""
READ_S: Final = 300.0
"""How long after a reader's last look the lease is extended; scrapes are rarely further apart."""


class Latest(Protocol):
    """What processes showed last of a store that each of them shows."""

    def note(self, part: Part) -> None:
        """Note that a part is shown now."""
        ...

    def passed(self, part: Part) -> bool:
        """Tell whether a newer part of the store was shown than this one, or may have been."""
        ...


class Lease:
    """Hold one process's lease on showing a store, and the last part it read; one thread at a time.

    A store that nobody shares, or that keeps no leases, is always shown.
    """

    __slots__ = ("_ask_at", "_holder", "_known", "_left", "_read_at", "_until")

    def __init__(self) -> None:
        """Begin without a lease, under a name that no other process has."""
        self._holder = hexlify(os.urandom(16)).decode()
        self._ask_at = self._until = 0.0
        self._read_at = -READ_S
        self._known: tuple[float, Part] | None = None
        self._left = False

    @property
    def held(self) -> bool:
        """Whether a lease is held now."""
        return monotonic() < self._until

    def wanted(self) -> None:
        """Note that a reader reads now."""
        self._read_at = monotonic()

    def shows(self, store: Store) -> bool:
        """Tell whether this process shows the store; asks it at most every third of a lease."""
        if not _leases(store):
            return True
        now = monotonic()
        if now >= self._ask_at and not self._left:
            served = not store.lease(self._holder, 0.0, SERVING)  # type: ignore[attr-defined]  # asked for just now
            if served:
                self.release(store)
            held = not served and store.lease(self._holder, LEASE_S)  # type: ignore[attr-defined]
            self._ask_at = now + LEASE_S / 3
            self._until = now + LEASE_S if held else 0.0
        return now < self._until

    def leave(self) -> None:
        """Ask for none any more, and hold what is held only until it is given back."""
        self._left = True

    def extend(self, store: Store) -> None:
        """Keep a lease that is held, while a reader reads."""
        if self.held and monotonic() - self._read_at < READ_S:
            self.shows(store)

    def keep(self, part: Part, among: Latest | None) -> None:
        """Remember what was read now."""
        self._known = (monotonic(), part)
        if among is not None:
            among.note(part)

    def last_known(self, store: Store, among: Latest | None) -> Part | None:
        """Return the last part that was read, while it is young and no other process can have shown a newer one."""
        if self._known is None or monotonic() - self._known[0] >= LAST_KNOWN_S:
            return None
        part = self._known[1]
        lost = _leases(store) and not self.held if among is None else among.passed(part)
        return None if lost else part

    def release(self, store: Store) -> None:
        """Give the lease back, if one is held."""
        if self.held:
            store.release(self._holder)  # type: ignore[attr-defined]  # a store that leases also takes back
        self._ask_at = self._until = 0.0


def _leases(store: Store) -> bool:
    return store.shared and callable(getattr(store, "lease", None))
