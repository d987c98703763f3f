"""Contests of durable stores: every contestant gets the same events, turn by turn, and what counts is wall time.

A store's work is done partly in a server, and partly later (merging, folding), so neither processor time of this
process nor the best of many rounds would be fair: figures are sustained, all events by all the time they took.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from random import Random
from statistics import median
from time import perf_counter, process_time, time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from joins import uuids

from modelmon import Binary, Monitor
from modelmon.columns import Column, encode_classes, encode_ids
from modelmon.events import Predictions

if TYPE_CHECKING:
    from collections.abc import Mapping


class Contestant(Protocol):
    """Take predictions, then labels for them."""

    name: str

    def predict(self, ids: list[str], classes: list[int], scores: list[float]) -> None:
        """Keep predictions."""
        ...

    def label(self, ids: list[str], truths: list[int]) -> None:
        """Join labels."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Ours:
    """A monitor on a store: labels by its public call, predictions as its flushing thread hands them over."""

    name = "ours"

    def __init__(self, store: Any) -> None:
        """Begin with nothing awaiting."""
        self.monitor = Monitor(store=store, max_awaiting=50_000_000)
        self.monitor.snapshot()
        self._store = store

    def predict(self, ids: list[str], classes: list[int], scores: list[float]) -> None:
        """Keep predictions."""
        n = len(ids)
        page = Column(np.zeros(n, np.int32), ((),))
        columns = {"classes": encode_classes(classes), "scores": np.array(scores)}
        self._store.predict(Predictions("m", "", Binary(), encode_ids(ids), np.full(n, time()), page, **columns))

    def label(self, ids: list[str], truths: list[int]) -> None:
        """Join labels."""
        self.monitor.labels(ids, truths)

    def close(self) -> None:
        """Let go."""
        self.monitor.close()


@dataclass
class Spent:
    """Hold what batches took, in seconds: by the clock, and of this process's processor time."""

    events: int = 0
    wall: list[float] = field(default_factory=list)
    processor: float = 0.0

    @property
    def rate(self) -> float:
        """Thousand events a second, sustained."""
        return self.events / sum(self.wall) / 1e3

    @property
    def usual(self) -> float:
        """Thousand events a second of the median batch."""
        return self.events / len(self.wall) / median(self.wall) / 1e3

    @property
    def each(self) -> float:
        """Microseconds of this process's processor time per event."""
        return self.processor / self.events * 1e6


class Contest:
    """Feed contestants; labels come in random order, for any prediction that awaits one."""

    def __init__(self, contestants: Mapping[str, Contestant], *, seed: int = 1) -> None:
        """Begin with nothing awaiting."""
        self.contestants = dict(contestants)
        self._random, self._seed = Random(seed), seed * 1_000_000
        self._awaiting: list[str] = []

    def fill(self, n: int, batch: int = 8192) -> None:
        """Let so many predictions await their labels, untimed."""
        for start in range(0, n, batch):
            ids, classes, scores = self._predictions(min(batch, n - start))
            for contestant in self.contestants.values():
                contestant.predict(ids, classes, scores)
        self._random.shuffle(self._awaiting)

    def run(self, batch: int, rounds: int, names: list[str] | None = None) -> dict[str, tuple[Spent, Spent]]:
        """Return what each contestant spent on predictions and on labels, in batches of one size."""
        names = [*(names or self.contestants)]
        found = {name: (Spent(), Spent()) for name in names}
        gc.collect()
        for number in range(-1, rounds):
            ids, classes, scores = self._predictions(batch)
            late, self._awaiting = self._awaiting[:batch], self._awaiting[batch:]
            truths = self._random.choices((0, 1), k=batch)
            self._random.shuffle(names)
            for name in names:
                contestant = self.contestants[name]
                for spent, act, columns in (
                    (found[name][0], contestant.predict, (ids, classes, scores)),
                    (found[name][1], contestant.label, (late, truths)),
                ):
                    if number >= 0:
                        _time(spent, act, columns)
                    else:
                        act(*columns)
        return found

    def _predictions(self, n: int) -> tuple[list[str], list[int], list[float]]:
        self._seed += 1
        ids = uuids(n, seed=self._seed)
        scores = [self._random.random() for _ in range(n)]
        self._awaiting += ids
        return ids, [int(score >= 0.5) for score in scores], scores

    def close(self) -> None:
        """Let go of all contestants."""
        for contestant in self.contestants.values():
            contestant.close()


def _time(spent: Spent, act: Any, columns: tuple[Any, ...]) -> None:
    started, busy = perf_counter(), process_time()
    act(*columns)
    spent.wall.append(perf_counter() - started)
    spent.processor += process_time() - busy
    spent.events += len(columns[0])
