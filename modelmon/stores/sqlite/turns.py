"""Whose turn it is: one thread of a process at a time uses its connection, and none while the process forks."""

from __future__ import annotations

import threading

from modelmon.errors import StoreError


class Turn:
    """A lock that one thread may take and another give back, and that a fork may take away."""

    def __init__(self, timeout: float) -> None:
        """Let anybody take it.

        Args:
            timeout: seconds to wait for it.
        """
        self._timeout = timeout
        self._lock = threading.Lock()
        self._taken_by = 0
        self._resting = False

    def is_taken(self) -> bool:
        """Return whether somebody has it."""
        return self._taken_by != 0

    def take(self) -> None:
        """Wait for it.

        Raises:
            StoreError: when another transaction of this process does not end in time, or is this thread's own.
        """
        if self._taken_by == threading.get_ident() or not self._lock.acquire(timeout=self._timeout):
            message = "a transaction of this process has not ended; the same call may be repeated"
            raise StoreError(message, kind="locked")
        self._taken_by = threading.get_ident()

    def give(self) -> None:
        """Give it back."""
        self._taken_by = 0
        self._lock.release()

    def claim(self) -> bool:
        """Have it, whoever took it; return False where it was taken away for a fork."""
        self._taken_by = threading.get_ident()
        self._lock.acquire(blocking=False)
        if self._resting:
            self._taken_by = 0
        return not self._resting

    def rest(self, timeout: float) -> bool:
        """Take it away until `wake`; return whether that was possible."""
        taken_away = self._taken_by != threading.get_ident() and self._lock.acquire(timeout=timeout)
        self._resting |= taken_away  # another thread may fork at the same time
        return taken_away

    def wake(self) -> None:
        """Let others take it again, if it was taken away."""
        if self._resting:
            self._resting = False
            self._lock.release()
