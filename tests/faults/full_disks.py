"""Programs for a process of their own, whose disk is full, or whose directory cannot be written, and is again later."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path

from faulty_hosts import Host

from modelmon import SQLiteStore


def sound(path: Path) -> None:
    """Check a file with SQLite itself."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not list(path.parent.glob("*.corrupt-*"))


def tmpfs(folder: Path) -> None:
    """Fill a small file system, and make room again."""
    ballast = folder / "ballast"

    def fill() -> None:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

    path = folder / "labels.db"
    host = Host(SQLiteStore(path))
    host.endure(fill, ballast.unlink, {"full"})
    host.endure(fill, ballast.unlink, {"full"})
    host.close()
    sound(path)


def limited(folder: Path) -> None:
    """Let no file grow, and lift that again."""
    path = folder / "labels.db"
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    host = Host(SQLiteStore(path))
    host.endure(
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, most)),
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        {"full", "other"},
    )
    host.close()
    sound(path)


def closed_directory(folder: Path) -> None:
    """Begin where nothing may be written, and be let in later."""
    refused(folder, SQLiteStore(folder / "labels.db"))


def readonly_file(folder: Path) -> None:
    """Begin with a file that may only be read, and be allowed to write later."""
    path = folder / "labels.db"
    host = Host(SQLiteStore(path))
    host.close()
    first = SQLiteStore(path)
    Host(first).label(0, 1)
    first.close()
    refused(path, SQLiteStore(path))


def refused(what: Path, store: SQLiteStore) -> None:
    """Work while something may not be written, and after it may."""
    mode = what.stat().st_mode
    what.chmod(mode & ~0o222)
    if os.access(what, os.W_OK):
        print("skip: this process may write wherever it likes")  # noqa: T201
        return
    host = Host(store)
    host.call(3000)
    assert host.label(0, 100) in {"permission", "readonly"}, host.label(0, 100)
    assert host.errors() <= {"permission", "readonly"}
    assert host.points()["store.spooled",] > 0
    what.chmod(mode)
    host.recover()
    assert host.label(0, 1000) == ""
    host.check()
    host.close()


if __name__ == "__main__":
    {"tmpfs": tmpfs, "limited": limited, "closed": closed_directory, "readonly": readonly_file}[sys.argv[1]](
        Path(sys.argv[2])
    )
