"""Parts made from plain rows, as a store and a process would count them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.parts import Part, SeriesPart
from modelmon.snapshot import ModelSnapshot, Snapshot
from modelmon.tallies import Ledger, Tally
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = ("fraud", "1")


def part(origin: str = "store", *, series: dict[Any, SeriesPart], taken_at: float = 1000.0, **fields: Any) -> Part:
    """Return a part with these series."""
    given = {"epoch": 1, "kind": "store", "window": 100.0} | fields
    return Part(origin=origin, taken_at=taken_at, series=series, **given)


def model(series: SeriesPart, **fields: Any) -> ModelSnapshot:
    """Return the snapshot of a model that one part knows."""
    return Snapshot((part(series={KEY: series}, **fields),))[KEY]


def ledgers(count: Any, times: Iterable[float], width: float = 100.0) -> Ledger:
    """Return a ledger whose total and slots were filled by ``count(tally, rows)``."""
    times = np.asarray(list(times))
    ledger = Ledger()
    slots = np.floor(times / width).astype(int)
    for number in np.unique(slots).tolist():
        for tally in ledger.book(number):
            count(tally, np.flatnonzero(slots == number))
    return ledger


def moved(tally: Tally, before: str, after: str, n: int) -> None:
    """Count rows that went from one state to another."""
    tally.counts("transitions").add((before, after), n)


def accepted(tally: Tally, pending: int, joined: int) -> None:
    """Count predictions that were accepted, and how many of them met their label."""
    tally.counts("prediction_events").add(("pending",), pending)
    moved(tally, "none", "pending", pending)
    moved(tally, "pending", "joined", joined)
    tally.counts("label_events").add(("joined",), joined)


def binary(truth, scores, *, predicted=None, task=None, times=None) -> SeriesPart:
    """Return what a store counts of binary rows whose truth is known; classes have codes 0 and 1."""
    task = task or Binary()
    truth, scores = np.asarray(truth), np.asarray(scores, dtype=float)
    predicted = (scores >= task.threshold).astype(int) if predicted is None else np.asarray(predicted)
    times = np.zeros(len(truth)) if times is None else times

    def count(tally, rows):
        accepted(tally, len(rows), len(rows))
        tally.confusion.update(truth[rows], predicted[rows])
        tally.losses.update_binary(scores[rows], truth[rows] == 1)

    def count_scores(tally, rows):
        tally.scores().update(scores[rows], truth[rows] == 1)

    return SeriesPart(task, task.declared, {(): ledgers(count, times)}, ledgers(count_scores, times))


def multiclass(truth, probabilities, *, classes, task=None, times=None) -> SeriesPart:
    """Return what a store counts of rows of probabilities; ``truth`` holds codes into ``classes``."""
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, dtype=float)
    predicted = probabilities.argmax(axis=1)
    times = np.zeros(len(truth)) if times is None else times

    def count(tally, rows):
        accepted(tally, len(rows), len(rows))
        tally.confusion.update(truth[rows], predicted[rows])
        tally.losses.update_multiclass(probabilities[rows], truth[rows])

    def count_scores(tally, rows):
        tally.class_scores().update(probabilities[rows], truth[rows])

    return SeriesPart(task or Multiclass(), tuple(classes), {(): ledgers(count, times)}, ledgers(count_scores, times))


def labelled(truth, predicted, *, classes, task=None) -> SeriesPart:
    """Return what a store counts of predicted classes without scores; both columns are codes into ``classes``."""

    def count(tally, rows):
        accepted(tally, len(rows), len(rows))
        tally.confusion.update(np.asarray(truth)[rows], np.asarray(predicted)[rows])

    return SeriesPart(task or Multiclass(), tuple(classes), {(): ledgers(count, np.zeros(len(truth)))})


def regression(truth, predicted) -> SeriesPart:
    """Return what a store counts of predicted numbers."""

    def count(tally, rows):
        accepted(tally, len(rows), len(rows))
        tally.residuals.update(np.asarray(truth, dtype=float)[rows], np.asarray(predicted, dtype=float)[rows])

    return SeriesPart(Regression(), (), {(): ledgers(count, np.zeros(len(truth)))})


def multilabel(truth, predicted, *, classes) -> SeriesPart:
    """Return what a store counts of rows of flags."""

    def count(tally, rows):
        accepted(tally, len(rows), len(rows))
        flags = np.asarray(truth, dtype=np.uint8)[rows], np.asarray(predicted, dtype=np.uint8)[rows]
        tally.multilabel(len(classes)).update(*flags)

    return SeriesPart(Multilabel(classes), tuple(classes), {(): ledgers(count, np.zeros(len(truth)))})
