"""A monitor on a real store that processes share: an SQLite file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from modelmon import Monitor, Multiclass, Snapshot, SQLiteStore, leasing
from modelmon.monitoring import Source

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
    assert first.flush(5)
    assert Source(first).snapshot()["m"].awaiting == 2
    assert "m" not in Source(second).snapshot()
    first.close()
    second.home.delivery._lease._ask_at = 0.0
    assert Source(second).snapshot()["m"].awaiting == 2
    second.close()
