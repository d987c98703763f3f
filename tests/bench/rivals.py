"""Peers of the durable stores: the join as one writes it oneself, without us, on the same servers and files."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Cells = Counter[tuple[int, int]]


class PlainSQLite:
    """Upsert rows, and join labels by a temporary table; labels are flushed to disk, as ours are."""

    name = "upsert + temporary-table join"

    def __init__(self, path: Path) -> None:
        """Make the table."""
        self.path, self.cells = path, Counter[tuple[int, int]]()
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA temp_store = MEMORY")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        table = "(id TEXT PRIMARY KEY, predicted INTEGER, score REAL)"
        self._connection.execute(f"CREATE TABLE pending {table} WITHOUT ROWID")
        self._connection.execute("CREATE TEMPORARY TABLE came (id TEXT PRIMARY KEY, truth INTEGER) WITHOUT ROWID")

    def predict(self, ids: list[str], classes: list[int], scores: list[float]) -> None:
        """Keep predictions."""
        self._connection.execute("BEGIN IMMEDIATE")
        rows = zip(ids, classes, scores, strict=True)
        self._connection.executemany("INSERT OR REPLACE INTO pending VALUES (?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def label(self, ids: list[str], truths: list[int]) -> None:
        """Join labels."""
        run = self._connection.execute
        run("PRAGMA synchronous = FULL")
        run("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO came VALUES (?, ?)", zip(ids, truths, strict=True))
        joined = "SELECT truth, predicted, count(*) FROM came JOIN pending USING (id) GROUP BY 1, 2"
        for truth, predicted, n in run(joined):
            self.cells[truth, predicted] += n
        run("DELETE FROM pending WHERE id IN (SELECT id FROM came)")
        run("DELETE FROM came")
        run("COMMIT")
        run("PRAGMA synchronous = NORMAL")

    def size(self) -> int:
        """Return the bytes of the file."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.path.stat().st_size

    def close(self) -> None:
        """Let go."""
        self._connection.close()


class Pandas:
    """Merge data frames in memory; nothing survives."""

    name = "pandas merge, in memory"

    def __init__(self, path: Path) -> None:
        """Begin with no rows."""
        import pandas as pd  # noqa: PLC0415  (a peer)

        del path
        self.cells: Cells = Counter()
        self._pandas = pd
        self._pending = pd.DataFrame({"id": [], "predicted": [], "score": []})

    def predict(self, ids: list[str], classes: list[int], scores: list[float]) -> None:
        """Keep predictions."""
        new = self._pandas.DataFrame({"id": ids, "predicted": classes, "score": scores})
        self._pending = self._pandas.concat([self._pending, new]) if len(self._pending) else new

    def label(self, ids: list[str], truths: list[int]) -> None:
        """Join labels."""
        came = self._pandas.DataFrame({"id": ids, "truth": truths})
        joined = came.merge(self._pending, on="id")
        self.cells.update(joined.groupby(["truth", "predicted"]).size().to_dict())
        self._pending = self._pending[~self._pending["id"].isin(joined["id"])]

    def close(self) -> None:
        """Let go."""


class DuckDB:
    """Insert and join data frames in a DuckDB file."""

    name = "DuckDB join"

    def __init__(self, path: Path) -> None:
        """Make the table."""
        import duckdb  # noqa: PLC0415  (a peer)
        import pandas as pd  # noqa: PLC0415  (a peer)

        self.cells: Cells = Counter()
        self._pandas = pd
        self._connection = duckdb.connect(str(path))
        self._connection.execute("CREATE TABLE pending (id VARCHAR PRIMARY KEY, predicted BIGINT, score DOUBLE)")

    def predict(self, ids: list[str], classes: list[int], scores: list[float]) -> None:
        """Keep predictions."""
        new = self._pandas.DataFrame({"id": ids, "predicted": classes, "score": scores})
        self._connection.register("new", new)
        self._connection.execute("INSERT INTO pending SELECT * FROM new")

    def label(self, ids: list[str], truths: list[int]) -> None:
        """Join labels."""
        self._connection.register("came", self._pandas.DataFrame({"id": ids, "truth": truths}))
        joined = "SELECT truth, predicted, count(*) FROM came JOIN pending USING (id) GROUP BY 1, 2"
        self._connection.execute("BEGIN")
        for truth, predicted, n in self._connection.execute(joined).fetchall():
            self.cells[truth, predicted] += n
        self._connection.execute("DELETE FROM pending WHERE id IN (SELECT id FROM came)")
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Let go."""
        self._connection.close()


class PlainRedis:
    """Set and take keys in one pipeline; count in the process."""

    name = "pipeline of SET, GETDEL"

    def __init__(self, url: str) -> None:
        """Connect."""
        import redis  # noqa: PLC0415  (a peer)

        self.cells: Cells = Counter()
        self._client = redis.Redis.from_url(url)

    def predict(self, ids: list[str], classes: list[int], scores: list[float]) -> None:
        """Keep predictions."""
        pipeline = self._client.pipeline(transaction=False)
        for ident, predicted, score in zip(ids, classes, scores, strict=True):
            pipeline.set(ident, f"{predicted}:{score!r}")
        pipeline.execute()

    def label(self, ids: list[str], truths: list[int]) -> None:
        """Join labels."""
        pipeline = self._client.pipeline(transaction=False)
        for ident in ids:
            pipeline.getdel(ident)
        for found, truth in zip(pipeline.execute(), truths, strict=True):
            if found is not None:
                self.cells[truth, int(found.partition(b":")[0])] += 1

    def size(self) -> int:
        """Return the bytes that the server uses."""
        return int(self._client.info("memory")["used_memory"])

    def close(self) -> None:
        """Let go."""
        self._client.close()


class PlainPostgres:
    """Insert arrays by ``unnest``, and take rows by ``DELETE ... RETURNING``; labels are flushed to disk."""

    name = "unnest: INSERT, DELETE ... RETURNING"

    def __init__(self, url: str) -> None:
        """Make the table."""
        import psycopg  # noqa: PLC0415  (a peer)

        self.cells: Cells = Counter()
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("DROP TABLE IF EXISTS pending")
        table = "(id text PRIMARY KEY, predicted integer, score double precision)"
        self._connection.execute(f"CREATE TABLE pending {table}")

    def predict(self, ids: list[str], classes: list[int], scores: list[float]) -> None:
        """Keep predictions."""
        insert = (
            "INSERT INTO pending SELECT * FROM unnest(%s::text[], %s::integer[], %s::double precision[])"
            " ON CONFLICT (id) DO UPDATE SET predicted = excluded.predicted, score = excluded.score"
        )
        with self._connection.transaction():
            self._connection.execute("SET LOCAL synchronous_commit = off")
            self._connection.execute(insert, (ids, classes, scores), prepare=True)

    def label(self, ids: list[str], truths: list[int]) -> None:
        """Join labels."""
        take = (
            "DELETE FROM pending USING unnest(%s::text[], %s::integer[]) came (id, truth)"
            " WHERE pending.id = came.id RETURNING truth, predicted"
        )
        self.cells.update(self._connection.execute(take, (ids, truths), prepare=True).fetchall())

    def size(self) -> int:
        """Return the bytes of the table and its index."""
        row: Any = self._connection.execute("SELECT pg_total_relation_size('pending')").fetchone()
        return int(row[0])

    def close(self) -> None:
        """Let go."""
        self._connection.close()
