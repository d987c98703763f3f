"""An HTTP endpoint for scrapes: one lazy daemon thread, one selector, no thread per client.

Rules:

1. At most 256 connections; when full, the one that has been here longest without being sent anything makes room, so
   idle sockets never keep a scrape out.
2. A connection that gets nowhere for 5 seconds is closed, be it plain or in the midst of a TLS handshake.
3. Requests that are complete at the same time are answered together.
4. What goes wrong is counted and never raised into the host; the thread survives it.
5. A port that is taken is tried again every few seconds by that same thread: whoever held it may end.
6. A forked child closes its copies of the sockets and serves nothing until it starts its own.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Final

from modelmon.exporters.clients import Client
from modelmon.exporters.listening import BACKLOG, listen
from modelmon.exporters.wire import Request, Response, refusal
from modelmon.forking import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from modelmon.exporters.encryption import Certificate

CONNECTIONS: Final = 256
RETRY_S: Final = 5.0
_BREATH_S: Final = 0.01


class Endpoint:
    """Serve what ``respond`` makes of complete requests.

    ``respond`` gets all requests that are complete at one moment and returns an answer for each; ``failed`` gets the
    reason of everything that went wrong, ``refused`` why a client got no metrics; ``section`` gives a context for each
    turn of work, and ``died`` is called where the thread ends unasked, which only what strikes from outside can cause.
    """

    def __init__(
        self,
        host: str,
        ports: int | Sequence[int],
        *,
        respond: Callable[[list[Request]], list[Response]],
        failed: Callable[[str], object],
        refused: Callable[[str], object] = str,
        section: Callable[[], AbstractContextManager[object]] = nullcontext,
        died: Callable[[], object] = bool,
        certificate: Certificate | None = None,
    ) -> None:
        """Prepare; no socket exists before ``start``."""
        self._host = host
        self._ports = (ports,) if isinstance(ports, int) else tuple(ports)
        self._respond = respond
        self._failed = failed
        self._refused = refused
        self._section = section
        self._died = died
        self._certificate = certificate
        self._thread: threading.Thread | None = None
        self._missed: OSError | None = None
        self._deciding = threading.RLock()  # whether the thread ends, or goes on
        self._forget()
        renew_in_child(self)

    def __str__(self) -> str:
        """Return where the metrics are, or would be."""
        scheme = "http" if self._certificate is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self.port or self._ports[0]}/metrics"

    @property
    def port(self) -> int | None:
        """The port that is listened on, or None."""
        listener = self._listener
        return int(listener.getsockname()[1]) if listener is not None else None

    def start(self, *, patient: bool = False) -> OSError | None:
        """Listen and serve, unless that is so already.

        Args:
            patient: where no port can be had, start all the same and try again every few seconds.

        Returns:
            Why there is no port yet, or None.

        Raises:
            OSError: when no port can be had, and it is not to be waited for.
            RuntimeError: when no thread can be started.
        """
        with self._deciding:
            if self._thread is not None and self._thread.is_alive():
                self._stopping = False  # a thread that was to end, and has not yet, goes on
                return self._missed if self._listener is None else None
            self._close()
        try:
            selector = self._prepare()
            try:
                self._open(selector)
            except OSError as error:
                self._missed = error
                if not patient:
                    raise
            self._thread = threading.Thread(target=self._run, args=(selector,), name="modelmon-endpoint", daemon=True)
            self._thread.start()
        except (OSError, RuntimeError):
            self._close()
            raise
        return self._missed

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
        self._deciding = threading.RLock()
        self._close()

    def _forget(self) -> None:
        self._listener: socket.socket | None = None
        self._waker: socket.socket | None = None
        self._woken: socket.socket | None = None
        self._selector: selectors.BaseSelector | None = None
        self._thread = None
        self._clients: dict[Client, None] = {}
        self._missed = None
        self._stopping = False

    def _close(self) -> None:
        for thing in (*self._clients, self._selector, self._listener, self._waker, self._woken):
            if thing is not None:
                thing.close()
        self._forget()

    def _prepare(self) -> selectors.BaseSelector:
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        return self._selector

    def _open(self, selector: selectors.BaseSelector) -> None:
        listener = listen(self._host, self._ports)
        selector.register(listener, selectors.EVENT_READ, listener)
        self._listener, self._missed = listener, None

    def _run(self, selector: selectors.BaseSelector) -> None:
        try:
            self._serve(selector)
        except BaseException:
            if not self._stopping:
                self._died()

    def _serve(self, selector: selectors.BaseSelector) -> None:
        while not self._ended():
            try:
                with self._section():
                    self._turn(selector)
            except BaseException as error:  # noqa: PERF203 - one turn of many requests must not end the others
                self._failed(type(error).__name__)
                time.sleep(_BREATH_S)  # whatever it is, do not spin on it

    def _ended(self) -> bool:
        """Tell whether the thread is to end, with everything closed; who starts it comes before that or after."""
        with self._deciding:
            if self._stopping:
                self._close()
                return True
        return False

    def _turn(self, selector: selectors.BaseSelector) -> None:
        complete: list[tuple[Client, Request]] = []
        listener = None
        for key, _ in selector.select(self._wait()):
            if isinstance(key.data, Client):
                request = key.data.advance() if key.data in self._clients else None
                if request is not None:
                    complete.append((key.data, request))
                self._follow(selector, key.data)
            elif key.data is not None:
                listener = key.data
            elif self._woken is not None:
                self._woken.recv(BACKLOG)
        if complete:
            self._answer(selector, complete)
        now = time.monotonic()
        for client in [late for late in self._clients if late.deadline <= now]:
            self._drop(selector, client, "" if client.done else "timeout")
        if listener is not None:  # last, so that a request which has come is answered before newcomers need its place
            self._accept(selector, listener)
        elif self._listener is None and not self._stopping:
            with suppress(OSError):
                self._open(selector)

    def _wait(self) -> float | None:
        """Return how long nothing need be done, in seconds; None for ever."""
        if self._listener is None:
            return RETRY_S
        soonest = min((client.deadline for client in self._clients), default=None)
        return None if soonest is None else max(0.0, soonest - time.monotonic())

    def _accept(self, selector: selectors.BaseSelector, listener: socket.socket) -> None:
        wrap = None if self._certificate is None else self._certificate.wrap
        for _ in range(BACKLOG):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(type(error).__name__)
                time.sleep(_BREATH_S)  # out of file descriptors: the listener stays readable
                return
            if len(self._clients) >= CONNECTIONS:
                oldest = next(iter(self._clients))
                self._drop(selector, next((client for client in self._clients if client.idle), oldest), "crowded")
            try:
                client = Client(connection, wrap)
            except OSError:  # gone before it could be encrypted
                connection.close()
                continue
            self._clients[client] = None
            selector.register(client.socket, client.interest, client)

    def _answer(self, selector: selectors.BaseSelector, complete: list[tuple[Client, Request]]) -> None:
        try:
            responses = self._respond([request for _, request in complete])
        except BaseException as error:
            self._failed(type(error).__name__)
            responses = [refusal(500)] * len(complete)
        for (client, request), response in zip(complete, responses, strict=True):
            client.send(response, head_only=request.head_only)
            self._follow(selector, client)

    def _follow(self, selector: selectors.BaseSelector, client: Client) -> None:
        """Wait for what the client needs next, or let it go."""
        if client not in self._clients:
            return
        if not client.interest:
            self._drop(selector, client)
        elif selector.get_key(client.socket).events != client.interest:
            selector.modify(client.socket, client.interest, client)

    def _drop(self, selector: selectors.BaseSelector, client: Client, why: str = "") -> None:
        """Close a connection; ``why`` where that is not how it should end."""
        del self._clients[client]
        selector.unregister(client.socket)
        client.close()
        if why or client.refused:
            self._refused(why or client.refused)
