"""Read the truths that a label call was given.

A truth of a multilabel task is an object of one of three forms, made of plain values so that it compares and
serialises: ``("row", (1, 0, None))``, one element per label; ``("set", ("cat", "dog"))``, the labels that hold, sorted;
``("map", (("cat", True),))``, what is known of some labels, sorted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.classcodes import class_codes
from modelmon.columns import INVALID_CODE, MISSING_CODE, Truths
from modelmon.copies import Nullable, Rejection, keep
from modelmon.identity import Missing, canonical_class, class_order
from modelmon.moments import instants, revisions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "NOTHING",
    "NUMBER",
    "OBJECT",
    "RETRACTION",
    "UNKNOWN_FLAG",
    "flags_of",
    "instants",
    "retractions",
    "revisions",
    "truths",
]

RETRACTION, NUMBER, OBJECT, NOTHING = 0, 1, 2, 3
"""The kinds of a truth."""

UNKNOWN_FLAG = 255
"""Stands in a row of flags for a label of which nothing is known."""

_EXACT_INTEGERS = 1 << 53
_ROW_DIMENSIONS = 2


def retractions(n: int) -> Truths:
    """Return ``n`` retractions."""
    return Truths(np.zeros(n, np.uint8), np.full(n, np.nan), np.full(n, MISSING_CODE, np.int32), ())


def truths(values: Any, *, textual: bool = False) -> Truths:
    """Make truths canonical.

    Args:
        values: a sequence or column of truths of any supported type, or one scalar.
        textual: the truths came from text, and numbers among them are read as their text.

    Returns:
        One canonical truth per element.

    >>> found = truths([1, "cat", None, {"a", "b"}])
    >>> found.kind.tolist(), found.number.tolist()[0], found.codes.tolist(), found.objects
    ([1, 2, 3, 2], 1.0, [-1, 0, -1, 1], ('cat', ('set', ('a', 'b'))))
    """
    kept = _keep_truths(values)
    if isinstance(kept, Rejection):
        kept = (kept,) * kept.rows
    found = _read(kept)
    return _as_text(found) if textual else found


def _keep_truths(values: Any) -> Any:
    if (type(values) is list or type(values) is tuple) and any(type(value) is dict for value in values):
        return tuple(_mapping(value) if type(value) is dict else keep(value) for value in values)
    return (_mapping(values),) if type(values) is dict else keep(values)


class _Mapping(tuple):  # type: ignore[type-arg]  # pairs; a type of its own tells it from a row
    __slots__ = ()


def _mapping(value: dict[Any, Any]) -> Any:
    return _Mapping((keep(label), keep(known)) for label, known in value.items())


def _read(kept: Any) -> Truths:
    if isinstance(kept, np.ndarray) and kept.dtype.kind in "biuf" and (kept.ndim < _ROW_DIMENSIONS):
        return _numbers(kept.reshape(-1))
    if isinstance(kept, np.ndarray) and kept.ndim == _ROW_DIMENSIONS and kept.shape[1] != 1:
        return _rows(kept.tolist(), _row_keys(kept))
    if isinstance(kept, Nullable) and kept.data.ndim == _ROW_DIMENSIONS:
        return _rows(list(map(tuple, kept.tolist())))
    if isinstance(kept, tuple):
        kinds = set(map(type, kept))
        if kinds and kinds <= {int, float, bool}:
            return _number_list(kept)
        if kinds & {tuple, frozenset, _Mapping, np.ndarray}:
            return _rows(kept)
    return _classes(*class_codes(kept))


def _numbers(array: NDArray[Any]) -> Truths:
    number = array.astype(np.float64)
    kind = array.dtype.kind
    if kind in "iu" and array.size and (int(array.max()) > _EXACT_INTEGERS or int(array.min()) < -_EXACT_INTEGERS):
        return _number_list(array.tolist())
    kinds = np.full(len(number), NUMBER, np.uint8)
    codes = np.full(len(number), MISSING_CODE, np.int32)
    if kind == "f":
        finite = np.isfinite(number)
        kinds[~finite] = NOTHING
        codes[np.isinf(number)] = INVALID_CODE
        number[~finite] = np.nan
    return Truths(kinds, number + 0.0, codes, ())


def _number_list(values: Sequence[Any]) -> Truths:
    try:
        number = np.fromiter(values, np.float64, len(values))
    except OverflowError:
        return _classes(*class_codes(tuple(values)))
    if len(number) and np.nanmax(np.abs(number), initial=0.0) >= _EXACT_INTEGERS:  # 2**53 + 1 has become 2**53
        return _classes(*class_codes(tuple(values)))
    return _numbers(number)


def _classes(codes: NDArray[np.int32], values: Sequence[Any]) -> Truths:
    """Tell numbers among dictionary-encoded classes from objects."""
    size = len(values)
    kinds = np.full(size + 2, NOTHING, np.uint8)  # -2 and -1 index the last two
    numbers = np.full(size + 2, np.nan)
    places = np.array([*[MISSING_CODE] * size, INVALID_CODE, MISSING_CODE], np.int32)
    objects: list[Any] = []
    for position, value in enumerate(values):
        number = _exact(value)
        if number is None:
            kinds[position], places[position] = OBJECT, len(objects)
            objects.append(value)
        else:
            kinds[position], numbers[position] = NUMBER, number
    return Truths(kinds[codes], numbers[codes], places[codes], tuple(objects))


def _exact(value: Any) -> float | None:
    if isinstance(value, (str, tuple)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number == value else None


def _row_keys(rows: NDArray[Any]) -> list[Any]:
    if not rows.size:
        return [b""] * len(rows)
    rows = np.ascontiguousarray(rows)
    width = rows.dtype.itemsize * rows.shape[1]
    keys: list[Any] = rows.view(np.uint8).reshape(len(rows), width).view(f"V{width}").reshape(-1).tolist()
    return keys


def _rows(values: Sequence[Any], keys: Sequence[Any] | None = None) -> Truths:
    """Read truths of which some have parts, each distinct one once."""
    codes = np.full(len(values), INVALID_CODE, np.int32)
    seen: dict[Any, int] = {}
    found: dict[str, int] = {}
    classes: list[Any] = []
    for position, value in enumerate(values):
        row = value.tolist() if isinstance(value, np.ndarray) else value
        key = repr(row) if keys is None else keys[position]
        code = seen.get(key)
        if code is None:
            canonical = _canonical(row)
            if isinstance(canonical, Missing):
                code = MISSING_CODE if canonical is Missing.MISSING else INVALID_CODE
            else:
                code = found.setdefault(repr(canonical), len(classes))
                if code == len(classes):
                    classes.append(canonical)
            seen[key] = code
        codes[position] = code
    return _classes(codes, classes)


def _canonical(value: Any) -> Any:
    if isinstance(value, _Mapping):
        return _canonical_map(value)
    if not isinstance(value, (tuple, list, frozenset)):
        return canonical_class(value)
    parts = [canonical_class(part) for part in value]
    if Missing.INVALID in parts:
        return Missing.INVALID
    if isinstance(value, frozenset):
        labels = {part for part in parts if not isinstance(part, Missing)}
        return ("set", tuple(sorted(labels, key=class_order)))
    return ("row", tuple(None if isinstance(part, Missing) else part for part in parts))


def _canonical_map(value: _Mapping) -> Any:
    pairs: dict[Any, bool] = {}
    for label, known in value:
        name, flag = canonical_class(label), canonical_class(known)
        if isinstance(name, Missing) or flag is Missing.INVALID or (flag is not Missing.MISSING and flag not in {0, 1}):
            return Missing.INVALID
        if flag is not Missing.MISSING:
            pairs[name] = bool(flag)
    return ("map", tuple(sorted(pairs.items(), key=lambda pair: class_order(pair[0]))))


def _as_text(found: Truths) -> Truths:
    """Replace numbers by their text: 1.0 and 1 by ``"1"``."""
    number = found.kind == NUMBER
    if not number.any():
        return found
    texts, values = class_codes(found.number[number])
    codes, kind = found.codes.copy(), found.kind.copy()
    codes[number] = texts + np.int32(len(found.objects))
    kind[number] = OBJECT
    return Truths(kind, np.full(len(found), np.nan), codes, (*found.objects, *map(str, values)))


def flags_of(truth: Any, labels: Sequence[Any]) -> NDArray[np.uint8] | None:
    """Return a multilabel truth as flags.

    Args:
        truth: one of the three forms.
        labels: the L labels of the task.

    Returns:
        uint8 ``(L,)`` of 0, 1 and 255 for unknown; None where the truth does not fit the labels.

    >>> flags_of(("set", ("dog",)), ("cat", "dog")).tolist()
    [0, 1]
    >>> flags_of(("map", (("cat", True),)), ("cat", "dog")).tolist()
    [1, 255]
    """
    if not isinstance(truth, (tuple, list)) or len(truth) != len(("form", "parts")):
        return None
    form, parts = truth
    if form == "row" and len(parts) == len(labels) and all(part is None or part in (0, 1) for part in parts):
        return np.array([UNKNOWN_FLAG if part is None else part for part in parts], np.uint8)
    known = {label: position for position, label in enumerate(labels)}
    if form == "map":
        given = [(label, int(flag)) for label, flag in parts]
        flags = np.full(len(labels), UNKNOWN_FLAG, np.uint8)
    else:
        given = [(label, 1) for label in parts]
        flags = np.zeros(len(labels), np.uint8)
    for label, flag in given:
        if label not in known:
            return None
        flags[known[label]] = flag
    return flags
