"""What SQLite's errors mean for a store."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING, Final

from modelmon.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

TROUBLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises."""
_KINDS: Final = (
    ("malformed", "corrupt"),
    ("not a database", "corrupt"),
    ("unsupported file format", "corrupt"),
    ("no such", "schema"),
    ("has no column", "schema"),
    ("values were supplied", "schema"),
    ("Could not decode", "corrupt"),
    ("locked", "locked"),
    ("is full", "full"),
    ("readonly", "readonly"),
    ("read-only", "readonly"),
    ("unable to open", "permission"),
)
_ADVICE: Final = {
    "locked": "another process has been writing for too long; the same call may be repeated",
    "full": "there is no space left; the same call may be repeated once there is",
    "readonly": "the file or its directory cannot be written",
    "permission": "the file or its directory cannot be opened; look at their permissions",
    "schema": "somebody changed its tables; move the file away for the store to begin a new one",
    "corrupt": "the file is damaged, and a new one is begun",
}

_REFUSALS: Final = {
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EROFS: "readonly",
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
}


def told(error: Exception, path: Path) -> StoreError:
    """Return the store's error for one of SQLite's; its ``kind`` says what is wrong.

    SQLite quotes a damaged schema in its messages, which the module may then fail to decode, or gives none at all.
    """
    speechless = isinstance(error, UnicodeDecodeError) or (type(error) is sqlite3.DatabaseError and not str(error))
    text = "the schema is malformed" if speechless else str(error)
    kind = next((kind for part, kind in _KINDS if part in text), "other")
    if kind == "permission" and os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK):
        kind = "other"  # too many open files, say
    advice = f"; {_ADVICE[kind]}" if kind in _ADVICE else ""
    return StoreError(f"nothing was written to {path}: {text}{advice}", kind=kind)


def refused(error: OSError, path: Path) -> StoreError:
    """Return the store's error for one of the operating system's."""
    kind = _REFUSALS.get(error.errno or 0, "other")
    return StoreError(f"cannot make {path}: {error.strerror or type(error).__name__}", kind=kind)
