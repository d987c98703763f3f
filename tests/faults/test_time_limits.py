"""What handlers of signals raise amid labels on a lasting store: time limits and Ctrl-C pass, and cost no number."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import programs
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from postgres_server import PostgresServer
    from redis_server import Server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")

_STRUCK = """
import random, signal
from modelmon import LabelClient, Multiclass
url, raised, strikes = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3])
def expire(*_): raise raised("time limit")
chance = random.Random(5)
own = Monitor(store=url)
@own(model="warm", task=Multiclass(), id="number")
def warm(number): return 0
warm("w")  # what is imported first is struck by nothing: CPython may swallow a signal there
own.label("w", 0); own.snapshot(); own.flush(30)
signal.signal(signal.SIGALRM, expire)
@own(model="m", task=Multiclass(classes=range(3)), id="number")
def predict(number): return number % 3
struck = lots = 0
others = set()
end = time.monotonic() + 40
def limited():
    global struck
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, 0.012))
        for number in range(lots * 20, lots * 20 + 20): predict(number)
        own.labels(range(lots * 20, lots * 20 + 20), [number % 2 for number in range(lots * 20, lots * 20 + 20)])
        if lots % 4 == 0: own.snapshot()
        signal.setitimer(signal.ITIMER_REAL, 0)
        return True
    except raised as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        struck += str(error) == "time limit"
    except Exception as error:
        others.add(type(error).__name__)
    return False
def done():
    global struck
    try:
        return limited()
    except raised as error:  # struck while another exception was looked at
        struck += str(error) == "time limit"
        return False
while struck < strikes and time.monotonic() < end:
    while not done() and time.monotonic() < end: pass
    lots += 1
signal.setitimer(signal.ITIMER_REAL, 0)
for number in range(lots * 20): predict(number)
report = own.labels(range(lots * 20), [number % 2 for number in range(lots * 20)])
own.flush(30)
own.check_invariants()
with LabelClient(url) as client:
    read = client.snapshot()["m"]
wanted = [[0] * 3 for _ in range(3)]
for number in range(lots * 20): wanted[number % 2][number % 3] += 1
told(struck > 0)
told(read.accepted - lots * 20, read.labelled - lots * 20)
told(read.confusion.matrix.tolist() == wanted)
told(sorted(report.items()) == [("duplicate", lots * 20)])
told(" ".join(others))
"""


def _strike(url: str, raised: str, strikes: int) -> set[str]:
    """Return the names of what else than ``raised`` reached the program."""
    ended = programs.run(_STRUCK, url, raised, str(strikes), seconds=170)
    assert (ended.code, ended.out[:4]) == (0, ["True", "0 0", "True", "True"]), ended
    assert "damaged" not in ended.error
    return set(ended.out[4].split())


@pytest.mark.fault("E7", "S3")
@pytest.mark.parametrize("raised", ["TimeoutError", "ValueError"])
def test_a_file_stays_whole(raised: str, tmp_path: Path) -> None:
    """However an exception is called and wherever it strikes, nothing is put aside, counted twice or left locked."""
    assert _strike(f"sqlite://{tmp_path}/labels.db", raised, 20) <= {"StoreError"}
    assert not [path.name for path in tmp_path.iterdir() if "corrupt" in path.name]


@pytest.mark.slow
@pytest.mark.fault("E7", "S9")
@pytest.mark.parametrize("raised", ["TimeoutError", "KeyboardInterrupt"])
def test_a_redis_server_s_numbers_stay_right(raised: str, redis: Server) -> None:
    """An answer that nobody waited for is not taken for that to the next question."""
    assert _strike(redis.url, raised, 20) <= {"StoreError"}  # its client takes a time limit for a socket's


@pytest.mark.slow
@pytest.mark.fault("E7", "S9")
@pytest.mark.parametrize("raised", ["TimeoutError", "KeyboardInterrupt"])
def test_a_postgresql_server_s_numbers_stay_right(raised: str, postgres: PostgresServer) -> None:
    """The same on PostgreSQL."""
    assert _strike(postgres.url, raised, 20) <= {"StoreError"}
