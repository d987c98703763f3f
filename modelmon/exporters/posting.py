"""Requests that this library makes by itself: one deadline for all of it, no redirects, nothing kept open.

Rules:

1. ``http`` and ``https`` only, and https checks whom it talks to; neither user nor password may stand in an address.
2. The deadline counts from the beginning to the answer's head, however slowly either side goes.
3. An answer's body is not read, and where it points to is not followed.
4. Proxies named in the environment are not used.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

_PORTS: Final = {"http": 80, "https": 443}
_END: Final = b"\r\n\r\n"
_HEAD_LIMIT: Final = 65_536
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r|$)")
_RETRY: Final = re.compile(rb"\r\nretry-after:[ \t]*([0-9]{1,9})[ \t]*(?:\r|$)", re.IGNORECASE)
_UNPRINTABLE: Final = re.compile(r"[^!-~]")


@dataclass(frozen=True, slots=True)
class Target:
    """Say where requests go.

    Attributes:
        scheme: http or https.
        host: a name or an address.
        port: the port.
        path: what stands before every path, without a slash at its end.
        context: what https checks by; None for http.
    """

    scheme: str
    host: str
    port: int
    path: str
    context: ssl.SSLContext | None = None

    def __str__(self) -> str:
        """Return the address."""
        return f"{self.scheme}://{self._named}{self.path}"

    @property
    def _named(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        """Return what stands before the body of a request."""
        lines = [f"{method} {self.path}{path} HTTP/1.1", f"Host: {self._named}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode("latin-1") + _END


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what matters of an answer: its status, and the seconds to wait that it asks for, or None."""

    status: int
    retry_after: float | None = None


class AnswerError(OSError):
    """What came back is no answer of HTTP."""


def target_of(url: str, *, cafile: str | os.PathLike[str] | None = None) -> Target:
    """Read an address.

    Args:
        url: ``http://host:port/path`` or ``https://...``.
        cafile: a PEM file with those whose certificates are trusted; those of the system if left out.

    Raises:
        ConfigurationError: when it is no such address; the message shows no secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.username is not None or parts.password is not None:
        msg = "an address must not hold a user or a password: give login=(user, password), or token="
        raise ConfigurationError(msg)
    odd = not parts.hostname or parts.query or parts.fragment or _UNPRINTABLE.search(url)
    if parts.scheme not in _PORTS or odd or parts.hostname is None:
        msg = f"{url!r} is no address to send to: give http://host:port or https://host:port, without query"
        raise ConfigurationError(msg)
    context = None
    if parts.scheme == "https":
        try:
            context = ssl.create_default_context(cafile=cafile)
        except (OSError, ValueError) as error:
            msg = f"cafile={cafile!r} cannot be used: {error}"
            raise ConfigurationError(msg) from error
    number = _PORTS[parts.scheme] if port is None else port
    return Target(parts.scheme, parts.hostname, number, parts.path.rstrip("/"), context)


def send(target: Target, method: str, path: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Answer:
    """Send a request and return the answer's head.

    Args:
        target: where to.
        method: such as ``POST``.
        path: after the target's own.
        body: what to send.
        headers: besides host, length and connection.
        timeout: seconds for all of it.

    Raises:
        OSError: when no answer came, among them ``TimeoutError`` and ``AnswerError``.
    """
    end = time.monotonic() + timeout
    with socket.create_connection((target.host, target.port), timeout=timeout) as plain:
        stream = plain
        if target.context is not None:
            plain.settimeout(_left(end))
            stream = target.context.wrap_socket(plain, server_hostname=target.host)
        with stream:
            stream.settimeout(_left(end))
            head = target.head(method, path, {"Content-Length": str(len(body)), **headers})
            with suppress(BrokenPipeError, ConnectionResetError):  # an answer may have come before all was sent
                stream.sendall(head + body)
            return _answer(stream, end)


def _answer(stream: socket.socket, end: float) -> Answer:
    received = b""
    while True:
        head, found, rest = received.partition(_END)
        if found:
            status = _STATUS.match(head)
            if status is None:
                raise AnswerError
            if status[1][:1] != b"1":
                retry = _RETRY.search(head)
                return Answer(int(status[1]), None if retry is None else float(retry[1]))
            received = rest
            continue
        if len(received) > _HEAD_LIMIT:
            raise AnswerError
        stream.settimeout(_left(end))
        data = stream.recv(8192)
        if not data:
            raise AnswerError
        received += data


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
