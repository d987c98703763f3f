"""The directory itself: which files lie in it, who may use it, and how a file is replaced as a whole.

| file | what it holds |
|---|---|
| ``labels.db`` | the store, unless another is chosen |
| ``latest`` | how far the store was when a process last showed it |
| ``ended.part`` | what processes counted that have ended, added up |
| ``fold.lock`` | held shared by who reads, alone by who adds up |
| ``<file>.damaged-<time>`` | a file of counts that cannot be read, put aside |
| ``workers/<origin>.part`` | what one process counted; its own writer alone replaces it |
| ``workers/<origin>.live`` | locked by that process for as long as it lives |
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

PART: Final = ".part"
LIVE: Final = ".live"
HALF: Final = ".tmp"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Place:
    """Name the files of a directory, and read and replace them.

    Attributes:
        root: the directory.
        workers: where processes keep what they counted.
        ended: the file of the processes that ended.
        latest: the file that says how far the store was that was shown last.
        door: the file whose lock orders reading and adding up.
        store: the file of the store.
    """

    __slots__ = ("door", "ended", "latest", "root", "store", "workers")

    def __init__(self, root: str) -> None:
        """Name the files; nothing is touched."""
        self.root = Path(root)
        self.workers = self.root / "workers"
        self.ended = self.root / f"ended{PART}"
        self.latest = self.root / "latest"
        self.door = self.root / "fold.lock"
        self.store = self.root / "labels.db"

    def part(self, origin: str) -> Path:
        """Return the file of what a process counted."""
        return self.workers / f"{origin}{PART}"

    def live(self, origin: str) -> Path:
        """Return the file that a process holds locked while it lives."""
        return self.workers / f"{origin}{LIVE}"

    def found(self) -> dict[str, set[str]]:
        """Return the endings of the files that lie there, by origin; none where there is no directory."""
        found: dict[str, set[str]] = {}
        with suppress(FileNotFoundError):
            for name in os.listdir(self.workers):  # noqa: PTH208  (names are enough, and there may be many)
                origin, dot, ending = name.partition(".")
                if origin and dot:
                    found.setdefault(origin, set()).add(dot + ending)
        return found

    def make(self) -> None:
        """Make the directories, or check those that are there.

        Raises:
            ConfigurationError: when others could change what lies there.
            OSError: when they cannot be made.
        """
        for folder in (self.root, self.workers):
            if not os.path.lexists(folder):
                with suppress(FileExistsError):
                    folder.mkdir(0o700, parents=True)
            _check(folder)

    def replace(self, path: Path, data: bytes) -> None:
        """Put a whole file in the place of the old one; a kill at any moment leaves the one or the other.

        Raises:
            OSError: when it cannot be written; the old one stays.
        """
        half = path.with_name(path.name + HALF)
        try:
            with open(os.open(half, _NEW, 0o600), "wb") as file:  # noqa: PTH123  (as only its owner may read it)
                file.write(data)
            half.replace(path)
        except OSError:
            with suppress(OSError):
                half.unlink()
            raise

    def put_aside(self, path: Path) -> None:
        """Have a damaged file lie in the directory itself under another name, for whoever can read it."""
        with suppress(FileNotFoundError):
            path.rename(self.root / f"{path.name}.damaged-{time.time_ns()}")

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove files; some may be gone already."""
        for path in paths:
            with suppress(FileNotFoundError):
                path.unlink()


def checked(root: str | os.PathLike[str]) -> str:
    """Return the full path of a directory that is safe to use; make it where it does not exist.

    Raises:
        ConfigurationError: when it cannot be made or written, or others could change what lies in it.
    """
    path = os.fspath(root) if isinstance(root, (str, os.PathLike)) else None
    if os.name != "posix":
        msg = "directory: this system lacks the locks that it needs; leave it out and let each process export by itself"
        raise ConfigurationError(msg)
    if not isinstance(path, str) or not path or "\x00" in path:
        msg = f"directory={root!r} is no path of a directory"
        raise ConfigurationError(msg)
    path = os.path.abspath(path)  # noqa: PTH100  (links are to be seen)
    try:
        Place(path).make()
    except OSError as error:
        msg = f"directory={path!r} cannot be made: {error.strerror or error}"
        raise ConfigurationError(msg) from error
    if not os.access(path, os.W_OK | os.X_OK | os.R_OK):
        msg = f"directory={path!r} cannot be written by this user"
        raise ConfigurationError(msg)
    return path


def _check(folder: Path) -> None:
    found = os.lstat(folder)
    why = ""
    if stat.S_ISLNK(found.st_mode):
        why = "is a link; give the directory that it leads to"
    elif not stat.S_ISDIR(found.st_mode):
        why = "is no directory"
    elif found.st_uid != os.geteuid():
        why = f"belongs to user {found.st_uid}, and this process runs as {os.geteuid()}: give one of its own"
    elif found.st_mode & stat.S_IWOTH:
        why = "can be written by everybody, who could put other files there: chmod o-w"
    if why:
        msg = f"directory: {folder} {why}"
        raise ConfigurationError(msg)
