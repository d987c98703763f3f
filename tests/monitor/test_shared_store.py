"""A monitor on a real store that processes share: an SQLite file."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from modelmon import LabelClient, Monitor, Multiclass, Snapshot, SQLiteStore, StoreError, leasing
from modelmon.monitoring import Source
from modelmon.serving.metrics import StoreMetrics

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """
import os, sys, time
from modelmon import Monitor, Multiclass
from modelmon.monitoring import Source
own = Monitor(store=sys.argv[1], flush_interval=0.05)
source = Source(own)
@own(model="digit", id="key", task=Multiclass())
def predict(key): return key % 10
for line in sys.stdin:
    what, *numbers = line.split()
    numbers = [int(number) for number in numbers]
    if what == "call":
        for key in range(*numbers): predict(key)
        answer = own.flush(10)
    elif what == "label":
        keys = list(range(*numbers))
        answer = dict(own.labels(keys, [key % 10 for key in keys]))
    elif what == "show":
        answer = source.snapshot().to_json().replace("\\n", " ")
    elif what == "scrape":
        from modelmon.exporters.exposition import Exposition
        answer = Exposition().render(source.snapshot().points(), "text").decode()
    import json
    print(json.dumps(answer), flush=True)
own.close()
"""


class Worker:
    """A process that predicts, labels and exports."""

    def __init__(self, store: str) -> None:
        """Start it."""
        line = [sys.executable, "-W", "error", "-c", textwrap.dedent(WORKER), store]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str) -> object:
        """Have it do something and return what it answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def joined(self) -> int:
        """Return how many labelled predictions it shows exporters."""
        shown = Snapshot.from_json(str(self.ask("show")))
        return shown["digit"].labelled if "digit" in shown else 0

    def end(self) -> None:
        """End it, and take its last words."""
        self.process.communicate(timeout=20)
        assert self.process.returncode == 0


def summed(texts: list[object], name: str) -> float:
    """Return what ``sum`` of a family makes of several scrapes."""
    lines = [line for text in texts for line in str(text).splitlines() if line.startswith(name + "{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.slow
@pytest.mark.fault("L15")
def test_two_processes_join_what_the_other_predicted_and_show_it_once(tmp_path: Path) -> None:
    """Labels reach the other process's predictions, sums over scrapes are right, and a killed exporter is replaced."""
    address = f"sqlite://{tmp_path}/labels.db"
    first, second = Worker(address), Worker(address)
    assert first.ask("call 0 300") is True
    assert second.ask("call 300 500") is True
    assert first.ask("label 300 500") == {"joined": 200}
    assert second.ask("label 0 300") == {"joined": 300}
    for _ in range(2):
        scrapes = [worker.ask("scrape") for worker in (first, second)]
        assert summed(scrapes, "modelmon_confusion_total") == 500
        assert summed(scrapes, "modelmon_calls_total") == 500
        assert summed(scrapes, "modelmon_join_occupancy") == 500
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.communicate()
    killed = time.monotonic()
    while second.joined() == 0:
        assert time.monotonic() - killed < 2 * leasing.LEASE_S
        time.sleep(0.25)
    assert second.joined() == 500
    assert summed([second.ask("scrape")], "modelmon_confusion_total") == 500
    second.end()


def test_a_path_and_an_object_name_the_same_store(tmp_path: Path) -> None:
    """What one monitor wrote by a path, another reads by a store object, after the first let go of it."""
    first = Monitor(store=tmp_path / "labels.db")
    first.predictions([1, 2, 3], [0, 1, 1], model="m", task=Multiclass())
    assert first.label(1, 0) == {"joined": 1}
    first.close()
    assert first.label(2, 0) == {"joined": 1}
    first.close()
    store = SQLiteStore(tmp_path / "labels.db")
    second = Monitor(store=store)
    assert second.label(3, 1) == {"joined": 1}
    seen = second.snapshot()["m"]
    assert (seen.labelled, seen.accuracy) == (3, pytest.approx(2 / 3))
    second.check_invariants()
    second.close()
    store.close()


def test_exporters_hand_over_at_close(tmp_path: Path) -> None:
    """The lease goes back when a monitor closes, so that nobody waits for its end."""
    address = f"sqlite://{tmp_path}/labels.db"
    first, second = Monitor(store=address), Monitor(store=address)
    first.predictions([1, 2], [0, 1], model="m", task=Multiclass())
    assert first.flush(60)
    assert Source(first).snapshot()["m"].awaiting == 2
    assert "m" not in Source(second).snapshot()
    first.close()
    second.home.delivery._lease._ask_at = 0.0
    assert Source(second).snapshot()["m"].awaiting == 2
    second.close()


@pytest.mark.fault("S4")
def test_who_serves_a_store_goes_before_its_monitors(tmp_path: Path) -> None:
    """While a served store is scraped there, monitors leave it out; a second server of it shows none of it."""
    address = f"sqlite://{tmp_path}/labels.db"
    monitor = Monitor(store=address)
    monitor.predictions([1, 2], [0, 1], model="m", task=Multiclass())
    assert monitor.flush(60)
    assert Source(monitor).snapshot()["m"].awaiting == 2
    first, second = (StoreMetrics(LabelClient(address)) for _ in range(2))
    awaiting = b'modelmon_join_occupancy{model="m",state="pending",version=""} 2'
    assert awaiting in first.render({}, "text")
    assert b"modelmon_join_occupancy" not in second.render({}, "text")
    monitor.home.delivery._lease._ask_at = 0.0
    assert not Source(monitor).snapshot()["m"].occupancy
    monitor.close()


@pytest.mark.fault("S4")
def test_a_locked_file_costs_no_call_and_no_prediction(tmp_path: Path) -> None:
    """While another program locks the file, calls go on and labels raise; afterwards everything is there, exactly."""
    path = tmp_path / "labels.db"
    store = SQLiteStore(path, timeout=0.1)
    own = Monitor(store=store, flush_interval=0.05)

    @own(model="digit", id="key", task=Multiclass())
    def predict(key: int) -> int:
        return key % 10

    for key in range(100):
        predict(key)
    assert own.flush(60)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    took = []
    for key in range(100, 3000):
        begun = time.perf_counter()
        predict(key)
        took.append(time.perf_counter() - begun)
    assert sorted(took)[-30] < 0.05  # who asks the store waits for at least the 0.1 s of its timeout
    with pytest.raises(StoreError) as caught:
        own.label(100, 0)
    assert caught.value.kind == "locked"
    assert Source(own).snapshot()["digit"].calls == 3000
    assert not own.flush(5)
    other.rollback()
    other.close()
    assert own.labels(range(3000), [key % 10 for key in range(3000)]) == {"joined": 3000}
    seen = own.snapshot()
    assert seen["digit"].accuracy == 1.0
    assert seen.store_errors["locked"] >= 2
    assert seen["digit"].prediction_events["duplicate"] == 0
    own.check_invariants()
    own.close()
    store.close()


FORKING = """
import os, sys, threading, time
from modelmon import Monitor, Multiclass, SQLiteStore
how, path = sys.argv[1:]
own = Monitor(store=f"sqlite://{path}" if how == "address" else SQLiteStore(path), flush_interval=0.001)
@own(model="digit", id="key", task=Multiclass())
def predict(key): return key % 10
def work(start):
    for key in range(start, start + 100): predict(key)
    keys = list(range(start, start + 100))
    return own.labels(keys, [key % 10 for key in keys]) == {"joined": 100} and own.flush(10)
stop, made = threading.Event(), [0]
def hammer():
    while not stop.is_set():
        assert work(made[0] * 100)
        made[0] += 1
thread = threading.Thread(target=hammer); thread.start()
bad = 0
for child in range(15):
    pid = os.fork()
    if not pid:
        os._exit(0 if work(10_000_000 + child * 100) else 3)
    bad += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
stop.set(); thread.join()
seen = own.snapshot()["digit"]
own.check_invariants()
own.close()
print(bad, seen.labelled == 100 * (made[0] + 15), seen.accuracy, seen.prediction_events["duplicate"])
"""


@pytest.mark.fault("F6", "F13")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("how", ["address", "object"])
def test_children_forked_amid_writing_share_the_file(how: str, tmp_path: Path) -> None:
    """A child uses a connection of its own, writes what it predicted itself, and nothing is counted twice or lost."""
    line = [sys.executable, "-c", FORKING, how, str(tmp_path / "labels.db")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["0", "True", "1.0", "0"], done.stderr
