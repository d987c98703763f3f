"""What a durable store sees of a Redis that is full, slow, away, read-only, restarted or emptied."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from databases import head, keyed, put, read, write
from redis import Redis
from redis_server import free_port, redis_server

from modelmon import notices
from modelmon.errors import StoreError
from modelmon.stores.database import Changes
from modelmon.stores.redis.database import RedisDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis_server import Server

ONE = np.array([1], np.int64)


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server of the test's own, which keeps nothing when it is killed."""
    with redis_server("--enable-debug-command", "local") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Redis]:
    """Return the driver's own client."""
    with Redis.from_url(server.url) as connected:
        yield connected


@pytest.fixture
def database(server: Server) -> Iterator[RedisDatabase]:
    """Return a database on a new state."""
    with closing(RedisDatabase(server.url, timeout=1.0)) as made:
        yield made


@pytest.fixture
def noticed(caplog: pytest.LogCaptureFixture) -> Callable[[str], bool]:
    """Let every notice speak again, and return a function that tells whether one did."""
    notices.forget()
    caplog.set_level(logging.WARNING, "modelmon")
    return lambda text: any(text in record.getMessage() for record in caplog.records)


def failing(call: Callable[[], object]) -> str:
    """Return the kind of the error that a call raises."""
    with pytest.raises(StoreError) as caught:
        call()
    return caught.value.kind


def asleep(server: Server, seconds: float) -> threading.Thread:
    """Have a server answer nobody for a while."""

    def sleep() -> None:
        with Redis.from_url(server.url, socket_timeout=30) as own:
            own.execute_command("DEBUG", "SLEEP", seconds)

    thread = threading.Thread(target=sleep)
    thread.start()
    time.sleep(0.1)
    return thread


@pytest.mark.fault("S9")
def test_a_replica_takes_no_writes_and_recovers(database: RedisDatabase, client: Redis) -> None:
    """A demoted server is read but refuses writes with their kind; promoted again, it goes on."""
    write(database, **keyed({1: b"a"}))
    client.replicaof("127.0.0.1", "1")
    database.begin(durable=True)
    before = database.fetch(ONE)
    assert before == [b"a"]
    assert failing(lambda: database.apply(Changes(now=1.0, keys=ONE, before=before, after=[b"b"]))) == "readonly"
    assert head(database).sequence == 1
    connected = {each["id"] for each in client.client_list()}
    assert failing(lambda: database.note("n", b"v")) == "readonly"
    assert database.noted("n") is None
    assert {each["id"] for each in client.client_list()} - connected, "a new connection may find a new primary"
    client.replicaof("NO", "ONE")
    put(database, {1: b"b"})
    assert read(database, [1]) == [b"b"]


@pytest.mark.fault("S9")
def test_full_memory_takes_only_what_frees_some(database: RedisDatabase, client: Redis) -> None:
    """At maxmemory nothing of a growing transaction is written; expiries and folds still are, and free memory."""
    put(database, {1: b"x" * 5000, 2: b"y" * 5000}, journal=b"j" * 100)
    client.config_set("maxmemory", 1)
    database.begin(durable=True)
    assert database.fetch(np.array([3])) == [None]
    grow = Changes(now=2.0, keys=np.array([3]), before=[None], after=[b"z"], journal=b"k")
    assert failing(lambda: database.apply(grow)) == "full"
    assert (head(database).documents, head(database).sequence) == (2, 1)
    assert database.fold({"p": b"page"}, 1, 0)
    put(database, {1: None})
    assert (head(database).documents, head(database).sequence) == (1, 2)
    assert failing(lambda: database.note("n", b"v")) == "full"
    client.config_set("maxmemory", 0)
    put(database, {3: b"z"})
    assert read(database, [1, 2, 3]) == [None, b"y" * 5000, b"z"]


@pytest.mark.fault("S9")
def test_a_server_that_is_away_fails_at_once_and_is_found_again(noticed: Callable[[str], bool]) -> None:
    """While a server is down every call fails quickly; after a restart on its file all is there, without a notice."""
    with redis_server(appendonly=True) as server, closing(RedisDatabase(server.url, timeout=1.0)) as database:
        put(database, {1: b"a"}, journal=b"j", reminders=[(1.0, b"r")])
        before = head(database)
        database.begin(durable=True)
        server.kill()
        began = time.monotonic()
        assert failing(lambda: database.fetch(ONE)) == "down"
        assert failing(lambda: database.fetch(ONE)) == "conflict"
        for _ in range(5):
            assert failing(lambda: database.begin(durable=True)) == "down"
            assert failing(lambda: database.counted(0, 0)) == "down"
            assert failing(lambda: database.lease("exporter", "me", 1.0)) == "down"
        assert time.monotonic() - began < 5.0
        server.start()
        assert head(database) == before
        assert read(database, [1]) == [b"a"]
        assert database.resets == 0
        assert not noticed("lost")


def test_a_server_that_is_not_there_at_first(client: Redis) -> None:
    """A database may be made before its server runs."""
    port = free_port()
    with closing(RedisDatabase(f"redis://127.0.0.1:{port}", timeout=1.0)) as database:
        assert failing(database.open) == "down"
        assert failing(lambda: database.begin(durable=False)) == "down"
        with redis_server(port=port):
            put(database, {1: b"a"})
            assert read(database, [1]) == [b"a"]


def test_kills_of_the_server_lose_nothing_that_was_confirmed() -> None:
    """With each command on disk before its answer, a server killed six times has every confirmed step, once."""
    confirmed: list[int] = []
    with redis_server(appendonly=True) as server, closing(RedisDatabase(server.url, timeout=1.0)) as database:

        def work() -> None:
            while not confirmed or confirmed[-1] < 250:
                with suppress(StoreError):
                    database.begin(durable=True)
                    before = database.fetch(ONE)
                    body = before[0] or b""
                    after = [body + bytes([len(body)])]
                    if database.apply(Changes(now=1.0, keys=ONE, before=before, after=after, journal=b"j")):
                        confirmed.append(len(body))

        thread = threading.Thread(target=work)
        thread.start()
        for number in range(6):
            while len(confirmed) < 35 * number and thread.is_alive():
                time.sleep(0.001)
            server.restart()
        thread.join(60)
        assert not thread.is_alive()
        [body] = read(database, [1])
        assert body is not None
        assert body == bytes(range(len(body)))
        assert set(confirmed) <= set(body)
        assert head(database).sequence == head(database).journal == len(body)
        assert database.resets == 0


@pytest.mark.fault("S9")
def test_a_slow_server_holds_nobody_up(database: RedisDatabase, server: Server) -> None:
    """A read gives up after the timeout, and the next works as soon as the server does."""
    put(database, {1: b"a"})
    thread = asleep(server, 2.6)
    began = time.monotonic()
    assert failing(lambda: database.begin(durable=False)) == "timeout"
    assert time.monotonic() - began < 2.0
    thread.join()
    assert read(database, [1]) == [b"a"]


def test_a_slow_write_is_asked_about_once_more(database: RedisDatabase, server: Server) -> None:
    """Where the answer to a write takes longer than the timeout, the second question gets it, and it is done once."""
    database.begin(durable=True)
    thread = asleep(server, 1.7)
    assert database.apply(Changes(now=1.0, journal=b"j"))
    thread.join()
    assert (head(database).sequence, head(database).journal) == (1, 1)


def test_a_server_that_comes_back_empty_is_a_new_store(
    database: RedisDatabase, server: Server, noticed: Callable[[str], bool]
) -> None:
    """A restart without a file is noticed, counted, and gives a new origin; the transaction under way is refused."""
    put(database, {1: b"a"})
    origin = database.begin(durable=False).origin
    server.restart()
    assert not database.apply(Changes(now=1.0, journal=b"j"))
    found = database.begin(durable=False)
    assert found.origin != origin
    assert (found.sequence, found.documents) == (0, 0)
    assert database.resets == 1
    assert noticed("has lost what it had confirmed")
    assert database.apply(Changes(now=1.0, keys=ONE, before=[None], after=[b"b"]))


def test_a_server_that_went_back_in_time_gets_a_new_origin(
    database: RedisDatabase, server: Server, client: Redis
) -> None:
    """What one process knows and the server has lost makes every process begin anew, on what is left."""
    with closing(RedisDatabase(server.url, timeout=1.0)) as other:
        put(database, {1: b"kept"}, entries=[b"kept"])
        origin = head(other).origin
        client.save()
        write(database, entries=[b"lost"], known=1)
        server.restart()
        write(other, entries=[b"another"], known=1)
        assert head(other).origin == origin
        found = database.begin(durable=True)
        assert found.origin != origin
        assert database.entries(0) == [b"kept", b"another"]
        assert database.fetch(ONE) == [b"kept"]
        database.abandon()
        assert head(other).origin == found.origin
        assert head(database).origin == found.origin
        assert (database.resets, other.resets) == (1, 0)


@pytest.mark.fault("S9")
def test_a_head_that_was_evicted_is_not_mistaken(
    database: RedisDatabase, client: Redis, noticed: Callable[[str], bool]
) -> None:
    """Where the head alone is gone, what is left stands aside and a new store begins."""
    put(database, {1: b"a"})
    client.delete("{modelmon}:head")
    found = database.begin(durable=True)
    assert found.documents == 0
    assert database.fetch(ONE) == [None]
    assert client.hlen("{modelmon}:documents:aside") == 1
    assert noticed("aside")
    assert noticed("evict")


@pytest.mark.parametrize(("policy", "warned"), [("allkeys-lru", True), ("volatile-lru", False), ("noeviction", False)])
def test_eviction_is_warned_of(
    database: RedisDatabase, client: Redis, noticed: Callable[[str], bool], policy: str, warned: bool
) -> None:
    """A policy that may evict keys without expiry is noticed at the first connection."""
    client.config_set("maxmemory-policy", policy)
    database.open()
    assert noticed("maxmemory-policy") == warned
    assert noticed("append-only")
