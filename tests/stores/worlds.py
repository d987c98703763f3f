"""Drive a store with plain values, and read its counts back as plain dictionaries."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from modelmon.columns import Column, encode_classes, encode_ids
from modelmon.events import Labels, Predictions
from modelmon.stores.contract import JoinSettings
from modelmon.stores.memory import MemoryStore
from modelmon.tasks import Multiclass, Regression
from modelmon.truths import truths

RETRACT = object()


class HandClock:
    """A clock that stands still until told otherwise."""

    def __init__(self, now: float = 0.0) -> None:
        """Start at ``now`` seconds."""
        self.now = now

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self.now

    def monotonic_ns(self) -> int:
        """Return the same in nanoseconds."""
        return round(self.now * 1e9)


class World:
    """A store, its clock, and short ways to tell it things."""

    def __init__(self, store: Any = None, **settings: Any) -> None:
        """Open a store (a memory store unless given) at time 0."""
        self.clock = HandClock()
        self.store = MemoryStore() if store is None else store
        self.settings = JoinSettings(**settings)
        self.store.open(self.settings, self.clock)

    def predict(
        self,
        ids: Any,
        values: Any = None,
        *,
        model: str = "m",
        version: str = "",
        task: Any = None,
        at: Any = None,
        scores: Any = None,
        slices: Any = None,
        **columns: Any,
    ) -> dict[str, int]:
        """Take predictions; regressions go by scores."""
        n = len(ids)
        pages = tuple(dict.fromkeys(slices or [()]))
        codes = [pages.index(page) for page in slices] if slices else [0] * n
        return dict(
            self.store.predict(
                Predictions(
                    model,
                    version,
                    Multiclass() if task is None else task,
                    encode_ids(ids),
                    np.full(n, self.clock.now) if at is None else np.broadcast_to(np.asarray(at, float), (n,)).copy(),
                    Column(np.array(codes, np.int32), pages),
                    classes=None if values is None else encode_classes(values),
                    scores=None if scores is None else np.asarray(scores, float),
                    **columns,
                )
            )
        )

    def label(
        self,
        ids: Any,
        values: Any,
        *,
        at: Any = None,
        rev: Any = None,
        model: str | None = None,
        version: str | None = None,
        textual: bool = False,
    ) -> dict[str, int]:
        """Deliver labels; `RETRACT` among the values takes a label back."""
        n = len(ids)
        retracted = np.array([value is RETRACT for value in values], np.bool_)
        found = truths([None if value is RETRACT else value for value in values], textual=textual)
        kind = np.where(retracted, np.uint8(0), found.kind)
        instants = np.array([np.nan if a is None else a for a in _each(at, n)], float)
        revs = np.array([(np.nan, np.nan) if r is None else (r, 0.0) for r in _each(rev, n)], float).reshape(n, 2)
        given = type(found)(kind, found.number, found.codes, found.objects)
        return dict(self.store.label(Labels(encode_ids(ids), given, instants, revs, model, version, textual)))

    def counts(self, name: str, model: str = "m", version: str = "") -> dict[Any, int]:
        """Return counts of one series by key, all slices together, zeros left out."""
        found: Counter[Any] = Counter()
        for ledger in self.store.part().series[model, version].ledgers.values():
            if name in ledger.total:
                found.update(dict(ledger.total[name].items()))
        return {key[0] if len(key) == 1 else key: n for key, n in found.items() if n}

    def cells(self, side: str = "net", model: str = "m", version: str = "") -> dict[Any, int]:
        """Return confusion cells by (actual, predicted), zeros left out."""
        series = self.store.part().series[model, version]
        found: Counter[Any] = Counter()
        for ledger in series.ledgers.values():
            if "confusion" in ledger.total:
                found.update(as_cells(ledger.total["confusion"], series.classes, side))
        return {key: n for key, n in found.items() if n}


def as_cells(confusion: Any, classes: tuple[Any, ...], side: str = "net") -> dict[Any, int]:
    """Return a confusion matrix as {(actual, predicted): n}."""
    read = {"net": confusion.matrix, "added": confusion.added_matrix, "removed": confusion.removed_matrix}[side]
    matrix = read(len(classes))
    return {
        (classes[row], classes[column]): int(matrix[row, column])
        for row, column in zip(*np.nonzero(matrix), strict=True)
    }


def _each(value: Any, n: int) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * n


__all__ = ["RETRACT", "HandClock", "Regression", "World", "as_cells"]
