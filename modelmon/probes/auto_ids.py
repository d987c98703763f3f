"""Prediction ids issued by the library: a prefix of the process and the seat, and the call's number.

One prediction has the id ``prefix-number``; the rows of a batch have ``prefix-number-0``, ``prefix-number-1``, ...
So have the items of a stream; the rows of an item that is a batch have ``prefix-number-item-0``, ...
The prefix is 64 random bits, new in every process, so that ids of workers, forks and restarts never meet.
"""

from __future__ import annotations

import os
import sys
from _thread import _local
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from modelmon.probes.sites import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.tasks import Task

# What the last call in this context issued: prefix, number, rows (None for a scalar).
_current: Final[ContextVar[tuple[str, int, int | None] | None]] = ContextVar("modelmon_prediction_ids", default=None)


_SUM_TOLERANCE: Final = 1e-3
_PAIR: Final = 2


def new_prefix() -> str:
    """Return 13 characters that no other process or seat draws."""
    from base64 import b32encode  # noqa: PLC0415  (only where ids are issued)

    return b32encode(os.urandom(8)).decode().rstrip("=").lower()


def issued(prefix: str, number: int, rows: int | None) -> list[str]:
    """Write out the ids of one call.

    Args:
        prefix: of the seat.
        number: of the call.
        rows: how many predictions the call returned, or None where it returned a single one.

    >>> issued("a", 7, None), issued("a", 7, 2), issued("a", 7, 0)
    (['a-7'], ['a-7-0', 'a-7-1'], [])
    """
    stem = f"{prefix}-{number}"
    return [stem] if rows is None else [f"{stem}-{row}" for row in range(rows)]


class _Guard(_local):
    """Tell whether this thread is setting the variable; up to Python 3.11 setting it within its own setting crashes."""

    busy = False


_guard: Final = _Guard()


def _publish_guarded(last: tuple[str, int, int | None]) -> bool:
    # A finaliser that the garbage collector runs during ``set`` may predict too; its ids are nobody's to read.
    if not _guard.busy:
        _guard.busy = True
        try:
            _current.set(last)
        finally:
            _guard.busy = False
    return True


publish: Final[Callable[[tuple[str, int, int | None]], object]] = (
    _current.set if sys.version_info >= (3, 12) else _publish_guarded
)
"""Let ``current_prediction_ids`` in this context return the ids of a call, given as a triple; return what is true."""


def current_prediction_ids() -> list[str]:
    """Return the ids issued to the predictions of the last watched call in this context.

    Returns:
        One id for a scalar result, one per row for a batch, none where nothing was predicted or no call issued any.
    """
    last = _current.get()
    return [] if last is None else issued(*last)


def rows_issued(kept: Any, task: Task | None = None, *, alone: bool = False) -> int | None:
    """Return to how many rows of a kept value ids are issued, or None for a single prediction.

    Args:
        kept: what was predicted.
        task: how it is read; a row of several labels or of probabilities is one prediction.
        alone: whether it is one prediction wherever it can be, as an item of a stream is.

    >>> rows_issued(None), rows_issued(0.5), rows_issued((1, 2)), rows_issued((0.1, 0.9), alone=True)
    (0, None, 2, None)
    """
    rows = 0 if kept is None or kept is UNREADABLE else rows_of(kept)
    return None if rows and (alone or task is not None) and _is_row(kept, task, alone=alone) else rows


def _is_row(kept: Any, task: Task | None, *, alone: bool) -> bool:
    """Tell what `modelmon.outputs` reads as one prediction: under one id, or where no id says how many there are."""
    from modelmon.tasks import Binary, Multiclass, Multilabel, Regression  # noqa: PLC0415  (loaded with any task)

    code = _code_of(kept)
    if isinstance(task, Multilabel):
        return code in {"i", "f"} or (alone and type(kept) is tuple and set(map(type, kept)) <= {str})
    if code != "f" or len(kept) == 1 or isinstance(task, Regression):
        return False
    if alone:
        return not isinstance(task, Binary) or len(kept) == _PAIR
    return isinstance(task, Multiclass) and len(kept) == len(task.classes or kept) and _looks_probable(kept)


def _looks_probable(kept: Any) -> bool:
    row = kept if type(kept) is tuple else kept.tolist()
    if min(row) < 0 or max(row) > 1 + _SUM_TOLERANCE or abs(sum(row) - 1) >= _SUM_TOLERANCE:
        return False
    return any(value not in {0, 1} for value in row)


def _code_of(kept: Any) -> str:
    """Return ``f`` for numbers of which some are floats, ``i`` for others, along one axis; else nothing."""
    if type(kept) is tuple:
        kinds = set(map(type, kept))
        return "" if not kinds <= {int, float, bool} else "f" if float in kinds else "i"
    dtype = getattr(kept, "dtype", None)  # an array of numpy's
    if dtype is None or len(kept.shape) != 1 or dtype.kind not in "biuf":
        return ""
    return "f" if dtype.kind == "f" else "i"


def rows_of(kept: Any) -> int | None:
    """Return the rows of a kept value, or None for a single prediction.

    >>> rows_of(0.5), rows_of("cat"), rows_of((0.1, 0.9)), rows_of([])
    (None, None, 2, 0)
    """
    if type(kept) is tuple or type(kept) is list:
        return len(kept)
    for inner in (kept, getattr(kept, "codes", None), getattr(kept, "data", None)):
        shape = getattr(inner, "shape", None)  # numpy's own arrays, and the classes of our own that hold them
        if shape is not None:
            return int(shape[0]) if len(shape) else None
    return getattr(kept, "rows", None)
