"""Listening: on the first port of several that can be had, within reach of whom, and with which certificate."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.exporters.encryption import Certificate

BACKLOG: Final = 128
_LAST_PORT: Final = 65_535


def listen(host: str, ports: Sequence[int]) -> socket.socket:
    """Return a non-blocking socket that listens on the first of these ports that is free.

    Raises:
        OSError: when none can be had.
    """
    *others, last = ports
    for port in others:
        try:
            return _listen(host, port)
        except OSError:  # noqa: PERF203  (the next port may be free)
            continue
    return _listen(host, last)


def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere the option would let another process take the port over
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  (the socket's own signature)
    except BaseException:
        listener.close()
        raise
    return listener


def ports_of(port: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return the ports to try, in order.

    Raises:
        ConfigurationError: when one is no port, or there are none.
    """
    if port is None:
        return ()
    try:
        ports = (port,) if isinstance(port, int) else tuple(port)
    except TypeError:
        ports = ()
    if not ports or any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= _LAST_PORT for n in ports):
        msg = f"port={port!r} is no port: give 0 to 65535, or several of them"
        raise ConfigurationError(msg)
    return ports


def certificate_of(
    certfile: str | os.PathLike[str] | None, keyfile: str | os.PathLike[str] | None, *, serves: bool
) -> Certificate | None:
    """Return the certificate to serve with, or None.

    Raises:
        ConfigurationError: when it cannot be used.
    """
    if certfile is None:
        if keyfile is not None:
            msg = "keyfile= needs certfile="
            raise ConfigurationError(msg)
        return None
    if not serves:
        msg = "certfile= needs port=: what is mounted elsewhere is encrypted there"
        raise ConfigurationError(msg)
    from modelmon.exporters.encryption import Certificate  # noqa: PLC0415  (ssl loads only where it is asked for)

    return Certificate(certfile, keyfile)


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
