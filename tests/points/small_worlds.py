"""Small snapshots, counted by hand or at random, for tests of points and exporters."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelmon.parts import Part, SeriesPart
from modelmon.snapshot import Snapshot
from modelmon.tallies import Ledger, Tally
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression, Task

NOW = 1_000_000.0
HOUR = 3600.0
Classes = tuple[Any, ...]


def rng(seed: int = 7) -> np.random.Generator:
    """Return the generator that makes a world the same each time."""
    return np.random.default_rng(seed)


def process_ledger(calls: int = 100, errors: int = 3, predicted: tuple[tuple[Any, ...], ...] = ((),)) -> Ledger:
    """Return what a process counts: calls of 1 to 200 ms, three of them errors."""
    ledger = Ledger()
    chance = rng(calls)
    for tally in ledger.book(int(NOW // HOUR)):
        tally.counts("calls").add(("ok", ""), calls - errors)
        tally.counts("calls").add(("error", "ValueError"), errors)
        tally.durations("duration:ok").update(chance.integers(10**6, 2 * 10**8, calls - errors))
        tally.durations("duration:error").update(chance.integers(10**6, 2 * 10**8, errors))
        for key in predicted:
            tally.counts("predicted").add(key, (calls - errors) // len(predicted))
        tally.counts("rejected").add(("nan",), 2)
    return ledger


def join(tally: Tally, rows: int) -> None:
    """Count ``rows`` predictions that met their label, and as many again that have none yet."""
    tally.counts("prediction_events").add(("pending",), 2 * rows)
    tally.counts("label_events").add(("joined",), rows)
    tally.counts("transitions").add(("none", "pending"), 2 * rows)
    tally.counts("transitions").add(("pending", "joined"), rows)
    tally.durations("label_delay").update(rng().integers(10**9, 10**13, rows))


def class_ledger(classes: int, rows: int = 400, corrected: int = 5, seed: int = 7) -> tuple[Ledger, Ledger]:
    """Return what a store counts of a task with classes; the second ledger holds the whole series' scores."""
    ledger, shared = Ledger(), Ledger()
    chance = rng(seed)
    actual = chance.integers(0, classes, rows)
    predicted = np.where(chance.random(rows) < 0.7, actual, chance.integers(0, classes, rows))
    score = np.clip(0.3 * actual + 0.5 * chance.random(rows), 0, 1)
    slot = int(NOW // HOUR) - 1
    for tally, whole in zip(ledger.book(slot), shared.book(slot), strict=True):
        join(tally, rows)
        tally.confusion.update(actual, predicted)
        tally.confusion.update(actual[:corrected], predicted[:corrected], -1)
        tally.confusion.update(predicted[:corrected], predicted[:corrected])
        if classes == 2:
            tally.losses.update_binary(score, actual == 1)
            whole.scores().update(score, actual == 1)
    return ledger, shared


def snapshot(task: Task, classes: Classes = (), **series: Any) -> Snapshot:
    """Return a snapshot of one model as a process and a store know it."""
    series = {"model": "fraud", "version": "2026.10", "rows": 400, **series}
    key = (series["model"], series["version"])
    if isinstance(task, Regression):
        ledger, shared = Ledger(), Ledger()
        truth = rng().normal(size=series["rows"])
        for tally in ledger.book(int(NOW // HOUR)):
            join(tally, series["rows"])
            tally.residuals.update(truth, truth + 0.1)
    elif isinstance(task, Multilabel):
        ledger, shared = Ledger(), Ledger()
        flags = rng().integers(0, 2, (2, series["rows"], len(classes))).astype(np.uint8)
        for tally in ledger.book(int(NOW // HOUR)):
            join(tally, series["rows"])
            tally.multilabel(len(classes)).update(flags[0], flags[1])
    else:
        ledger, shared = class_ledger(len(classes), series["rows"])
        for tally in ledger.book(int(NOW // HOUR) - 1):
            for value in classes:
                tally.counts("accepted").add((value,), 2 * series["rows"] // len(classes))
    single = () if isinstance(task, Multilabel) else classes  # several labels per row are counted under none
    process = process_ledger(predicted=tuple((value,) for value in single) or ((),))
    return of_parts(
        {key: SeriesPart(task, (), {(): process}, active={(): 2})},
        {key: SeriesPart(task, classes, {(): ledger}, shared)},
    )


def of_parts(process: dict[Any, SeriesPart], store: dict[Any, SeriesPart]) -> Snapshot:
    """Return a snapshot of one process and one store."""
    own, joined = Tally(), Tally()
    own.counts("self:dropped").add(("buffer_full",), 4)
    own.counts("exporter_failures").add(("log", "OSError"), 2)
    own.counts("store_errors").add(("locked",), 3)
    own.counts("store_spooled").add((), 17)
    own.durations("store_latency:predict").update(np.array([10**6, 2 * 10**6]))
    joined.counts("transitions").add(("none", "early"), 9)
    joined.counts("transitions").add(("early", "orphaned"), 2)
    joined.counts("label_events").add(("early",), 9)
    return Snapshot(
        (
            Part("host:1", 1, "process", NOW, HOUR, process, own),
            Part("memory", 1, "store", NOW, HOUR, store, joined),
        )
    )


BINARY = Binary(positive="fraud", negative="ok")
WORLDS: dict[str, Snapshot] = {
    "binary": snapshot(BINARY, ("ok", "fraud")),
    "multiclass": snapshot(Multiclass(), ("cat", "dog", 3, "3")),
    "many classes": snapshot(Multiclass(), tuple(f"c{n}" for n in range(40)), rows=4000),
    "multilabel": snapshot(Multilabel(classes=("red", "green", "blue")), ("red", "green", "blue")),
    "regression": snapshot(Regression()),
    "empty": Snapshot(),
}
