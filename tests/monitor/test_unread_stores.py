"""What a process shows that cannot show its store now, and what the end of a process means for the others."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from waiting_store import WaitingStore

from modelmon import Binary, LabelClient, Monitor, Multilabel, Regression, leasing
from modelmon.monitoring import Source
from modelmon.points.reading import points
from modelmon.serving.metrics import StoreMetrics

if TYPE_CHECKING:
    from pathlib import Path

    from modelmon.snapshot import Snapshot

OF_STORES = ("modelmon.prediction.", "modelmon.label.", "modelmon.join.", "modelmon.confusion", "modelmon.class.")
TASKS = (Binary(positive="fraud", negative="ok"), Multilabel(classes=("red", "green")), Regression())

ENDING = """
import signal, sys, time
from modelmon import Binary, Monitor
from modelmon.exporters.log import LogExporter
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
own = Monitor(store=sys.argv[1])
own.add(LogExporter(3600))  # whose last reading comes at the end of the program
@own(model="fraud", version="1", task=Binary(positive="fraud", negative="ok"), id="order")
def score(order): return 0.9
if sys.argv[2] == "watched":
    score("first")
from modelmon.sources import Source
assert Source(own).snapshot().stored
print("shown", flush=True)
if sys.argv[2] == "idle":
    sys.exit()
time.sleep(60)
"""


def names(snapshot: Snapshot, **options: tuple[str, ...]) -> set[str]:
    """Return what of a snapshot's points comes from a store."""
    own = (*OF_STORES, "modelmon.quality", "modelmon.score.")
    return {point.name for point in points(snapshot, **options) if point.name.startswith(own)}


def declared(store: object) -> Source:
    """Return the source of a monitor that watches a model of every kind, each called once."""
    monitor = Monitor(store=store, flush_interval=0.01)
    for number, task in enumerate(TASKS):

        @monitor(model=f"m{number}", version="1", task=task, id="key")
        def predict(key: str, number: int = number) -> object:
            return (0.9, [0.9, 0.1], 3.0)[number]

        predict(f"{number}-1")
    return Source(monitor)


def test_who_has_no_lease_shows_nothing_of_the_store() -> None:
    """No zeros stand in for counters of a store that another process shows, and it takes over with what there is."""
    store = WaitingStore()
    first, second = declared(store), declared(store)
    assert names(first.snapshot(), windows=("1h",)) >= {"modelmon.confusion", "modelmon.quality.support"}
    seen = second.snapshot()
    assert not seen.stored
    assert seen["m0"].calls == 1
    assert names(seen, windows=("1h", "1h:mature")) == set()
    first._monitor.close()
    second._monitor.home.delivery._lease._ask_at = 0.0
    assert names(second.snapshot(), windows=("1h",)) >= {"modelmon.confusion", "modelmon.quality.support"}
    second._monitor.close()


def test_who_cannot_reach_its_store_shows_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither before the store was first read nor when what was read is too old; calls are shown throughout."""
    store = WaitingStore()
    store.fail()
    source = declared(store)
    assert names(source.snapshot()) == set()
    assert source.snapshot()["m1"].calls == 1
    store.trouble = None
    source._monitor.home.delivery.backoff.clear()
    assert "modelmon.confusion" in names(source.snapshot())
    store.fail()
    assert "modelmon.confusion" in names(source.snapshot())
    monkeypatch.setattr(leasing, "LAST_KNOWN_S", 0.0)
    assert names(source.snapshot()) == set()
    store.trouble = None
    source._monitor.close()


def test_what_a_store_has_not_counted_yet_is_shown_as_zero() -> None:
    """Cells of known classes are there from the first reading, of this process's memory and of a store that waits."""
    for store in ("memory", WaitingStore(shared=False)):
        source = declared(store)
        found = [point for point in source.snapshot().points() if point.name == "modelmon.confusion"]
        assert [point.value for point in found] == [0] * 4
        source._monitor.close()


@pytest.mark.fault("S4")
@pytest.mark.parametrize("how", ["watched", "idle"])
def test_a_program_that_ends_hands_over_at_once(how: str, tmp_path: Path) -> None:
    """The lease goes back when the program ends, whether or not the monitor is closed, after the last export."""
    address = f"sqlite://{tmp_path}/labels.db"
    line = [sys.executable, "-W", "error", "-c", textwrap.dedent(ENDING), address, how]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shown\n"
        if how == "watched":
            process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    with closing(sqlite3.connect(tmp_path / "labels.db")) as connection:
        assert connection.execute("SELECT 1 FROM leases WHERE name = 'exporter'").fetchall() == []
    monitor = Monitor(store=address)
    assert Source(monitor).snapshot().stored
    monitor.close()


def test_no_lease_is_asked_for_once_the_end_has_begun() -> None:
    """A scrape that comes after the lease went back would take it again, and hold it after the end."""
    store = WaitingStore()
    source = declared(store)
    assert source.snapshot().stored
    delivery = source._monitor.home.delivery
    delivery._leave(5.0)
    assert not delivery._lease.held
    assert store._lease[0] == ""
    assert not source.snapshot().stored
    assert store._lease[0] == ""
    source._monitor.close()


@pytest.mark.fault("S4")
def test_a_store_that_fails_holds_up_no_end() -> None:
    """Nobody waits to give back a lease where the store does not work, or no time is left; it ends by itself."""
    store = WaitingStore()
    source = declared(store)
    assert source.snapshot().stored
    delivery = source._monitor.home.delivery
    delivery.finish(5.0)
    store.fail()
    delivery.backoff.failed()
    delivery._leave(5.0)
    assert delivery._lease.held
    assert store._lease[0]
    store.trouble = None
    source._monitor.close()


def test_who_serves_a_store_gives_it_back_at_its_end(tmp_path: Path) -> None:
    """A server that is started again shows the store at once, and so do monitors where there is none."""
    address = f"sqlite://{tmp_path}/labels.db"
    monitor = Monitor(store=address)
    monitor.predictions([1, 2], ["a", "b"], model="m")
    assert monitor.flush(60)
    for _ in range(2):
        with LabelClient(address) as client:
            assert b"modelmon_join_occupancy" in StoreMetrics(client).render({}, "text")
            monitor.home.delivery._lease._ask_at = 0.0
            assert not Source(monitor).snapshot().stored
    monitor.home.delivery._lease._ask_at = 0.0
    assert Source(monitor).snapshot().stored
    monitor.close()
