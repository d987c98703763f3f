"""The file of a store, and the directory around it: who may read them, and what becomes of a damaged one."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError, StoreError
from modelmon.forking import renew_in_child
from modelmon.stores.sqlite.schema import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

_MAGIC: Final = b"SQLite format 3\0"
_TRACES: Final = 1 << 16
_BESIDE: Final = ("-wal", "-shm", "-journal")
_POLL_S: Final = 0.01
Identity = tuple[int, int]


def identity(path: Path) -> Identity | None:
    """Return what tells a file from another of the same name; None where there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def size(path: Path) -> int:
    """Return the bytes of a file; 0 where there is none."""
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


@contextmanager
def alone(directory: Path, timeout: float) -> Iterator[None]:
    """Be the only process that makes a file in a directory, or takes one away; wait for others that do.

    Where the file system knows no locks of directories, all may.

    Raises:
        StoreError: when another process holds the directory for longer than ``timeout`` seconds.
    """
    if fcntl is None:
        yield
        return
    holder, process = os.open(directory, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)), os.getpid()
    _held.add(holder)
    try:
        until = time.monotonic() + timeout
        while not _locked(holder):
            if time.monotonic() > until:
                message = f"another process has been opening a store in {directory} for {timeout:g} s"
                raise StoreError(message, kind="locked")
            time.sleep(_POLL_S)
        yield
    finally:
        if os.getpid() == process:
            _held.discard(holder)
            with contextlib.suppress(OSError):  # a file system without such locks
                fcntl.flock(holder, fcntl.LOCK_UN)  # else a child forked just now would keep it
            os.close(holder)


class _Held:
    """The directories that this process holds; a child lets go of its copies, whose locks are its parent's."""

    def __init__(self) -> None:
        self._descriptors: set[int] = set()
        self.add, self.discard = self._descriptors.add, self._descriptors.discard
        renew_in_child(self)

    def renew(self) -> None:
        for descriptor in self._descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._descriptors.clear()


_held: Final = _Held()


def _locked(holder: int) -> bool:
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without such locks
        return True
    return True


def make_directory(directory: Path) -> None:
    """Make a directory that only its owner may enter, or check that nobody else can replace what lies in it.

    Raises:
        ConfigurationError: when everybody may rename what others put there.
    """
    for missing in reversed([parent for parent in (directory, *directory.parents) if not parent.exists()]):
        with contextlib.suppress(FileExistsError):
            missing.mkdir(0o700)
    mode = directory.stat().st_mode
    if os.name == "posix" and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        message = (
            f"everybody may write to {directory}, so anyone could put another file in the store's place: chmod o-w"
        )
        raise ConfigurationError(message)


def refuse_foreign(path: Path) -> None:
    """Refuse a file that never was a store, before anything is done to it; what is damaged may have been one.

    Raises:
        ConfigurationError: when it holds something else.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode) or Path(f"{path}{_BESIDE[0]}").exists():
            return
        with path.open("rb") as file:
            start = file.read(_TRACES)
    except OSError:  # it is not there, or whoever opens it is told more
        return
    whose = start[68:72]
    if start[:16] == _MAGIC:
        foreign = whose not in {APPLICATION_ID.to_bytes(4, "big"), bytes(4)}
    else:
        foreign = bool(start[:16].strip(b"\0")) and b"CREATE TABLE documents" not in start
    if foreign:
        message = f"{path} is a file of something else, and was never a store: give the store a file of its own"
        raise ConfigurationError(message)


def make_file(path: Path) -> None:
    """Make an empty file that only its owner may read, unless there is one; make sure of that.

    The file is never opened where it exists: to close it would drop the locks that this process has on it.

    Raises:
        ConfigurationError: when it is a link, or no file, or may have been put there by anybody.
    """
    if identity(path) is None:
        set_aside(path, None)  # what a deleted file has left must not become part of a new one
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600))
    found = os.lstat(path)
    mode = found.st_mode
    if not stat.S_ISREG(mode):
        message = f"{path} is a {'link' if stat.S_ISLNK(mode) else 'thing that is no file'}; a store keeps to a file"
        raise ConfigurationError(message)
    if os.name == "posix" and found.st_uid != os.geteuid() and path.parent.stat().st_mode & stat.S_IWOTH:
        message = (
            f"{path} belongs to somebody else, in a directory where everybody may make files: "
            "give the store a directory of its own"
        )
        raise ConfigurationError(message)
    if os.name == "posix" and mode & 0o077:
        with contextlib.suppress(PermissionError):  # somebody else's file, which we were let into
            path.chmod(0o600)
    if os.name == "posix" and mode & 0o200:
        _let_write(path)


def _let_write(path: Path) -> None:
    """Let what lies beside a file be written, as the file may be: SQLite made it when that could only be read."""
    for ending in _BESIDE:
        with contextlib.suppress(OSError):
            beside = Path(f"{path}{ending}")
            found = os.lstat(beside).st_mode
            if stat.S_ISREG(found) and not found & 0o200:
                beside.chmod(0o600)


def set_aside(path: Path, found: Identity | None) -> Path | None:
    """Rename a damaged file and what lies beside it, unless it is another file by now; return its new name."""
    if identity(path) != found:
        return None
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    for ending in ("", *_BESIDE):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{ending}").rename(f"{aside}{ending}")
    return aside
