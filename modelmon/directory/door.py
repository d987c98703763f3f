"""The door: many read what lies in a directory, or one adds up; whoever waits too long goes away."""

from __future__ import annotations

import os
import time
from _thread import allocate_lock
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

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
        self._turn = allocate_lock()

    @contextmanager
    def passed(self, *, alone: bool) -> Iterator[bool]:
        """Try to go in for at most 50 milliseconds; yield whether that worked.

        Args:
            alone: let nobody else in, to change what lies there.

        Raises:
            OSError: when there is no such directory, or it cannot be written.
        """
        until = time.monotonic() + PATIENCE_S
        if not self._turn.acquire(timeout=PATIENCE_S):
            yield False
            return
        try:
            yield self._locked(fcntl.LOCK_EX if alone else fcntl.LOCK_SH, until)
        finally:
            self._unlock()
            self._turn.release()

    def forget(self) -> None:
        """Begin anew in a forked child; what the parent locked stays locked."""
        descriptor, self._descriptor = self._descriptor, None
        self._turn = allocate_lock()
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _locked(self, kind: int, until: float) -> bool:
        descriptor = self._open()
        while not _try(descriptor, kind):
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


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.lockf(descriptor, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
