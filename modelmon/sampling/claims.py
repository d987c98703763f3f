"""Claims: which of several processes of a machine shows a device, so that sums over processes are right.

A claim is a lock on a file, which the system lets go of when its process ends, however it ends.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from modelmon.devices.presence import is_pretended

try:
    import fcntl
except ImportError:  # a system without such locks: everybody shows
    fcntl = None  # type: ignore[assignment]


class Claim:
    """The right to show one device; asked for again and again until it is had."""

    __slots__ = ("_alone", "_descriptor", "_path", "_private")

    def __init__(self, device: str, directory: str | None) -> None:
        """Name the file; nothing is opened yet.

        Args:
            device: the UUID.
            directory: of the machine, shared by the processes that are to agree; the user's temporary files if None.
        """
        safe = "".join(char if char.isalnum() or char == "-" else "_" for char in device)
        if directory is None:
            self._path = Path(_temporary(), f"modelmon-{getattr(os, 'getuid', int)()}-{safe}.lock")
        else:
            self._path = Path(directory, f"{safe}.lock")
        self._descriptor = -1
        self._private = directory is None
        self._alone = fcntl is None or (directory is None and is_pretended())

    def held(self) -> bool:
        """Tell whether this process has the claim now; asks for it if not."""
        if self._alone or self._descriptor >= 0:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return self._private and not os.path.lexists(
                self._path
            )  # nobody can claim here, so each shows what it sees
        try:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._descriptor, descriptor = descriptor, -1
        except OSError:  # somebody else has it
            pass
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return self._descriptor >= 0

    def drop(self) -> None:
        """Let go of it; in a forked child, of the parent's, which the parent keeps."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # a machine on which nothing can be written
        return os.sep
