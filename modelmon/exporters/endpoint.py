"""An HTTP endpoint for scrapes: one lazy daemon thread, one selector, no thread per client.

Rules:

1. At most 256 connections; when full, the one that has been here longest makes room, so idle sockets never keep a
   scrape out.
2. A connection lives 5 seconds at most, whatever it sends or does not read.
3. Requests that are complete at the same time are answered from one rendering, and no rendering is older than the
   request it answers.
4. What goes wrong is counted and never raised into the host; the thread survives it.
5. A forked child closes its copies of the sockets and serves nothing until it starts its own.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from modelmon.exporters.clients import Client
from modelmon.exporters.wire import Request, Response, refusal
from modelmon.forking import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIONS: Final = 256
_BACKLOG: Final = 128
_BREATH_S: Final = 0.01


class Endpoint:
    """Serve what ``respond`` makes of complete requests.

    ``respond`` gets all requests that are complete at one moment and returns an answer for each; ``failed`` gets the
    reason of everything that went wrong.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        respond: Callable[[list[Request]], list[Response]],
        failed: Callable[[str], object],
    ) -> None:
        """Prepare; no socket exists before ``start``."""
        self._address = (host, port)
        self._respond = respond
        self._failed = failed
        self._thread: threading.Thread | None = None
        self._forget()
        renew_in_child(self)

    def __str__(self) -> str:
        """Return where the metrics are, or would be."""
        host, port = self._address
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port or port}/metrics"

    @property
    def port(self) -> int | None:
        """The port that is listened on, or None."""
        listener = self._listener
        return int(listener.getsockname()[1]) if listener is not None else None

    def start(self) -> None:
        """Listen and serve, unless that is so already.

        Raises:
            OSError: when the address cannot be had.
            RuntimeError: when no thread can be started.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        self._close()
        try:
            selector = self._listen()
            self._thread = threading.Thread(target=self._run, args=(selector,), name="modelmon-endpoint", daemon=True)
            self._thread.start()
        except (OSError, RuntimeError):
            self._close()
            raise

    def stop(self, timeout: float) -> bool:
        """Stop serving and close the sockets; return whether the thread ended within ``timeout`` seconds."""
        thread, waker = self._thread, self._waker
        self._stopping = True
        if thread is None or waker is None:
            return True
        with suppress(OSError):
            waker.send(b"x")
        if thread is threading.current_thread():
            return False
        thread.join(timeout)
        return not thread.is_alive()

    def renew(self) -> None:
        """Close a forked child's copies of the sockets, which belong to its parent."""
        self._close()

    def _forget(self) -> None:
        self._listener: socket.socket | None = None
        self._waker: socket.socket | None = None
        self._woken: socket.socket | None = None
        self._selector: selectors.BaseSelector | None = None
        self._thread = None
        self._clients: dict[Client, None] = {}
        self._stopping = False

    def _close(self) -> None:
        for thing in (*self._clients, self._selector, self._listener, self._waker, self._woken):
            if thing is not None:
                thing.close()
        self._forget()

    def _listen(self) -> selectors.BaseSelector:
        family, _, _, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM)[0]
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere the option would let another process take the port over
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(address)
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._listener)
        self._selector.register(self._woken, selectors.EVENT_READ)
        return self._selector

    def _run(self, selector: selectors.BaseSelector) -> None:
        while not self._stopping:
            try:
                self._turn(selector)
            except BaseException as error:  # noqa: PERF203 - one turn of many requests must not end the others
                self._failed(type(error).__name__)
                time.sleep(_BREATH_S)  # whatever it is, do not spin on it
        self._close()

    def _turn(self, selector: selectors.BaseSelector) -> None:
        soonest = min((client.deadline for client in self._clients), default=None)
        wait = None if soonest is None else max(0.0, soonest - time.monotonic())
        complete: list[tuple[Client, Request]] = []
        for key, _ in selector.select(wait):
            if isinstance(key.data, Client):
                request = key.data.advance() if key.data in self._clients else None
                if request is not None:
                    complete.append((key.data, request))
                self._follow(selector, key.data)
            elif key.data is not None:
                self._accept(selector, key.data)
        if complete:
            self._answer(selector, complete)
        now = time.monotonic()
        for client in [late for late in self._clients if late.deadline <= now]:
            self._drop(selector, client)

    def _accept(self, selector: selectors.BaseSelector, listener: socket.socket) -> None:
        for _ in range(_BACKLOG):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(type(error).__name__)
                time.sleep(_BREATH_S)  # out of file descriptors: the listener stays readable
                return
            if len(self._clients) >= CONNECTIONS:
                self._drop(selector, next(iter(self._clients)))
            client = Client(connection)
            self._clients[client] = None
            selector.register(connection, client.interest, client)

    def _answer(self, selector: selectors.BaseSelector, complete: list[tuple[Client, Request]]) -> None:
        try:
            responses = self._respond([request for _, request in complete])
        except BaseException as error:
            self._failed(type(error).__name__)
            responses = [refusal(500)] * len(complete)
        for (client, request), response in zip(complete, responses, strict=True):
            client.send(response.encode(head_only=request.head_only))
            self._follow(selector, client)

    def _follow(self, selector: selectors.BaseSelector, client: Client) -> None:
        """Wait for what the client needs next, or let it go."""
        if client not in self._clients:
            return
        if not client.interest:
            self._drop(selector, client)
        elif selector.get_key(client.socket).events != client.interest:
            selector.modify(client.socket, client.interest, client)

    def _drop(self, selector: selectors.BaseSelector, client: Client) -> None:
        del self._clients[client]
        selector.unregister(client.socket)
        client.close()
