"""When to try again what failed: after one second, then two, four and so on up to a minute."""

from __future__ import annotations

from typing import Final

_FIRST_NS: Final = 1_000_000_000
_LONGEST_NS: Final = 60_000_000_000


class Backoff:
    """Wait longer after each failure in a row.

    >>> backoff = Backoff()
    >>> backoff.fail(0), backoff.is_due(999_999_999), backoff.is_due(1_000_000_000)
    (None, False, True)
    """

    __slots__ = ("_due_ns", "_wait_ns")

    def __init__(self) -> None:
        """Start without a failure."""
        self._wait_ns = self._due_ns = 0

    def fail(self, now_ns: int) -> None:
        """Note a failure."""
        self._wait_ns = min(_LONGEST_NS, self._wait_ns * 2) or _FIRST_NS
        self._due_ns = now_ns + self._wait_ns

    def succeed(self) -> None:
        """Forget the failures."""
        self._wait_ns = self._due_ns = 0

    def is_due(self, now_ns: int) -> bool:
        """Tell whether it may be tried now."""
        return now_ns >= self._due_ns
