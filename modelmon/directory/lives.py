"""Lives: how processes know which others live.

A process locks a file of its own for as long as it lives; the kernel frees the lock however it ends.
These are record locks, which belong to one process and one file:

1. A forked child does not inherit them, so no child keeps its parent alive.
2. To close *any* descriptor of the file drops them, so a process never opens a file of its own a second time.
"""

from __future__ import annotations

import os
from _thread import RLock
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from modelmon.directory.place import HALF

try:
    import fcntl
except ImportError:  # refused at set-up
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from pathlib import Path

FLAGS: Final = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Lives:
    """Hold the locks of this process, and try those of others."""

    __slots__ = ("_closing", "_held")

    def __init__(self) -> None:
        """Hold none."""
        self._held: dict[str, int] = {}
        self._closing = RLock()  # what is closed here may be another file's the next moment

    def begin(self, path: Path) -> None:
        """Hold the lock of a file from now on, and make sure that it lies where others look for it.

        Raises:
            OSError: when the file cannot be made or locked.
        """
        held = self._held.get(path.name)
        if held is not None and _is_at(held, path):
            return
        half = path.with_name(path.name + HALF)
        new = os.open(half, FLAGS | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            fcntl.lockf(new, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._held[path.name] = new  # before another thread can find the file, and open it
            half.replace(path)  # nobody ever sees it unlocked
        except BaseException:
            with self._closing:
                if held is None:
                    self._held.pop(path.name, None)
                else:
                    self._held[path.name] = held
                os.close(new)
            raise
        if held is not None:
            with self._closing:
                os.close(held)

    def hold(self) -> None:
        """Lock again what this process holds: a program that reads such a file, as for a backup, drops the lock."""
        for name in list(self._held):
            with self._closing, suppress(OSError, KeyError):
                fcntl.lockf(self._held[name], fcntl.LOCK_EX | fcntl.LOCK_NB)

    def end(self, path: Path) -> None:
        """Hold the lock of a file no longer, so that others take what counted there for ended; without it, nothing."""
        with self._closing:
            held = self._held.pop(path.name, None)
            if held is not None:
                with suppress(OSError):
                    os.close(held)

    def is_over(self, path: Path) -> bool:
        """Tell whether the process that locked a file has ended; not where that cannot be told."""
        if path.name in self._held:
            return False
        try:
            other = os.open(path, FLAGS)
        except OSError:
            return False
        try:
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(other)
        return True

    def forget(self) -> None:
        """Let go of what a parent holds; its locks stay."""
        self._closing = RLock()
        held, self._held = self._held, {}
        for descriptor in held.values():
            with suppress(OSError):
                os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there, here = os.lstat(path), os.fstat(descriptor)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
