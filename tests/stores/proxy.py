"""A connection between a client and a server that fails when told to."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Proxy:
    """Forward connections to a port.

    Attributes:
        refuse: picks requests that are lost together with their connection.
        swallow: picks requests whose answers are lost together with their connection.
        port: where it listens.
    """

    def __init__(self, target: int) -> None:
        """Listen on a free port."""
        self.swallow: Callable[[bytes], bool] = lambda _: False
        self.refuse: Callable[[bytes], bool] = lambda _: False
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Cut everything and wait for the threads."""
        for end in list(self._sockets):
            _cut(end)
        for thread in list(self._threads):
            thread.join(10)
        for end in self._sockets:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        """Forward one request after the other; those of these tests are small and wait for their answers."""
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            _cut(client)
            return
        self._sockets.append(server)
        with suppress(OSError):
            while request := client.recv(1 << 20):
                if self.refuse(request):
                    break
                server.sendall(request)
                answer = server.recv(1 << 20)
                if not answer or self.swallow(request):
                    break
                client.sendall(answer)
        _cut(client)
        _cut(server)


def _cut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    """Run a proxy to a port of loopback."""
    made = Proxy(target)
    try:
        yield made
    finally:
        made.close()
