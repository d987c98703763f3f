"""Predicting: fetch what predictions meet in the holdings, and write back what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.stores import transition
from modelmon.stores.assuming import mention
from modelmon.stores.groups import Group, Layout
from modelmon.stores.holdings import KEY_SEED, Picked
from modelmon.stores.index import distinct, rounds
from modelmon.stores.rounds import PredictionRound
from modelmon.stores.scoring import Accepted
from modelmon.stores.states import CONSUMED, EARLY, JOINED, NONE, PENDING, PREDICTION_OUTCOMES
from modelmon.tasks import Multilabel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.events import Predictions
    from modelmon.stores.holdings import Found, Holdings
    from modelmon.stores.rounds import PredictionEffects
    from modelmon.stores.series import Series

    Numbers = NDArray[np.int64]


_INVALID = PREDICTION_OUTCOMES.index("invalid")


class _Batch(NamedTuple):
    """Hold predictions as columns ready to be stored."""

    now: float
    series: int
    low: NDArray[np.uint64]
    high: NDArray[np.uint64]
    readable: NDArray[np.bool_]
    time: NDArray[np.float64]
    group: Numbers
    layout: Layout
    predicted: NDArray[np.int32]
    payload: NDArray[Any] | None

    def take(self, chosen: Any) -> _Batch:
        if isinstance(chosen, slice):
            return self
        payload = None if self.payload is None else self.payload[chosen]
        columns = (self.low, self.high, self.readable, self.time, self.group)
        low, high, readable, time, group = (column[chosen] for column in columns)
        return _Batch(
            self.now, self.series, low, high, readable, time, group, self.layout, self.predicted[chosen], payload
        )


def predict(holdings: Holdings, predictions: Predictions, now: float) -> NDArray[np.uint8]:
    """Take predictions and return the outcome of each, as an index of ``PREDICTION_OUTCOMES``."""
    batch = _batch(holdings, predictions, now)
    outcome = np.full(len(batch.low), _INVALID, np.uint8)
    if batch.readable.all():
        outcome[:] = _apply(holdings, batch)
    else:  # what is no id at all would only repeat one key
        outcome[batch.readable] = _apply(holdings, batch.take(batch.readable))
    # A slot of what lies ahead would never fold away, and what lies further back than the epoch may have none.
    times = np.where(np.abs(batch.time) <= now + transition.AHEAD, batch.time, now)
    holdings.counting.predictions(batch.group, times, outcome)
    return outcome


def _apply(holdings: Holdings, batch: _Batch) -> NDArray[np.uint8]:
    outcome = np.empty(len(batch.low), np.uint8)
    if not len(outcome):
        return outcome
    first, *later = rounds(batch.low, batch.high)
    outcome[first] = _round(holdings, batch.take(first))
    if not later:
        return outcome
    if holdings.settings.on_conflict == "last":
        for chosen in later:
            outcome[chosen] = _round(holdings, batch.take(chosen))
        return outcome
    again = np.sort(np.concatenate(later))
    repeated = batch.take(again)
    inert = _inert(holdings, repeated)
    outcome[again[inert]] = _round(holdings, repeated.take(inert))  # nothing is written, so ids may repeat
    outcome[again[~inert]] = _apply(holdings, repeated.take(~inert))
    return outcome


def _inert(holdings: Holdings, batch: _Batch) -> NDArray[np.bool_]:
    """Return which predictions change nothing where the first under an id counts."""
    low, high = batch.low, batch.high
    timely = transition.is_timely(batch.time, batch.now, holdings.settings)
    return (_known(holdings, batch, holdings.find(low, high)) >= 0) | ~holdings.sampled(low, high) | ~timely


def _batch(holdings: Holdings, predictions: Predictions, now: float) -> _Batch:
    groups = holdings.groups
    number = groups.declare((predictions.model, predictions.version), predictions.task, holdings.objects)
    series = groups.series[number]
    fits = series.fits(predictions.task, predictions.columns)
    n = len(predictions.ids)
    predicted = series.predicted(predictions.classes if fits else None, n)
    mention(series)
    layout, payload = _payload(series, predictions) if fits else (Layout("class"), None)
    pages = [groups.group(Group(number, groups.ledger(number, page), layout)) for page in predictions.slices.values]
    group = np.array(pages, np.int64)[predictions.slices.codes]
    readable = predictions.ids.valid & fits
    if predictions.classes is not None:
        readable = readable & (predictions.classes.codes >= 0)
    low, high = predictions.ids.hashes(KEY_SEED)
    return _Batch(now, number, low, high, readable, predictions.times, group, layout, predicted, payload)


def _payload(series: Series, predictions: Predictions) -> tuple[Layout, NDArray[Any] | None]:
    """Return what is kept of predictions besides the class."""
    if isinstance(series.task, Multilabel):
        flags = predictions.flags
        return (Layout("class"), None) if flags is None else (Layout("flags", (), flags.shape[1]), flags)
    scores = predictions.scores
    if scores is None:
        return Layout("class"), None
    if predictions.best is not None:
        codes = np.array([*map(series.code, predictions.columns), -1], np.float64)[predictions.best]
        payload = np.column_stack([scores.reshape(len(scores), -1)[:, 0], codes])
        return Layout("best", (), payload.shape[1]), payload
    if scores.ndim == 1:
        return Layout("score"), scores
    return Layout("rows", tuple(map(series.code, predictions.columns)), scores.shape[1]), scores


def _known(holdings: Holdings, batch: _Batch, found: Found) -> Numbers:
    """Return the row of each id under this series, -1 where there is none."""
    known = np.full(len(batch.low), -1, np.int64)
    if len(found.record):
        rows, _ = found.split()
        mine = holdings.groups.series_of(rows.group) == batch.series
        known[rows.event[mine]] = rows.record[mine]
    return known


def _round(holdings: Holdings, batch: _Batch) -> NDArray[np.uint8]:
    """Take predictions of different ids."""
    n = len(batch.low)
    table = holdings.records.records
    found = holdings.find(batch.low, batch.high)
    known = _known(holdings, batch, found)
    state, truth = np.full(n, NONE, np.uint8), np.full(n, np.nan)
    due, same = truth.copy(), np.zeros(n, np.bool_)
    there = np.flatnonzero(known >= 0)
    if len(there):
        rows = known[there]
        state[there] = table["state"][rows]
        due[there] = holdings.records.due(rows)
        truth[there] = holdings.records.truth(rows, state[there])
        same[there] = _is_same(holdings, batch.take(there), rows)
    series = np.full(n, batch.series)
    cover = holdings.covering(np.arange(n), series, found.split()[1])
    given = PredictionRound(
        now=batch.now,
        patience=holdings.groups.series[batch.series].patience(holdings.settings.ttl),
        readable=batch.readable,
        time=batch.time,
        sampled=holdings.sampled(batch.low, batch.high),
        state=state,
        due=due,
        truth=truth,
        same=same,
        held=holdings.held(cover, series),
    )
    effects = transition.predict(given, holdings.settings)
    _write(holdings, batch, found, cover, effects)
    if effects.replaced.any():
        chosen = effects.replaced
        _replace(holdings, batch.take(chosen), known[chosen], state[chosen], truth[chosen])
    return effects.outcome


def _is_same(holdings: Holdings, batch: _Batch, rows: Numbers) -> NDArray[np.bool_]:
    """Return whether the rows remembered hold these very predictions."""
    table = holdings.records.records
    same: NDArray[np.bool_] = table["predicted"][rows] == batch.predicted
    for layout, chosen in holdings.by_layout(table["group"][rows]):
        same[chosen] &= _has_same(layout, holdings.payload(layout, rows[chosen]), batch.take(chosen))
    return same


def _has_same(layout: Layout, held: NDArray[np.float64] | None, batch: _Batch) -> NDArray[np.bool_]:
    """Return whether rows of one layout hold what these predictions say besides their class.

    A score of nan is none: a batch in which others have scores keeps it so.
    """
    same = np.zeros(len(batch.low), np.bool_)
    if {layout.kind, batch.layout.kind} <= {"class", "score"}:
        none = np.full(len(same), np.nan)
        left, right = none if held is None else held, none if batch.payload is None else batch.payload
        same |= (left == right) | (np.isnan(left) & np.isnan(right))
    elif layout == batch.layout:
        same |= (held == batch.payload).all(axis=1)  # type: ignore[union-attr]  # only classes have no payload
    return same


def _write(holdings: Holdings, batch: _Batch, found: Found, cover: Numbers, effects: PredictionEffects) -> None:
    """Make the accepted rows, and consume the labels that were early for them."""
    if not effects.accepted.any():
        return
    heads, places = found.heads, found.places
    state, due, truth = effects.state, effects.due, effects.truth
    if not effects.accepted.all():
        chosen = effects.accepted
        batch, cover = batch.take(chosen), cover[:, chosen]
        heads, places = found.heads[chosen], found.places[chosen]
        state, due, truth = state[chosen], due[chosen], truth[chosen]
    records = holdings.records
    table = records.records
    if batch.group.max() > np.iinfo(table["group"].dtype).max:
        table.widen("group", np.int32)
    columns = {"group": batch.group, "time": batch.time, "predicted": batch.predicted, "state": state}
    new = records.add(batch.low, batch.high, heads, places, columns=columns)
    holdings.store_payload(batch.layout, new, batch.payload)
    if (state == PENDING).all():
        records.remind(new, float(due.min()))
    else:
        records.settle(new, state, due, truth)
    rows = Picked(new, batch.group, batch.time)
    holdings.transit(rows, np.full(len(new), NONE, np.uint8), state)
    score = batch.payload if batch.layout.kind == "score" else None
    holdings.counting.accepted(Accepted(batch.group, batch.time, batch.predicted, score), 1)
    labels = distinct(cover[cover >= 0])
    early = labels[table["state"][labels] == EARLY]
    if len(early):
        table["state"][early] = CONSUMED
        holdings.park("early", np.full(len(early), CONSUMED, np.uint8))
    joined = np.flatnonzero(state == JOINED)
    if len(joined):
        holdings.count(rows.take(joined), truth[joined], 1)
        holdings.counting.delays(batch.group[joined], batch.time[joined], batch.now)


def _replace(
    holdings: Holdings, batch: _Batch, rows: Numbers, state: NDArray[np.uint8], truth: NDArray[np.float64]
) -> None:
    """Put other predictions into rows; their time and slice stay."""
    table, groups = holdings.records.records, holdings.groups
    joined = state == JOINED
    holdings.count(holdings.picked(rows[joined]), truth[joined], -1)
    _accept(holdings, rows, -1)
    holdings.release_payload(rows)
    held = [groups.all[number] for number in table["group"][rows].tolist()]
    table["group"][rows] = [groups.group(Group(old.series, old.ledger, batch.layout)) for old in held]
    table["predicted"][rows] = batch.predicted
    holdings.store_payload(batch.layout, rows, batch.payload)
    _accept(holdings, rows, 1)
    holdings.count(holdings.picked(rows[joined]), truth[joined], 1)
    holdings.transit(holdings.picked(rows[joined]), state[joined], state[joined])


def _accept(holdings: Holdings, rows: Numbers, sign: int) -> None:
    """Count rows by what they predict, or take them away."""
    for layout, chosen in holdings.by_layout(holdings.records.records["group"][rows]):
        some = holdings.picked(rows[chosen])
        score = holdings.payload(layout, some.record) if layout.kind == "score" else None
        predicted = holdings.records.records["predicted"][some.record]
        holdings.counting.accepted(Accepted(some.group, some.time, predicted, score), sign)
