"""The store of one machine: a file that all its processes share.

``schema`` has the tables, ``files`` the file's safety, ``pragmas`` how SQLite is set up, ``opening``,
``access`` and ``turns`` the connection, ``writeahead`` its log, ``forks`` what a fork asks of it, ``segments``,
``recents`` and ``log`` where documents go, ``beside`` where all else goes, and ``database`` the Protocol that the store
is built on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from modelmon.stores.keeping import DatabaseStore
from modelmon.stores.sqlite.database import SQLiteDatabase

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["SQLiteDatabase", "SQLiteStore"]


class SQLiteStore(DatabaseStore):
    """Keep predictions and labels in an SQLite file, for all processes of a machine.

    What was confirmed survives a kill of any process at any moment.
    Labels survive a loss of power too; of predictions, it may take the last commits, whole.

    Args:
        path: the file; it is made readable for its owner only, and so is its directory where it has to be made.
        flush: ``"labels"`` flushes labels to disk before the call returns; ``"always"`` predictions as well.
        timeout: the most seconds to wait for another process that writes.

    Raises:
        ConfigurationError: when the path is none of a file.
    """

    def __init__(
        self, path: str | PathLike[str], *, flush: Literal["labels", "always"] = "labels", timeout: float = 5.0
    ) -> None:
        """Check the settings; the first use opens the file."""
        super().__init__(SQLiteDatabase(path, flush=flush, timeout=timeout))
