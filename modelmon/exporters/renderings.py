"""Renderings: what was shown last, so that many scrapes at once cost few.

Rules:

1. A scrape gets what was known when it came, as long as scrapes come at the pace of people and servers.
2. Past a handful of renderings, one a second is made, and a scrape may get one that is up to a second old.
3. One is made at a time; whoever waited for one that was begun after they had come gets that one.
4. Of two answers in one format, the later one is never older: counters never step back.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from modelmon.forking import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.exporters.exposition import Format
    from modelmon.exporters.wire import Response

AGE_S: Final = 1.0
BURST: Final = 5


class Renderings:
    """Make answers by ``render`` and keep the last one of each format for a moment; any thread may ask."""

    def __init__(self, render: Callable[[Format], Response], *, clock: Callable[[], float] = monotonic) -> None:
        """Start without any."""
        self._render = render
        self._clock = clock
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget all, and the lock that another thread may hold in the parent."""
        self._lock = threading.RLock()
        self._kept: dict[Format, tuple[float, Response]] = {}
        self._left = float(BURST)
        self._filled_at = self._clock()

    def get(self, wanted: Format) -> Response:
        """Return an answer in this format."""
        came = self._clock()
        with self._lock:
            kept = self._kept.get(wanted)
            if kept is not None and (kept[0] >= came or self._spent(kept[0])):
                return kept[1]
            begun = self._clock()
            self._left -= 1
            response = self._render(wanted)
            self._kept[wanted] = (begun, response)
            return response

    def _spent(self, begun: float) -> bool:
        """Tell whether what was begun then must do."""
        now = self._clock()
        self._left = min(float(BURST), max(0.0, self._left) + (now - self._filled_at) / AGE_S)
        self._filled_at = now
        return self._left < 1 and now - begun < AGE_S
