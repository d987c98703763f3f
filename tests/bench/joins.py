"""The join: labels that meet predictions, and the whole way from call to confusion matrix."""

from __future__ import annotations

import uuid
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
    ids = {"int64": rng.permutation(10 * awaiting)[:awaiting], "uuid": texts, "library": []}
    monitors = {name: Monitor(max_awaiting=4 * awaiting) for name in ids}
    ids["library"] = issued(monitors["library"], predicted)
    for name in ("int64", "uuid"):
        for first in range(0, awaiting, BATCH):
            rows = slice(first, first + BATCH)
            monitors[name].predictions(ids[name][rows], predicted[rows], model="m", task=Multiclass())
    variants = {
        name: Variant(Batches(held, truths, order, monitors[name].labels).run, BATCH) for name, held in ids.items()
    }
    pending = dict(zip(texts, predicted.tolist(), strict=True))
    variants["dict"] = Variant(Batches(texts, truths, order, popping(pending)).run, BATCH)
    numbers = ids["int64"].tolist()
    pending_numbers = dict(zip(numbers, predicted.tolist(), strict=True))
    variants["dict, int"] = Variant(Batches(numbers, truths, order, popping(pending_numbers)).run, BATCH)
    absent = []
    try:
        variants["pandas"] = merging(ids["int64"], predicted, truths, rng)
    except ImportError as error:
        absent = [missing("label join", "pandas", error)]
    found = race(variants, rounds=rounds)
    for name, monitor in monitors.items():
        joined = monitor.snapshot()["m"].transitions["pending", "joined"]
        if joined != BATCH * (rounds + 2):
            found.pop(name)
            absent.append(Figure(f"label join, {name}", None, note=f"only {joined} of {BATCH * (rounds + 2)} joined"))
    return [
        per_second(found, "library", "dict", "labels joined per second: library ids (list of text)", Goal(6, least=True)),
        per_second(found, "int64", "dict, int", "labels joined per second: int64 array", Goal(5, least=True)),
        per_second(found, "uuid", "dict", "labels joined per second: uuid texts (list)", Goal(2.5, least=True)),
        per_second(found, "int64", "pandas", "labels joined per second: int64 array, beside merge of 100,000"),
        *absent,
    ]


def whole(budget: Budget) -> list[Figure]:
    """Time a call, its drain, its label and its place in the matrix, beside the naive stack."""

    def predict(order, features):  # noqa: ARG001
        return 1

    rounds = budget.rounds(41)
    others = budget.rows(200_000, 50_000)
    monitor = Monitor(max_awaiting=4 * (others + EVENTS * (rounds + 2)))
    watched = monitor(model="m", task=Multiclass(), id="order")(own(predict))
    monitor.predictions(uuids(others, seed=2), np.ones(others, np.int64), model="m", task=Multiclass())
    pending, cells = dict.fromkeys(uuids(others, seed=2), 1), Counter[tuple[int, int]]()
    ids: list[str] = []
    late: list[str] = []
    truths: list[int] = []
    numbers = count(3)
    random = Random(3)

    def renew() -> None:
        ids[:] = uuids(EVENTS, seed=next(numbers))
        late[:] = random.sample(ids, EVENTS)
        truths[:] = random.choices(range(CLASSES), k=EVENTS)

    def bare() -> None:
        for ident in ids:
            plain(ident, None)

    def ours() -> None:
        for ident in ids:
            watched(ident, None)
        monitor.labels(late, truths)

    def naive(call: Callable[..., int]) -> Callable[[], None]:
        def run() -> None:
            for ident in ids:
                pending[ident] = call(ident, None)
            for ident, truth in zip(late, truths, strict=True):
                known = pending.pop(ident, None)
                if known is not None:
                    cells[truth, known] += 1

        return run

    plain = own(predict)
    variants = {
        "bare": Variant(bare, EVENTS, prepare=renew),
        "ours": Variant(ours, EVENTS, "bare", prepare=renew),
    }
    absent = []
    try:
        variants["naive"] = Variant(naive(anchors.prometheus(own(predict))), EVENTS, "bare", prepare=renew)
    except ImportError as error:
        absent = [missing("end to end", "prom + dict + Counter", error)]
    found = race(variants, rounds=rounds)
    return [
        against(found, "ours", "naive", "call + drain + join + confusion, uuid ids", Goal(1200), shown="prom + dict + Counter"),
        against(found, "ours", "naive", "the same against the naive stack", Goal(0.4, "ratio"), shown="prom + dict + Counter"),
        *absent,
    ]


class Batches:
    """Deliver one batch of labels after the other, in a random order of ids."""

    def __init__(self, ids: Any, truths: Any, order: Any, deliver: Callable[[Any, Any], object]) -> None:
        """Cut all batches ahead."""
        self.deliver = deliver
        listed = isinstance(ids, list)
        self.cut = []
        for first in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[first : first + BATCH]
            self.cut.append(([ids[row] for row in rows] if listed else ids[rows], truths[rows]))
        self.next = 0

    def run(self) -> None:
        """Deliver the next batch."""
        ids, truths = self.cut[self.next]
        self.next += 1
        self.deliver(ids, truths)


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
    random = Random(seed)
    return [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(size)]


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
