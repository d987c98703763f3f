"""The join: labels that meet predictions, and the whole way from call to confusion matrix."""

from __future__ import annotations

import json
from collections import Counter
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

import anchors
import numpy as np
from calls import against, own
from figures import Figure, Goal, missing
from timing import Timing, Variant, race

from modelmon import Monitor, Multiclass, current_prediction_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from budget import Budget

BATCH = 16_384
CLASSES = 10
EVENTS = 12_288
MERGED = 100_000


def labels(budget: Budget) -> list[Figure]:
    """Time labels that join awaiting predictions, in random order."""
    rounds = budget.rounds(41)
    awaiting = max(BATCH * (rounds + 2), budget.rows(1_000_000, 0))
    rng = np.random.default_rng(5)
    predicted, truths = rng.integers(0, CLASSES, awaiting), rng.integers(0, CLASSES, awaiting)
    order = rng.permutation(awaiting)
    texts = uuids(awaiting, seed=1)
    ids = {"int64": rng.integers(0, 1 << 62, awaiting), "uuid": texts, "library": []}
    monitors = {name: Monitor(max_awaiting=4 * awaiting) for name in ids}
    ids["library"] = issued(monitors["library"], predicted)
    for name in ("int64", "uuid"):
        for first in range(0, awaiting, BATCH):
            rows = slice(first, first + BATCH)
            monitors[name].predictions(ids[name][rows], predicted[rows], model="m", task=Multiclass())
    variants = {name: Batches(held, truths, order, monitors[name].labels).variant() for name, held in ids.items()}
    pending = dict(zip(texts, predicted.tolist(), strict=True))
    variants["dict"] = Batches(texts, truths, order, popping(pending)).variant()
    numbers = ids["int64"].tolist()
    pending_numbers = dict(zip(numbers, predicted.tolist(), strict=True))
    variants["dict, int"] = Batches(numbers, truths, order, popping(pending_numbers)).variant()
    absent = []
    try:
        variants["pandas"] = merging(ids["int64"], predicted, truths, rng)
    except ImportError:
        absent = [missing("label join", "pandas")]
    found = race(variants, rounds=rounds)
    for name, monitor in monitors.items():
        joined = monitor.snapshot()["m"].transitions["pending", "joined"]
        if joined != BATCH * (rounds + 2):
            found.pop(name)
            absent.append(Figure(f"label join, {name}", None, note=f"only {joined} of {BATCH * (rounds + 2)} joined"))
    return [
        per_second(
            found, "library", "dict", "labels joined per second: library ids (list of text)", Goal(6, least=True)
        ),
        per_second(found, "int64", "dict, int", "labels joined per second: int64 array", Goal(5, least=True)),
        per_second(found, "uuid", "dict", "labels joined per second: uuid texts (list)", Goal(2.5, least=True)),
        per_second(found, "int64", "pandas", "the same beside a merge of two tables of 100,000"),
        *absent,
    ]


def whole(budget: Budget) -> list[Figure]:
    """Time a call, its drain, its label and its place in the matrix, beside the naive stack."""
    rounds = budget.rounds(41)
    others = uuids(budget.rows(200_000, 50_000), seed=2)
    monitor = Monitor(max_awaiting=4 * (len(others) + EVENTS * (rounds + 2)))
    watched = monitor(model="m", task=Multiclass(), id="order")(own(predict))
    monitor.predictions(others, np.ones(len(others), np.int64), model="m", task=Multiclass())
    stream, naive = Stream(), Naive(others)
    variants = {
        "bare": Variant(lambda: stream.call(stream.bare), EVENTS, prepare=stream.renew),
        "ours": Variant(lambda: stream.deliver(watched, monitor.labels), EVENTS, "bare", prepare=stream.renew),
    }
    absent = []
    try:
        counted = anchors.prometheus(own(predict))
        variants["naive"] = Variant(lambda: naive.run(counted, stream), EVENTS, "bare", prepare=stream.renew)
    except ImportError:
        absent = [missing("end to end", "prom + dict + Counter")]
    found = race(variants, rounds=rounds)
    peer = "prom + dict + Counter"
    return [
        against(found, "ours", "naive", "call + drain + join + confusion, uuid ids", Goal(1200), shown=peer),
        against(found, "ours", "naive", "the same against the naive stack", Goal(0.4, "ratio"), shown=peer),
        *absent,
    ]


def predict(order, features):
    """Predict."""
    return 1


class Stream:
    """Hold the ids of one round's calls, and their labels in another order."""

    def __init__(self) -> None:
        """Begin; ``renew`` draws the first ids."""
        self.ids: list[str] = []
        self.late: list[str] = []
        self.truths: list[int] = []
        self.bare = own(predict)
        self._seeds = count(3)
        self._random = Random(3)

    def renew(self) -> None:
        """Draw fresh ids and labels."""
        self.ids = uuids(EVENTS, seed=next(self._seeds))
        self.late = parsed(self._random.sample(self.ids, EVENTS))
        self.truths = self._random.choices(range(CLASSES), k=EVENTS)

    def call(self, function: Callable[..., int]) -> None:
        """Make the calls."""
        for ident in self.ids:
            function(ident, None)

    def deliver(self, function: Callable[..., int], labels: Callable[[Any, Any], object]) -> None:
        """Make the calls, then deliver the labels."""
        for ident in self.ids:
            function(ident, None)
        labels(self.late, self.truths)


class Naive:
    """Join as one writes it in an afternoon: a dict of predictions, a Counter of cells."""

    def __init__(self, others: list[str]) -> None:
        """Let others await their labels too."""
        self.pending = dict.fromkeys(others, 1)
        self.cells: Counter[tuple[int, int]] = Counter()

    def run(self, function: Callable[..., int], stream: Stream) -> None:
        """Make the calls, then deliver the labels."""
        pending, cells = self.pending, self.cells
        for ident in stream.ids:
            pending[ident] = function(ident, None)
        for ident, truth in zip(stream.late, stream.truths, strict=True):
            known = pending.pop(ident, None)
            if known is not None:
                cells[truth, known] += 1


class Batches:
    """Deliver one batch of labels after the other, in a random order of ids."""

    def __init__(self, ids: Any, truths: Any, order: Any, deliver: Callable[[Any, Any], object]) -> None:
        """Begin at the first batch."""
        self.ids, self.truths, self.order, self.deliver = ids, truths, order, deliver
        self.batch: tuple[Any, Any] = ((), ())
        self.next = 0

    def prepare(self) -> None:
        """Cut the next batch; texts are new objects, as a parser makes them."""
        rows = self.order[self.next : self.next + BATCH]
        self.next += BATCH
        listed = isinstance(self.ids, list)
        self.batch = parsed([self.ids[row] for row in rows]) if listed else self.ids[rows], self.truths[rows]

    def run(self) -> None:
        """Deliver the batch."""
        self.deliver(*self.batch)

    def variant(self) -> Variant:
        """Return it as a contestant."""
        return Variant(self.run, BATCH, prepare=self.prepare)


def parsed(texts: list[Any]) -> list[Any]:
    """Return equal but new objects, one after the other in memory."""
    return json.loads(json.dumps(texts))


def issued(monitor: Monitor, predicted: Any) -> list[str]:
    """Make calls that return these predictions, and return the ids that the library issued to them."""

    def predict(value):
        return value

    watched = monitor(model="m", task=Multiclass(), id="auto")(predict)
    found = []
    for value in predicted.tolist():
        watched(value)
        found += current_prediction_ids()
    monitor.flush()
    return found


def popping(pending: dict[Any, int]) -> Callable[[Any, Any], object]:
    """Return a join by dict: pop, and count the cells."""
    cells: Counter[tuple[int, int]] = Counter()

    def deliver(ids: Any, truths: Any) -> None:
        cells.update(zip(truths.tolist(), map(pending.pop, ids), strict=True))

    return deliver


def merging(ids: Any, predicted: Any, truths: Any, rng: Any) -> Variant:
    """Return a join by ``pandas.merge``."""
    import pandas as pd  # noqa: PLC0415  (a peer)

    left = pd.DataFrame({"id": ids[:MERGED], "predicted": predicted[:MERGED]})
    right = pd.DataFrame({"id": ids[:MERGED], "truth": truths[:MERGED]}).iloc[rng.permutation(MERGED)]
    return Variant(lambda: left.merge(right, on="id").groupby(["truth", "predicted"]).size(), MERGED, every=5)


def uuids(size: int, *, seed: int) -> list[str]:
    """Return so many uuids as text, the same for the same seed."""
    digits = Random(seed).randbytes(16 * size).hex()
    whole = (digits[first : first + 32] for first in range(0, 32 * size, 32))
    return [f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}" for text in whole]


def per_second(found: dict[str, Timing], ours: str, peer: str, name: str, goal: Goal | None = None) -> Figure:
    """Return a figure in millions per second, so that more is better; the ratio too."""
    theirs = found.get(peer)
    if ours not in found:
        return Figure(name, None, unit="M/s", goal=goal, note="they did not join")
    shown = {"dict": "dict pop + Counter", "dict, int": "dict pop + Counter", "pandas": "pandas merge + groupby"}[peer]
    return Figure(
        name,
        1e3 / found[ours].minimum,
        unit="M/s",
        median=1e3 / found[ours].median,
        peer=shown,
        peers=None if theirs is None else 1e3 / theirs.minimum,
        goal=goal,
    )
