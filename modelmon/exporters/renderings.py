"""Renderings: what was shown last, so that many scrapes at once cost few.

Rules:

1. A scrape gets what was known when it came, as long as scrapes come at the pace of people and servers.
2. Past a handful of readings, one a second is made, and a scrape may get what is up to a second old.
3. One is made at a time; whoever waited for one that was begun after they had come gets that one.
4. All formats show the same reading: of two answers, in whatever formats, the later one is never older, so counters
   never step back.
5. A reading is kept beside its answers only while scrapes may have to do with it.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from modelmon.forking import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.exporters.exposition import Format
    from modelmon.exporters.wire import Response

AGE_S: Final = 1.0
BURST: Final = 5

T = TypeVar("T")


class Renderings(Generic[T]):
    """Make answers by ``render`` of what ``read`` gives, and keep the last ones for a moment; any thread may ask."""

    def __init__(
        self,
        read: Callable[[], T],
        render: Callable[[T, Format], Response],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start without any."""
        self._read = read
        self._render = render
        self._clock = clock
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget all, and the lock that another thread may hold in the parent."""
        self._lock = threading.RLock()
        self._kept: tuple[T, ...] = ()
        self._answers: dict[Format, Response] = {}
        self._begun = -float("inf")
        self._left = float(BURST)
        self._filled_at = self._clock()

    def get(self, wanted: Format) -> Response:
        """Return an answer in this format."""
        came = self._clock()
        with self._lock:
            fresh = self._begun >= came or self._spent()
            if fresh and wanted in self._answers:
                return self._answers[wanted]
            facts = self._kept[0] if fresh and self._kept else self._renewed()
            response = self._answers[wanted] = self._render(facts, wanted)
            return response

    def _renewed(self) -> T:
        """Read anew, and let go of what was made of the last reading."""
        self._begun = self._clock()
        self._left -= 1
        self._kept, self._answers = (), {}
        facts = self._read()
        if self._left < 1:  # before there is another, someone may ask for it in another format
            self._kept = (facts,)
        return facts

    def _spent(self) -> bool:
        """Tell whether the last reading must do."""
        now = self._clock()
        self._left = min(float(BURST), max(0.0, self._left) + (now - self._filled_at) / AGE_S)
        self._filled_at = now
        return self._left < 1 and now - self._begun < AGE_S
