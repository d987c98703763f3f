"""What is special about PostgreSQL: a server that goes, comes back, stalls, or is used by others at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest
from databases import head, keyed, put, read, write
from postgres_server import PASSWORD, PostgresServer, free_port, postgres

from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.addresses import make_store
from modelmon.stores.database import Changes
from modelmon.stores.postgres import PostgresDatabase, PostgresStore, failures
from modelmon.stores.postgres.schema import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Make = Callable[..., PostgresDatabase]

ONE = np.array([1], np.int64)
_SCHEMAS = count()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Return a server that all tests of this file use."""
    with postgres() as running:
        yield running


@pytest.fixture
def schema() -> str:
    """Return the name of a namespace that is not there yet."""
    return f"special_{next(_SCHEMAS)}"


@pytest.fixture
def make(server: PostgresServer, schema: str) -> Iterator[Make]:
    """Return a function that makes another database on one new namespace."""
    made: list[PostgresDatabase] = []

    def another(**settings: Any) -> PostgresDatabase:
        made.append(PostgresDatabase(server.url, **{"schema": schema, **settings}))
        return made[-1]

    yield another
    for database in made:
        database.close()


def ask(server: PostgresServer, text: str, schema: str = "") -> list[tuple[Any, ...]]:
    """Run a statement as an administrator would."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(text.replace("{s}", schema).encode())
        return cursor.fetchall() if cursor.description else []


def backend(database: PostgresDatabase) -> int:
    """Return the server's process that serves a database."""
    return int(database._session.rows(b"SELECT pg_backend_pid()")[0][0])


WORKER = """
import sys
import numpy as np
from modelmon.stores.database import Changes
from modelmon.stores.postgres import PostgresDatabase

url, schema, name = sys.argv[1:]
database = PostgresDatabase(url, schema=schema, timeout=30.0)
keys = np.array([-1, 1], np.int64)
print("ready", flush=True)
for line in sys.stdin:
    head = database.begin(durable=False)
    before = database.fetch(keys)
    after = [(body or b"") + name.encode() for body in before]
    if line.strip() == "hang":
        print("hanging", flush=True)
        sys.stdin.readline()
    assert database.apply(Changes(now=1.0, keys=keys, before=before, after=after, journal=b"%d" % head.sequence))
    print("applied", flush=True)
database.close()
"""


def worker(server: PostgresServer, schema: str, name: str) -> subprocess.Popen[str]:
    """Start a process that appends its name to two documents for every line it is told."""
    command = [sys.executable, "-c", WORKER, server.url, schema, name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_take_turns(server: PostgresServer, schema: str, make: Make) -> None:
    """Two processes write the same documents as fast as they can; every step of each is there once."""
    workers = [worker(server, schema, name) for name in "ab"]
    for process in workers:
        assert process.stdin is not None
        process.stdin.write("go\n" * 60)
        process.stdin.close()
        process.stdin = None
    assert [process.communicate(timeout=60)[0].count("applied") for process in workers] == [60, 60]
    database = make()
    first, second = read(database, [-1, 1])
    assert first == second
    assert sorted(first or b"") == sorted(b"ab" * 60)
    found = database.counted(-1, 0)
    assert list(found.journal) == [b"%d" % number for number in range(120)]
    assert database.check() == []


@pytest.mark.fault("E5")
def test_a_killed_process_leaves_nothing_half_done(server: PostgresServer, schema: str, make: Make) -> None:
    """A process killed within a transaction has written nothing of it, and does not keep others waiting."""
    process = worker(server, schema, "a")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\nhang\n")
    process.stdin.flush()
    assert [process.stdout.readline() for _ in range(2)] == ["applied\n", "hanging\n"]
    process.kill()
    process.communicate(timeout=30)
    database = make()
    assert read(database, [-1, 1]) == [b"a", b"a"]
    assert head(database).sequence == 1


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_server_that_comes_back_is_used_again(server: PostgresServer, make: Make, how: str) -> None:
    """What was confirmed outlasts a restart and a crash, what was under way does not, and idle ones notice nothing."""
    busy, idle = make(), make()
    write(busy, durable=True, **keyed({1: b"x"}))
    assert read(idle, [1]) == [b"x"]
    busy.begin(durable=True)
    before = busy.fetch(ONE)
    getattr(server, how)()
    with pytest.raises(StoreError) as lost:
        busy.apply(Changes(now=1.0, keys=ONE, before=before, after=[b"y"]))
    assert lost.value.kind == "down"
    with pytest.raises(StoreError) as gone:
        busy.begin(durable=True)
    assert gone.value.kind == "down"
    busy.abandon()
    server.start()
    assert read(idle, [1]) == [b"x"]
    put(busy, {1: b"z"})
    assert read(idle, [1]) == [b"z"]


def test_a_connection_that_is_cut_is_made_anew(server: PostgresServer, make: Make) -> None:
    """A connection cut within a transaction fails it whole; one cut in between is not noticed at all."""
    database = make()
    put(database, {1: b"x"})
    ask(server, f"SELECT pg_terminate_backend({backend(database)}, 10000)")
    put(database, {1: b"y"})
    database.begin(durable=False)
    before = database.fetch(ONE)
    ask(server, f"SELECT pg_terminate_backend({backend(database)}, 10000)")
    with pytest.raises(StoreError) as lost:
        database.apply(Changes(now=1.0, keys=ONE, before=before, after=[b"z"]))
    assert lost.value.kind == "down"
    with pytest.raises(StoreError):
        database.apply(Changes(now=1.0, keys=ONE, before=before, after=[b"z"]))
    assert read(database, [1]) == [b"y"]


def test_a_server_that_does_not_answer_is_given_up(server: PostgresServer, make: Make) -> None:
    """An exchange ends when the time is up even if the server says nothing at all."""
    database = make(timeout=0.2)
    database.begin(durable=False)
    process = backend(database)
    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(StoreError) as stalled:
            database.fetch(ONE)
    finally:
        os.kill(process, signal.SIGCONT)
    assert stalled.value.kind == "timeout"
    ask(server, f"SELECT pg_terminate_backend({process}, 10000)")
    assert read(database, [1]) == [None]


def test_waiting_for_a_turn_ends(make: Make) -> None:
    """A process that keeps its transaction makes others give up for now, and they go on when it is done."""
    slow, other = make(), make(timeout=0.2)
    other.open()
    slow.begin(durable=False)
    with pytest.raises(StoreError) as locked:
        other.begin(durable=False)
    assert locked.value.kind == "locked"
    assert other.lease("exporter", "b", 5.0)
    slow.abandon()
    put(other, {1: b"x"})
    assert read(slow, [1]) == [b"x"]


def test_a_statement_takes_only_so_long(make: Make) -> None:
    """The server itself ends a statement that takes too long, and the connection is made anew."""
    database = make(timeout=0.2)
    database.begin(durable=False)
    with pytest.raises(StoreError) as slow:
        database._session.rows(b"SELECT pg_sleep(0.9)")
    assert slow.value.kind == "timeout"
    assert read(database, [1]) == [None]


@pytest.mark.fault("Z12")
def test_no_secret_is_shown(server: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a database, nor an error of any kind, nor a log shows the password."""
    away = f"postgresql://tester:{PASSWORD}@127.0.0.1:{free_port()}/postgres"
    wrong = f"postgresql://tester:{PASSWORD}-wrong@127.0.0.1:{server.port}/postgres"
    nowhere = f"postgresql://tester:{PASSWORD}@127.0.0.1:{server.port}/nowhere"
    for url, kind in ((away, "down"), (wrong, "permission"), (nowhere, "schema")):
        database = PostgresDatabase(url, timeout=2.0)
        with pytest.raises(StoreError) as caught:
            database.open()
        assert caught.value.kind == kind
        assert "127.0.0.1" in str(caught.value)
        for text in (shown(caught.value), repr(database), repr(PostgresStore(url)), caplog.text):
            assert PASSWORD not in text
            assert "tester" not in text


def shown(error: BaseException) -> str:
    """Return what a report would show, but for the variables of the tests' own frames."""
    frames = traceback.walk_tb(error.__traceback__)
    ours = [
        repr(value) for frame, _ in frames if frame.f_code.co_filename != __file__ for value in frame.f_locals.values()
    ]
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(before)
    return "\n".join([*ours, *map(repr, chain)])


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        (f"postgresql://tester:{PASSWORD}@host/db?unknown=1", {}),
        (f"postgresql://tester:{PASSWORD}@host:port:port/db?=", {}),
        (f"host=localhost password={PASSWORD}", {}),
        (f"mysql://tester:{PASSWORD}@host/db", {}),
        (f"postgresql://tester:a@{PASSWORD}@127.0.0.1:1/db", {}),
        (f"postgresql://tester:1/{PASSWORD}@127.0.0.1:1/db", {}),
        (f"postgresql:///db?host=a@{PASSWORD}", {}),
        (f"postgresql://tester:\ud800{PASSWORD}@127.0.0.1:1/db", {}),
        ("postgresql://host/db", {"schema": 'x"; DROP SCHEMA y'}),
        ("postgresql://host/db", {"schema": "Upper"}),
        ("postgresql://host/db", {"schema": "pg_catalog"}),
        ("postgresql://host/db", {"schema": "a" * 64}),
        ("postgresql://host/db", {"flush": "never"}),
        ("postgresql://host/db", {"timeout": 0.0}),
        ("postgresql://host/db", {"timeout": float("nan")}),
    ],
    ids=[
        *(
            "option",
            "port",
            "no-url",
            "other",
            "at",
            "slash",
            "at-in-option",
            "surrogate",
            "injection",
            "upper",
            "reserved",
            "long",
        ),
        *("flush", "timeout-0", "timeout-nan"),
    ],
)
def test_settings_that_cannot_work_are_refused(url: str, settings: dict[str, Any]) -> None:
    """Bad URLs, names, and settings are refused before anything is connected, and no message shows a password."""
    with pytest.raises(ConfigurationError) as refused:
        PostgresDatabase(url, **settings)
    assert PASSWORD not in str(refused.value)
    assert refused.value.__context__ is None


@pytest.mark.fault("S7")
def test_tables_of_a_newer_version_are_refused(server: PostgresServer, schema: str, make: Make) -> None:
    """Tables that a newer version made are left alone, and the message names both versions."""
    make().open()
    ask(server, "UPDATE {s}.version SET version = version + 7", schema)
    newer = make()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=rf"version {VERSION + 7}\b.*up to {VERSION}\b"):
            newer.begin(durable=False)
    ask(server, "UPDATE {s}.version SET version = version - 7", schema)
    put(newer, {1: b"x"})


def test_processes_that_make_the_tables_at_once_make_them_once(server: PostgresServer, schema: str, make: Make) -> None:
    """Three processes that meet an empty server agree on one store."""
    workers = [worker(server, schema, name) for name in "abc"]
    told = [process.communicate("go\n", timeout=60)[0] for process in workers]
    assert [text.count("applied") for text in told] == [1, 1, 1]
    assert sorted(read(make(), [1])[0] or b"") == sorted(b"abc")


def test_a_namespace_may_be_there_already(server: PostgresServer, schema: str) -> None:
    """Who may not make namespaces uses one that an administrator made, and nothing else of the database."""
    ask(server, f"CREATE ROLE {schema}_role LOGIN PASSWORD '{PASSWORD}'")
    url = server.url.replace("tester", f"{schema}_role")
    database = PostgresDatabase(url, schema=schema)
    with pytest.raises(StoreError) as refused:
        database.open()
    assert refused.value.kind == "permission"
    ask(server, f"CREATE SCHEMA {schema} AUTHORIZATION {schema}_role")
    put(database, {1: b"x"})
    assert read(database, [1]) == [b"x"]
    database.close()


def test_tables_that_go_are_made_anew(server: PostgresServer, schema: str, make: Make) -> None:
    """When somebody drops the tables, one call fails and the next one begins a new store under another name."""
    database = make()
    put(database, {1: b"x"})
    origin = head(database).origin
    ask(server, f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(StoreError) as gone:
        database.begin(durable=False)
    assert gone.value.kind == "schema"
    assert read(database, [1]) == [None]
    assert head(database).origin != origin


def test_a_server_that_only_reads_is_told_apart(server: PostgresServer, schema: str, make: Make) -> None:
    """A server that takes no writes for now can be read, and says so when written to."""
    put(make(), {1: b"x"})
    url = f"{server.url}?options=-c%20default_transaction_read_only%3Don"
    standby = PostgresDatabase(url, schema=schema)
    assert read(standby, [1]) == [b"x"]
    assert standby.counted(-1, 0).head.documents == 1
    with pytest.raises(StoreError) as refused:
        write(standby, **keyed({2: b"y"}))
    assert refused.value.kind == "readonly"
    standby.close()


def test_what_was_not_read_is_not_written_over(make: Make) -> None:
    """Changes that rest on something else than what is there are refused whole."""
    database = make()
    put(database, {1: b"x"})
    for number, changes in enumerate(
        (
            {"keys": ONE, "before": [None], "after": [b"y"]},
            {"keys": ONE + 1, "before": [b"w"], "after": [b"y"]},
            {"keys": ONE + 1, "before": [b"w"], "after": [None]},
            {"reminded": [77]},
            {"known": 3, "entries": [b"e"]},
            {"rate": 0.5, "held_rate": 0.25},
        )
    ):
        database.begin(durable=False)
        assert not database.apply(Changes(now=2.0, awaiting=1, journal=b"j", **changes)), number
    assert read(database, [1, 2]) == [b"x", None]
    found = head(database)
    assert (found.sequence, found.awaiting, found.journal, found.entries, found.rate) == (1, 0, 0, 0, 0.0)


@pytest.mark.fault("S8")
@pytest.mark.parametrize(("flush", "predictions"), [("labels", "off"), ("always", "on")])
def test_labels_wait_for_the_disk(make: Make, flush: str, predictions: str) -> None:
    """Durable transactions wait for the server's log; others only if asked to."""
    database = make(flush=flush)
    for durable, expected in ((False, predictions), (True, "on")):
        database.begin(durable=durable)
        assert database._session.rows(b"SELECT current_setting('synchronous_commit')") == [(expected,)]
        database.abandon()


def test_the_check_finds_what_is_missing(server: PostgresServer, schema: str, make: Make) -> None:
    """The integrity check tells what the head says and what the tables hold."""
    database = make()
    put(database, {1: b"x", 2: b"y"}, journal=b"j")
    ask(server, "DELETE FROM {s}.documents WHERE key = 1", schema)
    assert database.check() == ["documents: 2 told, 1 found"]


def test_pages_taken_away_long_ago_are_forgotten(server: PostgresServer, schema: str, make: Make) -> None:
    """That a page is gone is told for a month, and then forgotten."""
    database = make()
    for number in (1, 2):
        write(database, journal=b"j")
        assert database.fold({f"page/{number}": b""}, number, number - 1)
    assert dict(database.counted(0, 0).pages) == {"page/1": b"", "page/2": b""}
    ask(server, "UPDATE {s}.pages SET written = written - interval '31 days' WHERE fold = 1", schema)
    write(database, journal=b"j")
    assert database.fold({"page/3": b"x"}, 3, 2)
    assert dict(database.counted(0, 0).pages) == {"page/2": b"", "page/3": b"x"}


def test_changed_documents_stay_where_the_index_points(server: PostgresServer, schema: str, make: Make) -> None:
    """Most changes of documents find room in the page of the old one, and touch no index."""
    database = make()
    ask(server, "ALTER SYSTEM SET autovacuum = off")  # one that looks at tables keeps old rows from being cleared
    ask(server, "SELECT pg_reload_conf()")
    while ask(server, "SELECT 1 FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%'"):
        time.sleep(0.1)
    for number in range(20):
        put(database, dict.fromkeys(range(400), b"%60d" % number))
    database.close()
    ask(server, "ALTER SYSTEM RESET autovacuum")
    ask(server, "SELECT pg_reload_conf()")
    text = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_all_tables WHERE relid = '{s}.documents'::regclass"
    for _ in range(300):  # the server counts what a session did some time after its end
        changed, in_place = ask(server, text, schema)[0]
        if changed == 19 * 400:
            break
        time.sleep(0.1)
    assert changed == 19 * 400
    assert in_place > 0.9 * changed


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        *(("53100", "full"), ("53200", "full"), ("57P01", "down"), ("08006", "down"), ("40001", "conflict")),
        *(("XX001", "corrupt"), ("28P01", "permission"), ("22023", "other"), ("57014", "timeout")),
    ],
)
def test_errors_have_a_word(state: str, kind: str) -> None:
    """Each error of the server has the word that counters carry."""
    error = psycopg.errors.lookup(state)("words of the server")
    assert failures.kind_of(error) == kind
    assert failures.explained(error, ["words"], "where").args == (f"where: *** of the server ({kind})",)


def test_an_address_makes_the_store(server: PostgresServer) -> None:
    """The URL alone is enough to make a store, and shows no secret."""
    store = make_store(server.url)
    assert isinstance(store, PostgresStore)
    assert PASSWORD not in repr(store)


def test_an_interrupted_wait_leaves_nothing_under_way(make: Make) -> None:
    """A signal's exception in the middle of an exchange ends the transaction, and the next one works."""
    database = make()

    def ring(*_: object) -> None:
        raise KeyboardInterrupt

    held = signal.signal(signal.SIGALRM, ring)
    try:
        database.begin(durable=False)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            database._session.rows(b"SELECT pg_sleep(3)")
    finally:
        signal.signal(signal.SIGALRM, held)
    assert read(database, [1]) == [None]
