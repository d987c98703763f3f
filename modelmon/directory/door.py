"""The door: one process at a time adds up what lies in a directory; whoever waits too long goes away."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from modelmon.directory.lives import FLAGS

try:
    import fcntl
except ImportError:  # refused at set-up
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S: Final = 0.05
_POLL_S: Final = 0.002


class Door:
    """Hold the lock of a directory; record locks belong to the process, so its own threads take turns besides."""

    __slots__ = ("_descriptor", "_path", "_turn")

    def __init__(self, path: Path) -> None:
        """Prepare; nothing is opened."""
        self._path = path
        self._descriptor: int | None = None
        self._turn = RLock()  # of the kind that gevent wants by now

    @contextmanager
    def turn(self, patience: float) -> Iterator[bool]:
        """Try to be the only thread of this process that reads or adds up; yield whether that worked.

        Args:
            patience: seconds.
        """
        if _owned(self._turn):  # a signal handler, while this thread reads
            yield False
            return
        try:
            yield self._turn.acquire(timeout=patience)
        finally:  # also where a signal strikes before that has returned
            if _owned(self._turn):
                self._turn.release()

    @contextmanager
    def passed(self) -> Iterator[bool]:
        """Try to go in alone, for at most 50 milliseconds; yield whether that worked.

        Raises:
            OSError: when there is no such directory, or it cannot be written.
        """
        until = time.monotonic() + PATIENCE_S
        with self.turn(PATIENCE_S) as ours:
            try:
                yield ours and self._locked(until)
            finally:
                if ours:
                    self._unlock()

    def forget(self) -> None:
        """Begin anew in a forked child; what the parent locked stays locked."""
        descriptor, self._descriptor = self._descriptor, None
        self._turn = RLock()
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _locked(self, until: float) -> bool:
        descriptor = self._open()
        while not _try(descriptor):
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_S)
        return True

    def _unlock(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def _open(self) -> int:
        """Open the file, and open it anew where somebody took it away."""
        if self._descriptor is not None:
            with suppress(FileNotFoundError):
                there, here = os.lstat(self._path), os.fstat(self._descriptor)
                if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                    return self._descriptor
            old, self._descriptor = self._descriptor, None
            os.close(old)
        self._descriptor = os.open(self._path, FLAGS | os.O_CREAT, 0o600)
        return self._descriptor


def _owned(lock: Any) -> bool:
    return bool(lock._is_owned())  # noqa: SLF001  (as the recorder asks of its lock)


def _try(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
