"""Rows: labels as they were written, in columns, on their way to a store; and why some of them were invalid.

A row that cannot be read is delivered all the same, as a label of nothing: the store counts it as invalid, and every
row has exactly one outcome.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from modelmon.columns import encode_ids
from modelmon.events import Labels
from modelmon.intake import check_scope
from modelmon.moments import revisions
from modelmon.notices import AHEAD
from modelmon.stores.states import LABEL_OUTCOMES
from modelmon.truths import NOTHING, retractions, truths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

INVALID = LABEL_OUTCOMES.index("invalid")
_SURE_S = 60.0


class Intake(Protocol):
    """What labels are delivered to."""

    def outcomes(self, labels: Labels) -> NDArray[np.uint8]:
        """Deliver labels and return the outcome of each, as an index of ``LABEL_OUTCOMES``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Hold ``n`` labels as they were written.

    Attributes:
        ids: the ``n`` ids, a list or a column of any supported type.
        truths: the ``n`` truths, likewise.
        at: when each became known, seconds or text, or None where nobody said.
        revs: explicit revisions, likewise.
        retracted: positions of rows that take a label back.
        textual: whether truths match classes by their text.
    """

    ids: Any
    truths: Any
    at: Sequence[Any] | None = None
    revs: Sequence[Any] | None = None
    retracted: Sequence[int] = ()
    textual: bool = True


class Delivered(NamedTuple):
    """Hold what became of rows: uint8 ``(n,)`` outcomes, and why those at some positions were invalid."""

    outcomes: NDArray[np.uint8]
    reasons: dict[int, str]


@dataclass(slots=True)
class _Trouble:
    """Collect the positions of rows that cannot be read, each with its first reason."""

    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, position: int, reason: str) -> None:
        self.reasons.setdefault(position, reason)


def deliver(
    intake: Intake,
    rows: Rows,
    *,
    model: str | None = None,
    version: str | None = None,
    age: Callable[[], float] | None = None,
) -> Delivered:
    """Deliver rows for one scope and say what became of each.

    Args:
        intake: what takes them.
        rows: the labels.
        model: the model they are for; None for every model's predictions under the id.
        version: with ``model``.
        age: tells how many seconds ago they came; None if they come now.

    Raises:
        ValueError: for a version without a model, before any effect.
        StoreError: when they were not committed; delivering them again is safe.
    """
    check_scope(model, version)
    trouble = _Trouble()
    labels = _labels(rows, trouble, model, version, age)
    outcomes = intake.outcomes(labels)
    invalid = np.flatnonzero(outcomes == INVALID).tolist()
    return Delivered(outcomes, {place: trouble.reasons.get(place) or _reason(labels, place) for place in invalid})


def _labels(
    rows: Rows, trouble: _Trouble, model: str | None, version: str | None, age: Callable[[], float] | None
) -> Labels:
    ids = encode_ids(rows.ids)
    n = len(ids)
    given = truths(rows.truths, textual=rows.textual) if n else retractions(0)
    at = read_instants(rows.at, n, trouble)
    revs = read_revisions(rows.revs, n, trouble)
    kind = given.kind.copy()
    if len(rows.retracted):
        kind[np.asarray(rows.retracted, np.int64)] = 0
    bad = sorted(trouble.reasons)
    kind[np.array(bad, np.int64)] = NOTHING
    read = replace(given, kind=kind)
    return Labels(ids, read, at, revs, model=model, version=version, textual=rows.textual, age=age)


def read_instants(written: Sequence[Any] | None, n: int, trouble: _Trouble) -> NDArray[np.float64]:
    """Read when labels became known: seconds since the epoch, or ISO 8601 with its zone; nan where nothing is said."""
    found = np.full(n, np.nan)
    if written is None:
        return found
    quick = _seconds(written)
    if quick is not None:
        return quick
    for place, value in enumerate(written):
        if value is None or value == "":
            continue
        try:
            found[place] = _instant(value)
        except (ValueError, OverflowError) as error:
            trouble.add(place, f"at: {error}")
    return found


def _seconds(written: Sequence[Any]) -> NDArray[np.float64] | None:
    """Return the seconds that all of these are, plain or as text; None where some are not."""
    try:
        found = np.fromiter(map(float, written), np.float64, len(written))
    except (TypeError, ValueError, OverflowError):
        return None
    return found if np.isfinite(found).all() and bool not in set(map(type, written)) else None


def _instant(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(float(value))
    if isinstance(value, dt.datetime):
        moment = value
    elif isinstance(value, str):
        try:
            return _finite(float(value))
        except ValueError:
            moment = _datetime(value)
    else:
        msg = "no time: give seconds since the epoch, or ISO 8601 with its zone"
        raise ValueError(msg)  # noqa: TRY004  (a bad value among many, which is counted)
    if moment.tzinfo is None:
        msg = "a time without a zone: write +00:00 or Z after it"
        raise ValueError(msg)
    return moment.timestamp()


def _datetime(text: str) -> dt.datetime:
    text = text.strip()
    try:
        # Python 3.10 reads no Z
        return dt.datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in {"Z", "z"} else text)
    except ValueError:
        msg = "no time: give seconds since the epoch, or ISO 8601 with its zone"
        raise ValueError(msg) from None


def _finite(number: float) -> float:
    if not math.isfinite(number):
        msg = "not finite"
        raise ValueError(msg)
    return number


def read_revisions(written: Sequence[Any] | None, n: int, trouble: _Trouble) -> NDArray[np.float64]:
    """Read explicit revisions as exact pairs, float64 ``(n, 2)``; nan where there is none."""
    if written is None:
        return np.full((n, 2), np.nan)
    plain: list[float | None] = []
    for place, value in enumerate(written):
        try:
            plain.append(_revision(value))
        except (ValueError, OverflowError):  # noqa: PERF203  (each row stands for itself)
            trouble.add(place, "rev: no finite number up to 2**100")
            plain.append(None)
    return np.column_stack(revisions(plain, n))


def _revision(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            value = float(value)
    revisions([value], 1)
    number: float = value
    return number


def _reason(labels: Labels, place: int) -> str:
    if not labels.ids.valid[place]:
        return "no usable id: text or a whole number, at most 256 bytes"
    if labels.truths.kind[place] == NOTHING:
        return "no label" if labels.truths.codes[place] == -1 else "the label is no class and no finite number"
    if labels.at[place] > dt.datetime.now(dt.timezone.utc).timestamp() + _SURE_S:
        return AHEAD
    return "the model does not know this label (or the id belongs to a model of another task)"
