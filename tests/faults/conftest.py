"""Servers of the tests of whole programs; what runs them stands beside the tests of the stores."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.append(str(Path(__file__).parents[1] / "stores"))

import postgres_server
import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def redis() -> Iterator[redis_server.Server]:
    """Run a Redis server that loses nothing when it is killed."""
    with redis_server.redis_server(appendonly=True) as server:
        yield server


@pytest.fixture
def postgres() -> Iterator[postgres_server.PostgresServer]:
    """Run a PostgreSQL server."""
    with postgres_server.postgres() as server:
        yield server
