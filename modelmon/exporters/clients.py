"""One client of the endpoint: what it has sent, what it still gets, and until when it may stay.

It has 5 seconds to send the head of its request, and then as long as it reads on: 5 seconds from each piece to the
next, a minute in all.
"""

from __future__ import annotations

import selectors
import socket
import time
from typing import TYPE_CHECKING, Final, Protocol

from modelmon.exporters.wire import END, HEAD_LIMIT, Request, Response, parse, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

LIFETIME_S: Final = 5.0
LONGEST_S: Final = 60.0
_LINGER_S: Final = 0.5
_CHUNK: Final = 65_536
_PIECES: Final = 64


class Connection(Protocol):
    """What is used of a non-blocking socket; ``BlockingIOError`` may say in ``interest`` what to wait for."""

    def fileno(self) -> int:
        """Return the file descriptor."""
        ...

    def recv(self, size: int, /) -> bytes:
        """Read what is there."""
        ...

    def send(self, data: memoryview, /) -> int:
        """Write what can be written."""
        ...

    def shutdown(self, how: int, /) -> None:
        """Close one direction."""
        ...

    def close(self) -> None:
        """Close both."""
        ...


class Client:
    """Read one request from a non-blocking socket and write one answer to it.

    ``interest`` is what to wait for next (a mask of ``selectors``), or 0 when the connection is to be closed.
    ``refused`` is the status of an answer that says no, as text, or why no request came; empty where all is well.
    """

    __slots__ = ("_answer", "_end", "_lingering", "_received", "deadline", "interest", "refused", "socket")

    def __init__(self, connection: socket.socket, wrap: Callable[[socket.socket], Connection] | None = None) -> None:
        """Take over a connection; ``wrap`` encrypts it.

        Raises:
            OSError: when it cannot be encrypted because it is gone.
        """
        connection.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self.socket: Connection = connection if wrap is None else wrap(connection)
        begin = time.monotonic()
        self._end = begin + LONGEST_S
        self.deadline = begin + LIFETIME_S
        self.interest = selectors.EVENT_READ
        self.refused = ""
        self._received = bytearray()
        self._answer: list[memoryview] = []
        self._lingering = False

    @property
    def idle(self) -> bool:
        """Whether nothing is being sent to it."""
        return not self._answer

    @property
    def done(self) -> bool:
        """Whether it was sent all it gets."""
        return self._lingering

    def advance(self) -> Request | None:
        """Read or write what can be without waiting; return the request at the moment it is complete."""
        if self._answer:
            self._write()
            return None
        self.interest = selectors.EVENT_READ
        try:
            data = self.socket.recv(_CHUNK)
        except BlockingIOError as pause:
            self.interest = getattr(pause, "interest", selectors.EVENT_READ)
            return None
        except OSError:
            data = b""
        if not data:
            self.interest = 0
        elif not self._lingering:
            return self._read(data)
        return None

    def send(self, response: Response, *, head_only: bool = False) -> None:
        """Begin to write the answer; clients that get the same one share its body."""
        self.refused = "" if response.status == _OK else str(response.status)
        self._answer = [memoryview(response.head())]
        if response.body and not head_only:
            self._answer.append(memoryview(response.body))
        self.deadline = time.monotonic() + LIFETIME_S
        self._write()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def _read(self, data: bytes) -> Request | None:
        self._received += data
        end = self._received.find(END, 0, HEAD_LIMIT)
        if end < 0:
            if len(self._received) >= HEAD_LIMIT:
                self.send(refusal(431))
            return None
        parsed = parse(bytes(self._received[:end]))
        if isinstance(parsed, Request):
            return parsed
        self.send(parsed)
        return None

    def _write(self) -> None:
        """Write as much as can be, but not so much that others wait."""
        for _ in range(_PIECES):
            try:
                sent = self.socket.send(self._answer[0])
            except BlockingIOError as pause:
                self.interest = getattr(pause, "interest", selectors.EVENT_WRITE)
                return
            except OSError:
                self.interest = 0
                return
            self.deadline = min(self._end, time.monotonic() + LIFETIME_S)
            left = self._answer[0][sent:]
            self._answer[:1] = [left] if left else []
            if not self._answer:
                self._linger()
                return
        self.interest = selectors.EVENT_WRITE

    def _linger(self) -> None:
        """Wait for the client's end: closing while it still sends could take the answer from it unread."""
        self._lingering = True
        self.deadline = min(self.deadline, time.monotonic() + _LINGER_S)
        self.interest = selectors.EVENT_READ
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.interest = 0


_OK: Final = 200
