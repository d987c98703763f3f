"""Two consumers of one file of labels, one of them killed: every label counts once."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

import pytest
import replayed_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from postgres_server import PostgresServer
    from redis_server import Server

    Way = Callable[..., None]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")]
MANY = 100_000
WAYS = [replayed_files.by_command, replayed_files.by_consumer]


@pytest.fixture(scope="module")
def awaiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a file of 100,000 labels, and a store whose predictions await them."""
    folder = tmp_path_factory.mktemp("awaiting")
    replayed_files.write_file(folder / "labels.csv", MANY)
    replayed_files.predict_all(f"sqlite://{folder}/labels.db", MANY)
    return folder


@pytest.mark.fault("S10", "L2", "L16")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_twenty_replays_on_sqlite(awaiting: Path, tmp_path: Path, way: Way) -> None:
    """100,000 labels are delivered by two consumers at once, one killed half-way, ten times each way: always exact."""
    killed = 0
    for number in range(10):
        path = tmp_path / f"labels-{number}.db"
        shutil.copy(awaiting / "labels.db", path)
        folder = tmp_path / f"round-{number}"
        killed += replayed_files.replay(f"sqlite://{path}", awaiting / "labels.csv", MANY, way, folder)
        path.unlink()
    assert killed


@pytest.mark.fault("S10")
@pytest.mark.parametrize("way", WAYS)
def test_replays_on_redis(redis: Server, tmp_path: Path, way: Way) -> None:
    """The same on Redis, with fewer labels."""
    _replay(redis.url, tmp_path, way)


@pytest.mark.fault("S10")
@pytest.mark.parametrize("way", WAYS)
def test_replays_on_postgres(postgres: PostgresServer, tmp_path: Path, way: Way) -> None:
    """The same on PostgreSQL, with fewer labels."""
    _replay(postgres.url, tmp_path, way)


def _replay(url: str, folder: Path, way: Way) -> None:
    n, file = 20_000, folder / "labels.csv"
    replayed_files.write_file(file, n)
    replayed_files.predict_all(url, n)
    replayed_files.replay(url, file, n, way, folder / "logs")
