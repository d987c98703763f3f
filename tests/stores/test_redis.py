"""What is special about transactions in Redis: nothing is locked, and everything may be sent twice."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from databases import head, keyed, put, read, write
from proxy import proxy
from redis import Redis
from redis_server import redis_server

from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.database import Changes
from modelmon.stores.redis import scripts, writes
from modelmon.stores.redis.database import RedisDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis_server import Server

ONE = np.array([1], np.int64)
OTHER_PROCESS = """
import sys, numpy as np
from modelmon.stores.database import Changes
from modelmon.stores.redis.database import RedisDatabase
database = RedisDatabase(sys.argv[1], namespace=sys.argv[2])
head = database.begin(durable=True)
keys = np.array([1], np.int64)
reminded = [reminder.number for reminder in database.due(9.0, 9)]
changes = Changes(now=2.0, keys=keys, before=database.fetch(keys), after=[b"theirs"], reminded=reminded,
    known=head.entries, entries=[b"their entry"] if sys.argv[3] == "entry" else [])
assert database.apply(changes)
database.close()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run one server for all tests of this file."""
    with redis_server() as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Redis]:
    """Return the driver's own client."""
    with Redis.from_url(server.url) as connected:
        yield connected


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """Return a namespace of the test's own."""
    return request.node.name.translate(str.maketrans("[]", "//"))


@pytest.fixture
def make(server: Server, namespace: str) -> Iterator[Callable[..., RedisDatabase]]:
    """Return a function that makes databases on one new state."""
    made: list[RedisDatabase] = []

    def database(url: str = server.url) -> RedisDatabase:
        made.append(RedisDatabase(url, namespace=namespace, timeout=2.0))
        return made[-1]

    yield database
    for each in made:
        each.close()


@pytest.fixture
def database(make: Callable[..., RedisDatabase]) -> RedisDatabase:
    """Return a database on a new state."""
    return make()


def content(client: Redis, namespace: str) -> dict[bytes, bytes | None]:
    """Return all keys of a namespace with what they hold."""
    return {key: client.dump(key) for key in sorted(client.keys(f"{{{namespace}}}:*"))}


@pytest.mark.parametrize("kind", ["document", "entry"])
def test_a_process_that_interleaves_wins(
    database: RedisDatabase, server: Server, client: Redis, namespace: str, kind: str
) -> None:
    """Where another process wrote between `begin` and `apply`, `apply` returns False and writes nothing at all."""
    write(database, **keyed({1: b"old", 2: b"old"}), reminders=[(1.0, b"r")])
    database.begin(durable=True)
    keys = np.array([1, 2], np.int64)
    before = database.fetch(keys)
    reminded = [reminder.number for reminder in database.due(math.inf, 9)]
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, server.url, namespace, kind], check=True, timeout=60)
    kept = content(client, namespace)
    changes = Changes(
        now=9.0,
        keys=keys,
        before=before,
        after=[None, b"new"],
        reminders=[(5.0, b"x")],
        reminded=reminded,
        entries=[b"our entry"],
        journal=b"counts",
        awaiting=7,
        rate=0.5,
        settings="ours",
    )
    assert not database.apply(changes)
    assert content(client, namespace) == kept
    assert read(database, [1, 2]) == [b"theirs", b"old"]


def test_documents_that_may_need_unread_entries_are_not_shown(
    database: RedisDatabase, make: Callable[..., RedisDatabase]
) -> None:
    """Where the catalogue has grown since `begin`, reads show no documents and `apply` asks for a repetition."""
    database.begin(durable=False)
    write(make(), **keyed({1: b"of a new series"}), entries=[b"series"])
    assert database.fetch(ONE) == [None]
    assert database.scan(None, 10)[1] == [None]
    assert not database.apply(Changes(now=1.0, keys=ONE, before=[None], after=[b"x"]))
    assert database.begin(durable=False).entries == 1
    assert database.fetch(ONE) == [b"of a new series"]


def test_entries_read_late_are_enough(database: RedisDatabase, make: Callable[..., RedisDatabase]) -> None:
    """A transaction that reads the new entries before the documents goes on."""
    database.begin(durable=False)
    write(make(), **keyed({1: b"d"}), entries=[b"series"])
    assert database.entries(0) == [b"series"]
    assert database.fetch(ONE) == [b"d"]
    assert database.apply(Changes(now=1.0, keys=ONE, before=[b"d"], after=[b"x"], known=1, entries=[b"class"]))


def reads(client: Redis) -> int:
    """Return how often anything was read from a hash of this server."""
    return int(client.info("commandstats")["cmdstat_hmget"]["calls"])


def test_documents_are_not_read_again_where_nobody_has_written_since(
    database: RedisDatabase, make: Callable[..., RedisDatabase], client: Redis
) -> None:
    """Where no transaction came between reading and writing, the documents are written without comparing them."""
    write(database, **keyed({1: b"a", 2: b"b"}))
    counts = []
    for others in (0, 1):
        database.begin(durable=False)
        assert database.fetch(ONE) == [b"a"]
        for _ in range(others):
            put(make(), {2: b"c"})
        before = reads(client)
        assert database.apply(Changes(now=1.0, keys=ONE, before=[b"a"], after=[b"a"]))
        counts.append(reads(client) - before)
    assert counts == [1, 2]  # the head, and then the documents too


def test_documents_read_at_two_moments_are_compared(
    database: RedisDatabase, make: Callable[..., RedisDatabase]
) -> None:
    """What was read before another's transaction is compared, though nobody has written since the last reading."""
    both = np.array([1, 2], np.int64)
    for read_again in (lambda: database.fetch(np.array([2], np.int64)), lambda: database.scan(None, 10)):
        put(database, {1: b"a", 2: b"b"})
        database.begin(durable=False)
        assert database.fetch(ONE) == [b"a"]
        put(make(), {1: b"theirs"})
        read_again()
        assert not database.apply(Changes(now=1.0, keys=both, before=[b"a", b"b"], after=[b"ours", b"ours"]))
        assert read(database, [1, 2]) == [b"theirs", b"b"]
    database.begin(durable=False)
    _, bodies, _ = database.scan(None, 10)
    put(make(), {1: b"a"})
    assert not database.apply(Changes(now=1.0, keys=both, before=bodies, after=[b"ours", b"ours"]))


def test_documents_come_and_go_and_are_counted(database: RedisDatabase) -> None:
    """What the server says of what came and went is what the head counts, compared or not."""
    many = {key: b"%d" % key for key in range(2500)}
    put(database, many)
    assert head(database).documents == 2500
    put(database, {key: (b"x" if key % 2 else None) for key in range(3000)})
    assert head(database).documents == 1500
    write(database, **keyed(dict.fromkeys(range(1, 3000, 2)), dict.fromkeys(range(1, 3000, 2), b"x")))
    assert head(database).documents == 0
    assert database.check() == []


def test_an_applied_transaction_that_is_sent_again_answers_as_before(
    make: Callable[..., RedisDatabase], server: Server
) -> None:
    """An answer that is lost on the way makes the driver ask again; the transaction is there once."""
    with proxy(server.port) as between:
        database = make(f"redis://127.0.0.1:{between.port}")
        write(database, **keyed({1: b"a"}))
        lost: list[bytes] = []
        between.swallow = lambda request: not lost and writes.APPLY.digest.encode() in request and not lost.append(b"")
        put(database, {1: b"b"}, journal=b"once", awaiting=3, entries=[b"e"], reminders=[(1.0, b"r")])
        assert lost
        found = head(database)
        assert (found.sequence, found.awaiting, found.journal, found.entries) == (2, 3, 1, 1)
        assert read(database, [1]) == [b"b"]


def test_a_fold_that_is_sent_again_answers_as_before(make: Callable[..., RedisDatabase], server: Server) -> None:
    """A fold whose answer was lost is done once and says that it was done."""
    with proxy(server.port) as between:
        database = make(f"redis://127.0.0.1:{between.port}")
        for _ in range(3):
            write(database, journal=b"entry")
        lost: list[bytes] = []
        between.swallow = lambda request: not lost and writes.FOLD.digest.encode() in request and not lost.append(b"")
        assert database.fold({"p": b"page"}, 2, 0)
        assert lost
        assert (head(database).backlog, list(database.counted(-1, 0).journal)) == (5, [b"entry"])


def test_a_transaction_given_up_is_never_applied_later(
    make: Callable[..., RedisDatabase], server: Server, namespace: str
) -> None:
    """What was sent and not answered is forbidden before the next transaction begins, so it cannot come late."""
    with proxy(server.port) as between:
        database = make(f"redis://127.0.0.1:{between.port}")
        sent: list[bytes] = []
        between.refuse = lambda request: writes.APPLY.digest.encode() in request and not sent.append(request)
        with pytest.raises(StoreError) as caught:
            write(database, journal=b"counts")
        assert caught.value.kind == "down"
        between.refuse = lambda _: False
        assert database.begin(durable=False).sequence == 0
        with Redis.from_url(server.url).client() as late:
            late.connection.send_packed_command([sent[0]])
            assert late.connection.read_response() == 0
        assert database.apply(Changes(now=1.0, journal=b"counts"))
        assert head(database).journal == 1


@pytest.mark.fault("S9")
def test_a_flapping_connection_loses_and_doubles_nothing(make: Callable[..., RedisDatabase], server: Server) -> None:
    """With requests and answers lost at random, steps repeated until acknowledged are there once, in order."""
    chance = random.Random(5)
    with proxy(server.port) as between:
        database = make(f"redis://127.0.0.1:{between.port}")
        database.open()
        between.swallow = lambda _: chance.random() < 0.2
        between.refuse = lambda _: chance.random() < 0.2
        failures: list[str] = []
        for step in range(60):
            while True:
                try:
                    database.begin(durable=True)
                    before = database.fetch(ONE)
                    body = before[0] or b""
                    if len(body) > step or database.apply(
                        Changes(now=1.0, keys=ONE, before=before, after=[body + bytes([step])])
                    ):
                        break
                except StoreError as error:
                    failures.append(error.kind)
        between.swallow = between.refuse = lambda _: False
        assert set(failures) == {"down"}
        assert read(database, [1]) == [bytes(range(60))]
        assert head(database).sequence == 60


def test_a_server_that_forgets_scripts_is_told_again(database: RedisDatabase, client: Redis) -> None:
    """SCRIPT FLUSH in the middle of a transaction changes nothing."""
    database.begin(durable=False)
    client.script_flush()
    assert database.fetch(ONE) == [None]
    client.script_flush()
    assert database.apply(Changes(now=1.0, keys=ONE, before=[None], after=[b"x"]))
    assert read(database, [1]) == [b"x"]


def test_only_the_last_transactions_are_remembered(database: RedisDatabase, client: Redis, namespace: str) -> None:
    """The ids of applied transactions are bounded."""
    database.open()
    applied = f"{{{namespace}}}:applied"
    client.zadd(applied, {b"+%d" % number: -number for number in range(writes.REMEMBERED)})
    for _ in range(3):
        write(database)
    assert client.zcard(applied) == writes.REMEMBERED


@pytest.mark.fault("F13", "S9")
def test_a_forked_child_has_no_part_in_the_transaction(
    make: Callable[..., RedisDatabase], server: Server, client: Redis
) -> None:
    """A child has a connection of its own and no transaction; the parent's goes on."""

    def connections() -> set[str]:
        return {each["id"] for each in client.client_list() if each["name"] == "forking"}

    database = make(f"{server.url}?client_name=forking")
    database.begin(durable=True)
    before = connections()
    assert len(before) == 1
    pid = os.fork()
    if pid == 0:
        try:
            with pytest.raises(StoreError):
                database.fetch(ONE)
            put(database, {2: b"child"})
            own = connections() - before
            database.close()
            os._exit(0 if own else 3)
        except BaseException:  # the child must not run on into the test session
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert database.apply(Changes(now=1.0, keys=ONE, before=[None], after=[b"parent"]))
    assert connections() == before
    assert read(database, [1, 2]) == [b"parent", b"child"]


def test_no_key_expires(database: RedisDatabase, client: Redis, namespace: str) -> None:
    """No key has an expiry, and there are no others than those of the namespace."""
    write(database, **keyed({1: b"a"}), reminders=[(1.0, b"r")], entries=[b"e"], journal=b"j")
    write(database, journal=b"k")
    assert database.fold({"p": b"page", "gone": b""}, 1, 0)
    assert database.lease("exporter", "me", 60.0)
    database.note("n", b"v")
    keys = client.keys(f"{{{namespace}}}:*")
    assert len(keys) == 10 + 1
    assert {client.ttl(key) for key in keys} == {-1}


def test_the_check_tells_what_is_missing(database: RedisDatabase, client: Redis, namespace: str) -> None:
    """Documents and journal entries that were taken away by hand are missed."""
    write(database, **keyed({1: b"a"}), journal=b"j")
    assert database.check() == []
    client.delete(f"{{{namespace}}}:documents", f"{{{namespace}}}:journal")
    assert database.check() == ["documents: 0 kept, 1 counted", "journal: 0 entries kept, 1 counted"]


def test_a_newer_schema_is_refused(database: RedisDatabase, make: Callable[..., RedisDatabase], client: Redis) -> None:
    """A namespace of a newer release is refused, naming both numbers."""
    database.open()
    [key] = client.keys(f"{{{database._namespace}}}:head")
    client.hset(key, "schema", 7)
    with pytest.raises(ConfigurationError, match="schema 7; this release knows up to 1"):
        make().open()


def test_scripts_say_what_they_do() -> None:
    """Every script begins with the flags that the server holds it to, and its digest is that of its text."""
    for room in (scripts, writes):
        for script in [each for each in vars(room).values() if isinstance(each, scripts.Script)]:
            assert script.text.startswith("#!lua flags=no-writes\n" if room is scripts else "#!lua")
