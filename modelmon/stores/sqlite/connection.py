"""A connection that nobody closed: ended quietly when it is collected, by the process that opened it only."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import Any


class QuietConnection(sqlite3.Connection):
    """Close itself, without the warning of Python 3.13 and later: what was written is safe, and stores need no end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what ``sqlite3.connect`` takes."""
        super().__init__(*args, **kwargs)
        self._pid = os.getpid()

    def __del__(self) -> None:
        """Close it, unless a fork inherited it."""
        with contextlib.suppress(Exception):
            if self._pid == os.getpid():
                self.close()
