"""`RedisStore` under several processes, some of them killed, and a server that is killed too."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis_server import redis_server
from worlds import World

from modelmon.errors import StoreError
from modelmon.stores.addresses import make_store
from modelmon.stores.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis_server import Server

EVENTS, LOT, PASSES = 1500, 100, 25
NAMES = ["cat", "dog"]
WORKER = """
import random, sys, time
sys.path.insert(0, sys.argv[2])
from test_redis_store import deliver
deliver(sys.argv[1], int(sys.argv[3]))
"""


def predicted(number: int) -> str:
    """Return the predicted class of an event."""
    return NAMES[number % 2]


def actual(number: int) -> str:
    """Return the truth of an event."""
    return NAMES[number % 3 == 0]


def deliver(url: str, seed: int) -> None:
    """Deliver all predictions and all labels in lots, in an order of one's own, each until it is acknowledged."""
    world = World(RedisStore(url), window=10.0)
    lots = [(kind, start) for kind in ("predict", "label") for start in range(0, EVENTS, LOT)] * PASSES
    random.Random(seed).shuffle(lots)
    for kind, start in lots:
        numbers = range(start, start + LOT)
        values = [predicted(number) if kind == "predict" else actual(number) for number in numbers]
        done = False
        while not done:
            with suppress(StoreError):
                getattr(world, kind)([f"order-{number}" for number in numbers], values)
                done = True
    world.store.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server that loses nothing when it is killed."""
    with redis_server(appendonly=True) as running:
        yield running


@pytest.mark.fault("L16", "S9")
@pytest.mark.slow
def test_processes_that_deliver_the_same_and_are_killed_count_each_event_once(server: Server) -> None:
    """Three processes deliver the same events, over and over, and are killed, as is the server: counts are exact."""
    chance = random.Random(3)

    def start(seed: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", WORKER, server.url, str(Path(__file__).parent), str(seed)])

    workers = [start(seed) for seed in range(3)]
    for kill in range(9):
        time.sleep(chance.uniform(0.8, 1.2))
        if kill % 3 == 2:
            server.restart()
            continue
        victim = chance.randrange(3)
        workers[victim].kill()
        workers[victim].wait(30)
        workers[victim] = start(10 + kill)
    assert [worker.wait(100) for worker in workers] == [0, 0, 0]
    world = World(RedisStore(server.url, timeout=10.0), window=10.0)
    expected: dict[tuple[str, str], int] = {}
    for number in range(EVENTS):
        cell = (actual(number), predicted(number))
        expected[cell] = expected.get(cell, 0) + 1
    assert world.cells() == expected
    assert world.store.part().gauges["documents"] == EVENTS
    world.store.check_invariants()
    assert world.store._database.check() == []
    world.store.close()


@pytest.mark.fault("Z12")
def test_a_url_makes_a_store_that_shows_no_secret(server: Server) -> None:
    """An address makes a store, which is shown without its URL, and which other stores of the namespace share."""
    store = make_store(server.url.replace("redis://", "redis://default:unneeded@"))
    assert isinstance(store, RedisStore)
    assert "unneeded" not in repr(store)
    worlds = [
        World(RedisStore(server.url)),
        World(RedisStore(server.url)),
        World(RedisStore(server.url, namespace="b")),
    ]
    assert worlds[0].predict(["a"], ["cat"]) == {"pending": 1}
    assert worlds[1].label(["a"], ["dog"]) == {"joined": 1}
    assert worlds[2].label(["a"], ["dog"]) == {"early": 1}
    assert worlds[0].cells() == worlds[1].cells() == {("dog", "cat"): 1}
    for world in worlds:
        world.store.close()
