"""Fixtures of all tests of databases under a durable store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from databases import DATABASES

from modelmon.stores.keeping import DatabaseStore
from modelmon.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databases import Another, Fresh

    from modelmon.stores.contract import Store
    from modelmon.stores.database import Database

    FreshStore = Callable[[], Store]


@pytest.fixture(params=sorted(DATABASES), scope="module")
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """Return a function that makes a new state."""
    with DATABASES[request.param](tmp_path_factory.mktemp(request.param)) as make:
        yield make


@pytest.fixture(params=["memory", *sorted(DATABASES)], scope="module")
def fresh_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshStore]:
    """Return a function that makes a new, empty store."""
    if request.param == "memory":
        yield MemoryStore
        return
    with DATABASES[request.param](tmp_path_factory.mktemp(request.param)) as make:
        yield lambda: DatabaseStore(make()())


@pytest.fixture
def another(fresh: Fresh) -> Another:
    """Return a function that opens another database on one new state."""
    make = fresh()

    def opened() -> Database:
        database = make()
        database.open()
        return database

    return opened


@pytest.fixture
def database(another: Another) -> Database:
    """Return a database in a new state."""
    return another()
