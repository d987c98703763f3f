"""Exemplars: a few traced calls that stand for their like; of each outcome and bucket the newest, of each wrong cell.

A prediction is wrong once its label says so. For that the newest traced predictions with an id are kept: the hash of
the id, the class and the trace; nothing else of what went in or came out.
A label that reaches another process finds nothing.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from modelmon.parts import Exemplar
from modelmon.points.instruments import DURATION_BOUNDS
from modelmon.tasks import Binary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.columns import Ids
    from modelmon.events import Labels
    from modelmon.outputs import Reading
    from modelmon.parts import ClassValue, Slice
    from modelmon.tasks import Task

MOST: Final = 256  # exemplars of one model and version
_AWAITING: Final = 4096  # predictions of one, that await their label
_SEED: Final = int.from_bytes(os.urandom(16), "little")
_NUMBER, _OBJECT = 1, 2  # kinds of truths
_Traced = tuple[float, "Slice", Any]  # when it ended, its slice, and the context of its span


class Exemplars:
    """Hold the exemplars of one model and version.

    Attributes:
        traced: calls whose predictions were not read yet, by their start.
    """

    __slots__ = ("_awaiting", "_held", "traced")

    def __init__(self) -> None:
        """Start empty."""
        self._held: dict[Any, Exemplar] = {}
        self._awaiting: dict[tuple[int, int], tuple[ClassValue, _Traced]] = {}
        self.traced: dict[int, _Traced] = {}

    def frozen(self) -> tuple[Exemplar, ...]:
        """Return all exemplars."""
        return tuple(self._held.values())

    def note(self, traces: list[Any], offset: int, *, awaits: bool) -> None:
        """Take what was noted of traced calls out of a list.

        Args:
            traces: as `modelmon.probes.tracing` notes them.
            offset: nanoseconds to add to a monotonic stamp for wall time.
            awaits: whether the predictions of these calls await labels.
        """
        n = len(traces)
        taken = traces[:n]
        del traces[:n]
        newest: dict[Any, Any] = {}
        for trace in reversed(taken):
            start, end, outcome, page, _ = trace
            newest.setdefault((outcome, page, bisect_left(DURATION_BOUNDS, (end - start) / 1e9)), trace)
        for key, (start, end, outcome, page, span) in reversed(newest.items()):
            self._keep(("duration", *key), max(end - start, 0) / 1e9, (outcome,), ((end + offset) / 1e9, page, span))
        if awaits:
            self.traced |= {
                start: ((end + offset) / 1e9, page, span) for start, end, _, page, span in taken[-_AWAITING:]
            }
            _trim(self.traced, _AWAITING)

    def read(self, starts: Sequence[int], reading: Reading) -> None:
        """Remember what traced calls predicted; ``starts`` are those of the calls read."""
        calls = {call: self.traced.pop(start) for call, start in enumerate(starts) if start in self.traced}
        if not calls or reading.ids is None or reading.classes is None:
            return
        rows = np.flatnonzero(np.isin(reading.rows, list(calls)))[-_AWAITING:]
        values = reading.classes.take(rows).tolist()
        for key, call, value in zip(_keys(reading.ids.take(rows)), reading.rows[rows].tolist(), values, strict=True):
            if value is not None:
                self._awaiting[key] = (value, calls[call])
        _trim(self._awaiting, _AWAITING)

    def judge(self, labels: Labels, task: Task | None, classes: Sequence[ClassValue]) -> None:
        """Keep the traced predictions that labels say are wrong."""
        low = np.fromiter((key[0] for key in self._awaiting), np.uint64, len(self._awaiting))
        found = np.flatnonzero(labels.ids.valid & np.isin(labels.ids.hashes(_SEED)[0], low))
        truths = labels.truths.take(found)
        for place, key in enumerate(_keys(labels.ids.take(found))):
            kind = int(truths.kind[place])
            if kind not in {_NUMBER, _OBJECT} or key not in self._awaiting:
                continue
            given = truths.number[place].item() if kind == _NUMBER else truths.objects[truths.codes[place]]
            predicted, traced = self._awaiting.pop(key)
            actual = _class_of(given, task, classes, textual=labels.textual)
            if actual is not None and actual != predicted:
                own = (actual, predicted)
                self._keep(("confusion", traced[1], *own), 1.0, own, traced)

    def forget(self, ids: Ids) -> None:
        """Keep nothing of predictions under these ids."""
        for key in _keys(ids):
            self._awaiting.pop(key, None)

    @property
    def awaits(self) -> bool:
        """Whether a label could find anything."""
        return bool(self._awaiting)

    def _keep(self, key: tuple[Any, ...], value: float, own: tuple[ClassValue, ...], traced: _Traced) -> None:
        at, page, span = traced
        self._held.pop(key, None)  # the newest last
        self._held[key] = Exemplar(key[0], page, own, value, at, f"{span.trace_id:032x}", f"{span.span_id:016x}")
        _trim(self._held, MOST)


def _class_of(given: Any, task: Task | None, classes: Sequence[ClassValue], *, textual: bool) -> ClassValue | None:
    """Return the class that a truth means; None where it is none of the task's."""
    if not isinstance(given, (int, float, str)):
        return None
    same = [value for value in classes if value == given or (textual and str(value) == str(given))]
    if same:
        return same[0]
    if isinstance(task, Binary):
        return task.shown_negative if task.negative is None else None
    if task is not None and task.declared is not None:
        return None
    return int(given) if isinstance(given, float) and given.is_integer() else given


def _keys(ids: Ids) -> list[tuple[int, int]]:
    low, high = ids.hashes(_SEED)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _trim(held: dict[Any, Any], most: int) -> None:
    while len(held) > most:
        del held[next(iter(held))]
