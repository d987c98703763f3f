"""A closed monitor leaves nothing behind: no thread, no file, and nothing that keeps it alive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelmon import Monitor, Multiclass

CELL = """
import gc, json, os, sys, threading, weakref
from modelmon import Monitor, Multiclass

where, left, known = {sys.argv[1]: sys.argv[2]}, [], []
for number in range(12):
    own = Monitor(**where)
    watched = own(lambda i: i % 3, model="x", task=Multiclass(), id="i")
    watched(number)
    own.close()
    known.append(weakref.ref(own))
    del own, watched
    gc.collect()
    left.append([threading.active_count(), len(os.listdir("/proc/self/fd"))])
own = Monitor(**where)
found = own.snapshot()["x"]
print(json.dumps([left, [monitor() for monitor in known], found.awaiting, found.calls]))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list open files")
@pytest.mark.parametrize(("where", "calls"), [("store", 0), ("directory", 12)])
def test_a_cell_that_closes_its_monitor_may_be_run_again(where: str, calls: int, tmp_path: Path) -> None:
    """Twelve runs leave as many threads and open files as one, the monitors are gone, and all they counted is there."""
    path = f"sqlite://{tmp_path}/labels.db" if where == "store" else str(tmp_path)
    line = [sys.executable, "-c", CELL, where, path]
    done = subprocess.run(line, check=True, capture_output=True, text=True, timeout=120)
    left, known, awaiting, found = json.loads(done.stdout)
    assert left[-1] == left[0]
    assert known == [None] * 12
    assert (awaiting, found) == (12, calls)


def test_a_reader_that_cannot_be_closed_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told of, without its message, and the other readers and the store are closed all the same."""
    closed = []

    class Reader:
        def __init__(self, *, works: bool) -> None:
            self.works = works

        def attach(self, source: object) -> None:
            """Take nothing."""

        def close(self, timeout: float) -> None:
            if not self.works:
                msg = "a secret"
                raise ValueError(msg)
            closed.append(timeout)

    own = Monitor(store=tmp_path / "labels.db")
    own.add(Reader(works=False))
    own.add(Reader(works=True))
    own.predictions(["a"], [1], model="x", task=Multiclass())
    own.close()
    assert len(closed) == 1
    assert "closing Reader failed with ValueError" in caplog.text
    assert "a secret" not in caplog.text
    own = Monitor(store=tmp_path / "labels.db")
    assert own.snapshot()["x"].awaiting == 1
    own.close()
