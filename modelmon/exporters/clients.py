"""One client of the endpoint: what it has sent, what it still gets, and until when it may stay."""

from __future__ import annotations

import selectors
import socket
import time
from typing import Final

from modelmon.exporters.wire import END, HEAD_LIMIT, Request, parse, refusal

LIFETIME_S: Final = 5.0
_LINGER_S: Final = 0.5
_CHUNK: Final = 65_536


class Client:
    """Read one request from a non-blocking socket and write one answer to it.

    ``interest`` is what to wait for next (a mask of ``selectors``), or 0 when the connection is to be closed.
    """

    __slots__ = ("_answer", "_lingering", "_received", "deadline", "interest", "socket")

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connection."""
        connection.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self.socket = connection
        self.deadline = time.monotonic() + LIFETIME_S
        self.interest = selectors.EVENT_READ
        self._received = bytearray()
        self._answer = memoryview(b"")
        self._lingering = False

    def advance(self) -> Request | None:
        """Read or write what can be without waiting; return the request at the moment it is complete."""
        if self._answer:
            self._write()
            return None
        try:
            data = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self.interest = 0
        elif not self._lingering:
            return self._read(data)
        return None

    def send(self, answer: bytes) -> None:
        """Begin to write the answer."""
        self._answer = memoryview(answer)
        self._write()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def _read(self, data: bytes) -> Request | None:
        self._received += data
        end = self._received.find(END, 0, HEAD_LIMIT)
        if end < 0:
            if len(self._received) >= HEAD_LIMIT:
                self.send(refusal(431).encode())
            return None
        parsed = parse(bytes(self._received[:end]))
        if isinstance(parsed, Request):
            return parsed
        self.send(parsed.encode())
        return None

    def _write(self) -> None:
        try:
            sent = self.socket.send(self._answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.interest = 0
            return
        self._answer = self._answer[sent:]
        if self._answer:
            self.interest = selectors.EVENT_WRITE
        else:
            self._linger()

    def _linger(self) -> None:
        """Wait for the client's end: closing while it still sends could take the answer from it unread."""
        self._lingering = True
        self.deadline = min(self.deadline, time.monotonic() + _LINGER_S)
        self.interest = selectors.EVENT_READ
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.interest = 0
