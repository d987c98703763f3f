"""Turn prediction ids of any kept form into one column of integers, or of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from modelmon.copies import Coded, Deferred, Nullable
from modelmon.hashing import read_decimals
from modelmon.identity import EXACT_FLOATS, MAXIMUM_ID_BYTES, canonical_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    IdArrays: TypeAlias = tuple[NDArray[np.int64] | None, NDArray[np.bytes_] | None, NDArray[np.bool_]]

_INT64 = 1 << 63
_DECIMAL_WIDTH = 20
_WORD = 8


def id_arrays(kept: Any) -> IdArrays:
    """Read ids of any kept form.

    Returns:
        int64 ``(n,)`` or None, bytes ``(n,)`` or None (one of the two), and bool ``(n,)``, false where there is no id.
    """
    if isinstance(kept, np.ndarray):
        return _array_ids(kept)
    if isinstance(kept, tuple):
        return _sequence_ids(kept)
    if isinstance(kept, Nullable):
        integers, texts, valid = _array_ids(kept.data)
        return integers, texts, valid & ~kept.absent.ravel()
    if isinstance(kept, Coded):
        return _coded_ids(kept)
    if isinstance(kept, Deferred):
        return id_arrays(kept.array())
    return _sequence_ids((kept,))


def _coded_ids(kept: Coded) -> IdArrays:
    integers, texts, valid = id_arrays(kept.values)
    codes = np.asarray(kept.codes, np.int64)
    present = codes >= 0
    if not len(valid):
        return np.zeros(len(codes), np.int64), None, np.zeros(len(codes), bool)
    codes = np.where(present, codes, 0)
    return (
        None if integers is None else integers[codes],
        None if texts is None else texts[codes],
        valid[codes] & present,
    )


def _array_ids(array: NDArray[Any]) -> IdArrays:
    array = array.reshape(-1) if array.ndim <= 1 or array.shape[1] == 1 else array
    n, kind = len(array), array.dtype.kind
    if array.ndim > 1 or kind == "b":
        return np.zeros(n, np.int64), None, np.zeros(n, bool)
    if kind == "f":
        return _float_ids(array.astype(np.float64, copy=False))
    if kind == "i" or (kind == "u" and not (n and int(array.max()) >= _INT64)):
        return array.astype(np.int64, copy=False), None, np.ones(n, bool)
    if kind in "USu":
        return _sequence_ids(array.tolist())
    return np.zeros(n, np.int64), None, np.zeros(n, bool)


def _float_ids(array: NDArray[np.float64]) -> IdArrays:
    valid = np.abs(array) < EXACT_FLOATS  # neither what is beyond, nor nan
    kept = np.where(valid, array, 0)
    valid &= kept == np.rint(kept)
    return kept.astype(np.int64), None, valid


def _sequence_ids(values: Sequence[Any]) -> IdArrays:
    kinds = set(map(type, values))
    if kinds == {str}:
        return text_ids(values)
    if kinds == {int}:
        try:
            return np.fromiter(values, np.int64, len(values)), None, np.ones(len(values), bool)
        except OverflowError:
            return _listed_ids(values)
    if kinds == {str, type(None)}:
        return text_ids([value or "" for value in values])
    if kinds == {float}:
        return _float_ids(np.fromiter(values, np.float64, len(values)))
    return _listed_ids(values)


def _listed_ids(values: Sequence[Any]) -> IdArrays:
    return text_ids([canonical_id(value) or "" for value in values])


def text_ids(values: Sequence[str]) -> IdArrays:
    """Read exact strings; ``""`` is no id.

    Returns:
        As `id_arrays`.
    """
    n = len(values)
    try:
        data = np.frombuffer("\0".join([*values, ""]).encode(), np.uint8)  # each text ends with a NUL
    except UnicodeEncodeError:
        return _settle_texts(_encoded(values))
    size = len(data)
    if size == n:  # nothing but their ends
        return np.zeros(n, np.int64), None, np.zeros(n, bool)
    if np.count_nonzero(data) != size - n:  # a text has a NUL of its own, and is no id
        return text_ids([canonical_id(value) or "" for value in values])
    stride = size // n
    if stride * n == size and stride <= MAXIMUM_ID_BYTES and not data[stride - 1 :: stride].any():
        return _settle_texts(data.view(f"S{stride}"))
    texts = _cut(data)
    return _settle_texts(_encoded(values) if texts is None else texts)


def _cut(data: NDArray[np.uint8]) -> NDArray[np.bytes_] | None:
    """Cut bytes at the NUL that ends each text; None where one is too long."""
    ends = np.flatnonzero(data == 0)
    lengths = np.diff(ends, prepend=-1) - 1
    longest = int(lengths.max())
    if longest > MAXIMUM_ID_BYTES:
        return None
    width = -(-longest // _WORD) * _WORD
    padded = np.append(data, np.zeros(width, np.uint8))
    windows = np.ndarray((len(data),), f"V{width}", padded, 0, (1,))  # one begins at every byte
    words = windows[ends - lengths].view(np.uint64).reshape(len(ends), width // _WORD)
    kept = 255 * np.tri(longest + 1, width, -1, np.uint8)  # by length, the bytes that are the text's own
    words &= kept.view(np.uint64).take(lengths, axis=0)
    texts: NDArray[np.bytes_] = words.reshape(-1).view(f"S{width}")
    return texts


def _encoded(values: Sequence[str]) -> NDArray[np.bytes_]:
    try:
        data = [value.encode() for value in values]
    except UnicodeEncodeError:
        data = [(canonical_id(value) or "").encode() for value in values]
    if max(map(len, data)) > MAXIMUM_ID_BYTES:
        data = [value if len(value) <= MAXIMUM_ID_BYTES else b"" for value in data]
    return np.array(data, np.bytes_)


def _settle_texts(texts: NDArray[np.bytes_]) -> IdArrays:
    """Keep a column of text, as integers where each text is the canonical form of one."""
    matrix = texts.view(np.uint8).reshape(len(texts), -1)
    valid = matrix[:, 0] != 0
    if matrix.shape[1] <= _DECIMAL_WIDTH:
        positions, values = read_decimals(texts)
        if len(positions) == np.count_nonzero(valid):
            integers = np.zeros(len(texts), np.int64)
            integers[positions] = values
            return integers, None, valid
    return None, texts, valid
