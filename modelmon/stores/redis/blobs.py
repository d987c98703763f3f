"""Lists of byte strings as two: the length of each (int32, -1 for none), and all bodies together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIZE: Final = np.dtype("<i4")
_OVERHEAD: Final = 48  # bytes about a document in the server, for telling whether a transaction frees memory


def packed(values: Sequence[bytes | None]) -> tuple[bytes, bytes]:
    r"""Return the lengths and the bodies of a list.

    >>> packed([b"one", None, b""])
    (b'\x03\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00', b'one')
    """
    there = [value for value in values if value is not None]
    sizes = [-1 if value is None else len(value) for value in values] if len(there) < len(values) else map(len, there)
    return np.fromiter(sizes, _SIZE, len(values)).tobytes(), b"".join(there)


def unpacked(sizes: bytes, bodies: bytes) -> list[bytes | None]:
    """Return the list of lengths and bodies.

    >>> unpacked(*packed([b"one", None, b""]))
    [b'one', None, b'']
    """
    lengths = np.frombuffer(sizes, _SIZE)
    if len(lengths) and lengths[0] > 0 and (lengths == lengths[0]).all():
        alike: list[bytes | None] = np.frombuffer(bodies, f"V{lengths[0]}").tolist()
        return alike
    ends = np.cumsum(np.maximum(lengths, 0))
    starts = ends - np.maximum(lengths, 0)
    found: list[bytes | None] = [bodies[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    for place in np.flatnonzero(lengths < 0).tolist():
        found[place] = None
    return found


def weight(values: Sequence[bytes | None]) -> int:
    """Return about how many bytes of a server's memory a list takes.

    >>> weight([b"one", None, b""])
    99
    """
    there = [value for value in values if value is not None]
    return sum(map(len, there)) + _OVERHEAD * len(there)
