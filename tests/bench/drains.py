"""The drain: what each buffered record costs when it is counted, and batches of predictions per row."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from calls import against, own
from figures import Figure, Goal
from timing import Variant, loop, race

from modelmon import Monitor, Multiclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from budget import Budget

RECORDS = 15_360  # below the high-water mark, so that nothing is drained before it is timed
ROWS = 10_000
BATCHES = 8
CLASSES = 10


class NoStore:
    """Take predictions and do nothing with them, to tell the drain from the join."""

    durable = shared = blocking = False

    def predict(self, predictions: Any) -> dict[str, int]:
        """Take them."""
        return {"pending": len(predictions.ids)}

    def open(self, settings: Any, clock: Any) -> None:
        """Begin."""


def records(budget: Budget) -> list[Figure]:
    """Time the drain per record."""
    monitor, apart = Monitor(max_awaiting=50_000_000), Monitor(store=NoStore())

    def timed_only(order, features):
        return None

    def predict(order, features):
        return 1

    task = {"task": Multiclass(), "model": "m"}
    watched = {
        "latency": (monitor, monitor(model="latency")(own(timed_only)), "int"),
        "prediction": (monitor, monitor(**task, version="none")(own(predict)), "int"),
        "library id": (monitor, monitor(**task, version="auto", id="auto")(own(predict)), "int"),
        "int id": (monitor, monitor(**task, version="int", id="order")(own(predict)), "int"),
        "text id": (monitor, monitor(**task, version="text", id="order")(own(predict)), "text"),
        "library id, no store": (apart, apart(**task, version="auto", id="auto")(own(predict)), "int"),
        "int id, no store": (apart, apart(**task, version="int", id="order")(own(predict)), "int"),
        "text id, no store": (apart, apart(**task, version="text", id="order")(own(predict)), "text"),
    }
    variants = {
        name: Variant(holder.flush, RECORDS, prepare=filling(function, kind))
        for name, (holder, function, kind) in watched.items()
    }
    found = race(variants, rounds=budget.rounds(41))
    text = "drain per record"
    return [
        alone(found, "latency", f"{text}: latency only", Goal(8)),
        alone(found, "prediction", f"{text}: with prediction"),
        alone(found, "library id", f"{text}: with prediction and library id, join included", Goal(100)),
        alone(found, "library id, no store", f"{text}: the same without the store"),
        alone(found, "text id", f"{text}: with text id, join included", Goal(250)),
        alone(found, "text id, no store", f"{text}: the same without the store"),
        alone(found, "int id", f"{text}: with int id, join included", Goal(250)),
        alone(found, "int id, no store", f"{text}: the same without the store"),
    ]


def batches(budget: Budget) -> list[Figure]:
    """Time calls that return ten thousand predictions, per row: copy and drain."""
    monitor = Monitor()
    rng = np.random.default_rng(3)
    classes = rng.integers(0, CLASSES, ROWS)
    probabilities = rng.dirichlet(np.ones(CLASSES), ROWS)
    texts = np.array([f"class {code}" for code in range(CLASSES)])[classes]
    outputs = {"classes": classes, "probabilities": probabilities, "texts": texts, "list": classes.tolist()}
    variants = {"bare": Variant(loop(own(lambda output: output), "given", BATCHES, given=classes), BATCHES * ROWS)}
    for name, given in outputs.items():
        function = monitor(model=name, task=Multiclass())(own(lambda output: output))
        timed = loop(function, "given", BATCHES, given=given)
        variants[name] = Variant(both(timed, monitor.flush), BATCHES * ROWS, "bare", prepare=monitor.flush)
    found = race(variants, rounds=budget.rounds(41))
    text = "batch of 10,000 rows, per row"
    return [
        alone(found, "classes", f"{text}: classes (int64)", Goal(15)),
        alone(found, "probabilities", f"{text}: probabilities of 10 classes", Goal(40)),
        alone(found, "texts", f"{text}: classes (numpy text)"),
        alone(found, "list", f"{text}: classes (list of int)"),
    ]


def filling(function: Callable[..., Any], kind: str) -> Callable[[], None]:
    """Return what makes so many calls with fresh ids."""
    numbers = count()

    def fill() -> None:
        first = RECORDS * next(numbers)
        wanted = range(first, first + RECORDS)
        for ident in [f"order-{number}" for number in wanted] if kind == "text" else wanted:
            function(ident, None)

    return fill


def both(first: Callable[[], Any], second: Callable[[], Any]) -> Callable[[], None]:
    """Return one after the other."""

    def run() -> None:
        first()
        second()

    return run


def alone(found: dict[str, Any], name: str, shown: str, goal: Goal | None = None) -> Figure:
    """Return one figure without a peer."""
    figure = against(found, name, "", shown, goal)
    return Figure(figure.name, figure.ours, median=figure.median, goal=goal)
