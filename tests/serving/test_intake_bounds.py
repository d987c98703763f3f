"""Tests of what one request, or many at once, can cost: memory, transactions, and time at the end of the service."""

from __future__ import annotations

import gc
import gzip
import http.client
import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from services import BEARER, JSON, TOKEN, Service, empty_client, served

from modelmon import LabelClient, MemoryStore
from modelmon.serving import label_app
from modelmon.serving.bodies import CAP, MOST_ITEMS, items_of
from modelmon.serving.posting import MOST_SCOPES
from modelmon.serving.refusals import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

BOMBS = {
    "objects": b"[" + b'{"a":0},' * (CAP // 8 - 1) + b"0]",
    "lists": b"[" + b"[]," * (CAP // 3 - 2) + b"0]",
    "lists in a label": b'[{"id":1,"label":[' + b"[]," * (CAP // 3 - 20) + b"0]}]",
    "values": b"[" + b"17," * (CAP // 3 - 2) + b"0]",
    "texts": b"[" + b'"ab",' * (CAP // 5 - 2) + b"0]",
    "escaped": b"[" + b'"\\\\",' * (CAP // 5 - 2) + b"0]",
    "names": b"{" + b",".join(b'"%x":0' % n for n in range(CAP // 10)) + b"}",
    "half a text": b'["' + b'\\"[' * (CAP // 3 - 2),
}


@pytest.mark.parametrize("name", [name for name in BOMBS if name != "half a text"])
def test_bombs_never_unfold(name: str) -> None:
    """Eight MiB of JSON that would be half a gigabyte in memory are refused before any of it is read."""
    body = gzip.compress(BOMBS[name])
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError) as refused:
            items_of(body, "application/json", "gzip")
        assert tracemalloc.get_traced_memory()[1] < 90 << 20
    finally:
        tracemalloc.stop()
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"0\n" * (CAP // 2), 413),
        (b"\n" * CAP, 413),
        (b'{"id":1,"label":[' + b"[]," * (CAP // 3 - 20) + b"0]}\n", 413),
        (b"[]\n" * (MOST_ITEMS + 1), 413),
        (b'{"id":1}\n\n' * 10 + b"{", 400),
    ],
    ids=["zeros", "empty", "lists in a label", "lists", "half"],
)
def test_bombs_of_lines(body: bytes, status: int) -> None:
    """So are lines, of which an empty one costs time as well."""
    with pytest.raises(RefusedError) as refused:
        items_of(body, "application/x-ndjson", "")
    assert refused.value.status == status


def test_odd_texts_are_no_bombs() -> None:
    """Brackets and commas count where they stand in no text, and half a text takes no longer than a whole one."""
    text = '{[,"\\' * 300_000
    items = [{"id": n, "label": text[:7]} for n in range(MOST_ITEMS)]
    for found in (items, [{"id": 1, "label": text}]):
        assert items_of(json.dumps(found).encode(), "application/json", "") == found
    begun = time.process_time()
    with pytest.raises(RefusedError) as refused:
        items_of(BOMBS["half a text"], "application/json", "")
    assert refused.value.status in {400, 413}
    assert time.process_time() - begun < 2


def test_models_of_one_request_are_bounded() -> None:
    """Each model and version is a transaction, so a request has 64 at most; of more, none is delivered."""
    client = empty_client()
    items: list[Any] = [{"id": n, "label": 0, "model": "m", "version": str(n)} for n in range(MOST_SCOPES)]
    with served(label_app(client, token=TOKEN)) as service:
        assert service.post(items).json["outcomes"] == {"early": MOST_SCOPES}
        answer = service.post([*items, {"id": 1, "label": 0}, {"id": 2}])
        assert (answer.status, str(MOST_SCOPES) in answer.json["error"]) == (400, True)
    assert client.snapshot().label_events == {"early": MOST_SCOPES}


def test_bytes_of_all_requests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies under way may hold so much together; what is refused or answered holds nothing any more."""
    monkeypatch.setattr("modelmon.serving.posting.MOST_HELD", 1000)
    with served(label_app(empty_client(), token=TOKEN)) as service:
        for _ in range(3):
            answer = service.post(b" " * 1001)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert service.post(b"[]".ljust(900)).status == 200


def test_refusals_keep_nothing() -> None:
    """What was refused is let go of with the answer, not whenever cycles are collected."""
    body = gzip.compress(b" " * CAP)
    with served(label_app(empty_client(), token=TOKEN)) as service:
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            assert [service.post(body, Content_Encoding="gzip").status for _ in range(6)] == [400] * 6
            assert tracemalloc.get_traced_memory()[0] < 12 << 20
        finally:
            tracemalloc.stop()
            gc.enable()


class Gate(MemoryStore):
    """A store whose label calls wait until they may go on, and are counted."""

    def __init__(self) -> None:
        """Begin closed."""
        super().__init__()
        self.open_gate = threading.Event()
        self.entered: list[str | None] = []
        self.ages: list[float] = []

    def outcomes(self, labels: Any) -> Any:
        """Wait, and deliver."""
        self.entered.append(labels.model)
        assert self.open_gate.wait(20)
        self.ages.append(labels.age())
        return super().outcomes(labels)


def sending(service: Service, items: list[Any]) -> http.client.HTTPConnection:
    """Send a request and do not wait for its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    connection.request("POST", "/v1/labels", json.dumps(items), {**BEARER, **JSON})
    return connection


def soon(check: Any) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 60
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_nothing_is_delivered_for_who_hung_up() -> None:
    """Deliveries happen one by one; whose client is gone by then does not begin, or goes no further."""
    store = Gate()
    with served(label_app(LabelClient(store), token=TOKEN)) as service:
        first = sending(service, [{"id": 1, "label": 0, "model": name} for name in ("a", "b", "c")])
        soon(lambda: store.entered)
        others = [sending(service, [{"id": 1, "label": 0, "model": "other"}]) for _ in range(5)]
        staying = sending(service, [{"id": 1, "label": 0, "model": "stays"}])
        time.sleep(0.3)
        assert store.entered == ["a"]
        for connection in (first, *others):
            connection.close()
        time.sleep(0.3)
        store.open_gate.set()
        answer = staying.getresponse()
        assert (answer.status, json.loads(answer.read())["items"]) == (200, ["early"])
        staying.close()
        assert store.entered == ["a", "stays"]


def test_waiting_for_the_store_is_no_part_of_a_delay() -> None:
    """Labels came when their body had come, however long the store and the bodies before them took."""
    store = Gate()
    with served(label_app(LabelClient(store), token=TOKEN)) as service:
        under_way = sending(service, [{"id": 1, "label": 0, "model": name} for name in ("a", "b")])
        soon(lambda: store.entered)
        begun = time.monotonic()
        time.sleep(0.1)
        waited = time.monotonic() - begun
        store.open_gate.set()
        assert under_way.getresponse().status == 200
        under_way.close()
    assert len(store.ages) == 2
    assert min(store.ages) >= waited


def test_nothing_begins_once_the_service_ends() -> None:
    """A delivery of several models stops between two of them when the service ends, and says that it was not whole."""
    from modelmon.serving.application import store_app  # noqa: PLC0415
    from modelmon.serving.tokens import Tokens  # noqa: PLC0415

    store, ending = Gate(), threading.Event()
    with served(store_app(LabelClient(store), Tokens(TOKEN), local=True, ending=ending)) as service:
        under_way = sending(service, [{"id": 1, "label": 0, "model": name} for name in ("a", "b", "c")])
        soon(lambda: store.entered)
        ending.set()
        store.open_gate.set()
        answer = under_way.getresponse()
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        assert b"send the same again" in answer.read()
        under_way.close()
    assert store.entered == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM there")
def test_a_signal_ends_it_whatever_is_under_way(tmp_path: Path) -> None:
    """With requests queued before a store that does not answer, the program ends within some seconds all the same."""
    database = tmp_path / "labels.db"
    line = [sys.executable, "-m", "modelmon", "serve", "--store", f"sqlite://{database}", "--port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+): ", process.stdout.readline())
        assert found is not None
        service = Service(int(found[1]))
        assert service.post([{"id": 1, "label": 0}]).status == 200
        blocking = sqlite3.connect(database, isolation_level=None)
        blocking.execute("BEGIN EXCLUSIVE")
        waiting = [sending(service, [{"id": n, "label": 0}]) for n in range(8)]
        time.sleep(0.5)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert time.monotonic() - begun < 10  # waiting for each in turn would take four times as long
        for connection in waiting:
            connection.close()
        blocking.close()
