"""Read when labels became known, and their revisions."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.copies import Nullable, keep
from modelmon.identity import Missing, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAXIMUM_REVISION = 1 << 100


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
    if hasattr(at, "to_pylist"):
        at = at.to_pylist()
    if hasattr(at, "dtype"):
        return _sized(_instant_column(at), n, "at")
    if isinstance(at, (list, tuple)):
        return _sized(np.array([_instant(value) for value in at], np.float64), n, "at")
    return np.full(n, _instant(at))


def _instant_column(at: Any) -> NDArray[np.float64]:
    if str(getattr(at.dtype, "kind", "")) == "M":
        values = at.to_numpy(dtype="datetime64[us]") if hasattr(at, "to_numpy") else at  # pandas: a zone becomes UTC
        values = np.asarray(values, "datetime64[us]")
        return np.where(np.isnat(values), np.nan, values.astype(np.int64) / 1e6)
    kept = keep(at)
    if isinstance(kept, np.ndarray) and kept.dtype.kind in "iuf":
        return kept.astype(np.float64)
    if isinstance(kept, Nullable) and kept.data.dtype.kind in "iuf":
        return np.where(kept.absent, np.nan, kept.data.astype(np.float64))
    values = at.to_list() if hasattr(at, "to_list") else at.tolist()
    if not isinstance(values, list):
        return np.array(_instant(values))
    return np.array([_instant(value) for value in values], np.float64)


def _instant(value: Any) -> float:
    if isinstance(value, dt.datetime) and type(value).__name__ != "NaTType":
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
        raise ValueError(msg)  # noqa: TRY004  # a bad value among the values of a call, as a naive datetime is
    return float(number)


def _sized(values: NDArray[np.float64], n: int, name: str) -> NDArray[np.float64]:
    if not values.ndim:  # one for all; a sequence of one is not
        return np.full(n, values)
    if values.shape == (n,):
        return values
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
    if isinstance(kept, (np.ndarray, Nullable)):
        kept = kept.tolist()
    if not isinstance(kept, (list, tuple)):
        high, low = _revision(kept)
        return np.full(n, high), np.full(n, low)
    halves = np.array([_revision(value) for value in kept], np.float64).reshape(len(kept), 2)
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
