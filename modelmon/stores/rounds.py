"""Rounds: what the join's transition takes and gives, as columns.

A round holds events whose ids are all different, in one scope, with the rows and registers they meet.
A *meaning* is a truth as a row's task reads it: a float64 that is equal where two labels mean the same there, nan
where a label means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelOrder:
    """Hold what orders ``n`` labels: float64 ``(n,)`` each, ``rev`` 0 where there is none, ``at`` never nan."""

    has_rev: Bools
    rev_high: Floats
    rev_low: Floats
    at: Floats


@dataclass(frozen=True, slots=True)
class LabelRound:
    """Hold ``n`` labels of different ids in one scope, their registers, and the ``m`` rows in that scope.

    Attributes:
        now: the store's time.
        level: 0, 1 or 2, how specific the scope is.
        readable: whether id and truth are any at all.
        retraction: whether the label takes the truth back.
        order: what orders the labels.
        explicit: whether a rev or a time was given.
        sampled: whether the id is in the current sample; only asked of ids with neither row nor register.
        register: state of the register in this scope: none, early or consumed.
        held_order: what orders the registers' labels; undefined where there is no register.
        same: whether the register holds this very value (or retraction).
        greater: sign of the label's value against the register's, in canonical order; a value is above a retraction.
        lost: whether the register once held this value and lost it.
        event: int64 ``(m,)``, the label each row meets.
        state: states of the rows.
        time: when the predictions were made.
        due: deadlines of the rows.
        until: until when each row awaits, or would await, a label.
        truth: meanings the rows were counted with; nan if none.
        held: float64 ``(3, m)``, meanings that the rows' registers hold, by level.
        given: meaning of the label for each row.
        assumed: meaning that each row's series assumes from ``until`` on; nan if none.
        standing: whether the row is counted with an assumption, not with a label.
    """

    now: float
    level: int
    readable: Bools
    retraction: Bools
    order: LabelOrder
    explicit: Bools
    sampled: Bools
    register: Bytes
    held_order: LabelOrder
    same: Bools
    greater: NDArray[np.int8]
    lost: Bools
    event: NDArray[np.int64]
    state: Bytes
    time: Floats
    due: Floats
    until: Floats
    truth: Floats
    held: Floats
    given: Floats
    assumed: Floats
    standing: Bools


@dataclass(frozen=True, slots=True)
class LabelEffects:
    """Hold what becomes of a `LabelRound`.

    Attributes:
        outcome: outcome of each label, as an index of ``LABEL_OUTCOMES``.
        taken: whether the register now holds the label's value and order.
        raised: whether the register keeps its value but takes the label's order.
        register: state of each register afterwards; none if there still is none.
        row_outcome: outcome of the label for each row.
        change: how each row's truth changed, as an index of ``CHANGES``; those that keep it stay as they are.
        state: states of the rows afterwards.
        due: their deadlines.
        truth: the meanings they count with now; nan if none.
        standing: whether they are counted with an assumption now.
    """

    outcome: Bytes
    taken: Bools
    raised: Bools
    register: Bytes
    row_outcome: Bytes
    change: Bytes
    state: Bytes
    due: Floats
    truth: Floats
    standing: Bools


@dataclass(frozen=True, slots=True)
class PredictionRound:
    """Hold ``n`` predictions of different ids under one model and version.

    Attributes:
        now: the store's time.
        patience: how many seconds a prediction awaits its label.
        readable: whether the id is one.
        time: when the predictions were made.
        sampled: whether the id is in the current sample; only asked of ids not remembered.
        state: states of the rows remembered under these keys; none where there is no row.
        due: deadlines of these rows.
        truth: meanings these rows were counted with; nan if none.
        same: whether the row remembered holds this very prediction.
        held: float64 ``(3, n)``, meanings for the row that the id's registers hold, by level.
    """

    now: float
    patience: float
    readable: Bools
    time: Floats
    sampled: Bools
    state: Bytes
    due: Floats
    truth: Floats
    same: Bools
    held: Floats


@dataclass(frozen=True, slots=True)
class PredictionEffects:
    """Hold what becomes of a `PredictionRound`.

    Attributes:
        outcome: outcome of each prediction, as an index of ``PREDICTION_OUTCOMES``.
        accepted: whether there is a new row.
        replaced: whether the row remembered takes the new prediction.
        state: states of the rows afterwards.
        due: their deadlines.
        truth: the meanings they count with now; nan if none.
    """

    outcome: Bytes
    accepted: Bools
    replaced: Bools
    state: Bytes
    due: Floats
    truth: Floats


@dataclass(frozen=True, slots=True)
class Passing:
    """Hold one step that time alone makes for some rows and registers: who, and the states before and after."""

    which: NDArray[np.int64]
    before: Bytes
    after: Bytes
