"""A closed monitor leaves nothing behind: no thread, no file, and nothing that keeps it alive."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

import pytest

from modelmon import Monitor, Multiclass

FILES = Path("/proc/self/fd")


@pytest.mark.skipif(not FILES.exists(), reason="this system does not list open files")
def test_a_cell_that_closes_its_monitor_may_be_run_again(tmp_path: Path) -> None:
    """Twelve runs leave as many threads and open files as one, the monitors are gone, and all predictions are there."""
    left: list[tuple[int, int]] = []
    known = []
    for number in range(12):
        own = Monitor(store=tmp_path / "labels.db")
        watched = own(lambda i: i % 3, model="x", task=Multiclass(), id="i")
        watched(number)
        own.close()
        known.append(weakref.ref(own))
        del own, watched
        gc.collect()
        left.append((threading.active_count(), len([*FILES.iterdir()])))
    assert left[-1] == left[0]
    assert [monitor() for monitor in known] == [None] * 12
    own = Monitor(store=tmp_path / "labels.db")
    assert own.snapshot()["x"].awaiting == 12
    own.close()


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
