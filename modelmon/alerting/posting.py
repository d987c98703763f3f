"""Posting: one JSON document to one HTTP address, which no answer can lead elsewhere or make wait.

Rules:

1. The address is what the program was set up with, ``http`` or ``https``; nothing of an alert goes into it.
2. No redirect is followed, no proxy asked, and nothing of the answer read but its head.
3. All of it takes at most three seconds, however slowly the other side sends; looking up a name is the system's affair.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from modelmon.errors import ConfigurationError
from modelmon.exporters.posting import Target, send, target_of

if TYPE_CHECKING:
    import os

TIMEOUT_S: Final = 3.0
_OURS: Final = frozenset({"host", "content-length", "content-type", "connection", "transfer-encoding"})
_DONE: Final = range(200, 300)
_ELSEWHERE: Final = range(300, 400)
_PASSING: Final = frozenset({408, 425, 429, *range(500, 600)})
_UNPRINTABLE: Final = re.compile(r"[^!-~]")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LINE: Final = re.compile(r"[ -~]*")


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


@dataclass(frozen=True, slots=True)
class Address:
    """Say where documents are posted to; it shows neither path nor headers, which may be secret.

    Attributes:
        target: scheme, host and port.
        path: with the query, if there is one.
        headers: sent with every document.
    """

    target: Target
    path: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def address_of(
    url: str, *, kind: str, headers: Mapping[str, str] | None = None, cafile: str | os.PathLike[str] | None = None
) -> Address:
    """Read an address.

    Args:
        url: such as ``"https://alerts.example.com/hook"``.
        kind: what it is for; the error names it.
        headers: what to send with every document.
        cafile: a PEM file with those whose certificates are trusted; those of the system if left out.

    Raises:
        ConfigurationError: when nothing can be posted there; the message repeats neither password nor token.
    """
    try:
        parts = urlsplit(url)
        if _UNPRINTABLE.search(url):
            raise ValueError  # noqa: TRY301  (whatever is wrong with it, it is not shown)
        named = f"{parts.hostname}:{parts.port}"
    except (ValueError, TypeError, AttributeError):
        _refuse(kind, "the address cannot be read: give http://... or https://... in printable ASCII characters")
    if parts.username is not None or parts.password is not None:
        _refuse(kind, "no name or password in the address; give headers= with Authorization")
    if parts.scheme not in {"http", "https"} or not parts.hostname or named.endswith(":0"):
        _refuse(kind, f"the address must begin with http:// or https:// and name a host, not {parts.scheme!r}")
    target = target_of(f"{parts.scheme}://{parts.netloc}", cafile=cafile)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(target, path, _checked(headers or {}, kind))


def post(address: Address, document: Any) -> None:
    """Post a document as JSON; return when it was taken.

    Raises:
        Refused: when it was refused for good, or the answer leads elsewhere.
        Unanswered: when the other side is busy or broken.
        OSError: when it cannot be reached, is too slow, or answers nonsense.
    """
    body = json.dumps(document, allow_nan=False).encode()
    headers = {"User-Agent": "modelmon", "Content-Type": "application/json", **address.headers}
    status = send(address.target, "POST", address.path, body, headers, timeout=TIMEOUT_S).status
    if status in _DONE:
        return
    if status in _PASSING:
        msg = f"status {status}"
        raise Unanswered(msg)
    raise Refused("redirected" if status in _ELSEWHERE else str(status))


def _checked(headers: Mapping[str, str], kind: str) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        _refuse(kind, 'headers= must be a mapping, such as {"Authorization": "Bearer ..."}')
    for name, value in headers.items():
        if (
            not isinstance(name, str)
            or not _TOKEN.fullmatch(name)
            or not isinstance(value, str)
            or not _LINE.fullmatch(value)
        ):
            _refuse(kind, f"the header {name!r} must be one line of printable ASCII characters")
        if name.lower() in _OURS:
            _refuse(kind, f"the header {name!r} is set by modelmon")
    return dict(headers)


def _refuse(kind: str, message: str) -> NoReturn:
    msg = f"{kind}: {message}"
    raise ConfigurationError(msg)
