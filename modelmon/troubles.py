"""The library's own troubles: what was dropped or went wrong, counted, and said once the recorder's lock is free.

With them stands what came in over HTTP, which an event loop counts and so must not wait for that lock.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from modelmon.forking import gate_timeouts
from modelmon.notices import REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelmon.callcounts import SeriesCounts
    from modelmon.parts import SeriesKey

    Arrival = tuple[str, tuple[str, ...]]


class Troubles:
    """Count troubles and failed exports, and hold the notices to be said; used with the recorder's lock held.

    Attributes:
        failures: failed exports, by (exporter, reason).
        successes: when each exporter did its work last, or was added, on the monotonic clock.
        issued: to be called for each receipt, by any thread.
        too_long: the same for each that would have been too long for anybody to read.
    """

    __slots__ = ("_arrived", "_long", "_notices", "_own", "_receipts", "failures", "issued", "successes", "too_long")

    def __init__(self) -> None:
        """Start without any."""
        self._own: dict[tuple[str, str], int] = {}
        self._arrived: dict[int, dict[Arrival, int]] = {}
        self._notices: dict[str, str] = {}
        self.failures: dict[tuple[str, str], int] = {}
        self.successes: dict[str, float] = {}
        self._receipts, self._long = count(), count()
        self.issued: Callable[[], int] = self._receipts.__next__
        self.too_long: Callable[[], int] = self._long.__next__

    def count(self, name: str, what: str, n: int) -> None:
        """Count a trouble of our own, such as a drop."""
        self._own[name, what] = self._own.get((name, what), 0) + n

    def arrived(self, name: str, key: tuple[str, ...], n: int) -> None:
        """Count what came in over HTTP, by any thread and without the lock: each thread counts by itself."""
        own = self._arrived.setdefault(get_ident(), {})
        own[name, key] = own.get((name, key), 0) + n

    def arrivals(self) -> list[tuple[Arrival, int]]:
        """Return what came in over HTTP by name of the count and key, thread after thread."""
        return [item for own in self._arrived.copy().values() for item in own.copy().items()]

    def counts(self, lost: int, unspooled: int, steps: int) -> dict[tuple[str, str], int]:
        """Return all troubles by (name, what).

        Args:
            lost: records that found no room in a buffer.
            unspooled: predictions that found no room on their way to the store.
            steps: jumps of the clock.
        """
        counts = dict(self._own)
        if lost:
            counts["dropped", "buffer_full"] = lost
        if unspooled:
            counts["dropped", "store_full"] = unspooled
        for event, counter in (("issued", self._receipts), ("too_long", self._long)):
            n = int(repr(counter)[6:-1])  # as a seat reads its counters
            if n:
                counts["receipts", event] = n
        if gate_timeouts():
            counts["internal_errors", "fork_gate_timeout"] = gate_timeouts()
        if steps:
            counts["sanitized", "clock_step"] = steps
        texts = sys.modules.get("modelmon.points.attributes")  # there once points were made
        if texts is not None and texts.changed_texts():
            counts["sanitized", "text"] = texts.changed_texts()
        points = sys.modules.get("modelmon.points.failures")
        for site, n in points.failures().items() if points is not None else ():
            counts["internal_errors", site] = n
        return counts

    def fail_export(self, exporter: str, reason: str) -> None:
        """Count an export that failed."""
        self.failures[exporter, reason] = self.failures.get((exporter, reason), 0) + 1

    def ages(self) -> dict[str, float]:
        """Return the seconds since each exporter did its work, by names of gauges."""
        now = monotonic()
        return {f"exporter_age:{name}": max(0.0, now - at) for name, at in list(self.successes.items())}

    def say(self, site: str, message: str) -> None:
        """Have a warning logged soon."""
        self._notices[site] = message

    def say_rejections(self, counted: Iterable[tuple[SeriesKey, SeriesCounts]]) -> None:
        """Have it logged which predictions could not be read since the last time."""
        for (model, _), series in counted:
            for reason, n in series.news.items():
                text = REASONS.get(reason, "it could not be read")
                if reason == "hook" and series.blamed:
                    text = ", ".join(series.blamed)
                self.say(
                    f"rejected:{model}:{reason}", f"model {model!r}: {n} prediction(s) not counted, {reason}: {text}"
                )
            series.news.clear()
            series.blamed.clear()

    def said(self) -> dict[str, str]:
        """Return the notices to be said now, and forget them."""
        said, self._notices = self._notices, {}
        return said
