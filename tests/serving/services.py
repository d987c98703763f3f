"""A real server on loopback around an application, for tests; and the simplest of clients."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from modelmon import Binary, LabelClient, MemoryStore, Monitor, Multiclass
from modelmon.serving.running import listen, server_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOKEN = "0123456789abcdef0123"  # noqa: S105 - of nothing
BEARER = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    """Hold status, headers and body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


class Service(NamedTuple):
    """A server's port."""

    port: int

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send one request and return its answer; underscores in names of headers are hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def post(self, found: Any, **headers: str) -> Answer:
        """Send labels as JSON with the token."""
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        return self.ask("POST", "/v1/labels", body, **{**BEARER, **JSON, **headers})

    def lines(self, *items: Any) -> Answer:
        """Send labels as compressed lines."""
        body = gzip.compress("\n".join(map(json.dumps, items)).encode())
        kind = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        return self.ask("POST", "/v1/labels", body, **BEARER, **kind)


@contextmanager
def served(app: Any) -> Iterator[Service]:
    """Serve an application on a free port of loopback."""
    with listen("127.0.0.1", 0) as listener:
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        end = time.monotonic() + 60
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        try:
            yield Service(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(10)


def watched() -> Monitor:
    """Return a monitor with predictions of two models that await their labels."""
    monitor = Monitor()
    task = Binary(positive="fraud", negative="ok")
    monitor.predictions([f"order-{i}" for i in range(10)], ["fraud"] * 10, model="fraud", version="7", task=task)
    monitor.predictions([1, 2, 3], [0, 1, 2], model="digits", task=Multiclass(classes=(0, 1, 2)))
    return monitor


def empty_client() -> LabelClient:
    """Return a client of a new store in memory."""
    return LabelClient(MemoryStore())
