"""Bodies of requests: bytes to items, with bounds on what they unpack to and on what that becomes in memory.

A list of empty objects takes fifty times its length in memory once it is parsed, so what a body holds is counted first.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from modelmon.serving.refusals import refuse
from modelmon.written.strict import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

CAP: Final = 8 << 20
MOST_ITEMS: Final = 100_000
MOST_NESTED: Final = 2 * MOST_ITEMS + 100
MOST_VALUES: Final = 8 * MOST_ITEMS
MOST_LINES: Final = 2 * MOST_ITEMS
JSON: Final = "application/json"
LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
_PLAIN: Final = frozenset({"", "identity"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})
_GZIP_BITS: Final = 16 + zlib.MAX_WBITS
_DEFLATED: Final = 8
_MOST_MEMBERS: Final = 10
_TOO_MANY: Final = f"more than {MOST_ITEMS:,} labels in one request"
_PIECE: Final = 1 << 16


def items_of(body: bytes | bytearray, kind: str, encoding: str) -> list[Any]:
    """Return the items that a body holds.

    Args:
        body: what came.
        kind: its media type, lower case, without parameters.
        encoding: its content encoding, lower case.

    Raises:
        RefusedError: when it is too large, no JSON, or no list of items.
    """
    plain = unpacked(body, encoding)
    _check_extent(plain, lines=kind in LINES)
    try:
        text = plain.decode("utf-8-sig")
    except UnicodeDecodeError:
        refuse(400, "the body is not UTF-8")
    try:
        found = _lines(text) if kind in LINES else _document(text)
    except ValueError as error:
        refuse(400, str(error))
    if len(found) > MOST_ITEMS:
        refuse(413, _TOO_MANY)
    return found


def unpacked(body: bytes | bytearray, encoding: str) -> bytes | bytearray:
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


def _check_extent(plain: bytes | bytearray, *, lines: bool) -> None:
    """Refuse what would be too many objects in memory, before any of them is made.

    Raises:
        RefusedError: when there are too many lists and objects, values, or lines.
    """
    if lines and plain.count(b"\n") > MOST_LINES:
        refuse(413, f"more than {MOST_LINES:,} lines")
    if _is_large(*_counted(plain)) and _is_large(*_outside_texts(plain)):  # the first is quick, and nearly always False
        refuse(413, f"{_TOO_MANY}, or more than {MOST_VALUES:,} values in all")


def _is_large(nested: int, values: int) -> bool:
    return nested > MOST_NESTED or values > MOST_VALUES


def _counted(plain: bytes | bytearray) -> tuple[int, int]:
    """Return how many brackets open, and how many commas there are."""
    return plain.count(b"{") + plain.count(b"["), plain.count(b",")


def _outside_texts(plain: bytes | bytearray) -> tuple[int, int]:
    """Count what stands in no text, piece by piece, so that the counting takes no memory either."""
    quoted = plain.replace(rb"\\", b"").replace(rb"\"", b"")
    nested = values = inside = 0
    for begin in range(0, len(quoted), _PIECE):
        parts = quoted[begin : begin + _PIECE].split(b'"')
        more = _counted(b"".join(parts[inside::2]))
        nested, values = nested + more[0], values + more[1]
        inside = (inside + len(parts) - 1) % 2
    return nested, values


def _deflate_bits(body: bytes | bytearray) -> int:
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
    for number, line in enumerate(_split(text), 1):
        if line.strip():
            if len(found) > MOST_ITEMS:
                break
            try:
                found.append(read_json(line))
            except ValueError as error:
                msg = f"line {number}: {error}"
                raise ValueError(msg) from None
    return found


def _split(text: str) -> Iterator[str]:
    """Return lines, one after the other; ``str.split`` would make all of them at once."""
    begin = 0
    while begin <= len(text):
        end = text.find("\n", begin)
        yield text[begin : end if end >= 0 else None]
        begin = end + 1 if end >= 0 else len(text) + 1
