"""Dictionary-encode class values of any kept form: one small code per row, each class once."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from modelmon.copies import Coded, Deferred, Nullable
from modelmon.identity import INVALID, MISSING, ClassValue, Missing, canonical_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Codes: TypeAlias = NDArray[np.int32]

MISSING_CODE = -1
INVALID_CODE = -2

_COLUMNAR = frozenset({int, bool, str, float})
_CODE = {MISSING: MISSING_CODE, INVALID: INVALID_CODE}
_EXACT_INTEGERS = float(1 << 53)
_SPARSE = 4  # a table over the whole range of integers is used up to this many cells per row
_SMALL_TABLE = 1024


def class_codes(kept: Any) -> tuple[Codes, tuple[ClassValue, ...]]:
    """Encode a kept value of any form.

    Returns:
        int32 ``(n,)`` codes into the classes, -1 for missing and -2 for what is no class; and the classes, each once.
    """
    if isinstance(kept, np.ndarray):
        return _array_codes(kept)
    if isinstance(kept, tuple):
        return _sequence_codes(kept)
    if isinstance(kept, Nullable):
        codes, values = _array_codes(kept.data)
        codes[kept.absent.ravel()] = MISSING_CODE
        return codes, values
    if isinstance(kept, Coded):
        raw, values = class_codes(kept.values)
        table = np.append(raw, np.int32(MISSING_CODE))
        codes = np.asarray(kept.codes, np.int64)
        return table[np.where(codes < 0, len(raw), codes)], values
    if isinstance(kept, Deferred):
        return class_codes(kept.array())
    return _sequence_codes((kept,))


def _sequence_codes(values: Sequence[Any]) -> tuple[Codes, tuple[ClassValue, ...]]:
    kinds = set(map(type, values))
    if kinds == {str} or kinds == {str, type(None)}:
        return _text_codes(values)
    if kinds and kinds <= {int, bool}:
        return _integer_list_codes(values)
    if kinds == {float}:
        return _float_codes(np.fromiter(values, np.float64, len(values)))
    return _mixed_codes(values)


def _text_codes(values: Sequence[Any]) -> tuple[Codes, tuple[ClassValue, ...]]:
    distinct = {value: code for code, value in enumerate(dict.fromkeys(values))}
    if len(values) == 1:
        return settle(np.zeros(1, np.int32), distinct)
    return settle(np.fromiter(itemgetter(*values)(distinct), np.int32, len(values)), distinct)


def _integer_list_codes(values: Sequence[Any]) -> tuple[Codes, tuple[ClassValue, ...]]:
    try:
        return _integer_codes(np.fromiter(values, np.int64, len(values)))
    except OverflowError:  # by their text: a dictionary of chosen integers can be made to take quadratic time
        return settle_each(values)


def settle_each(values: Sequence[Any]) -> tuple[Codes, tuple[ClassValue, ...]]:
    """Encode values one by one."""
    return settle(np.arange(len(values), dtype=np.int32), values)


def _mixed_codes(values: Sequence[Any]) -> tuple[Codes, tuple[ClassValue, ...]]:
    """Encode each type by itself, then settle what they share."""
    codes = np.full(len(values), INVALID_CODE, np.int32)
    classes: list[ClassValue] = []
    for kind in dict.fromkeys(map(type, values)):
        positions = [position for position, value in enumerate(values) if type(value) is kind]
        if kind is type(None):
            codes[positions] = MISSING_CODE
        else:
            encode = _sequence_codes if kind in _COLUMNAR else settle_each
            part, found = encode([values[position] for position in positions])
            codes[positions] = np.where(part < 0, part, part + np.int32(len(classes)))
            classes.extend(found)
    return settle(codes, classes)


def _array_codes(array: NDArray[Any]) -> tuple[Codes, tuple[ClassValue, ...]]:
    if array.ndim > 1:
        if array.shape[1] != 1:
            return np.full(len(array), INVALID_CODE, np.int32), ()
        array = array.ravel()
    elif array.ndim == 0:
        array = array.reshape(1)
    kind = array.dtype.kind
    if kind == "b":
        return _integer_codes(array.astype(np.int64))
    if kind == "f":
        return _float_codes(array.astype(np.float64, copy=False))
    if kind in "iu":
        if (
            array.dtype.itemsize == np.dtype(np.uint64).itemsize
            and kind == "u"
            and array.size
            and int(array.max()) >> 63
        ):
            distinct, codes = np.unique(array, return_inverse=True)
            return settle(codes.reshape(-1).astype(np.int32), distinct.tolist())
        return _integer_codes(array.astype(np.int64, copy=False))
    return _sequence_codes(array.tolist())


def _integer_codes(array: NDArray[np.int64]) -> tuple[Codes, tuple[ClassValue, ...]]:
    if not len(array):
        return np.empty(0, np.int32), ()
    low, high = int(array.min()), int(array.max())
    if high - low < max(_SPARSE * len(array), _SMALL_TABLE):
        offsets = array - low
        seen = np.zeros(high - low + 1, bool)
        seen[offsets] = True
        distinct = np.flatnonzero(seen)
        table = np.empty(len(seen), np.int32)
        table[distinct] = np.arange(len(distinct), dtype=np.int32)
        return table[offsets], tuple((distinct + low).tolist())
    found, codes = np.unique(array, return_inverse=True)
    return codes.reshape(-1).astype(np.int32), tuple(found.tolist())


def _float_codes(array: NDArray[np.float64]) -> tuple[Codes, tuple[ClassValue, ...]]:
    finite = np.isfinite(array)
    kept = array if finite.all() else array[finite]
    if not len(kept) or (np.abs(kept).max() <= _EXACT_INTEGERS and bool((kept == np.rint(kept)).all())):
        codes, values = _integer_codes(kept.astype(np.int64))
    else:
        distinct, inverse = np.unique(kept, return_inverse=True)
        codes, values = settle(inverse.reshape(-1).astype(np.int32), distinct.tolist())
    if len(kept) == len(array):
        return codes, values
    spread = np.where(np.isnan(array), np.int32(MISSING_CODE), np.int32(INVALID_CODE))
    spread[finite] = codes
    return spread, values


def settle(codes: Codes, raw: Iterable[Any]) -> tuple[Codes, tuple[ClassValue, ...]]:
    """Replace raw values by the classes they mean, each once, and the codes with them.

    Args:
        codes: int32 ``(n,)`` positions in ``raw``, or negative.
        raw: values of any kind.
    """
    found: dict[str, int] = {}
    values: list[ClassValue] = []
    table: list[int] = []
    for value in raw:
        canonical = canonical_class(value)
        if isinstance(canonical, Missing):
            table.append(_CODE[canonical])
            continue
        key = f"'{canonical}" if isinstance(canonical, str) else repr(canonical)  # never the hash of a user's integer
        code = found.setdefault(key, len(values))
        if code == len(values):
            values.append(canonical)
        table.append(code)
    if table == list(range(len(table))):
        return codes, tuple(values)
    steps = np.array([*table, INVALID_CODE, MISSING_CODE], np.int32)  # so that -1 and -2 stay what they are
    return steps[codes], tuple(values)
