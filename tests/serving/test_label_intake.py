"""Tests of ``POST /v1/labels`` on a real server: what comes in, what comes back, what is refused."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import time
import zlib

import pytest
from services import BEARER, JSON, TOKEN, empty_client, served, watched

from modelmon import BusyError, ConfigurationError, LabelClient, MemoryStore, StoreError
from modelmon.serving import label_app
from modelmon.serving.bodies import CAP, MOST_ITEMS
from modelmon.serving.posting import AT_ONCE, Posting


@pytest.fixture(scope="module")
def monitor():
    """Return a monitor whose predictions await labels."""
    return watched()


@pytest.fixture(scope="module")
def service(monitor):
    """Serve the monitor's label intake behind a token."""
    with served(label_app(monitor, token=TOKEN)) as running:
        yield running


def test_outcome_of_each_item(service, monitor) -> None:
    """Each label has its outcome in its place; a bad one says why and spoils no other."""
    items = [
        {"id": "order-0", "label": "fraud", "at": "2026-01-01T00:00:00Z"},
        {"id": "order-1", "label": "maybe"},
        {"id": "order-99", "label": "ok"},
        {"id": 1, "label": 1, "model": "digits"},
        {"id": 2, "lable": 1},
        {"id": 2, "label": True, "model": "digits", "version": ""},
        {"id": "order-0", "retract": True, "rev": 5},
    ]
    answer = service.post({"labels": items})
    assert answer.status == 200
    assert answer.json["items"] == ["joined", "invalid", "early", "joined", "invalid", "joined", "retracted"]
    assert answer.json["total"] == 7
    assert answer.json["outcomes"] == {"joined": 3, "invalid": 2, "early": 1, "retracted": 1}
    reasons = {problem["item"]: problem["reason"] for problem in answer.json["problems"]}
    assert "does not know" in reasons[1]
    assert "unknown name 'lable'" in reasons[4]
    assert monitor.snapshot()["digits"].labelled == 2
    monitor.check_invariants()


@pytest.mark.parametrize("form", ["wrapped", "list", "one", "lines", "deflate", "raw deflate", "members"])
def test_forms_of_a_body(form: str, service) -> None:
    """A body is an object, a list, a single label or lines, compressed or not."""
    item = {"id": f"order of {form}", "label": "ok"}
    text = json.dumps([item]).encode()
    raw = zlib.compressobj(wbits=-15)
    answer = {
        "wrapped": lambda: service.post({"labels": [item]}),
        "list": lambda: service.post([item]),
        "one": lambda: service.post(item),
        "lines": lambda: service.lines(item),
        "deflate": lambda: service.post(zlib.compress(text), Content_Encoding="deflate"),
        "raw deflate": lambda: service.post(raw.compress(text) + raw.flush(), Content_Encoding="deflate"),
        "members": lambda: service.post(gzip.compress(text[:5]) + gzip.compress(text[5:]), Content_Encoding="gzip"),
    }[form]()
    assert (answer.status, answer.json["items"]) == (200, ["early"])


@pytest.mark.fault("L2")
def test_delivered_twice_changes_nothing(service, monitor) -> None:
    """The same body again is all duplicates."""
    items = [{"id": f"order-{i}", "label": "ok"} for i in range(3, 9)]
    assert service.lines(*items).json["outcomes"] == {"joined": 6}
    before = monitor.snapshot()["fraud"].confusion.matrix.tolist()
    assert service.lines(*items).json["outcomes"] == {"duplicate": 6}
    assert monitor.snapshot()["fraud"].confusion.matrix.tolist() == before


@pytest.mark.fault("Z6")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'[{"id": 1, "label": NaN}]',
        b'[{"id": 1, "label": 1e999}]',
        b'[{"id": 1, "label": ' + b"1" * 5000 + b"}]",
        b'[{"id": 1, "id": 2, "label": 1}]',
        b'[{"id": "\\ud800", "label": 1}]',
        b'[{"id": "a\\u0000b", "label": 1}]',
        b'[{"id": "a\x00b", "label": 1}]',
        b'"labels"',
        b'{"other": []}',
        b"\xff\xfe",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_bombs_and_nonsense_are_refused(body: bytes, service) -> None:
    """What is no plain JSON is answered by 400 with a sentence, and takes no effect and no time."""
    begun = time.process_time()  # of this process, where the service runs too
    answer = service.post(body)
    assert answer.status == 400
    assert answer.json["error"]
    assert time.process_time() - begun < 2


@pytest.mark.fault("Z5")
@pytest.mark.parametrize("kind", ["gzip", "deflate"])
def test_what_unpacks_too_far_is_refused(kind: str, service) -> None:
    """A small body that unpacks to a gigabyte is cut off at 8 MiB; so are many tiny members of a gzip stream."""
    pack = gzip.compress if kind == "gzip" else zlib.compress
    assert service.post(pack(b" " * (CAP + 1)), Content_Encoding=kind).status == 413
    assert service.post(pack(pack(b" " * 10)), Content_Encoding=kind).status == 400
    assert service.post(pack(b"[]")[:-6], Content_Encoding=kind).status == 400
    assert service.post(pack(b"[]") + b"x", Content_Encoding=kind).status == 400
    assert service.post(gzip.compress(b"") * 50_000, Content_Encoding="gzip").status == 400


@pytest.mark.fault("Z5")
def test_bounds_of_a_body(service) -> None:
    """Too many bytes or labels are 413, whatever the length says; the largest body allowed is taken."""
    assert service.post(b" " * (CAP + 1)).status == 413
    assert service.post([{}] * (MOST_ITEMS + 1)).status == 413
    assert service.post(b"1\n" * (MOST_ITEMS + 1), **{"Content-Type": "application/jsonl"}).status == 413
    full = json.dumps([{"id": "order-3", "label": "ok"}]).encode().ljust(CAP)
    assert service.post(full).json["total"] == 1
    chunks = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    body = (b" " * 65_536 for _ in range(200))
    chunks.request("POST", "/v1/labels", body, {**BEARER, **JSON}, encode_chunked=True)
    assert chunks.getresponse().status == 413
    chunks.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Encoding": "br"},
        {"Content-Encoding": "gzip, gzip"},
    ],
    ids=["text", "form", "charset", "brotli", "nested"],
)
def test_other_media_types(headers: dict[str, str], service) -> None:
    """A web page of elsewhere cannot send JSON unasked, so nothing else is taken; nor is another encoding."""
    assert service.post([], **headers).status == 415


def test_empty_list_is_fine(service) -> None:
    """No labels are no error."""
    assert service.post([]).json == {"total": 0, "outcomes": {}, "items": []}


class Failing(MemoryStore):
    """A store whose label calls fail in a chosen way."""

    fault: Exception = StoreError("postgresql://user:secret@host is down", kind="down")

    def outcomes(self, _labels):
        """Fail."""
        raise self.fault


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (StoreError("to postgresql://user:secret@host", kind="down"), 503),
        (BusyError("secret"), 500),
        (OSError("secret"), 500),
    ],
    ids=["down", "busy", "fault"],
)
def test_store_that_fails(fault: Exception, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is acknowledged that was not committed; the answer says when to come again, and no secret."""
    store = Failing()
    store.fault = fault
    with served(label_app(LabelClient(store), token=TOKEN)) as service:
        answer = service.post([{"id": 1, "label": 1}])
    assert answer.status == status
    assert ("retry-after" in answer.headers) == (status == 503)
    assert b"secret" not in answer.body


@pytest.mark.fault("Z2")
def test_slow_body_is_given_up() -> None:
    """A body that does not come within its time is answered by 408, and holds nobody up meanwhile."""
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    from modelmon.serving.guards import Guard  # noqa: PLC0415

    posting = Posting(empty_client(), Guard(None), body_seconds=3.0)
    app = Starlette(routes=[Route("/v1/labels", posting.post, methods=["POST"])])
    head = b"POST /v1/labels HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n["
    with served(app) as service:
        slow = [socket.create_connection(("127.0.0.1", service.port), 10) for _ in range(AT_ONCE)]
        for connection in slow:
            connection.sendall(head)
        time.sleep(0.2)
        busy = service.post([])
        assert (busy.status, busy.headers["retry-after"]) == (503, "1")
        assert all(connection.recv(100).startswith(b"HTTP/1.1 408") for connection in slow)
        for connection in slow:
            connection.close()
        assert service.post([]).status == 200
    assert posting.refused == {("timeout",): AT_ONCE, ("unavailable",): 1}


def test_mounted_anywhere() -> None:
    """The application works under a path of another one, and describes itself there."""
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.routing import Mount  # noqa: PLC0415

    with served(Starlette(routes=[Mount("/truth", label_app(watched(), token=TOKEN))])) as service:
        answer = service.ask("POST", "/truth/v1/labels", b'{"id": "order-1", "label": "ok"}', **BEARER, **JSON)
        assert answer.json["items"] == ["joined"]
        assert service.ask("GET", "/truth/openapi.json").json["servers"] == [{"url": "/truth"}]


@pytest.mark.fault("Z4")
def test_needs_a_token_or_says_it_is_open() -> None:
    """Nobody mounts an open intake by forgetting something; short and empty tokens are refused, and never shown."""
    for wrong in ({}, {"token": ""}, {"token": "short"}, {"token": {}}, {"token": {"a": "secret"}}):
        with pytest.raises(ConfigurationError) as raised:
            label_app(empty_client(), **wrong)
        assert "secret" not in str(raised.value)
    with served(label_app(MemoryStore(), insecure=True)) as service:
        assert service.ask("POST", "/v1/labels", b"[]", **JSON).status == 200


def test_no_answer_before_the_commit(tmp_path) -> None:
    """What was answered by 200 is in the store when another process looks."""
    from modelmon.stores.addresses import make_store  # noqa: PLC0415

    with served(label_app(tmp_path / "labels.db", token=TOKEN)) as service:
        assert service.post([{"id": 1, "label": "x"}]).json["items"] == ["early"]
        with LabelClient(make_store(tmp_path / "labels.db")) as other:
            assert other.snapshot().label_events == {"early": 1}
    assert os.listdir(tmp_path)  # noqa: PTH208 - a file is there
