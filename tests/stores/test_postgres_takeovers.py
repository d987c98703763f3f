"""A PostgreSQL server that lacks its last transactions: a replica that took over, a crash, a dump put back."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from postgres_server import PostgresServer, postgres
from worlds import World

from modelmon.snapshot import Snapshot
from modelmon.stores.postgres import PostgresStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TABLES = ("head", "documents", "reminders", "entries", "journal", "pages")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Return a server that all tests of this file use."""
    with postgres() as running:
        yield running


def rewound(server: PostgresServer, schema: str, *, cut: bool) -> Callable[[], None]:
    """Return what puts everything back to how it is now, as a replica that has come this far and takes over.

    Args:
        server: the server.
        schema: the store's namespace.
        cut: connections end, as in any takeover; without it, this is a dump that was put back, or behind a pooler.
    """
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute(f"CREATE SCHEMA {schema}_then")
        for table in _TABLES:
            session.execute(f"CREATE TABLE {schema}_then.{table} AS TABLE {schema}.{table}")

    def back() -> None:
        with psycopg.connect(server.url, autocommit=True) as session:
            if cut:
                session.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'modelmon'"
                )
            for table in _TABLES:
                how = "OVERRIDING SYSTEM VALUE" if table == "reminders" else ""
                session.execute(f"TRUNCATE {schema}.{table}")
                session.execute(f"INSERT INTO {schema}.{table} {how} TABLE {schema}_then.{table}")

    return back


@pytest.mark.fault("S9")
@pytest.mark.parametrize(("schema", "cut"), [("replica", True), ("dump", False)])
def test_what_was_lost_is_forgotten(server: PostgresServer, schema: str, cut: bool) -> None:
    """Classes and counts that only a process remembers give way to those that took their numbers meanwhile."""
    one, other, third, fourth = (World(PostgresStore(server.url, schema=schema)) for _ in range(4))
    with closing(one.store), closing(other.store), closing(third.store), closing(fourth.store):
        for world in (one, other, third):
            world.clock.now = time.time()
        one.predict(["a0"], ["bird"])
        other.predict(["b0"], ["bird"])
        third.store.part()
        back = rewound(server, schema, cut=cut)
        one.predict(["a1", "a2"], ["cat", "cat"])
        assert third.store.part().series["m", ""].classes == one.store.part().series["m", ""].classes == ("bird", "cat")
        back()
        if cut:  # otherwise nothing tells that what another one wrote is not what there was
            other.predict(["b1"], ["dog"])
        else:
            assert one.store.part().series["m", ""].classes == ("bird",)
            assert third.store.part().series["m", ""].classes == ("bird",)
        ids = [f"c{number}" for number in range(5)]
        one.predict(ids, ["cat"] * 5)
        assert one.label(ids, ["cat"] * 5) == {"joined": 5}
        other.predict(["b2"], ["dog"])
        assert other.label(["b2"], ["dog"]) == {"joined": 1}
        for world in (third, one, other, fourth):
            world.store._reading.fold(world.store._session.settings)
            model = Snapshot((world.store.part(),))["m"]
            assert model.accuracy == 1.0
            assert world.cells() == {("cat", "cat"): 5, ("dog", "dog"): 1}
            assert model.accepted == (9 if cut else 8)
            world.store.check_invariants()
