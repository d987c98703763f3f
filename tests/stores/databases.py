"""The databases that the contract of `test_database_contract` runs on: a new one adds one entry to `DATABASES`.

An entry opens a place for a test (a directory, a schema of a server, ...) and gives a function.
Each call of that function makes a new, empty state, and returns another function: each call of that one makes another
`Database` object on that same state, as another process would.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from postgres_server import postgres_server
from redis_server import redis_server

from modelmon.stores.database import Changes, Database
from modelmon.stores.postgres.database import PostgresDatabase
from modelmon.stores.redis.database import RedisDatabase
from modelmon.stores.sqlite.database import SQLiteDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Another = Callable[[], Database]
Fresh = Callable[[], Another]


@contextmanager
def sqlite(directory: Path) -> Iterator[Fresh]:
    """Keep each state in a file of its own."""
    numbers = count()
    opened: list[SQLiteDatabase] = []

    def fresh() -> Another:
        path = directory / f"labels-{next(numbers)}.db"

        def another() -> Database:
            opened.append(SQLiteDatabase(path))
            return opened[-1]

        return another

    yield fresh
    for database in opened:
        database.close()


@contextmanager
def redis(directory: Path) -> Iterator[Fresh]:
    """Keep each state in a namespace of its own, all in one server."""
    numbers = count()
    opened: list[RedisDatabase] = []
    with redis_server() as server:

        def fresh() -> Another:
            namespace = f"labels-{next(numbers)}"

            def another() -> Database:
                opened.append(RedisDatabase(server.url, namespace=namespace, timeout=5.0))
                return opened[-1]

            return another

        yield fresh
        for database in opened:
            database.close()


@contextmanager
def postgres(directory: Path) -> Iterator[Fresh]:
    """Keep each state in a schema of its own, all in one server."""
    numbers = count()
    opened: list[PostgresDatabase] = []
    with postgres_server() as url:

        def fresh() -> Another:
            schema = f"labels_{next(numbers)}"

            def another() -> Database:
                opened.append(PostgresDatabase(url, schema=schema))
                return opened[-1]

            return another

        yield fresh
        for database in opened:
            database.close()


DATABASES: dict[str, Callable[[Path], AbstractContextManager[Fresh]]] = {
    "sqlite": sqlite,
    "redis": redis,
    "postgresql": postgres,
}


def keyed(documents: dict[int, bytes | None], before: dict[int, bytes] | None = None) -> dict[str, Any]:
    """Return the arguments of `Changes` that turn documents into others."""
    keys = sorted(documents)
    return {
        "keys": np.array(keys, np.int64),
        "before": [(before or {}).get(key) for key in keys],
        "after": [documents[key] for key in keys],
    }


def write(database: Database, *, durable: bool = False, **changes: Any) -> None:
    """Write in a transaction of its own."""
    database.begin(durable=durable)
    assert database.apply(Changes(**{"now": 1.0, **changes}))


def put(database: Database, documents: dict[int, bytes | None], **changes: Any) -> None:
    """Read some documents and write them anew, in one transaction."""
    head = database.begin(durable=False)
    keys = np.array(sorted(documents), np.int64)
    before = database.fetch(keys)
    after = [documents[int(key)] for key in keys]
    assert database.apply(Changes(now=head.now, keys=keys, before=before, after=after, **changes))


def read(database: Database, keys: list[int]) -> list[bytes | None]:
    """Return documents in a transaction of its own."""
    database.begin(durable=False)
    try:
        return database.fetch(np.array(keys, np.int64))
    finally:
        database.abandon()


def head(database: Database) -> Any:
    """Return the head as of now."""
    return database.counted(0, 0).head
