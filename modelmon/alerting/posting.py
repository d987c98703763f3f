"""Posting: one JSON document to one HTTP address, which no answer can lead elsewhere or make wait.

Rules:

1. The address is what the program was set up with, ``http`` or ``https``; nothing of an alert goes into it.
2. No redirect is followed, no proxy asked, and nothing of the answer read but its first line.
3. All of it takes at most three seconds, however slowly the other side sends; looking up a name is the system's affair.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S: Final = 3.0
SCHEMES: Final = {"http": 80, "https": 443}
_HEAD: Final = 4096
_PASSING: Final = frozenset({408, 425, 429})
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?:[ \r]|$)")


class Refused(Exception):  # noqa: N818  (it says what happened)
    """Report that a notification was refused for good; sending it again would not help.

    Attributes:
        reason: one word or number that it is counted under.
    """

    def __init__(self, reason: str) -> None:
        """Say what it is counted under."""
        super().__init__(reason)
        self.reason = reason


class Unanswered(Exception):  # noqa: N818  (it says what happened)
    """Report an answer that may be another one next time."""


def checked_address(address: str, *, kind: str) -> SplitResult:
    """Return the parts of an address that may be posted to.

    Args:
        address: such as ``"https://alerts.example.com/hook"``.
        kind: what it is for; the error names it.

    Raises:
        ConfigurationError: when it cannot be posted to; the message repeats no password or token.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except (ValueError, AttributeError) as error:
        msg = f"{kind}: the address cannot be read: {error}"
        raise ConfigurationError(msg) from None
    if parts.scheme not in SCHEMES or not host:
        msg = f"{kind}: the address must begin with http:// or https:// and name a host, not {parts.scheme!r}"
        raise ConfigurationError(msg)
    if parts.username is not None or parts.password is not None:
        msg = f"{kind}: no name or password in the address; use headers= with Authorization"
        raise ConfigurationError(msg)
    target = f"{host}{parts.path}{parts.query}"
    if not target.isascii() or not target.isprintable() or " " in target or port == 0:
        msg = f"{kind}: the address must be of printable ASCII characters without spaces"
        raise ConfigurationError(msg)
    return parts


def checked_headers(headers: Mapping[str, str] | None, *, kind: str) -> dict[str, str]:
    """Return headers that are each one line.

    Raises:
        ConfigurationError: when one is not, or is set by this library; the message repeats no value.
    """
    found = dict(headers or {})
    for name, value in found.items():
        if not _TOKEN.fullmatch(name) or not isinstance(value, str) or not value.isprintable() or not value.isascii():
            msg = f"{kind}: the header {name!r} must be one line of printable ASCII characters"
            raise ConfigurationError(msg)
        if name.lower() in {"host", "content-length", "content-type", "connection", "transfer-encoding"}:
            msg = f"{kind}: the header {name!r} is set by modelmon"
            raise ConfigurationError(msg)
    return found


def post(
    address: SplitResult, document: Any, headers: Mapping[str, str], context: ssl.SSLContext | None = None
) -> None:
    """Post a document as JSON; return when it was taken.

    Raises:
        Refused: when it was refused for good, or the answer leads elsewhere.
        Unanswered: when the other side is busy, broken, too slow or answers nonsense.
        OSError: when it cannot be reached.
    """
    end = monotonic() + TIMEOUT_S
    body = json.dumps(document, allow_nan=False).encode()
    host, port = str(address.hostname), address.port or SCHEMES[address.scheme]
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as plain:
        plain.settimeout(_left(end))
        secured = address.scheme == "https"
        channel = (
            (context or ssl.create_default_context()).wrap_socket(plain, server_hostname=host) if secured else plain
        )
        with channel:
            channel.settimeout(_left(end))
            channel.sendall(_request(address, body, headers))
            status = _status(channel, end)
    if 200 <= status < 300:  # noqa: PLR2004
        return
    if status >= 500 or status in _PASSING:  # noqa: PLR2004
        msg = f"status {status}"
        raise Unanswered(msg)
    raise Refused("redirected" if 300 <= status < 400 else str(status))  # noqa: PLR2004


def _request(address: SplitResult, body: bytes, headers: Mapping[str, str]) -> bytes:
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    lines = [
        f"POST {target} HTTP/1.1",
        f"Host: {address.netloc}",
        "User-Agent: modelmon",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _status(channel: socket.socket, end: float) -> int:
    head = b""
    while b"\n" not in head and len(head) < _HEAD:
        channel.settimeout(_left(end))
        more = channel.recv(_HEAD)
        if not more:
            break
        head += more
    match = _STATUS.match(head)
    if match is None:
        msg = "no HTTP answer"
        raise Unanswered(msg)
    return int(match[1])


def _left(end: float) -> float:
    left = end - monotonic()
    if left <= 0:
        msg = f"no answer within {TIMEOUT_S:g} s"
        raise Unanswered(msg)
    return left
