"""Tests of the label client: labels from a process that knows the store alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from modelmon import Binary, BusyError, ConfigurationError, LabelClient, MemoryStore, Monitor, StoreError
from modelmon.stores.sqlite import SQLiteStore
from modelmon.stores.states import LABEL_OUTCOMES
from modelmon.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

TASK = Binary(positive="fraud", negative="ok")


def predicted(path: Path, n: int = 4) -> Path:
    """Return the path of a store in which ``n`` orders await their labels, all of them predicted a fraud."""
    monitor = Monitor(store=SQLiteStore(path))
    monitor.predictions([f"order-{i}" for i in range(n)], ["fraud"] * n, model="fraud", version="7", task=TASK)
    monitor.flush()
    monitor.close()
    return path


def test_labels_reach_another_process(tmp_path: Path) -> None:
    """A program that imports no model labels by URL, and its own snapshot shows the quality."""
    predicted(tmp_path / "labels.db")
    code = (
        "import sys, json; from modelmon import LabelClient\n"
        "with LabelClient(sys.argv[1], 'fraud') as client:\n"
        "    report = client.labels(['order-0', 'order-1', 'order-9'], ['fraud', 'ok', 'ok'])\n"
        "    print(json.dumps([dict(report), client.snapshot()['fraud', '7'].accuracy]))\n"
    )
    line = [sys.executable, "-W", "error", "-c", code, f"sqlite://{tmp_path}/labels.db"]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [{"joined": 2, "early": 1}, 0.5]


def test_every_call_of_the_client(tmp_path: Path) -> None:
    """Label, repeat, correct, retract and forget answer as a monitor's calls do."""
    with LabelClient(predicted(tmp_path / "labels.db")) as client:
        assert client.label("order-0", "ok") == {"joined": 1}
        assert client.label("order-0", "ok") == {"duplicate": 1}
        assert client.label("order-0", "fraud", rev=2) == {"corrected": 1}
        assert client.retract("order-0", rev=3) == {"retracted": 1}
        assert client.labels(["order-1", "order-2"], ["ok", "ok"], model="another") == {"early": 2}
        assert client.forget("order-3") == 1
        assert client.label("order-3", "ok") == {"early": 1}
        assert client.snapshot()["fraud"].awaiting == 3


def test_scope_of_the_client_narrows_its_labels(tmp_path: Path) -> None:
    """What the client was made for is reached where a call does not say otherwise."""
    path = predicted(tmp_path / "labels.db")
    with LabelClient(path, "fraud", "8") as newer, LabelClient(path, "fraud") as any_version:
        assert newer.label("order-0", "ok") == {"early": 1}
        assert newer.label("order-0", "ok", version="7") == {"joined": 1}
        assert any_version.retract("order-0") == {"retract_noop": 1}
        assert any_version.label("order-1", "ok") == {"joined": 1}


def test_settings_come_from_the_store(tmp_path: Path) -> None:
    """A client joins by the settings that the monitor gave the store, such as its time to live."""
    clock = FakeClock(1e9)
    monitor = Monitor(store=SQLiteStore(tmp_path / "labels.db"), ttl="1h", clock=clock)
    monitor.predictions(["a"], ["fraud"], model="fraud", task=TASK)
    monitor.flush()
    clock.advance(7200)
    with LabelClient(tmp_path / "labels.db", clock=clock) as client:
        assert client.label("a", "ok") == {"late": 1}


@pytest.mark.fault("L16")
def test_two_threads_deliver_the_same_labels_once(tmp_path: Path) -> None:
    """Each label joins once whichever thread brings it first."""
    path = predicted(tmp_path / "labels.db", 400)
    found: list[int] = []
    with LabelClient(path) as client:

        def deliver() -> None:
            for start in range(0, 400, 50):
                ids = [f"order-{i}" for i in range(start, start + 50)]
                found.append(client.labels(ids, ["ok"] * 50)["joined"])

        threads = [threading.Thread(target=deliver) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(found) == 400
        assert client.snapshot()["fraud"].labelled == 400


def test_outcomes_come_one_by_one() -> None:
    """The outcome of each label is an index of the outcomes' names."""
    from modelmon.intake import delivery  # noqa: PLC0415 - what a monitor's labels pass through

    with LabelClient(MemoryStore()) as client:
        outcomes = client.outcomes(delivery(["a", "a", None], ["x", "x", "x"]))
        assert [LABEL_OUTCOMES[outcome] for outcome in outcomes] == ["early", "duplicate", "invalid"]


def test_label_ahead_of_its_time_is_invalid() -> None:
    """A label dated in milliseconds would win over every correction, so it is refused."""
    with LabelClient(MemoryStore(), clock=FakeClock(1e9)) as client:
        assert client.label("a", "x", at=1e12) == {"invalid": 1}
        assert client.label("a", "x", at=1e9 + 3000) == {"early": 1}


@pytest.mark.parametrize(
    ("store", "message"),
    [("memory", "one process"), ("nonsense", "no store"), (object(), "no store"), ("mysql://u:secret@h/d", "no store")],
    ids=["memory", "word", "object", "scheme"],
)
def test_what_is_no_store_is_refused(store: object, message: str) -> None:
    """The message says what would be one, and shows no password."""
    with pytest.raises(ConfigurationError, match=message) as raised:
        LabelClient(store)  # type: ignore[arg-type]
    assert "secret" not in str(raised.value)


def test_scope_needs_a_model() -> None:
    """A version alone reaches nothing, so it is refused before any effect."""
    with pytest.raises(ValueError, match="model="):
        LabelClient(MemoryStore(), version="7")
    with LabelClient(MemoryStore()) as client, pytest.raises(ValueError, match="model="):
        client.label("a", "x", version="7")


def test_closed_client_says_so() -> None:
    """After the block nothing is taken, and closing again does nothing."""
    with LabelClient(MemoryStore()) as client:
        pass
    client.close()
    with pytest.raises(StoreError, match="closed"):
        client.label("a", "x")


@pytest.mark.fault("E8")
def test_client_does_not_wait_for_itself() -> None:
    """A label from a signal handler that interrupted the client raises instead of waiting for ever."""

    class Interrupting(MemoryStore):
        def outcomes(self, _labels):
            return client.label("b", "y")

    client = LabelClient(Interrupting())
    with pytest.raises(BusyError):
        client.label("a", "x")


@pytest.mark.fault("Z12")
def test_repr_shows_no_secret() -> None:
    """Neither password nor user stands in what is shown of a client."""
    pytest.importorskip("redis")
    client = LabelClient("redis://user:secret@127.0.0.1:1/0", "fraud")
    assert "secret" not in repr(client)
    assert "'fraud'" in repr(client)
    with pytest.raises(StoreError) as raised:
        client.label("a", "x")
    assert "secret" not in str(raised.value)


@pytest.mark.fault("F1")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_child_labels_by_itself(tmp_path: Path) -> None:
    """A child forked while a thread of its parent held the client's lock is not held up by it."""
    path = predicted(tmp_path / "labels.db")
    with LabelClient(path) as client:
        client.label("order-0", "ok")
        with client._lock:
            pid = os.fork()
            if not pid:
                os._exit(0 if client.label("order-1", "ok") == {"joined": 1} else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert client.label("order-1", "ok") == {"duplicate": 1}
