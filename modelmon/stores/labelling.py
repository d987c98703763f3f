"""Labelling: fetch what labels meet in the holdings, and write back what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.stores import transition
from modelmon.stores.holdings import KEY_SEED, Picked
from modelmon.stores.index import rounds
from modelmon.stores.joining import awaited, join
from modelmon.stores.mistakes import tell
from modelmon.stores.registers import Given
from modelmon.stores.rounds import LabelOrder, LabelRound
from modelmon.stores.series import NOTHING, OBJECT, RETRACTED, TEXTUAL
from modelmon.stores.states import (
    CONFIRMS,
    CONSUMED,
    DIFFERS,
    EARLY,
    FALLS,
    JOINED,
    LABEL_OUTCOMES,
    NONE,
    PENDING,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.events import Labels
    from modelmon.stores.holdings import Found, Holdings
    from modelmon.stores.rounds import LabelEffects

    Numbers = NDArray[np.int64]

_INVALID = LABEL_OUTCOMES.index("invalid")
_TRUTH_OBJECT, _TRUTH_NOTHING = 2, 3
UNDATED = -1e300
"""Time of labels that have a rev and no time: when they arrive must not matter, or repeating them would."""
MANY = 256
"""Labels in a round for which it pays to tell those that just join from the others."""


class _Batch(NamedTuple):
    """Hold labels of one scope as columns ready to be applied at ``now``; delays are told to ``came``."""

    now: float
    came: float
    level: int
    scope: int
    low: NDArray[np.uint64]
    high: NDArray[np.uint64]
    readable: NDArray[np.bool_]
    given: Given

    def take(self, chosen: Any) -> _Batch:
        if isinstance(chosen, slice):
            return self
        columns = (self.low[chosen], self.high[chosen], self.readable[chosen], self.given.take(chosen))
        return _Batch(self.now, self.came, self.level, self.scope, *columns)


def label(holdings: Holdings, labels: Labels, now: float) -> NDArray[np.uint8]:
    """Apply labels and return the outcome of each, as an index of ``LABEL_OUTCOMES``."""
    outcome = _applied(holdings, labels, now)
    tell(holdings, labels, outcome)
    return outcome


def _applied(holdings: Holdings, labels: Labels, now: float) -> NDArray[np.uint8]:
    outcome = np.full(len(labels.ids), _INVALID, np.uint8)
    scope = holdings.groups.scope(labels.model, labels.version)
    if scope is None:
        holdings.counting.counts.counts("self:overflow").add(("scopes",), len(outcome))
        return outcome
    batch = _batch(holdings, labels, scope, now)
    known: Any = slice(None)
    if not labels.ids.valid.all():  # what is no id at all is invalid, and would only repeat one key
        known = np.flatnonzero(labels.ids.valid)
        batch = batch.take(known)
    if not batch.level:
        joined = join(holdings, batch.low, batch.high, batch.given, now, came=batch.came)
        if joined is not None:
            outcome[known] = joined
            return outcome
    found = np.empty(len(batch.low), np.uint8)
    for chosen in rounds(batch.low, batch.high) if len(found) else ():
        found[chosen] = _mixed_round(holdings, batch.take(chosen))
    outcome[known] = found
    return outcome


def _batch(holdings: Holdings, labels: Labels, scope: int, now: float) -> _Batch:
    truths = labels.truths
    kind = truths.kind.copy()
    value = np.where((kind == RETRACTED) | (kind == _TRUTH_NOTHING), 0.0, truths.number)
    objects = np.flatnonzero(kind == _TRUTH_OBJECT)
    kind[kind == _TRUTH_NOTHING] = NOTHING
    if len(objects):
        kind[objects] = TEXTUAL if labels.textual else OBJECT
        used = np.unique(truths.codes[objects]) if len(truths.objects) > 1 else np.zeros(1, np.int64)
        codes = np.full(len(truths.objects), np.nan)
        codes[used] = holdings.objects.codes([truths.objects[code] for code in used.tolist()])
        value[objects] = codes[truths.codes[objects]]
    has_rev, has_at = ~np.isnan(labels.revs[:, 0]), ~np.isnan(labels.at)
    high = np.where(has_rev, labels.revs[:, 0], 0.0)
    low = np.where(has_rev, labels.revs[:, 1], 0.0)
    arrival = np.where(has_rev, UNDATED, now)
    order = LabelOrder(has_rev, high, low, np.where(has_at, labels.at, arrival))
    given = Given(kind, value, order, has_rev | has_at)
    level = 0 if labels.model is None else 1 if labels.version is None else 2
    readable = labels.ids.valid & (kind != NOTHING)
    came = now if labels.age is None else now - labels.age()
    return _Batch(now, came, level, scope, *labels.ids.hashes(KEY_SEED), readable, given)


def _mixed_round(holdings: Holdings, batch: _Batch) -> NDArray[np.uint8]:
    """Apply labels of different ids, of which most may just join."""
    n = len(batch.low)
    if not batch.level and n >= MANY:
        plain = awaited(holdings, batch.low, batch.high, batch.given)
        if 2 * np.count_nonzero(plain) > n:
            some = batch.take(plain)
            joined = join(holdings, some.low, some.high, some.given, batch.now, came=batch.came)
            if joined is not None:
                outcome = np.empty(n, np.uint8)
                outcome[plain] = joined
                others = ~plain
                if others.any():
                    outcome[others] = _round(holdings, batch.take(others))
                return outcome
    return _round(holdings, batch)


def _round(holdings: Holdings, batch: _Batch) -> NDArray[np.uint8]:
    """Apply labels of different ids."""
    records, given = holdings.records, batch.given
    found = holdings.find(batch.low, batch.high)
    n = len(batch.low)
    inside, parked = found.split()
    own = np.full(n, -1, np.int64)
    mine = parked.group == batch.scope
    own[parked.event[mine]] = parked.record[mine]
    rows, series = _rows_in_scope(holdings, batch, inside)
    details = np.where(own >= 0, records.records["detail"][own], -1)
    same, greater, lost = records.registers.compare(details, given, holdings.objects)
    meeting = LabelRound(
        now=batch.now,
        level=batch.level,
        readable=batch.readable,
        retraction=given.kind == RETRACTED,
        order=given.order,
        explicit=given.explicit,
        sampled=holdings.sampled(batch.low, batch.high),
        register=np.where(own >= 0, records.records["state"][own], np.uint8(NONE)),
        held_order=records.registers.order(details) if len(parked.record) else given.order,
        same=same,
        greater=greater,
        lost=lost,
        event=rows.event,
        state=rows.state,
        time=records.records["time"][rows.record],
        due=records.due(rows.record),
        until=records.until(rows.record),
        truth=records.truth(rows.record, rows.state),
        held=holdings.held(holdings.covering(rows.event, series, parked), series),
        given=holdings.meanings(series, given.kind[rows.event], given.value[rows.event]),
        assumed=holdings.groups.assumed(rows.group),
        standing=records.standing(rows.record, rows.state),
    )
    effects = transition.label(meeting, holdings.settings)
    _write_registers(holdings, batch, own, effects)
    _write_rows(holdings, rows, meeting, effects, batch.came)
    new = _carry(holdings, batch, found, effects, np.flatnonzero(effects.taken & (own < 0)))
    _create_registers(holdings, batch, found, effects, new)
    return effects.outcome


def _rows_in_scope(holdings: Holdings, batch: _Batch, rows: Found) -> tuple[Found, Numbers]:
    series = holdings.groups.series_of(rows.group)
    if batch.level == 0:
        return rows, series
    scopes = np.array([page.scopes[batch.level] for page in holdings.groups.series], np.int64)
    inside = scopes[series] == batch.scope
    return rows.take(inside), series[inside]


def _write_registers(holdings: Holdings, batch: _Batch, own: Numbers, effects: LabelEffects) -> None:
    """Write back the registers there are; an early one meets no row here, since the row's prediction consumed it."""
    table, registers = holdings.records.records, holdings.records.registers
    raised = np.flatnonzero(effects.raised)
    if len(raised):
        registers.reorder(table["detail"][own[raised]], batch.given.take(raised).order)
    replaced = np.flatnonzero(effects.taken & (own >= 0))
    if len(replaced):
        registers.replace(table["detail"][own[replaced]], batch.given.take(replaced))


def _carry(holdings: Holdings, batch: _Batch, found: Found, effects: LabelEffects, new: Numbers) -> Numbers:
    """Let rows that are alone under their ids carry the labels at the positions ``new``, and return the others."""
    if batch.level or not len(new):
        return new
    heads, table = found.heads[new], holdings.records.records
    alone = (effects.register[new] == CONSUMED) & (table["next"][heads] < 0) & (table["state"][heads] > PENDING)
    alone &= ~batch.given.order.has_rev[new]
    holdings.records.carry(heads[alone], batch.given.take(new[alone]))
    others: Numbers = new[~alone]
    return others


def _create_registers(holdings: Holdings, batch: _Batch, found: Found, effects: LabelEffects, new: Numbers) -> None:
    """Make a register for each label at the positions ``new``."""
    if not len(new):
        return
    records = holdings.records
    state, heads, places = effects.register, found.heads, found.places
    if len(new) < len(state):
        batch, heads, places, state = batch.take(new), heads[new], places[new], state[new]
    columns = {"group": batch.scope, "time": batch.now, "state": state, "detail": records.registers.create(batch.given)}
    record = records.add(batch.low, batch.high, heads, places, columns=columns)
    early = state == EARLY
    if early.any():
        holdings.park("none", state[early])
        records.remind(record[early], batch.now + holdings.settings.early_ttl)


def _write_rows(holdings: Holdings, rows: Found, meeting: LabelRound, effects: LabelEffects, came: float) -> None:
    if not len(rows.record):
        return
    counting = holdings.counting
    counting.labels(rows.group, meeting.time, effects.row_outcome)
    moved = np.flatnonzero(effects.change)
    if not len(moved):
        return
    chosen: Any = slice(None) if len(moved) == len(effects.change) else moved
    some = Picked(rows.record[chosen], rows.group[chosen], meeting.time[chosen])
    before, after, truth = meeting.state[chosen], effects.state[chosen], effects.truth[chosen]
    counted, change, stood = meeting.truth[chosen], effects.change[chosen], meeting.standing[chosen]
    holdings.records.settle(some.record, after, effects.due[chosen], truth, effects.standing[chosen])
    if stood.any() or change.max() >= CONFIRMS:
        _count_assumptions(holdings, some, change, stood, came)
        swaps = np.flatnonzero((change < CONFIRMS) | (truth != counted))  # the others stay in their cells
        some, before, after, truth, counted = (
            some.take(swaps),
            before[swaps],
            after[swaps],
            truth[swaps],
            counted[swaps],
        )
    left = before == JOINED
    if left.any():
        holdings.count(some.take(left), counted[left], -1)
    holdings.transit(some, before, after)
    joins: Any = after == JOINED
    joins = slice(None) if joins.all() else np.flatnonzero(joins)
    holdings.count(some.take(joins), truth[joins], 1)
    fresh: Any = before == PENDING
    fresh = slice(None) if fresh.all() else np.flatnonzero(fresh)
    joined = some.take(fresh)
    counting.delays(joined.group, joined.time, came)


def _count_assumptions(
    holdings: Holdings, rows: Picked, change: NDArray[np.uint8], stood: NDArray[np.bool_], came: float
) -> None:
    """Count what labels did to assumptions, and the delays of those labels that are the first."""
    corrected = (change == DIFFERS) & stood
    for event, which in (("confirmed", change == CONFIRMS), ("corrected", corrected), ("restored", change == FALLS)):
        some = rows.take(np.flatnonzero(which))
        if len(some.record):
            holdings.counting.assumptions(some.group, some.time, event)
            if event != "restored":
                holdings.counting.delays(some.group, some.time, came)
