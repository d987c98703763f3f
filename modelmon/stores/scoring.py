"""Scoring: joined rows of one series and layout, counted into its accumulators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.accumulators.strata import Strata
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.stores.groups import Layout
    from modelmon.stores.series import Series
    from modelmon.tallies import Tally

    Numbers = NDArray[np.int64]
    Floats = NDArray[np.float64]

_BINARY_SLOT_KEYS = 512
_SERIES_KEYS = 2048
_FEWEST_KEYS = 16


class Rows(NamedTuple):
    """Hold ``n`` joined rows of one layout.

    Attributes:
        group: what they have in common with others.
        time: when they were predicted, seconds since the epoch.
        predicted: predicted class codes, -1 where the task has none.
        truth: meanings of their labels, or the rows of flags that these stand for: uint8 ``(n, L)``.
        payload: ``(n,)`` or ``(n, width)``, what else was predicted, or None.
    """

    group: NDArray[Any]
    time: Floats
    predicted: NDArray[Any]
    truth: NDArray[Any]
    payload: NDArray[Any] | None

    def take(self, chosen: Any) -> Rows:
        """Return the rows at positions or a slice."""
        payload = None if self.payload is None else self.payload[chosen]
        return Rows(self.group[chosen], self.time[chosen], self.predicted[chosen], self.truth[chosen], payload)


class Accepted(NamedTuple):
    """Hold ``n`` accepted predictions: their groups, times, predicted class codes and scores, or None."""

    group: NDArray[Any]
    time: Floats
    predicted: NDArray[Any]
    score: Floats | None


def count_accepted(book: Sequence[Tally], series: Series, predicted: NDArray[Any], sign: int) -> None:
    """Count accepted predictions of one series by class, or take them away."""
    if not isinstance(series.task, (Binary, Multiclass)):
        return
    found = np.bincount(predicted + 1)[1:]  # a code of -1 is no class
    for code in np.flatnonzero(found).tolist():
        for tally in book:
            tally.counts("accepted").add((series.classes[code],), sign * int(found[code]))


def count_accepted_scores(book: Sequence[Tally], series: Series, rows: Accepted, chosen: Any, sign: int) -> None:
    """Count the scores of accepted predictions of one series, or take them away."""
    if isinstance(series.task, Binary) and rows.score is not None:
        strata = Strata()
        strata.accept(rows.score[chosen], rows.predicted[chosen] == 1, sign)
        for tally in book:
            tally.strata.merge(strata)


def count_rows(tally: Tally, series: Series, layout: Layout, rows: Rows, sign: int) -> None:
    """Count joined rows, or take them away (sign -1)."""
    truth, payload = rows.truth, rows.payload
    if isinstance(series.task, Regression):
        if payload is not None:
            tally.residuals.update(truth, payload, sign)
        return
    if isinstance(series.task, Multilabel):
        if payload is not None:
            flags = truth if truth.ndim > 1 else np.stack([series.flags(meaning) for meaning in truth.tolist()])
            tally.multilabel(layout.width).update(flags, payload, sign)
        return
    actual = truth.astype(np.int64)
    tally.confusion.update(actual, rows.predicted.astype(np.int64), sign)
    if payload is None:
        return
    if layout.kind == "score" and isinstance(series.task, Binary):
        tally.losses.update_binary(payload, actual == 1, sign)
    elif layout.kind == "rows":
        tally.losses.update_multiclass(payload, columns_of(layout, actual), sign)
    elif layout.kind == "best":
        hits = payload[:, 1:] == truth[:, None]
        tally.losses.update_ranks(np.where(hits.any(axis=1), hits.argmax(axis=1), -1), sign)


def columns_of(layout: Layout, codes: Numbers) -> Numbers:
    """Return the column of each class code: int64 ``(n,)``, -1 where it has none."""
    place = np.full(max(int(codes.max(initial=0)), *layout.codes) + 1, -1, np.int64)
    place[list(layout.codes)] = np.arange(len(layout.codes))
    return place[codes]


def count_scores(book: Sequence[Tally], series: Series, layout: Layout, rows: Rows, sign: int) -> None:
    """Count the scores of joined rows into the total and the slot of a series, or take them away."""
    if rows.payload is None or not isinstance(series.task, (Binary, Multiclass)):
        return
    actual, payload = rows.truth.astype(np.int64), rows.payload
    capacities = (_SERIES_KEYS, _BINARY_SLOT_KEYS)
    if layout.kind == "score":
        for tally, capacity in zip(book, capacities, strict=False):
            tally.scores(capacity).update(payload, actual == 1, sign)
        if isinstance(series.task, Binary):
            strata = Strata()
            strata.label(payload, rows.predicted == 1, actual == 1, sign)
            for tally in book:
                tally.strata.merge(strata)
        return
    scores = payload
    if layout.codes != tuple(range(layout.width)):
        scores = np.full((len(payload), max(layout.codes) + 1), np.nan)
        scores[:, list(layout.codes)] = payload
    slot_keys = min(_BINARY_SLOT_KEYS, max(_FEWEST_KEYS, _SERIES_KEYS // layout.width))
    for tally, capacity in zip(book, (_SERIES_KEYS, slot_keys), strict=False):
        tally.class_scores(capacity).update(scores, actual, sign)
