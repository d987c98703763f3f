"""PostgreSQL as a store: labels that come weeks late, for many hosts; needs ``modelmon[postgres]``.

``schema`` has the tables, ``arrays`` columns in the server's binary format, ``statements`` the SQL, ``writing`` the
plan of one transaction, ``failures`` what errors mean, ``session`` the connection, and ``database`` the Protocol that
the store is built on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelmon.stores.keeping import DatabaseStore
from modelmon.stores.postgres.database import PostgresDatabase

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["PostgresDatabase", "PostgresStore"]


class PostgresStore(DatabaseStore):
    """Keep predictions and labels in a PostgreSQL server, for as many processes and hosts as can reach it.

    Args:
        url: ``postgresql://user:password@host:port/database``, with any option of libpq, TLS among them.
        schema: the namespace of the tables, which is made if need be.
        flush: ``"labels"`` has the server flush its log before it confirms labels; ``"always"``, predictions too.
        timeout: the most seconds that one statement, or waiting for a turn, may take.

    Raises:
        ConfigurationError: when any of these cannot work; no message shows the URL.
    """

    def __init__(
        self, url: str, *, schema: str = "modelmon", flush: Literal["labels", "always"] = "labels", timeout: float = 5.0
    ) -> None:
        """Check the settings; the first use connects."""
        super().__init__(PostgresDatabase(url, schema=schema, flush=flush, timeout=timeout))
