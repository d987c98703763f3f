"""The little of HTTP/1.1 that a scrape needs, as pure functions: bytes in, a request or a refusal out.

Rules:

1. A request is GET or HEAD of ``/metrics`` or ``/healthz`` with at most 8 KiB of head and no body; all else is refused.
2. What two readers could understand in two ways is refused: folded lines, bare line feeds, control characters, spaces
   before a colon, any body.
3. One request per connection.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.exporters.exposition import Format

HEAD_LIMIT: Final = 8192
END: Final = b"\r\n\r\n"
PATHS: Final = ("/metrics", "/healthz")

_LINE: Final = re.compile(rb"([!#-'*+.^_`|~0-9A-Za-z-]{1,32}) (/[!-~]*) HTTP/1\.[01]")
_HEADER: Final = re.compile(rb"([!#-'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")
_PROTOBUF: Final = ("proto=io.prometheus.client.metricfamily", "encoding=delimited")
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


@dataclass(frozen=True, slots=True)
class Request:
    """Hold what matters of a request: path without query, whether it wants no body, headers by lower-case name."""

    path: str
    head_only: bool
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """Hold an answer: status, content type and body."""

    status: int
    content_type: str
    body: bytes

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers to send."""
        extra = {401: (("WWW-Authenticate", "Bearer"),), 405: (("Allow", "GET, HEAD"),)}.get(self.status, ())
        length = ("Content-Length", str(len(self.body)))
        return (("Content-Type", self.content_type), length, ("Cache-Control", "no-store"), *extra)

    def head(self) -> bytes:
        """Return what stands before the body on the wire."""
        lines = [f"HTTP/1.1 {self.status} {reason(self.status)}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers(), ("Connection", "close"))]
        return "\r\n".join(lines).encode("ascii") + END


def reason(status: int) -> str:
    """Return the phrase of a status."""
    return _REASONS[status]


def refusal(status: int) -> Response:
    """Return an answer that says no more than its status."""
    return Response(status, "text/plain; charset=utf-8", f"{status} {reason(status)}\n".encode("ascii"))


def parse(head: bytes) -> Request | Response:
    r"""Read the head of a request (without the empty line that ends it), or say why not.

    >>> parse(b"GET /metrics?a=1 HTTP/1.1\r\nHost: x").path
    '/metrics'
    >>> parse(b"POST /metrics HTTP/1.1").status, parse(b"GET /metrics").status
    (405, 400)
    """
    first, *rest = head.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        return refusal(400)
    headers: dict[str, str] = {}
    for row in rest:
        header = _HEADER.fullmatch(row)
        if header is None:
            return refusal(400)
        name = header[1].decode("ascii").lower()
        value = header[2].decode("latin-1").strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if line[1] not in {b"GET", b"HEAD"}:
        return refusal(405)
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        return refusal(400)
    path = line[2].split(b"?", 1)[0].decode("ascii")
    return Request(path, line[1] == b"HEAD", headers) if path in PATHS else refusal(404)


def wanted_format(accept: str) -> Format:
    """Return the format to answer with: the first of ours that is asked for by name, else the Prometheus text format.

    A server that keeps native histograms names protocol buffers first, all others OpenMetrics.

    >>> wanted_format("application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"), wanted_format("*/*")
    ('openmetrics', 'text')
    """
    for offer in accept.lower().split(","):
        kind, *settings = (piece.strip() for piece in offer.split(";"))
        if any(re.fullmatch(r"q=0(\.0*)?", x) for x in settings):
            continue
        if kind == "application/openmetrics-text":
            return "openmetrics"
        if kind == "application/vnd.google.protobuf" and {*_PROTOBUF} <= {*settings}:
            return "protobuf"
    return "text"


def authorised(header: str, token: str | None) -> bool:
    """Return whether an ``Authorization`` header carries the token, in time that does not tell how much was right."""
    if token is None:
        return True
    scheme, _, given = header.partition(" ")
    same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode("utf-8"))
    return same and scheme.lower() == "bearer"
