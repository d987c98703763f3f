"""The durable stores: predictions and labels per second, and bytes per awaiting prediction, beside doing it oneself."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rivals
from contests import Contest, Contestant, Ours, Spent
from figures import Figure, Goal, missing
from large import large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from budget import Budget

BATCH = 1000
LARGE_S = 450.0
OTHERS = {1: 200, 100: 60, 8192: 6}
GOALS = {"SQLite": (150, 150), "Redis": (None, 80), "PostgreSQL": (None, 80)}
sys.path.append(str(Path(__file__).parent.parent / "stores"))


def stores(budget: Budget) -> list[Figure]:
    """Measure every store that can run here."""
    contests = {"SQLite": _sqlite, "Redis": _redis, "PostgreSQL": _postgres}
    found = [figure for name, opened in contests.items() for figure in _contest(name, budget, opened)]
    return [*found, *(large(LARGE_S) if budget.large else [])]


def _contest(name: str, budget: Budget, opened: Any) -> list[Figure]:
    try:
        with tempfile.TemporaryDirectory(prefix="bench") as folder, opened(Path(folder)) as (ours, peer, sizes):
            contest = Contest({"ours": ours, "peer": peer})
            absent = _add_tables(contest, Path(folder)) if name == "SQLite" else []
            return [*_figures(name, budget, contest, sizes), *absent]
    except (ImportError, pytest.skip.Exception) as error:
        return [Figure(name, None, note=str(error))]


def _figures(name: str, budget: Budget, contest: Contest, sizes: Any) -> list[Figure]:
    peer = contest.contestants["peer"]
    awaiting = budget.rows(300_000, 60_000)
    before = sizes()
    contest.fill(awaiting)
    after = sizes()
    found = contest.run(BATCH, budget.rows(60, 25))
    figures = []
    for which, what in enumerate(("predictions", "joins")):
        ours = found["ours"][which]
        bound = GOALS[name][which]
        goal = None if bound is None else Goal(bound, least=True)
        for rival, contestant in contest.contestants.items():
            if rival == "peer":
                label = f"{name}: {what} per second, batches of 1,000"
                figures.append(_rate(label, (ours, found[rival][which]), peer.name, goal))
            elif rival != "ours":
                label = f"{name}: the same {what} beside another"
                figures.append(_rate(label, (ours, found[rival][which]), contestant.name))
        text = f"{name}: processor time of this process for each of these {what}"
        figures.append(Figure(text, ours.each, "µs", peer=peer.name, peers=found["peer"][which].each))
    for size, rounds in OTHERS.items():
        found = contest.run(size, budget.rows(rounds, rounds // 3), ["ours", "peer"])
        for which, what in enumerate(("predictions", "joins")):
            label = f"{name}: {what} per second, batches of {size:,}"
            figures.append(_rate(label, (found["ours"][which], found["peer"][which]), peer.name))
    weights = [(now - then) / awaiting for now, then in zip(after, before, strict=True)]
    text = f"{name}: bytes per awaiting prediction, {awaiting:,} uuids"
    figures.append(Figure(text, weights[0], "B", peer=peer.name, peers=weights[1]))
    _check(contest)
    contest.close()
    return figures


def _rate(label: str, found: tuple[Spent, Spent], shown: str, goal: Goal | None = None) -> Figure:
    ours, peers = found
    return Figure(label, ours.rate, "k/s", median=ours.usual, peer=shown, peers=peers.rate, goal=goal)


def _add_tables(contest: Contest, folder: Path) -> list[Figure]:
    """Add the peers that keep tables; return what is missing."""
    makers = {"duckdb": rivals.DuckDB, "pandas": rivals.Pandas}
    here = [rival for rival in makers if find_spec(rival) and find_spec("pandas")]
    contest.contestants.update({rival: makers[rival](folder / rival) for rival in here})
    return [missing("durable join", rival) for rival in makers if rival not in here]


def _check(contest: Contest) -> None:
    """Make sure that ours and the peer have joined the same."""
    ours, peer = contest.contestants["ours"], contest.contestants["peer"]
    model = ours.monitor.snapshot()["m"]  # type: ignore[attr-defined]
    cells = {(t, p): int(model.confusion.matrix[t, p]) for t in (0, 1) for p in (0, 1)}
    assert cells == dict(peer.cells), f"{cells} is not {peer.cells}"  # type: ignore[attr-defined]


@contextmanager
def _sqlite(folder: Path) -> Iterator[tuple[Contestant, Contestant, Any]]:
    from modelmon import SQLiteStore  # noqa: PLC0415  (one store of several)

    path = folder / "ours" / "labels.db"
    ours, peer = Ours(SQLiteStore(path)), rivals.PlainSQLite(folder / "peer.db")

    def sizes() -> tuple[int, int]:
        return sum(file.stat().st_size for file in path.parent.glob("*")) if path.parent.exists() else 0, peer.size()

    yield ours, peer, sizes


@contextmanager
def _redis(folder: Path) -> Iterator[tuple[Contestant, Contestant, Any]]:
    import redis  # noqa: PLC0415  (one store of several)
    from redis_server import redis_server  # noqa: PLC0415

    from modelmon.stores.redis import RedisStore  # noqa: PLC0415

    del folder
    settings = ("--appendonly", "yes", "--appendfsync", "everysec")
    with redis_server(*settings) as server, redis_server(*settings) as other:
        ours, peer = Ours(RedisStore(server.url)), rivals.PlainRedis(other.url)
        client = redis.Redis.from_url(server.url)
        yield ours, peer, lambda: (client.info("memory")["used_memory"], peer.size())
        client.close()


@contextmanager
def _postgres(folder: Path) -> Iterator[tuple[Contestant, Contestant, Any]]:
    import psycopg  # noqa: PLC0415  (one store of several)
    from postgres_server import postgres_server  # noqa: PLC0415

    from modelmon.stores.postgres import PostgresStore  # noqa: PLC0415

    del folder
    with postgres_server() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = on")
        connection.execute("SELECT pg_reload_conf()")
        relations = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c"
        relations += " JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'modelmon' AND relkind = 'r'"
        ours, peer = Ours(PostgresStore(url)), rivals.PlainPostgres(url)
        yield ours, peer, lambda: (int(connection.execute(relations).fetchone()[0]), peer.size())  # type: ignore[index]
