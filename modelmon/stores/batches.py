"""Batches: events cut into parts of which each is one transaction, and what that transaction does with them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.columns import HashedIds
from modelmon.stores.holdings import KEY_SEED
from modelmon.stores.labelling import label as apply_labels
from modelmon.stores.limits import forget
from modelmon.stores.predicting import predict as apply_predictions
from modelmon.stores.states import LABEL_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from modelmon.columns import Ids
    from modelmon.events import Labels, Predictions
    from modelmon.stores.working import Working

    Outcome = NDArray[np.uint8]

AT_ONE_ID = 128
"""Events under one id in one transaction; more take several."""


def predicting(part: Predictions) -> tuple[Predictions, Callable[[Working], Outcome]]:
    """Return predictions with what one transaction does with them."""
    return part, lambda working: apply_predictions(working.holdings, part, working.now)


def labelling(part: Labels) -> tuple[Labels, Callable[[Working], Outcome]]:
    """Return labels with what one transaction does with them."""

    def act(working: Working) -> Outcome:
        outcome = apply_labels(working.holdings, part, working.now)
        events = working.holdings.counting.counts.counts("label_events")
        for name, n in tallied([outcome], LABEL_OUTCOMES).items():
            events.add((name,), n)
        return outcome

    return part, act


def forgetting(low: NDArray[np.uint64], high: NDArray[np.uint64]) -> Callable[[Working], int]:
    """Return what one transaction does to erase ids."""

    def act(working: Working) -> int:
        holdings = working.holdings
        heads = np.unique(holdings.records.index.find(low, high))
        record = holdings.find(*holdings.records.keys(heads[heads >= 0])).record
        forget(holdings, record)
        return len(record)

    return act


def low_words(ids: Ids) -> NDArray[np.uint64]:
    """Return the lower words of the ids that are any."""
    low, _ = ids.hashes(KEY_SEED)
    return low if ids.valid.all() else low[ids.valid]


def parts(events: Any, at_once: int) -> list[Any]:
    """Return predictions or labels in parts of which each is one transaction, in their order.

    Events under one id take effect one after another, so a part holds few under each id: nobody waits long for it.
    """
    ids = events.ids
    low, high = ids.hashes(KEY_SEED)
    events = replace(events, ids=HashedIds(ids.integers, ids.text, ids.valid, low, high))
    n = len(ids)
    cuts = [*range(0, n, at_once), n] if n > at_once else [0, n]
    found = []
    for start, stop in pairwise(cuts):
        found += _split(low, start, stop)
    return [events] if len(found) <= 1 else [_part(events, slice(start, stop), n) for start, stop in found]


def _split(low: NDArray[np.uint64], start: int, stop: int) -> list[tuple[int, int]]:
    """Return stretches of a stretch, so short that none has more than `AT_ONE_ID` events under one id."""
    if stop - start <= AT_ONE_ID or np.unique(low[start:stop], return_counts=True)[1].max() <= AT_ONE_ID:
        return [(start, stop)]
    middle = (start + stop) // 2
    return _split(low, start, middle) + _split(low, middle, stop)


def _part(events: Any, chosen: slice, n: int) -> Any:
    columns = {}
    for name in ("ids", "truths", "slices", "classes"):
        column = getattr(events, name, None)
        if column is not None:
            columns[name] = column.take(chosen)
    for name in ("at", "revs", "times", "scores", "flags", "best"):
        column = getattr(events, name, None)
        if column is not None and len(column) == n:
            columns[name] = column[chosen]
    return replace(events, **columns)


def tallied(found: Sequence[Outcome], names: Sequence[str]) -> dict[str, int]:
    """Return how many had each outcome, those that none had left out."""
    counts: Counter[str] = Counter()
    for outcome in found:
        for name, n in zip(names, np.bincount(outcome, minlength=len(names)).tolist(), strict=True):
            counts[name] += n
    return {name: n for name, n in counts.items() if n}
