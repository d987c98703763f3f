"""Limits: what time and capacity take away, each through counted transitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.stores.states import (
    CLOSED,
    EARLY,
    EVICTED,
    FORGOTTEN,
    JOINED,
    NONE,
    ORPHANED,
    PENDING,
)
from modelmon.stores.transition import expire

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from modelmon.stores.contract import JoinSettings
    from modelmon.stores.holdings import Holdings

    Numbers = NDArray[np.int64]

_SEGMENTS_AT_ONCE = 256
_LEAST_REMEMBERED = 1_000_000
_SPARE = 64
SLACK = 4
"""The sample is whole again once so many times the awaiting rows have room; halving leaves about half of the bound."""


def sweep(holdings: Holdings, now: float) -> None:
    """Let everything whose deadline lies before ``now`` expire."""
    records = holdings.records
    due = records.segments.before(now)
    for start in range(0, len(due), _SEGMENTS_AT_ONCE):
        segments = due[start : start + _SEGMENTS_AT_ONCE]
        _sweep_records(holdings, records.within(segments), now)
        records.tighten(segments)


def _sweep_records(holdings: Holdings, numbers: Numbers, now: float) -> None:
    records = holdings.records
    due = records.due(numbers)
    late = np.flatnonzero(due < now)
    if not len(late):
        return
    numbers, due = numbers[late], due[late]
    before = records.records["state"][numbers]
    rows = np.where(before < EARLY, before, np.uint8(NONE))
    truth, standing = records.truth(numbers, rows), records.standing(numbers, rows)
    assumed = _assumed(holdings, numbers, before)
    steps, state, due = expire(before, due, now, holdings.settings, assumed)
    for step in steps:
        mine = step.before < EARLY
        holdings.transit(holdings.picked(numbers[step.which[mine]]), step.before[mine], step.after[mine])
        if not mine.all():
            holdings.park("early", step.after[~mine])
        made = step.which[step.after == JOINED]
        if assumed is not None and len(made):
            truth[made], standing[made] = assumed[made], True
            _count_made(holdings, numbers[made], truth[made])
    stays = (state != FORGOTTEN) & (state != ORPHANED)
    records.settle(numbers[stays], state[stays], due[stays], truth[stays], standing[stays])
    holdings.drop(numbers[~stays])


def _assumed(holdings: Holdings, numbers: Numbers, state: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return what is assumed of those records that are pending rows; None where nothing is."""
    if not holdings.groups.assumptions:
        return None
    assumed, pending = np.full(len(numbers), np.nan), np.flatnonzero(state == PENDING)
    assumed[pending] = holdings.groups.assumed(holdings.records.records["group"][numbers[pending]])
    return assumed


def _count_made(holdings: Holdings, numbers: Numbers, truth: NDArray[np.float64]) -> None:
    rows = holdings.picked(numbers)
    holdings.count(rows, truth, 1)
    holdings.counting.assumptions(rows.group, rows.time, "made")


def in_force(lowered: float, settings: JoinSettings) -> float:
    """Return the share of ids that is kept: what the settings say, or less where a store is full.

    Args:
        lowered: the rate that halving has come to, which all processes share; 0 where the store is not full.
        settings: of whoever asks.

    >>> from modelmon.stores.contract import JoinSettings
    >>> [in_force(lowered, JoinSettings(sample_rate=0.5)) for lowered in (0.0, 0.25, 1.0)]
    [0.5, 0.25, 0.5]
    """
    return min(lowered or 1.0, settings.sample_rate)


def restore(holdings: Holdings, awaiting: int, most: Callable[[], int]) -> bool:
    """Sample again as the settings say, where few enough rows await; return whether that was less before.

    Under a load that stays as it is, a rate that halving has come to is never restored: it leaves more rows than that.

    Args:
        holdings: where predictions or labels are about to be applied.
        awaiting: rows that await a label by now.
        most: tells how many may; only asked where the sample is smaller than the settings say.
    """
    if holdings.rate >= holdings.settings.sample_rate or SLACK * awaiting > most():
        return False
    holdings.rate = holdings.settings.sample_rate
    return True


def limit(holdings: Holdings, now: float) -> None:
    """Evict and forget until no bound is exceeded."""
    while holdings.awaiting > most_awaiting(holdings):
        holdings.rate /= 2
        evict(holdings, now)
    most = max(_LEAST_REMEMBERED, holdings.settings.max_awaiting)
    excess = len(holdings.records.records) - holdings.awaiting - most
    if excess > 0:
        _forget_oldest(holdings, excess + most // _SPARE)
    if holdings.objects.full:
        holdings.compact_objects()


def most_awaiting(holdings: Holdings) -> int:
    """Return how many rows may await labels in holdings that are a whole store."""
    settings = holdings.settings
    if settings.max_awaiting_bytes is None:
        return settings.max_awaiting
    return min(settings.max_awaiting, int(settings.max_awaiting_bytes / bytes_per_row(holdings)))


def bytes_per_row(holdings: Holdings) -> float:
    """Return what one awaiting row costs: its columns, its payload and its share of the index."""
    table = holdings.records.records
    payloads = sum(len(pool) * pool.width for pool in holdings.groups.pools.values())
    index = holdings.records.index
    return table.width + (payloads + index.nbytes) / max(index.used, 1024)


def evict(holdings: Holdings, now: float) -> None:
    """Evict the pending rows that fall out of the sample."""
    records = holdings.records
    table = records.records
    rows = np.flatnonzero(table["state"][: table.top] == PENDING)
    rows = rows[~holdings.sampled(*records.keys(rows))]
    n = len(rows)
    before, after = np.full(n, PENDING, np.uint8), np.full(n, EVICTED, np.uint8)
    holdings.transit(holdings.picked(rows), before, after)
    records.settle(rows, after, np.full(n, now + holdings.settings.forget_after), np.full(n, np.nan))


def _forget_oldest(holdings: Holdings, n: int) -> None:
    """Forget the ``n`` records that are missed least: tombstones, then joined rows, then early labels, oldest first."""
    records = holdings.records
    table = records.records
    state = table["state"][: table.top]
    wanted = len(table) - n
    for states in (range(CLOSED, FORGOTTEN), (JOINED,), (EARLY,)):
        excess = len(table) - wanted
        if excess <= 0:
            return
        chosen = np.flatnonzero(np.isin(state, states))
        if len(chosen) > excess:
            chosen = chosen[np.argpartition(records.due(chosen), excess)[:excess]]
        holdings.counting.counts.counts("self:overflow").add(("remembered",), len(chosen))
        forget(holdings, chosen)


def forget(holdings: Holdings, numbers: Numbers) -> None:
    """Erase records of any state, joined ones by way of closed."""
    state = holdings.records.records["state"][numbers]
    joined = numbers[state == JOINED]
    _step(holdings, joined, JOINED, CLOSED)
    _step(holdings, joined, CLOSED, FORGOTTEN)
    others = (state > NONE) & (state < EARLY) & (state != JOINED)
    holdings.transit(
        holdings.picked(numbers[others]), state[others], np.full(np.count_nonzero(others), FORGOTTEN, np.uint8)
    )
    early = int(np.count_nonzero(state == EARLY))
    if early:
        holdings.park("early", np.full(early, ORPHANED, np.uint8))
    holdings.drop(numbers)


def _step(holdings: Holdings, rows: Numbers, before: Any, after: Any) -> None:
    holdings.transit(holdings.picked(rows), np.full(len(rows), before, np.uint8), np.full(len(rows), after, np.uint8))
