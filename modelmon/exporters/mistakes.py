"""A sample of wrong predictions, by id: as many as were asked for, drawn alike among all that were wrong."""

from __future__ import annotations

from hashlib import blake2b
from heapq import heappush, heapreplace
from threading import RLock
from typing import TYPE_CHECKING

from modelmon.forking import renew_in_child

if TYPE_CHECKING:
    from modelmon.events import Mistake


class Sample:
    """Keep those mistakes whose ids have the greatest hashes: the same ids whoever samples, however many there are.

    Any thread may tell it of mistakes, a signal handler too.
    """

    def __init__(self, size: int) -> None:
        """Keep so many."""
        self._size = size
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin anew, in a forked child too."""
        self._lock = RLock()
        self._kept: list[tuple[bytes, Mistake]] = []
        self._ids: dict[bytes, Mistake] = {}

    def tell(self, mistake: Mistake) -> None:
        """Take a mistake into account; told twice, it counts once."""
        place = blake2b("\0".join(mistake[:3]).encode("utf-8", "backslashreplace"), digest_size=16).digest()
        with self._lock:
            if place in self._ids:
                return
            if len(self._kept) < self._size:
                heappush(self._kept, (place, mistake))
            elif place > self._kept[0][0]:
                del self._ids[heapreplace(self._kept, (place, mistake))[0]]
            else:
                return
            self._ids[place] = mistake

    def take(self) -> list[Mistake]:
        """Return what was drawn since the last time, sorted."""
        with self._lock:
            found = sorted(self._ids.values())
            self._kept, self._ids = [], {}
        return found
