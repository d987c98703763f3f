"""Read one batch as what its task says it means.

Every reader returns `Meaning` rows for the whole batch; rows that mean nothing carry a reason instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.classcodes import INVALID_CODE, MISSING_CODE, class_codes
from modelmon.copies import Nullable
from modelmon.tasks import Binary, Multiclass, Multilabel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.identity import ClassValue
    from modelmon.outputs.batches import Batch
    from modelmon.tasks import Task

REASONS = ("", "nan", "infinite", "missing", "type", "unknown_class", "shape", "task_undeclared")
"""Why a row means nothing, by code; 0 where it means something."""

_NAN, _INFINITE, _MISSING, _TYPE, _UNKNOWN, _SHAPE, _UNDECLARED = range(1, len(REASONS))

WHOLE_ROWS = 32
"""Up to so many classes a row of probabilities is kept whole."""

BEST = 5
"""So many most probable classes are kept of a longer row."""

_TWO_COLUMNS = 2


@dataclass(slots=True, eq=False)
class Meaning:
    """Hold what ``n`` rows mean.

    Attributes:
        reasons: uint8 ``(n,)``, positions in `REASONS`.
        codes: int32 ``(n,)``, predicted classes, or None.
        values: what the codes stand for.
        scores: float64 ``(n,)`` or ``(n, k)``, or None.
        columns: what the columns of scores or flags are.
        flags: uint8 ``(n, L)``, or None.
        best: int32 ``(n, 5)``, or None.
    """

    reasons: NDArray[np.uint8]
    codes: NDArray[np.int32] | None = None
    values: tuple[ClassValue, ...] = ()
    scores: NDArray[np.float64] | None = None
    columns: tuple[ClassValue, ...] = ()
    flags: NDArray[np.uint8] | None = None
    best: NDArray[np.int32] | None = None


def mean(batch: Batch, task: Task | None) -> Meaning:
    """Read a batch."""
    if task is None:
        return _undeclared(batch)
    if isinstance(task, Binary):
        return _binary(batch, task)
    if isinstance(task, Multiclass):
        return _multiclass(batch, task)
    return _multilabel(batch, task) if isinstance(task, Multilabel) else _regression(batch)


def _nothing(batch: Batch, reason: int) -> Meaning:
    return Meaning(np.full(int(batch.sizes.sum()), reason, np.uint8))


def _undeclared(batch: Batch) -> Meaning:
    """Read outputs without a task: labels are classes, rows of floats are probabilities, lone floats ambiguous."""
    floating = batch.form in {"numbers", "matrix"} and batch.data.dtype.kind == "f"
    if batch.form == "parts" or floating is not (batch.form == "matrix"):
        return _nothing(batch, _UNDECLARED)
    return _multiclass(batch, Multiclass())


def _binary(batch: Batch, task: Binary) -> Meaning:
    data, absent = batch.data, batch.absent
    if batch.form == "matrix" and data.dtype.kind == "f" and data.shape[1] == _TWO_COLUMNS:
        reasons = _unusable(data, absent)
        data, absent = data[:, -1], None
    elif batch.form in {"matrix", "parts"}:
        return _nothing(batch, _SHAPE)
    elif batch.form == "labels" or data.dtype.kind != "f":
        return _classes(batch, task)
    else:
        reasons = _unusable(data, absent)
    scores = data.astype(np.float64, copy=False)
    return Meaning(reasons, (scores >= task.threshold).astype(np.int32), task.declared, scores)


def _unusable(data: NDArray[Any], absent: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """Return a reason for each row that holds something missing, nan or infinite."""
    reasons = np.zeros(len(data), np.uint8)
    if data.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            total = data.sum(dtype=np.float64)  # one pass finds that all is well, as it nearly always is
        if not np.isfinite(total):
            _mark(reasons, np.isinf(data), _INFINITE)
            _mark(reasons, np.isnan(data), _NAN)
    if absent is not None:
        _mark(reasons, absent, _MISSING)
    return reasons


def _mark(reasons: NDArray[np.uint8], where: NDArray[np.bool_], reason: int) -> None:
    reasons[where.any(axis=1) if where.ndim > 1 else where] = reason


def _classes(batch: Batch, task: Binary | Multiclass) -> Meaning:
    """Read labels, and check them against the classes declared."""
    raw = batch.data if batch.absent is None else Nullable(batch.data, batch.absent)
    codes, values = class_codes(raw)
    reasons = np.zeros(len(codes), np.uint8)
    reasons[codes == MISSING_CODE] = _MISSING
    reasons[codes == INVALID_CODE] = _TYPE
    if task.declared is None:
        return Meaning(reasons, codes, values)
    known = {value: code for code, value in enumerate(task.declared)}
    table = np.array([_code_of(value, known, task) for value in values] or [INVALID_CODE], np.int32)
    codes = np.where(codes < 0, codes, table[codes])
    reasons[(reasons == 0) & (codes < 0)] = _UNKNOWN
    return Meaning(reasons, codes, task.declared)


def _code_of(value: ClassValue, known: dict[ClassValue, int], task: Binary | Multiclass) -> int:
    """Return the code of a class, negative where it is none of the task."""
    if isinstance(task, Binary) and task.negative is None:
        if value == task.positive:
            return 1
        return INVALID_CODE if str(value) == str(task.positive) else 0
    return known.get(value, INVALID_CODE)


def _multiclass(batch: Batch, task: Multiclass) -> Meaning:
    if batch.form == "parts":
        return _nothing(batch, _SHAPE)
    if batch.form == "labels":
        return _classes(batch, task)
    if batch.form == "numbers":
        found = _classes(batch, task)
        if task.declared is None and batch.data.dtype.kind == "f":
            fractional = np.isfinite(batch.data) & (batch.data != np.rint(batch.data))
            found.reasons[fractional] = _SHAPE  # a score in one column says nothing about more than two classes
        return found
    return _probabilities(batch, task)


def _probabilities(batch: Batch, task: Multiclass) -> Meaning:
    """Read rows of class probabilities; the first of equal ones is the class predicted."""
    data = batch.data
    width = data.shape[1]
    columns = task.declared or tuple(range(width))
    if len(columns) != width:
        return _nothing(batch, _SHAPE)
    reasons = _unusable(data, batch.absent)
    codes = data.argmax(axis=1).astype(np.int32) if len(data) else np.empty(0, np.int32)
    if width <= WHOLE_ROWS:
        return Meaning(reasons, codes, columns, data.astype(np.float64, copy=False), columns)
    scores = data[np.arange(len(data)), codes].astype(np.float64)
    return Meaning(reasons, codes, columns, scores, columns, best=_best(data))


def _best(data: NDArray[Any]) -> NDArray[np.int32]:
    """Return the most probable columns of each row, of equal ones the later first, as scikit-learn ranks them."""
    rest = np.array(data[:, ::-1], np.float64)
    rows = np.arange(len(rest))
    best = np.empty((len(rest), BEST), np.int32)
    for rank in range(BEST):
        found = rest.argmax(axis=1) if len(rest) else rows
        best[:, rank] = data.shape[1] - 1 - found
        rest[rows, found] = -np.inf
    return best


def _multilabel(batch: Batch, task: Multilabel) -> Meaning:
    data = batch.data
    if batch.form in {"parts", "labels"}:
        return _named_labels(batch, task)
    absent = batch.absent
    if data.ndim == 1:
        data = data.reshape(-1, 1)
        absent = None if absent is None else absent.reshape(-1, 1)
    columns = task.declared or tuple(range(data.shape[1]))
    if len(columns) != data.shape[1]:
        return _nothing(batch, _SHAPE)
    reasons = _unusable(data, absent)
    if data.dtype.kind == "f":
        scores = data.astype(np.float64, copy=False)
        return Meaning(reasons, scores=scores, columns=columns, flags=(scores >= task.threshold).astype(np.uint8))
    _mark(reasons, (data != 0) & (data != 1), _TYPE)
    return Meaning(reasons, columns=columns, flags=(data != 0).astype(np.uint8))


def _named_labels(batch: Batch, task: Multilabel) -> Meaning:
    """Read rows that name the labels that hold."""
    if task.declared is None:
        return _nothing(batch, _UNKNOWN)
    known = {value: position for position, value in enumerate(task.declared)}
    if batch.form == "labels":
        codes, values = class_codes(batch.data)
        rows = [([code], values) for code in codes.tolist()]
    else:
        rows = [_row_codes(row) for row in batch.data]
    reasons = np.zeros(len(rows), np.uint8)
    flags = np.zeros((len(rows), len(known)), np.uint8)
    for position, (named, values) in enumerate(rows):
        found = [known.get(values[code], -1) for code in named if code >= 0]
        if len(found) < len(named):
            reasons[position] = _TYPE if min(named) == INVALID_CODE else _MISSING
        elif -1 in found:
            reasons[position] = _UNKNOWN
        else:
            flags[position, found] = 1
    return Meaning(reasons, columns=task.declared, flags=flags)


def _row_codes(row: Any) -> tuple[list[int], tuple[ClassValue, ...]]:
    codes, values = class_codes(tuple(row) if isinstance(row, (tuple, list, frozenset)) else row)
    return codes.tolist(), values


def _regression(batch: Batch) -> Meaning:
    if batch.form in {"matrix", "parts"}:
        return _nothing(batch, _SHAPE)
    if batch.form == "numbers":
        return Meaning(_unusable(batch.data, batch.absent), scores=batch.data.astype(np.float64, copy=False))
    codes, values = class_codes(batch.data)
    numbers = np.array([*map(_number, values), np.nan, np.nan])
    scores = numbers[codes]
    reasons = np.zeros(len(codes), np.uint8)
    reasons[np.isnan(scores)] = _TYPE
    reasons[codes == MISSING_CODE] = _MISSING
    if type(batch.data) is tuple:
        _tell_floats(reasons, batch.data)
    return Meaning(reasons, scores=scores)


def _tell_floats(reasons: NDArray[np.uint8], values: tuple[Any, ...]) -> None:
    """Give a float that is no finite number the reason that it has among numbers alone."""
    for place in np.flatnonzero(reasons).tolist():
        value = values[place]
        if type(value) is float:
            reasons[place] = _INFINITE if np.isinf(value) else _NAN


def _number(value: ClassValue) -> float:
    try:
        return float("nan") if isinstance(value, str) else float(value)
    except OverflowError:
        return float("nan")
