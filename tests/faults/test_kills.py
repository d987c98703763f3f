"""Processes killed at any instant: what is counted in the end is what would be without a single kill."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import killed_workers
import pytest
from fraud_program import Program

from modelmon.stores.addresses import make_store

if TYPE_CHECKING:
    from pathlib import Path

    from postgres_server import PostgresServer
    from redis_server import Server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")]


@pytest.mark.fault("E5", "E6", "L15", "L16")
def test_sixty_kills_on_sqlite(tmp_path: Path) -> None:
    """Writers and labellers are killed sixty times; every cell of every slot is exact, and the file is sound."""
    program = Program(time.time(), size=3000)
    url = f"sqlite://{tmp_path}/labels.db"
    crew = killed_workers.Crew(url, program, tmp_path)
    crew.kill(60, seed=1)
    crew.finish()
    assert crew.kills >= 60
    killed_workers.check(make_store(url), program)
    assert not list(tmp_path.glob("*.corrupt-*"))


@pytest.mark.fault("E6", "S9")
def test_thirty_kills_on_redis(redis: Server, tmp_path: Path) -> None:
    """The same on Redis, whose server is killed too, four times, and comes back with what it confirmed."""
    program = Program(time.time(), size=2000)
    crew = killed_workers.Crew(redis.url, program, tmp_path)
    crew.kill(30, seed=2, also=dict.fromkeys((6, 12, 18, 24), redis.restart))
    crew.finish()
    assert crew.kills >= 30
    killed_workers.check(make_store(redis.url), program)


@pytest.mark.fault("E6")
def test_thirty_kills_on_postgres(postgres: PostgresServer, tmp_path: Path) -> None:
    """The same on PostgreSQL, whose server is stopped and started once."""
    program = Program(time.time(), size=2000)
    crew = killed_workers.Crew(postgres.url, program, tmp_path)
    crew.kill(30, seed=3, also={15: postgres.restart})
    crew.finish()
    assert crew.kills >= 30
    killed_workers.check(make_store(postgres.url), program)
