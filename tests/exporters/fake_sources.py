"""Doubles for tests of readers and exporters."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeSource:
    """A monitor as readers see it: hands out what it is given and remembers the failures."""

    def __init__(self, snapshot: Any = None, *, strict: bool = False) -> None:
        """Hand out this snapshot, or what this function returns."""
        self.make: Callable[[], Any] = snapshot if callable(snapshot) else lambda: snapshot
        self.strict = strict
        self.failures: Counter[tuple[str, str]] = Counter()
        self.asked = 0

    def snapshot(self) -> Any:
        """Return the snapshot."""
        self.asked += 1
        return self.make()

    def scraped(self) -> Any:
        """Return the snapshot."""
        return self.snapshot()

    def count_failure(self, exporter: str, reason: str) -> None:
        """Remember a failure."""
        self.failures[exporter, reason] += 1
