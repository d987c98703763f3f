"""Columns as arrays in PostgreSQL's binary format, made with numpy at once instead of value by value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike
    from psycopg import Connection

_INT8: Final = 20
_FLOAT8: Final = 701
_BYTEA: Final = 17
_NUMBERS: Final = {
    _INT8: np.dtype([("length", ">i4"), ("value", ">i8")]),
    _FLOAT8: np.dtype([("length", ">i4"), ("value", ">f8")]),
}


class Integers(bytes):
    """The bytes of a ``bigint[]``."""

    __slots__ = ()


class Floats(bytes):
    """The bytes of a ``double precision[]``."""

    __slots__ = ()


class Blobs(bytes):
    """The bytes of a ``bytea[]``."""

    __slots__ = ()


def integers(values: ArrayLike) -> Integers:
    """Return whole numbers as a ``bigint[]``."""
    return Integers(_numbers(np.asarray(values, np.int64), _INT8))


def floats(values: ArrayLike) -> Floats:
    """Return numbers as a ``double precision[]``."""
    return Floats(_numbers(np.asarray(values, np.float64), _FLOAT8))


def blobs(bodies: Sequence[bytes]) -> Blobs:
    """Return byte strings as a ``bytea[]``."""
    size = len(bodies)
    lengths = np.fromiter(map(len, bodies), ">i4", size).tobytes()
    parts: list[bytes] = [b""] * (2 * size)
    parts[0::2] = [lengths[at : at + 4] for at in range(0, 4 * size, 4)]
    parts[1::2] = bodies
    return Blobs(_header(size, _BYTEA) + b"".join(parts))


def adapt(connection: Connection[tuple[object, ...]]) -> None:
    """Teach a connection these arrays."""
    for dumper in (_Integers, _Floats, _Blobs):
        connection.adapters.register_dumper(dumper.known, dumper)


def _numbers(values: np.ndarray[tuple[int], np.dtype[np.generic]], oid: int) -> bytes:
    elements = np.empty(len(values), _NUMBERS[oid])
    elements["length"] = 8
    elements["value"] = values
    return _header(len(values), oid) + elements.tobytes()


def _header(size: int, oid: int) -> bytes:
    """Return what stands before the elements: dimensions, nulls, type, length, lower bound."""
    shape = (size, 1) if size else ()
    return np.array([1 if size else 0, 0, oid, *shape], ">i4").tobytes()


class _Array(Dumper):
    """Hand the bytes over as they are."""

    format = Format.BINARY
    known: type[bytes] = bytes

    def dump(self, obj: bytes) -> bytes:
        return bytes(obj)


class _Integers(_Array):
    oid = 1016
    known = Integers


class _Floats(_Array):
    oid = 1022
    known = Floats


class _Blobs(_Array):
    oid = 1001
    known = Blobs
