"""Doubles for tests of notifications: alerts without a monitor, and HTTP servers that answer as they are told."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager

from modelmon import Alert, Rule
from modelmon.alerting.outbox import Outbox

RULE = Rule("misses", "recall", of="fraud", below=0.8, note="Look at the features.")


def alert(state="firing", *, model="fraud", since=1000.0, at=1010.0, rule=RULE, burn=None):
    """Return an alert."""
    return Alert(rule, state, 0.75, (0.7, 0.79), 200, model, "1", since, at, burn=burn)


def boxed(notifier, source):
    """Return an attached outbox."""
    box = Outbox(notifier)
    box.attach(source)
    return box


class Received:
    """Requests that a server got: their first lines, headers and documents."""

    def __init__(self):
        """Start with none."""
        self.lines, self.headers, self.documents = [], [], []
        self.came = threading.Condition()
        self.port = 0

    def take(self, head, body):
        """Keep one request."""
        first, *rest = head.decode("ascii").split("\r\n")
        with self.came:
            self.lines.append(first)
            self.headers.append(dict(line.split(": ", 1) for line in rest))
            self.documents.append(json.loads(body) if body else None)
            self.came.notify_all()

    def until(self, count, timeout=5):
        """Wait for so many requests."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.documents) >= count, timeout), self.lines


@contextmanager
def server(*answers, wrap=None):
    """Serve on loopback, answering each request with the next of these bytes, the last for ever.

    An answer may be a function of the connection, which then does what it likes with it.
    """
    received, listening = Received(), socket.create_server(("127.0.0.1", 0))
    received.port = listening.getsockname()[1]

    def serve():
        for turn in range(1000):
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    channel = wrap(connection) if wrap else connection
                    _answer(channel, received, answers[min(turn, len(answers) - 1)])
                    channel.close()
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def _answer(connection, received, answer):
    connection.settimeout(5)
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < size:
        body += connection.recv(65536)
    received.take(head, body)
    if callable(answer):
        answer(connection)
    else:
        connection.sendall(answer)


def http(status, more=""):
    """Return an answer without a body."""
    return f"HTTP/1.1 {status} Text\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
