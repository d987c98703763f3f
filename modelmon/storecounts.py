"""What one process sees of its store: how long its calls take, and how they fail."""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np

from modelmon.tallies import Tally

_MOST: Final = 10_000
KINDS: Final = ("predict", "label", "read", "sweep")
T = TypeVar("T")


class StoreCounts:
    """Count the calls of a store; any thread notes them, and one at a time reads."""

    __slots__ = ("_errors", "_tally", "_times")

    def __init__(self) -> None:
        """Start at zero."""
        self._tally = Tally()
        self._times: list[tuple[str, int]] = []
        self._errors: list[str] = []

    def took(self, kind: str, nanoseconds: int) -> None:
        """Note a call that succeeded."""
        if len(self._times) < _MOST:
            self._times.append((kind, nanoseconds))

    def failed(self, kind: str) -> None:
        """Note an error by its kind."""
        if len(self._errors) < _MOST:
            self._errors.append(kind)

    def read(self) -> Tally:
        """Return what is counted, frozen."""
        self.settle()
        return self._tally.copy()

    def settle(self) -> None:
        """Count what was noted."""
        times = _taken(self._times)
        for kind in KINDS:
            told = [nanoseconds for which, nanoseconds in times if which == kind]
            if told:
                self._tally.durations(f"store_latency:{kind}").update(np.array(told, np.int64))
        for kind in _taken(self._errors):
            self._tally.counts("store_errors").add((kind,), 1)


def _taken(noted: list[T]) -> list[T]:
    taken = noted[:]
    del noted[: len(taken)]
    return taken
