"""The join's one transition: arrays of what is stored and what arrives in, arrays of what becomes of it out.

Every store fetches the rows and registers of a *round* (events whose ids are all different), calls this, and writes
back what changed; none has a state machine of its own.
Rules:

1. Nothing here reads a clock, a store or a task: truths come as *meanings*, float64 numbers that are equal where two
   labels mean the same for a row's task, nan where a label means nothing there.
2. A row's effective truth is the meaning held by the most specific register that has one: level 2 (id, model,
   version), else level 1 (id, model), else level 0 (id).
3. A register changes only if its label is newer; newer is the order of (has a rev, rev, at).
4. What is assumed of a row gives way to every label; a row counted with an assumption keeps it until a label comes,
   even where its series assumes something else by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.stores.rounds import LabelEffects, Passing, PredictionEffects
from modelmon.stores.states import (
    AFTER,
    ASSUMING,
    CONFIRMS,
    CONSUMED,
    DIFFERS,
    EARLY,
    EXPIRED,
    FALLS,
    FOLLOWING,
    FORGOTTEN,
    GAINS,
    JOINED,
    KEEPS,
    LABEL_OUTCOMES,
    LOSES,
    LOSES_LATE,
    NONE,
    ORPHANED,
    OUTCOME,
    PENDING,
    PREDICTION_OUTCOMES,
    RETRACTION,
    SAME,
    STALE,
    UNREADABLE,
    VALUE,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.stores.contract import JoinSettings
    from modelmon.stores.rounds import LabelOrder, LabelRound, PredictionRound

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Bytes = NDArray[np.uint8]

_INVALID, _DUPLICATE, _STALE, _EARLY, _EARLY_UPDATED, _UNSAMPLED = (
    LABEL_OUTCOMES.index(name) for name in ("invalid", "duplicate", "stale", "early", "early_updated", "unsampled")
)
_NOWHERE = len(LABEL_OUTCOMES)
_PENDING, _JOINED_EARLY, _REPEATED, _CONFLICT, _OUTSIDE, _TOO_OLD, _UNREADABLE = range(len(PREDICTION_OUTCOMES))
AHEAD = 3600.0
"""Seconds a prediction time may lie ahead of the store's clock."""


def label(given: LabelRound, settings: JoinSettings) -> LabelEffects:
    """Return what one round of labels does."""
    n = len(given.readable)
    means_something = ~np.isnan(given.given) | given.retraction[given.event]
    has_rows = np.zeros(n, np.bool_)
    has_rows[given.event] = True
    wanted = ~has_rows
    wanted[given.event[means_something]] = True
    readable = given.readable & wanted
    relation, taken, raised = _relate(given, readable)

    row_relation = relation[given.event]
    row_relation[~means_something] = UNREADABLE
    held = given.held
    takes = np.flatnonzero(taken[given.event])
    if len(takes):
        held = held.copy()
        held[given.level, takes] = given.given[takes]
    truth = effective(held)
    change, truth, standing = _change(given, truth, settings)
    state = AFTER[given.state, change]
    row_outcome = OUTCOME[given.state, change, row_relation]

    outcome = np.full(n, _NOWHERE, np.uint8)
    if len(given.event) == n and has_rows.all():
        outcome[given.event] = row_outcome
    else:
        np.minimum.at(outcome, given.event, row_outcome)
    if not has_rows.all():
        outcome = np.where(has_rows, outcome, _alone(given, relation))
        taken &= outcome != _UNSAMPLED
    outcome[~readable] = _INVALID
    register = given.register.copy()
    register[taken & (register == NONE)] = EARLY
    register[taken & has_rows] = CONSUMED
    due = _due(given, change, state, settings)
    return LabelEffects(outcome, taken, raised, register, row_outcome, change, state, due, truth, standing)


def _relate(given: LabelRound, readable: Bools) -> tuple[Bytes, Bools, Bools]:
    """Return what each register makes of its label, and whether it takes the value or just the order."""
    relation = np.where(given.retraction, np.uint8(RETRACTION), np.uint8(VALUE))
    relation[~readable] = UNREADABLE
    exists = given.register != NONE
    if not exists.any():
        return relation, readable.copy(), np.zeros(len(readable), np.bool_)
    order = _compare(given.order, given.held_order)
    raised = readable & exists & given.same & (order > 0)
    order[order == 0] = np.where(given.explicit, given.greater, 1)[order == 0]
    redelivered = given.lost & ~given.retraction & ~given.explicit
    older = exists & ((order <= 0) | redelivered)
    relation[readable & older] = STALE
    relation[readable & exists & given.same] = SAME
    taken = readable & ~(exists & given.same) & ~older
    return relation, taken, raised


def _compare(left: LabelOrder, right: LabelOrder) -> NDArray[np.int8]:
    """Return the sign of left against right in the order (has a rev, rev, at)."""
    sign = np.sign(left.at - right.at).astype(np.int8)
    if left.has_rev.any() or right.has_rev.any():
        pairs = ((left.rev_low, right.rev_low), (left.rev_high, right.rev_high), (left.has_rev, right.has_rev))
        for a, b in pairs:
            sign = np.where(a > b, np.int8(1), np.where(a < b, np.int8(-1), sign))
    return sign


def effective(held: Floats) -> Floats:
    """Return the meaning of the most specific register that has one: float64 ``(m,)`` from ``(3, m)``."""
    truth: Floats = held[0]
    for level in (1, 2):
        truth = np.where(np.isnan(held[level]), truth, held[level])
    return truth


def _change(given: LabelRound, truth: Floats, settings: JoinSettings) -> tuple[Bytes, Floats, Bools]:
    """Return how each row's truth changes, the truth it counts with then, and whether that is an assumption."""
    exists = ~np.isnan(truth)
    joined = given.state == JOINED
    change: Bytes = np.zeros(len(truth), np.uint8)
    change[(given.state == PENDING) & exists] = GAINS
    standing = given.standing
    if joined.any():
        change[joined & exists & standing] = CONFIRMS
        change[joined & exists & (truth != given.truth)] = DIFFERS
        loses = joined & ~exists & ~standing
        change[loses] = LOSES
        change[loses & (given.now > given.time + settings.ttl)] = LOSES_LATE
        falls = loses & (given.now > given.until) & ~np.isnan(given.assumed)
        change[falls] = FALLS
        truth = np.where(falls, given.assumed, truth)
        standing = np.where(change == KEEPS, standing, falls)
    return change, np.where(change == KEEPS, given.truth, truth), standing


def _alone(given: LabelRound, relation: Bytes) -> Bytes:
    """Return the outcomes of labels that meet no row."""
    outcome: Bytes = np.where(given.register != NONE, np.uint8(_EARLY_UPDATED), np.uint8(_EARLY))
    outcome[relation == SAME] = _DUPLICATE
    outcome[relation == STALE] = _STALE
    outcome[(given.register == NONE) & ~given.sampled] = _UNSAMPLED
    return outcome


def _due(given: LabelRound, change: Bytes, state: Bytes, settings: JoinSettings) -> Floats:
    """Return the deadlines; the correction horizon begins with a label that is the first, or with an assumption."""
    due: Floats = given.due.copy()
    begins = (state != given.state) | (change >= CONFIRMS) | ((change == DIFFERS) & given.standing)
    for new in (JOINED, EXPIRED):
        due[begins & (state == new)] = due_after(new, given.now, settings)
    back = begins & (state == PENDING)
    due[back] = given.until[back]
    return due


def due_after(state: int, now: float, settings: JoinSettings) -> float:
    """Return the deadline of a row that a label brings into a settled state."""
    return now + (settings.correction_horizon if state == JOINED else settings.forget_after)


def is_timely(time: Floats, now: float, settings: JoinSettings) -> Bools:
    """Return whether prediction times are neither too old nor too far ahead; nan is neither."""
    timely: Bools = (time + settings.ttl >= now) & (time <= now + AHEAD)
    return timely


def predict(given: PredictionRound, settings: JoinSettings) -> PredictionEffects:
    """Return what one round of predictions does."""
    known = given.state != NONE
    truth = effective(given.held)
    joins = ~np.isnan(truth)
    outcome = np.where(joins, np.uint8(_JOINED_EARLY), np.uint8(_PENDING))
    outcome[~given.sampled] = _OUTSIDE
    outcome[known] = np.where(given.same[known], np.uint8(_REPEATED), np.uint8(_CONFLICT))
    timely = is_timely(given.time, given.now, settings)
    outcome[~timely] = np.where(given.time[~timely] < given.now, np.uint8(_TOO_OLD), np.uint8(_UNREADABLE))
    outcome[~given.readable] = _UNREADABLE
    accepted = (outcome == _PENDING) | (outcome == _JOINED_EARLY)
    replaced = np.zeros(len(known), np.bool_)
    if settings.on_conflict == "last":
        replaced = (outcome == _CONFLICT) & ((given.state == PENDING) | (given.state == JOINED))
    state = np.where(accepted, np.where(joins, np.uint8(JOINED), np.uint8(PENDING)), given.state)
    due = np.where(joins, given.now + settings.correction_horizon, given.time + given.patience)
    return PredictionEffects(
        outcome,
        accepted,
        replaced,
        state,
        np.where(accepted, due, given.due),
        np.where(accepted, truth, given.truth),
    )


def expire(
    state: Bytes, due: Floats, now: float, settings: JoinSettings, assumed: Floats | None = None
) -> tuple[list[Passing], Bytes, Floats]:
    """Return the steps of everything whose deadline lies before ``now``, in order, and the states and deadlines then.

    The deadline of what time has made counts from the deadline before, so how often somebody sweeps changes nothing.

    Args:
        state: states of rows and registers.
        due: their deadlines.
        now: the store's time.
        settings: the spans.
        assumed: meanings assumed of the rows; nan, or None for all, where nothing is.
    """
    state, due = state.copy(), due.copy()
    steps = []
    which = np.flatnonzero(due < now)
    while len(which):
        before = state[which]
        after = FOLLOWING[before]
        if assumed is not None:
            after = np.where(np.isnan(assumed[which]), after, ASSUMING[before])
        steps.append(Passing(which, before, after))
        state[which] = after
        due[which] += np.where(after == JOINED, settings.correction_horizon, settings.forget_after)
        which = which[(due[which] < now) & (after != FORGOTTEN) & (after != ORPHANED)]
    return steps, state, due
