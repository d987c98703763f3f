"""Run the store's application by uvicorn, with bounds on what a client can hold."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "uvicorn":
        raise
    message = 'modelmon serve needs uvicorn: pip install "modelmon[serve]"'
    raise ImportError(message, name=error.name) from error

if TYPE_CHECKING:
    import asyncio

CONNECTIONS: Final = 256
HEAD_S: Final = 10.0
_HEAD_BYTES: Final = 16_384
_BACKLOG: Final = 128
_LAST_PORT: Final = 65_535


class _Protocol(H11Protocol):
    """Hang up on who says nothing: uvicorn waits for a first request for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.loop.call_later(HEAD_S, self._hang_up)

    def _hang_up(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Raises:
        OSError: when it cannot be had.
        ValueError: when there is no such port.
    """
    if not 0 <= port <= _LAST_PORT:  # the resolver would take the rest of a division for it
        msg = f"port {port}: there are those from 0 (any that is free) to {_LAST_PORT}"
        raise ValueError(msg)
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere the option would let another process take the port over
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def server_of(app: Any) -> uvicorn.Server:
    """Return a server of an application; when it is told to end, requests under way have five seconds."""
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # or whoever writes such a header chooses under which address failures are counted
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    return uvicorn.Server(config)
