"""Gather the kept outputs of many calls into few batches, each of one form.

A form says how the data lies, not what it means; the task decides that later.
``numbers``: a numeric array ``(n,)``.  ``labels``: anything whose elements are classes.  ``matrix``: a numeric array
``(n, k)``.  ``parts``: ``n`` tuples or sets that are no matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.copies import Coded, Deferred, Nullable, Rejection
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from modelmon.outputs.refusals import Refusals
    from modelmon.tasks import Task

_SCALARS = frozenset({int, float, str, bool, bytes})
_NUMBERS = frozenset({int, float, bool})
_NUMERIC_KINDS = "biuf"
_ROW_DIMENSIONS = 2
_TWO_COLUMNS = 2
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Hold the outputs of some calls, one after the other.

    Attributes:
        calls: int64 ``(c,)``, which calls.
        sizes: int64 ``(c,)``, rows of each.
        form: ``"numbers"``, ``"labels"``, ``"matrix"`` or ``"parts"``.
        data: ``n`` rows.
        absent: bool, where the data is missing; None where nowhere.
    """

    calls: NDArray[np.int64]
    sizes: NDArray[np.int64]
    form: str
    data: Any
    absent: NDArray[np.bool_] | None = None


def gather(
    values: Sequence[Any], task: Task | None, *, lone: Sequence[bool | None] | None, refusals: Refusals
) -> list[Batch]:
    """Gather kept outputs.

    Args:
        values: one kept output per call.
        task: what they mean; only rows that come as one-dimensional arrays depend on it.
        lone: per call whether it has a single id, None where it has none; None where no call has.
        refusals: counts what is no output.
    """
    n = len(values)
    if n and values[0] is None and all_none(values):
        return []
    kinds = set(map(type, values))
    if kinds <= _SCALARS and (float not in kinds or len(kinds) == 1):
        return [_flat_batch(np.arange(n), np.ones(n, np.int64), values, kinds)] if n else []
    groups: dict[Any, list[tuple[int, Any]]] = {}
    for call, given in enumerate(values):
        value = given.array() if type(given) is Deferred else given
        if value is None:
            continue
        if type(value) is Rejection:
            refusals.add(value.reason, value.rows, call)
            continue
        if type(value) is tuple and Deferred in set(map(type, value)):
            value = tuple(each.array() if type(each) is Deferred else each for each in value)
        alone = None if lone is None else lone[call]
        if alone and type(value) is tuple and isinstance(task, Multilabel) and set(map(type, value)) <= {str}:
            value = frozenset(value)  # of one prediction, and a list of names is the labels that hold
        key = _group(value, task, lone=alone)
        if key == "row":
            value = _single_row(value)
            key = _group(value, Regression(), lone=None)
        groups.setdefault((call,) if key is None else key, []).append((call, value))
    return [_batch(key, members) for key, members in groups.items()]


def all_none(values: Sequence[Any]) -> bool:
    """Tell whether no call predicted anything, as fast as identity can be counted."""
    try:
        return values.count(None) == len(values)
    except ValueError:  # an array, whose comparison has no truth
        return False


def _group(value: Any, task: Task | None, *, lone: bool | None) -> Any:
    """Return a key that outputs which can be laid end to end share, None for one that stays alone."""
    kind = type(value)
    if kind in _SCALARS:
        return ("scalar", kind is float)
    if kind is tuple:
        return _tuple_group(value, task, lone=lone)
    if kind is not np.ndarray:
        return ("parts", 0, "O") if kind is frozenset else None
    if value.ndim == 1 and _is_row(value, value.dtype.kind, task, lone=lone):
        return "row"
    return (value.dtype.str, value.shape[1:])


def _tuple_group(value: tuple[Any, ...], task: Task | None, *, lone: bool | None) -> Any:
    kinds = set(map(type, value))
    if not kinds <= _SCALARS | {type(None), Rejection}:
        return _rows_group(value)
    code = "O" if not kinds <= _NUMBERS else "f" if float in kinds else "i"
    if value and _is_row(value, code, task, lone=lone):
        return "row"
    return ("flat", "f" if float in kinds and kinds <= _NUMBERS | {type(None)} else code)


def _rows_group(value: tuple[Any, ...]) -> Any:
    """Return the key of rows: their one length, zero where it differs, and what their cells are."""
    if not set(map(type, value)) <= {tuple, np.ndarray}:
        return ("parts", 0, "O")
    lengths = set(map(len, value))
    if len(lengths) > 1 or lengths == {0}:
        return ("parts", 0, "O")
    kinds = set(map(type, chain.from_iterable(_lists(value))))
    return ("parts", lengths.pop(), "O" if not kinds <= _NUMBERS else "f" if float in kinds else "i")


def _lists(rows: Sequence[Any]) -> Sequence[Any]:
    """Return rows as sequences of scalars of Python."""
    if np.ndarray not in set(map(type, rows)):
        return rows
    return [row.tolist() if isinstance(row, np.ndarray) else row for row in rows]


def _is_row(value: Any, code: str, task: Task | None, *, lone: bool | None) -> bool:
    """Tell whether a one-dimensional output is one prediction of many parts, rather than many predictions."""
    size = len(value)
    if isinstance(task, Multilabel):
        return size > 0 and code in _NUMERIC_KINDS and lone is not False
    if code != "f" or size < _TWO_COLUMNS or lone is False:
        return False
    if isinstance(task, Binary):
        return bool(lone) and size == _TWO_COLUMNS
    if lone and not isinstance(task, Regression):
        return True
    return isinstance(task, Multiclass) and _looks_probable(np.asarray(value, np.float64), task.declared)


def _looks_probable(row: NDArray[np.float64], declared: tuple[Any, ...] | None) -> bool:
    """Tell whether floats are the probabilities of the classes, rather than classes themselves."""
    if declared is not None and len(declared) != len(row):
        return False
    integral = bool((row == np.rint(row)).all())
    return not integral and bool((row >= 0).all()) and abs(float(row.sum()) - 1) < _SUM_TOLERANCE


def _single_row(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    return array.reshape(1, -1)


def _batch(key: Any, members: list[tuple[int, Any]]) -> Batch:
    calls = np.array([call for call, _ in members], np.int64)
    values = [value for _, value in members]
    if key[0] == "scalar":
        return _flat_batch(calls, np.ones(len(calls), np.int64), values)
    if key[0] == "parts":
        sizes = np.array([1 if type(value) is frozenset else len(value) for value in values], np.int64)
        rows = list(_lists(list(chain.from_iterable((v,) if type(v) is frozenset else v for v in values))))
        return _parts_batch(calls, sizes, rows, width=key[1], code=key[2])
    if key[0] == "flat":
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        return _flat_batch(calls, sizes, values[0] if len(values) == 1 else tuple(chain.from_iterable(values)))
    if isinstance(values[0], np.ndarray):
        data = values[0] if len(values) == 1 else np.concatenate(values)
        sizes = np.array([len(value) for value in values], np.int64)
        return _array_batch(calls, sizes, data)
    return _alone(calls, values[0])


def _alone(calls: NDArray[np.int64], value: Any) -> Batch:
    if isinstance(value, Coded):
        return Batch(calls, np.array([len(value.codes)], np.int64), "labels", value)
    if isinstance(value, Nullable):
        found = _array_batch(calls, np.array([len(value.data)], np.int64), value.data)
        if found.form == "labels":
            return Batch(calls, found.sizes, "labels", value)
        return Batch(calls, found.sizes, found.form, found.data, value.absent.reshape(found.data.shape))
    return Batch(calls, np.ones(1, np.int64), "labels", (value,))


def _array_batch(calls: NDArray[np.int64], sizes: NDArray[np.int64], data: NDArray[Any]) -> Batch:
    if data.ndim == _ROW_DIMENSIONS and data.shape[1] == 1:
        data = data.reshape(-1)
    if data.dtype.kind not in _NUMERIC_KINDS:
        return Batch(calls, sizes, "labels", data) if data.ndim == 1 else _parts(calls, sizes, data.tolist())
    return Batch(calls, sizes, "matrix" if data.ndim == _ROW_DIMENSIONS else "numbers", data)


def _parts(calls: NDArray[np.int64], sizes: NDArray[np.int64], rows: Iterable[Any]) -> Batch:
    return Batch(calls, sizes, "parts", tuple(row if type(row) is frozenset else tuple(row) for row in rows))


def _flat_batch(
    calls: NDArray[np.int64], sizes: NDArray[np.int64], values: Sequence[Any], kinds: set[type] | None = None
) -> Batch:
    """Lay plain values out as numbers where they all are, else as labels; their types may be known already."""
    kinds = set(map(type, values)) if kinds is None else kinds
    n = len(values)
    if not kinds <= _NUMBERS | {type(None)} or kinds == {type(None)}:
        return Batch(calls, sizes, "labels", tuple(values))
    try:
        if type(None) in kinds:
            absent = np.fromiter((value is None for value in values), bool, n)
            data = np.array([0 if value is None else value for value in values], float if float in kinds else np.int64)
            return Batch(calls, sizes, "numbers", data, absent)
        return Batch(calls, sizes, "numbers", np.fromiter(values, np.float64 if float in kinds else np.int64, n))
    except OverflowError:
        return Batch(calls, sizes, "labels", tuple(values))


def _parts_batch(
    calls: NDArray[np.int64], sizes: NDArray[np.int64], rows: list[Any], *, width: int, code: str
) -> Batch:
    """Lay rows out as a matrix where they are of one length and all numbers, else keep them as they are."""
    if not width or code == "O":
        return Batch(calls, sizes, "parts", tuple(rows))
    try:
        cells = np.fromiter(chain.from_iterable(rows), np.float64 if code == "f" else np.int64, width * len(rows))
    except OverflowError:
        return Batch(calls, sizes, "parts", tuple(rows))
    return _array_batch(calls, sizes, cells.reshape(-1, width))
