"""A segment: the documents of one transaction as one blob.

Format, little-endian: the version (uint64), the number of documents (int64), their keys (int64 each), their lengths
(int64 each, -1 where the document went), and the documents one after the other.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import numpy as np

from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.stores.database import Keys

_HEADER: Final = struct.Struct("<Qq")
_VERSION: Final = 1
_GONE: Final = -1
_WORD: Final = np.dtype("<i8")


def packed(keys: Keys, bodies: Sequence[bytes | None]) -> bytes:
    """Return a segment of documents; None where one went."""
    if None in bodies:
        lengths = [_GONE if body is None else len(body) for body in bodies]
        rest = [body for body in bodies if body is not None]
    else:
        rest = bodies  # type: ignore[assignment]
        lengths = list(map(len, rest))
    head = _HEADER.pack(_VERSION, len(keys))
    return b"".join([head, keys.astype(_WORD, copy=False).tobytes(), np.array(lengths, _WORD).tobytes(), *rest])


def unpacked(segment: bytes) -> tuple[list[int], list[bytes | None]]:
    """Return the keys and documents of a segment.

    Raises:
        ConfigurationError: a newer version of this library wrote it.
    """
    version, n = _HEADER.unpack_from(segment)
    if version != _VERSION:
        message = (
            f"the file holds segments of version {version}, and this version of modelmon knows {_VERSION}: upgrade"
        )
        raise ConfigurationError(message)
    words = np.frombuffer(segment, _WORD, 2 * n, _HEADER.size)
    lengths = words[n:].tolist()
    start = _HEADER.size + 16 * n
    ends = list(accumulate(map(max, lengths, [0] * n), initial=start))
    if ends[-1] != len(segment):
        raise ValueError
    bodies = [
        None if length < 0 else segment[begin : begin + length] for begin, length in zip(ends, lengths, strict=False)
    ]
    return words[:n].tolist(), bodies
