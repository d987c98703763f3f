"""Doubles for tests of readers and exporters."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
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
        self.troubles: Counter[tuple[str, str]] = Counter()
        self.successes: Counter[str] = Counter()
        self.asked = self.roused = 0

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

    def count(self, name: str, what: str) -> None:
        """Remember a trouble of the library's own."""
        self.troubles[name, what] += 1

    def succeeded(self, exporter: str) -> None:
        """Remember an exporter's success."""
        self.successes[exporter] += 1

    def watch_mistakes(self, witness: Any) -> None:
        """Remember who wants to be told."""
        self.witness = witness

    def leave_mistakes(self, witness: Any) -> None:
        """Forget who wanted to be told."""
        assert self.witness == witness
        self.witness = None

    def section(self, part: str) -> Any:
        """Measure nothing."""
        return nullcontext(part)

    def rouse(self) -> None:
        """Remember that a thread is to be started again."""
        self.roused += 1
