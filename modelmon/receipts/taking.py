"""Taking receipts back: predictions and labels in one delivery, so that a store keeps the labelled ones only.

A prediction that comes with its label is stored and joined at once, and stays as long as any joined one: that is how
the same receipt delivered again is known, and how another truth corrects the first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.columns import Column, encode_ids
from modelmon.events import Labels, Predictions
from modelmon.receipts.tokens import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from modelmon.columns import Truths
    from modelmon.receipts.tokens import Receipt
    from modelmon.signing import Keys
    from modelmon.stores.contract import Store

_AHEAD_S = 3600.0


class Delivery(NamedTuple):
    """Hold ``n`` receipts, what was read of each or why not, their truths with what orders them, and their age."""

    found: Sequence[Receipt | str]
    truths: Truths
    at: NDArray[np.float64]
    revs: NDArray[np.float64]
    age: Callable[[], float] | None = None


def verified(tokens: Sequence[Any], keys: Keys) -> list[Receipt | str]:
    """Return what each token says, or why it is refused."""
    return [read(token, keys) for token in tokens]


def deliver(store: Store, given: Delivery, now: float) -> tuple[Counter[str], Counter[str]]:
    """Deliver predictions and their labels to a store.

    Returns:
        How many labels had which outcome, and how many receipts were used, or refused for which reason.
    """
    outcomes: Counter[str] = Counter()
    events: Counter[str] = Counter()
    groups: dict[Any, list[int]] = {}
    for place, receipt in enumerate(given.found):
        reason = receipt if isinstance(receipt, str) else "ahead" if receipt.time > now + _AHEAD_S else ""
        if isinstance(receipt, str) or reason:
            events[reason] += 1
        else:
            groups.setdefault(_shape(receipt), []).append(place)
    for places in groups.values():
        _deliver_alike(store, given, np.array(places), outcomes, events)
    refused = len(given.found) - events["used"]
    if refused:
        outcomes["invalid"] += refused
    return outcomes, events


def _deliver_alike(
    store: Store, given: Delivery, places: NDArray[np.int64], outcomes: Counter[str], events: Counter[str]
) -> None:
    """Deliver receipts of one model, version and shape, the oldest first."""
    found: Sequence[Any] = given.found
    places = places[np.argsort([found[place].time for place in places.tolist()], kind="stable")]
    rows: list[Receipt] = [found[place] for place in places.tolist()]
    said = store.predict(_predictions(rows))
    if said.get("invalid"):
        events["task"] += len(rows)
        return
    old = said.get("too_old", 0)  # the store's clock decides, and the oldest are too old first
    if old:
        events["expired"] += old
    events["used"] += len(rows) - old
    if old == len(rows):
        return
    kept = places[old:]
    labels = Labels(
        ids=encode_ids([row.id for row in rows[old:]]),
        truths=given.truths.take(kept),
        at=given.at[kept],
        revs=given.revs[kept],
        model=rows[0].model,
        age=given.age,
    )
    outcomes.update(store.label(labels))


def _shape(receipt: Receipt) -> tuple[Any, ...]:
    """Return what receipts have in common that one object of predictions can hold."""
    columns = () if receipt.best is not None else receipt.columns
    wide = isinstance(receipt.score, tuple)
    kinds = (receipt.predicted is None, receipt.score is None, wide, receipt.flags is None, receipt.best is None)
    return (receipt.model, receipt.version, receipt.task, columns, kinds)


def _predictions(rows: list[Receipt]) -> Predictions:
    first = rows[0]
    found = Predictions(
        model=first.model,
        version=first.version,
        task=first.task,
        ids=encode_ids([row.id for row in rows]),
        times=np.array([row.time for row in rows]),
        slices=_column([row.page for row in rows]),
        classes=None if first.predicted is None else _column([row.predicted for row in rows]),
        scores=None if first.score is None else np.array([row.score for row in rows], np.float64),
        columns=first.columns,
        flags=None if first.flags is None else np.array([row.flags for row in rows], np.uint8),
    )
    if first.best is None:
        return found
    columns = _column([value for row in rows for value in row.columns])
    places = {value: place for place, value in enumerate(columns.values)}
    best = [[places[row.columns[place]] if place >= 0 else -1 for place in row.best or ()] for row in rows]
    return replace(found, columns=columns.values, best=np.array(best, np.int32))


def _column(values: list[Any]) -> Column:
    places: dict[Any, int] = {}
    codes = [places.setdefault(value, len(places)) for value in values]
    return Column(np.array(codes, np.int32), tuple(places))
