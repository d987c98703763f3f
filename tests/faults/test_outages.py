"""Stores that cannot be reached for a while: the host's calls go on, and what it recorded arrives."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis_server
from faulty_hosts import Host, until
from redis import Redis

from modelmon import SQLiteStore
from modelmon.stores.postgres import PostgresStore
from modelmon.stores.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgres_server import PostgresServer
    from redis_server import Server

TIMEOUT_S = 0.3


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """Return a host on a Redis server, with a short timeout."""
    server = request.getfixturevalue("redis")
    made = Host(RedisStore(server.url, timeout=TIMEOUT_S))
    yield made
    made.close()


class Holder:
    """Another process's transaction on a file: nobody else can write."""

    def __init__(self, path: Path) -> None:
        """Take a file that exists."""
        self._path = path

    def begin(self) -> None:
        """Begin."""
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._connection.execute("BEGIN EXCLUSIVE")

    def end(self) -> None:
        """End it."""
        self._connection.execute("ROLLBACK")
        self._connection.close()


def test_what_calls_wait_for_would_be_seen(tmp_path: Path) -> None:
    """A call that asked a database for something on its own thread would be found out."""
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        host = Host(SQLiteStore(tmp_path / "labels.db"))
        host._predict = lambda ids: [connection.execute("SELECT ?", ids).fetchone()[0].replace("n0", "cat")]
        host.call(1)
        assert host.touched
    host.close()


@pytest.mark.fault("S4")
def test_a_file_that_somebody_else_holds(tmp_path: Path) -> None:
    """While another program holds the file ten times longer than the timeout, calls go on; then all is written."""
    path = tmp_path / "labels.db"
    host, holder = Host(SQLiteStore(path, timeout=TIMEOUT_S)), Holder(path)

    def end() -> None:
        time.sleep(10 * TIMEOUT_S)
        holder.end()

    host.endure(holder.begin, end, {"locked"})
    host.close()


@pytest.mark.fault("S1")
def test_an_outage_longer_than_memory_lasts(tmp_path: Path) -> None:
    """Past its bound the spool loses the oldest predictions; the counter tells to the row how many."""
    path = tmp_path / "labels.db"
    host, holder = Host(SQLiteStore(path, timeout=TIMEOUT_S)), Holder(path)
    host.call(1000)
    until(lambda: host.label(0, 1000) == "", "labels are taken")
    holder.begin()
    host.call(150, each=1000)
    assert host.points()["store.spooled",] <= 100_000
    holder.end()
    host.recover()
    lost = host.points()["self.dropped", "store_full"]
    assert 50_000 <= lost <= 50_000 + 2 * 8192
    until(lambda: host.label(host.called - 5000, host.called) == "", "labels are taken")
    host.check(lost)
    host.close()


@pytest.mark.fault("S9")
def test_a_redis_server_that_flaps(redis: Server, host: Host) -> None:
    """A server that is killed again and again loses nothing, and every outage ends by itself."""
    for _ in range(3):
        host.endure(redis.kill, redis.start, {"down", "timeout"})


@pytest.mark.fault("S9")
def test_a_redis_server_that_only_reads(redis: Server, host: Host) -> None:
    """A server that has become a replica is left alone until it takes writes again."""
    with closing(Redis(port=redis.port)) as client:
        begin = lambda: client.replicaof("127.0.0.1", "1")  # noqa: E731
        host.endure(begin, lambda: client.replicaof("NO", "ONE"), {"readonly"})


@pytest.mark.fault("S9")
def test_a_redis_server_without_memory(redis: Server, host: Host) -> None:
    """A server at its bound of memory takes nothing new, and everything once it has room."""
    with closing(Redis(port=redis.port)) as client:
        host.endure(
            lambda: client.config_set("maxmemory", 1), lambda: client.config_set("maxmemory", 0), {"full"}
        )  # fmt: skip


@pytest.mark.fault("S9")
def test_a_redis_server_that_is_not_there_yet() -> None:
    """A program may start before its server: calls go on, and what they recorded is written once it runs."""
    port = redis_server.free_port()
    host = Host(RedisStore(f"redis://127.0.0.1:{port}", timeout=TIMEOUT_S))
    host.call(3000)
    assert host.label(0, 100) == "down"
    assert host.errors() == {"down"}
    with redis_server.redis_server(port=port):
        host.recover()
        until(lambda: host.label(0, 3000) == "", "labels are taken")
        host.check()
        host.close()


@pytest.mark.slow
def test_a_postgres_server_that_restarts_and_crashes(postgres: PostgresServer) -> None:
    """A server that is stopped, or crashes, loses nothing that its log had, and every outage ends by itself."""
    host = Host(PostgresStore(postgres.url, timeout=1.0, flush="always"))
    host.endure(postgres.stop, postgres.start, {"down"})
    host.endure(postgres.kill, postgres.start, {"down"})
    host.close()
