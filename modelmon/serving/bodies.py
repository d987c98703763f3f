"""Bodies of requests: bytes to items, with a bound on what they unpack to."""

from __future__ import annotations

import zlib
from typing import Any, Final

from modelmon.serving.refusals import refuse
from modelmon.written.strict import read_json

CAP: Final = 8 << 20
MOST_ITEMS: Final = 100_000
JSON: Final = "application/json"
LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
_PLAIN: Final = frozenset({"", "identity"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})
_GZIP_BITS: Final = 16 + zlib.MAX_WBITS
_DEFLATED: Final = 8
_MOST_MEMBERS: Final = 10


def items_of(body: bytes, kind: str, encoding: str) -> list[Any]:
    """Return the items that a body holds.

    Args:
        body: what came.
        kind: its media type, lower case, without parameters.
        encoding: its content encoding, lower case.

    Raises:
        RefusedError: when it is too large, no JSON, or no list of items.
    """
    try:
        text = unpacked(body, encoding).decode("utf-8-sig")
    except UnicodeDecodeError:
        refuse(400, "the body is not UTF-8")
    try:
        found = _lines(text) if kind in LINES else _document(text)
    except ValueError as error:
        refuse(400, str(error))
    if len(found) > MOST_ITEMS:
        refuse(413, f"more than {MOST_ITEMS:,} labels in one request")
    return found


def unpacked(body: bytes, encoding: str) -> bytes:
    """Return what a body was before it was compressed, at most 8 MiB.

    Raises:
        RefusedError: when it is more, or is damaged.
    """
    if encoding in _PLAIN:
        return body
    if encoding not in _GZIP and encoding != "deflate":
        refuse(415, "Content-Encoding is gzip, deflate or nothing")
    bits = _GZIP_BITS if encoding in _GZIP else _deflate_bits(body)
    found, members = b"", _MOST_MEMBERS if bits == _GZIP_BITS else 1  # a gzip file may have several
    while body:
        members -= 1
        if members < 0:
            refuse(400, "bytes follow the compressed body")
        stream = zlib.decompressobj(bits)
        try:
            found += stream.decompress(body, CAP + 1 - len(found))
        except zlib.error:
            refuse(400, "the body is no valid compressed stream")
        if len(found) > CAP:
            refuse(413, f"more than {CAP} bytes after decompression")
        if not stream.eof:
            refuse(400, "the compressed body ends too early")
        body = stream.unused_data
    return found


def _deflate_bits(body: bytes) -> int:
    """Return how to read deflate: with a zlib header, as the standard says, or without, as some clients write it."""
    headed = body[:1] and body[0] & 0x0F == _DEFLATED and not int.from_bytes(body[:2], "big") % 31
    return zlib.MAX_WBITS if headed else -zlib.MAX_WBITS


def _document(text: str) -> list[Any]:
    found = read_json(text)
    if isinstance(found, dict) and [*found] == ["labels"]:
        found = found["labels"]
    if isinstance(found, dict) and "id" in found:
        found = [found]
    if not isinstance(found, list):
        msg = 'the body is neither {"labels": [...]}, nor a list, nor one label'
        raise ValueError(msg)  # noqa: TRY004  (what is wrong with a body)
    return found


def _lines(text: str) -> list[Any]:
    found: list[Any] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            if len(found) > MOST_ITEMS:
                break
            try:
                found.append(read_json(line))
            except ValueError as error:
                msg = f"line {number}: {error}"
                raise ValueError(msg) from None
    return found
