"""Run the store's application by uvicorn, with bounds on what a client can hold."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final

try:
    import uvicorn
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "uvicorn":
        raise
    message = 'modelmon serve needs uvicorn: pip install "modelmon[serve]"'
    raise ImportError(message, name=error.name) from error

from modelmon.serving.deadlines import TimedProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIONS: Final = 256
ENDING_S: Final = 3
_HEAD_BYTES: Final = 16_384
_BACKLOG: Final = 128
_LAST_PORT: Final = 65_535


class _Server(uvicorn.Server):
    """Say that the end begins, before requests under way are waited for."""

    def __init__(self, config: uvicorn.Config, end: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._end = end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._end is not None:
            self._end()
        await super().shutdown(sockets)


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
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror}: {host} port {port}") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def server_of(app: Any, end: Callable[[], None] | None = None) -> uvicorn.Server:
    """Return a server of an application; when it is told to end, it calls ``end``, and gives requests three seconds."""
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # or whoever writes such a header chooses under which address failures are counted
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=ENDING_S,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    return _Server(config, end)
