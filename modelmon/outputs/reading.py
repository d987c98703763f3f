"""Read the kept outputs of many calls as predictions.

Nothing here raises, and nothing is broadcast: what cannot be read is counted under a reason.
How it works: outputs are gathered into few batches of one form, each batch is read by its task, rows that mean
something are laid together in the order of their calls, and each is given its id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.classcodes import settle
from modelmon.columns import Column, Ids
from modelmon.copies import Rejection
from modelmon.faults import is_signalled
from modelmon.outputs.batches import gather
from modelmon.outputs.identification import identify
from modelmon.outputs.meanings import REASONS, Meaning, mean
from modelmon.outputs.refusals import Refusals
from modelmon.tasks import Multiclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.identity import ClassValue
    from modelmon.outputs.batches import Batch
    from modelmon.outputs.identification import Identification
    from modelmon.tasks import Task


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Hold ``m`` predictions read from the outputs of some calls.

    Attributes:
        task: how they were read; None where no task was declared and none could be told.
        rows: int64 ``(m,)``, the call of each prediction, ascending.
        sizes: int64 ``(calls,)``, predictions of each call, those not read included.
        classes: predicted classes, or None where the task has none; every code is a class.
        scores: float64 ``(m,)``: score of the positive class, predicted value, or score of the predicted class where
            more than 32 are told apart; or ``(m, k)``: probabilities, multilabel scores; nan in rows that came without;
            None where all did.
        columns: what the ``k`` columns of scores, flags and best are.
        flags: uint8 ``(m, L)``, predicted labels, or None.
        best: int32 ``(m, 5)``, codes into ``columns``, most probable first, -1 in rows without; or None.
        ids: the ids, or None where no ids were given; predictions under an invalid id are among the rows.
        rejected: predictions not read, by reason, and those under an invalid id under ``"bad_id"``.
        rejected_with_ids: how many of those not read were given with ids.
    """

    task: Task | None
    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]
    classes: Column | None = None
    scores: NDArray[np.float64] | None = None
    columns: tuple[ClassValue, ...] = ()
    flags: NDArray[np.uint8] | None = None
    best: NDArray[np.int32] | None = None
    ids: Ids | None = None
    rejected: dict[str, int] = field(default_factory=dict)
    rejected_with_ids: int = 0

    def __len__(self) -> int:
        """Return ``m``."""
        return len(self.rows)

    def refused(self, reason: str) -> Reading:
        """Return the same outputs with nothing read: all are rejected, once, under their reason or this one."""
        rejected = {known: n for known, n in self.rejected.items() if known != "bad_id"}  # those are among the rows
        rejected[reason] = rejected.get(reason, 0) + len(self)
        return Reading(None, self.rows[:0], self.sizes, rejected=rejected)


def read(task: Task | None, values: Sequence[Any], ids: Sequence[Any] | None = None, *, scored: bool = True) -> Reading:
    """Read outputs as predictions; never raise.

    Args:
        task: what the outputs mean.
        values: the kept output of each call: a scalar or a batch.
        ids: the kept id or ids of each call; None where the calls have no ids.
        scored: whether the scores are wanted; they are not where no prediction awaits a label.

    >>> from modelmon.tasks import Binary
    >>> found = read(Binary(positive="fraud"), [0.9, 0.2, float("nan")], ["a", "b", "c"])
    >>> found.classes.tolist(), found.scores.tolist(), found.ids.texts(), found.rejected
    (['fraud', 'other'], [0.9, 0.2], ['a', 'b'], {'nan': 1})
    """
    try:
        return _read(task, values, ids, scored=scored)
    except Exception as error:  # one output that no rule foresaw must not take the others of its batch with it
        if is_signalled(error):
            raise
        sound = [_is_sound(task, value, None if ids is None else ids[call]) for call, value in enumerate(values)]
        refused = Rejection("type")
        values = [value if good else refused for value, good in zip(values, sound, strict=True)]
        ids = None if ids is None else [each if good else refused for each, good in zip(ids, sound, strict=True)]
        return _read(task, values, ids, scored=scored)


def _is_sound(task: Task | None, value: Any, id_: Any) -> bool:
    try:
        _read(task, [value], [id_], scored=True)
    except Exception as error:
        if is_signalled(error):
            raise
        return False
    return True


def _read(task: Task | None, values: Sequence[Any], ids: Sequence[Any] | None, *, scored: bool) -> Reading:
    refusals = Refusals(len(values))
    identification = None if ids is None else identify(ids)
    lone = None if identification is None else identification.lone
    sizes = np.zeros(len(values), np.int64)
    parts: list[_Part] = []
    for batch in gather(values, task, lone=lone, refusals=refusals):
        sizes[batch.calls] = batch.sizes
        part = _part(batch, task, identification, refusals)
        if not scored:
            part.meaning.scores = part.meaning.best = None
        parts.append(part)
    sizes = np.maximum(sizes, refusals.sizes)
    parts = _agreeing([part for part in parts if len(part.calls)], refusals)
    refused = sum(refusals.reasons.values()) if ids is not None else 0
    return _lay(task, parts, identification, sizes=sizes, rejected=refusals.reasons, refused=refused)


@dataclass(slots=True, eq=False)
class _Part:
    """Hold the rows of a batch that mean something: their calls, their ids' positions, what they mean."""

    calls: NDArray[np.int64]
    places: NDArray[np.int64] | None
    meaning: Meaning


def _part(batch: Batch, task: Task | None, identification: Identification | None, refusals: Refusals) -> _Part:
    meaning = mean(batch, task)
    single = len(batch.calls) == len(meaning.reasons) and bool((batch.sizes == 1).all())
    calls = batch.calls if single else np.repeat(batch.calls, batch.sizes)
    keep = meaning.reasons == 0
    places = None
    if identification is not None:
        places, fitting = identification.places(batch.calls, batch.sizes)
        if fitting is not None:
            refusals.add_rows("length", calls[~fitting])
            meaning.reasons[~fitting] = 0
            keep = keep & fitting
    if not keep.all():
        for reason in np.unique(meaning.reasons).tolist():
            if reason:
                refusals.add_rows(REASONS[reason], calls[meaning.reasons == reason])
        calls, places = calls[keep], None if places is None else places[keep]
        meaning = _taken(meaning, keep)
    return _Part(calls, places, meaning)


def _taken(meaning: Meaning, index: Any) -> Meaning:
    """Return some rows."""
    return Meaning(
        meaning.reasons[index],
        None if meaning.codes is None else meaning.codes[index],
        meaning.values,
        None if meaning.scores is None else meaning.scores[index],
        meaning.columns,
        None if meaning.flags is None else meaning.flags[index],
        None if meaning.best is None else meaning.best[index],
    )


def _agreeing(parts: list[_Part], refusals: Refusals) -> list[_Part]:
    """Refuse rows of another number of columns than the first that has columns."""
    width = next((len(part.meaning.columns) for part in parts if part.meaning.columns), 0)
    kept = []
    for part in parts:
        if len(part.meaning.columns) in {0, width}:
            kept.append(part)
        else:
            refusals.add_rows("shape", part.calls)
    return kept


def _lay(
    task: Task | None,
    parts: list[_Part],
    identification: Identification | None,
    *,
    sizes: NDArray[np.int64],
    rejected: dict[str, int],
    refused: int,
) -> Reading:
    """Lay the parts together, in the order of their calls."""
    joined = _joined(parts)
    rows, places, meaning = joined.calls, joined.places, joined.meaning
    if len(parts) > 1 and bool((rows[1:] < rows[:-1]).any()):
        order = np.argsort(rows, kind="stable")
        rows, meaning = rows[order], _taken(meaning, order)
        places = None if places is None else places[order]
    found = None
    if identification is not None and places is not None:
        found = identification.take(places)
        bad = len(found) - int(np.count_nonzero(found.valid))
        if bad:
            rejected["bad_id"] = bad
    return Reading(
        Multiclass() if task is None and len(rows) else task,
        rows,
        sizes,
        None if meaning.codes is None else Column(meaning.codes, meaning.values),
        meaning.scores,
        meaning.columns,
        meaning.flags,
        meaning.best,
        found,
        rejected,
        refused,
    )


def _joined(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _Part(np.empty(0, np.int64), np.empty(0, np.int64), Meaning(np.empty(0, np.uint8)))
    meanings = [part.meaning for part in parts]
    codes, values = _joined_classes(meanings)
    columns = next((meaning.columns for meaning in meanings if meaning.columns), ())
    places = [part.places for part in parts if part.places is not None]
    return _Part(
        np.concatenate([part.calls for part in parts]),
        np.concatenate(places) if places else None,
        Meaning(
            np.concatenate([meaning.reasons for meaning in meanings]),
            codes,
            values,
            _padded([meaning.scores for meaning in meanings], meanings, np.nan),
            columns,
            _padded([meaning.flags for meaning in meanings], meanings, 0),
            _padded([meaning.best for meaning in meanings], meanings, -1),
        ),
    )


def _joined_classes(meanings: list[Meaning]) -> tuple[NDArray[np.int32] | None, tuple[ClassValue, ...]]:
    if any(meaning.codes is None for meaning in meanings):
        return None, ()
    first = meanings[0].values
    codes = [meaning.codes for meaning in meanings if meaning.codes is not None]
    if all(meaning.values == first for meaning in meanings):
        return np.concatenate(codes), first
    raw: list[ClassValue] = []
    shifted = []
    for meaning, code in zip(meanings, codes, strict=True):
        shifted.append(code + np.int32(len(raw)))
        raw.extend(meaning.values)
    return settle(np.concatenate(shifted), raw)


def _padded(arrays: list[Any], meanings: list[Meaning], filler: float) -> Any:
    """Concatenate arrays, those that are None as rows of the filler."""
    given = next((array for array in arrays if array is not None), None)
    if given is None:
        return None
    return np.concatenate(
        [
            np.full((len(meaning.reasons), *given.shape[1:]), filler, given.dtype) if array is None else array
            for array, meaning in zip(arrays, meanings, strict=True)
        ]
    )
