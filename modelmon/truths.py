"""Read what a label call was given: truths, when they became known, and their revisions.

A truth of a multilabel task is an object of one of three forms, made of plain values so that it compares and
serialises: ``("row", (1, 0, None))``, one element per label; ``("set", ("cat", "dog"))``, the labels that hold, sorted;
``("map", (("cat", True),))``, what is known of some labels, sorted.
"""

from __future__ import annotations

import datetime
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.classcodes import class_codes
from modelmon.columns import INVALID_CODE, MISSING_CODE, Truths
from modelmon.copies import Nullable, Rejection, keep
from modelmon.identity import Missing, canonical_class, class_order, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RETRACTION, NUMBER, OBJECT, NOTHING = 0, 1, 2, 3
"""The kinds of a truth."""

UNKNOWN_FLAG = 255
"""Stands in a row of flags for a label of which nothing is known."""

_EXACT_INTEGERS = 1 << 53
_MAXIMUM_REVISION = 1 << 100
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
    >>> found.kind.tolist(), found.number[0], found.codes.tolist(), found.objects
    ([1, 2, 3, 2], 1.0, [-1, 0, -1, 1], ('cat', ('set', ('a', 'b'))))
    """
    kept = _keep_truths(values)
    if isinstance(kept, Rejection):
        kept = (kept,) * kept.rows
    found = _read(kept)
    return _as_text(found) if textual else found


def _keep_truths(values: Any) -> Any:
    if type(values) in {list, tuple} and dict in set(map(type, values)):
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
        return _rows(np.where(kept.absent, None, kept.data.astype(object)).tolist())
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
    if len(number) and np.nanmax(np.abs(number), initial=0.0) > _EXACT_INTEGERS:
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
    found: dict[Any, int] = {}
    classes: list[Any] = []
    for position, value in enumerate(values):
        key = repr(value) if keys is None else keys[position]
        code = found.get(key)
        if code is None:
            canonical = _canonical(value)
            code = len(classes)
            if isinstance(canonical, Missing):
                code = MISSING_CODE if canonical is Missing.MISSING else INVALID_CODE
            else:
                classes.append(canonical)
            found[key] = code
        codes[position] = code
    return _classes(codes, classes)


def _canonical(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.ndim == 1 else Rejection("shape")
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

    >>> flags_of(("set", ("dog",)), ("cat", "dog")).tolist(), flags_of(("map", (("cat", True),)), ("cat", "dog")).tolist()
    ([0, 1], [1, 255])
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


def instants(at: Any, n: int) -> NDArray[np.float64]:
    """Read points in time.

    Args:
        at: None, one instant or ``n``: seconds since the epoch, aware datetimes, or timestamps of numpy or pandas
            (arrays of datetimes without a zone are UTC).
        n: how many there should be.

    Returns:
        float64 ``(n,)``, seconds since the epoch, nan where missing.

    Raises:
        ValueError: when the number differs, a datetime has no zone, or something is no instant.
    """
    if at is None:
        return np.full(n, np.nan)
    if hasattr(at, "dtype"):
        return _sized(_instant_column(at), n, "at")
    if isinstance(at, (list, tuple)):
        return _sized(np.array([_instant(value) for value in at], np.float64), n, "at")
    return np.full(n, _instant(at))


def _instant_column(at: Any) -> NDArray[np.float64]:
    if str(getattr(at.dtype, "kind", "")) == "M":
        values = at.to_numpy() if hasattr(at, "to_numpy") else at
        values = np.asarray(values, "datetime64[ns]")
        whole = values.astype("datetime64[s]")
        seconds = whole.astype(np.int64) + (values - whole).astype(np.int64) / 1e9
        return np.where(np.isnat(values), np.nan, seconds)
    kept = keep(at)
    if isinstance(kept, np.ndarray) and kept.dtype.kind in "iuf":
        return kept.astype(np.float64)
    if isinstance(kept, Nullable) and kept.data.dtype.kind in "iuf":
        return np.where(kept.absent, np.nan, kept.data.astype(np.float64))
    values = at.to_list() if hasattr(at, "to_list") else at.tolist()
    return np.array([_instant(value) for value in (values if isinstance(values, list) else [values])], np.float64)


def _instant(value: Any) -> float:
    if isinstance(value, datetime.datetime) and type(value).__name__ != "NaTType":
        if value.tzinfo is None:
            msg = f"at={value!r} has no time zone: give an aware datetime, or seconds since the epoch"
            raise ValueError(msg)
        return value.timestamp()
    if hasattr(value, "dtype") and value.dtype.kind == "M":
        return float(_instant_column(value))
    number = plain(value)
    if number is Missing.MISSING:
        return math.nan
    if isinstance(value, (bool, str, bytes)) or not isinstance(number, (int, float)):
        msg = f"at={value!r} is no instant: give seconds since the epoch or an aware datetime"
        raise ValueError(msg)
    return float(number)


def _sized(values: NDArray[np.float64], n: int, name: str) -> NDArray[np.float64]:
    values = np.atleast_1d(values)
    if values.shape == (n,):
        return values
    if values.shape == (1,):
        return np.full(n, values[0])
    msg = f"{name} has {len(values)} elements for {n} ids"
    raise ValueError(msg)


def revisions(revs: Any, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read revision numbers as exact pairs.

    Args:
        revs: None, one number or ``n``; integers up to 2**100 are exact.
        n: how many there should be.

    Returns:
        The upper and lower parts, float64 ``(n,)`` each, whose sum is the revision; nan where missing.

    Raises:
        ValueError: when the number differs or something is no finite number.
    """
    if revs is None:
        return np.full(n, np.nan), np.full(n, np.nan)
    kept = keep(revs)
    if isinstance(kept, np.ndarray):
        kept = kept.tolist()
    elif isinstance(kept, Nullable):
        kept = np.where(kept.absent, None, kept.data.astype(object)).tolist()
    pairs = [_revision(value) for value in (kept if isinstance(kept, (list, tuple)) else (kept,))]
    halves = np.array(pairs, np.float64).reshape(len(pairs), 2)
    return _sized(halves[:, 0], n, "revs"), _sized(halves[:, 1], n, "revs")


def _revision(value: Any) -> tuple[float, float]:
    number = plain(value)
    if number is Missing.MISSING:
        return (math.nan, math.nan)
    if isinstance(value, bool) or not isinstance(number, (int, float)) or abs(number) > _MAXIMUM_REVISION:
        msg = f"rev={value!r} is no revision: give a finite number up to 2**100"
        raise ValueError(msg)
    high = float(number)
    return (high, float(number - int(high)) if isinstance(number, int) else 0.0)
