"""Joining: the straight way of a batch in which every label meets one awaiting row and nothing else.

That is nearly every batch, and then the round's columns (registers, orders, relations) would all hold the same value.
So the step is looked up once, in the same tables as everywhere, and only what differs between rows is touched:
each record is read once, as a whole, and one settled row is written for it.

Rules:

1. The batch goes this way as a whole or not at all; where it does not, nothing has changed.
2. What this way does to a batch is what the transition does to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.stores.scoring import Rows
from modelmon.stores.series import NOTHING, RETRACTED
from modelmon.stores.states import AFTER, GAINS, OUTCOME, PENDING, VALUE
from modelmon.stores.transition import due_after

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.stores.holdings import Holdings
    from modelmon.stores.registers import Given

    Keys = NDArray[np.uint64]
    Numbers = NDArray[np.int64]
    Floats = NDArray[np.float64]

_STATE = int(AFTER[PENDING, GAINS])
_OUTCOME = int(OUTCOME[PENDING, GAINS, VALUE])


def awaited(holdings: Holdings, low: Keys, high: Keys, given: Given) -> NDArray[np.bool_]:
    """Return which labels, of ids that are all different, meet one awaiting row and nothing else."""
    record = holdings.records.index.find(low, high)
    rows = holdings.records.records.read(record)
    plain: NDArray[np.bool_] = (record >= 0) & (rows["state"] == PENDING) & (rows["next"] < 0)
    plain &= (given.kind != RETRACTED) & (given.kind != NOTHING) & ~given.order.has_rev
    return plain


def join(
    holdings: Holdings, low: Keys, high: Keys, given: Given, now: float, *, came: float
) -> NDArray[np.uint8] | None:
    """Join labels for whole ids, all of them readable ids, that came a while ago, with the rows that await them.

    Returns:
        The outcome of each, as an index of ``LABEL_OUTCOMES``; None where one of them needs more than this.
    """
    records = holdings.records
    if not len(low) or given.order.has_rev.any():  # a settled row carries no revision
        return None
    record = records.index.find(low, high)
    if record.min() < 0:
        return None
    rows = records.records.read(record)
    if (rows["state"] != PENDING).any() or rows["next"].max() >= 0:
        return None
    detail = records.reserve(record)
    if detail is None:
        return None
    group, time = rows["group"], np.ascontiguousarray(rows["time"])
    truth = holdings.meanings(holdings.groups.series_of(group), given.kind, given.value)
    if np.isnan(truth).any():
        records.abandon(record, detail)
        return None
    due = due_after(_STATE, now, holdings.settings)
    records.fulfil(record, detail, _STATE, due=due, truth=truth, given=given)
    if due < float(time.max()) + records.ttl:  # else each segment is reminded early enough already
        records.remind(record, due)
    holdings.awaiting -= len(record)
    for layout, chosen in holdings.by_layout(group):
        whole = isinstance(chosen, slice)
        payload = holdings.payload(layout, record if whole else record[chosen])
        predicted = rows["predicted"][chosen]
        holdings.counting.joins(layout, Rows(group[chosen], time[chosen], predicted, truth[chosen], payload), came)
    return np.full(len(low), _OUTCOME, np.uint8)
