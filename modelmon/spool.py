"""The spool: predictions on their way to a store that waits for input and output, oldest first, bounded.

Rules:

1. Everything here happens with the recorder's lock held, except that any thread may read the counters.
2. What is being written stays in `hand` until it is confirmed: an interruption repeats it, which the store counts as
   duplicates, and never loses it.
3. Past the bound the oldest rows go, counted; the newest batch stays whole, however large.
4. Predictions of one model and version keep their order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import fields, replace
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from modelmon.columns import Column, Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelmon.events import Predictions
    from modelmon.parts import SeriesKey

MOST_ROWS: Final = 100_000
MOST_BYTES: Final = 64 << 20
TOGETHER: Final = 8192
_MARKS: Final = 256
_ARRAYS: Final = ("scores", "flags", "best")


class Spool:
    """Hold predictions until they are written.

    Attributes:
        hand: what is being written, or None.
        came: rows that came in so far.
        written: rows that were written so far.
        dropped: rows that went because there was no room.
    """

    __slots__ = ("_bytes", "_full", "_marks", "_numbers", "_waiting", "came", "dropped", "hand", "most", "written")

    def __init__(self, full: Callable[[], object], most: int = MOST_ROWS) -> None:
        """Start empty; ``full`` is called where many rows wait, and may do no more than wake somebody."""
        self.most = most
        self.hand: Predictions | None = None
        self.came = self.written = self.dropped = 0
        self._full = full
        self._waiting: dict[SeriesKey, deque[tuple[int, Predictions]]] = {}
        self._marks: deque[tuple[int, float]] = deque()
        self._numbers = 0
        self._bytes = 0

    @property
    def rows(self) -> int:
        """Rows that are not written yet."""
        return self.came - self.written - self.dropped

    @property
    def crowded(self) -> bool:
        """Whether so many rows wait that they should be written now."""
        return self.rows >= TOGETHER

    def predict(self, predictions: Predictions) -> Mapping[str, int]:
        """Take predictions; what becomes of them is known only once they are written."""
        if not len(predictions.ids):
            return {}
        self._numbers += 1
        key = (predictions.model, predictions.version)
        self._waiting.setdefault(key, deque()).append((self._numbers, predictions))
        self.came += len(predictions.ids)
        self._mark()
        self._bytes += weight(predictions)
        self._bound()
        if self.crowded:
            self._full()
        return {}

    def next(self) -> Predictions | None:
        """Return what is to be written now: what is in hand, or the oldest rows of one model and version."""
        if self.hand is None and self._waiting:
            key = self._oldest()
            queue = self._waiting[key]
            batches = _alike([batch for _, batch in queue])
            self.hand = rows_of(merged(batches), slice(0, TOGETHER))
            self._take(key, len(self.hand.ids))
        return self.hand

    def done(self) -> None:
        """Let go of what was in hand: it is written."""
        if self.hand is not None:
            n, self.hand = len(self.hand.ids), None
            self.written += n

    def discard(self) -> int:
        """Drop what is in hand and return how many rows that were; they count as written here, not as dropped."""
        n = 0 if self.hand is None else len(self.hand.ids)
        self.done()
        return n

    def lag(self) -> float:
        """Return for how many seconds rows have been waiting, as if they were written in the order they came."""
        gone = self.written + self.dropped
        while self._marks and self._marks[0][0] <= gone:
            self._marks.popleft()
        return max(0.0, monotonic() - self._marks[0][1]) if self._marks else 0.0

    def _mark(self) -> None:
        """Note when rows came; of many batches that wait, every other note is forgotten."""
        self.lag()
        self._marks.append((self.came, monotonic()))
        if len(self._marks) > _MARKS:
            self._marks = deque(islice(self._marks, 0, None, 2))

    def _bound(self) -> None:
        while self.rows > self.most or self._bytes > MOST_BYTES:
            key = self._oldest()
            number, batch = self._waiting[key][0]
            if number == self._numbers:
                return
            excess = self.rows - self.most if self.rows > self.most else len(batch.ids)
            self.dropped += self._take(key, min(excess, len(batch.ids)))

    def _oldest(self) -> SeriesKey:
        return min(self._waiting, key=lambda key: self._waiting[key][0][0])

    def _take(self, key: SeriesKey, n: int) -> int:
        """Remove the first ``n`` rows of a model and version and return ``n``."""
        queue, left = self._waiting[key], n
        while left:
            number, batch = queue[0]
            size = len(batch.ids)
            if size > left:
                rest = rows_of(batch, slice(left, None))
                queue[0] = (number, rest)
                self._bytes += weight(rest) - weight(batch)
                break
            queue.popleft()
            self._bytes -= weight(batch)
            left -= size
        if not queue:
            del self._waiting[key]
        return n


def weight(batch: Predictions) -> int:
    """Return about how many bytes a batch takes."""
    held = [batch.times, batch.ids.integers, batch.ids.text, *(getattr(batch, name) for name in _ARRAYS)]
    return 8 * len(batch.ids) + sum(int(array.nbytes) for array in held if array is not None)


def rows_of(batch: Predictions, rows: slice) -> Predictions:
    """Return some rows of a batch; all of them are the batch itself."""
    if rows.start == 0 and rows.stop is not None and rows.stop >= len(batch.ids):
        return batch
    changed: dict[str, Any] = {name: None for name in _ARRAYS if getattr(batch, name) is None}
    changed |= {name: getattr(batch, name)[rows] for name in ("times", *_ARRAYS) if name not in changed}
    classes = None if batch.classes is None else batch.classes.take(rows)
    return replace(batch, ids=batch.ids.take(rows), slices=batch.slices.take(rows), classes=classes, **changed)


def _alike(batches: Sequence[Predictions]) -> list[Predictions]:
    """Return the first batches that can be one, up to about as many rows as are written together."""
    taken, rows, kind = [], 0, _kind(batches[0])
    for batch in batches:
        if rows >= TOGETHER or _kind(batch) != kind:
            break
        taken.append(batch)
        rows += len(batch.ids)
    return taken


def _kind(batch: Predictions) -> tuple[Any, ...]:
    shapes = [None if array is None else array.shape[1:] for array in (getattr(batch, name) for name in _ARRAYS)]
    return (batch.ids.text is None, batch.classes is None, batch.task, batch.columns, *shapes)


def merged(batches: Sequence[Predictions]) -> Predictions:
    """Return batches of one model, version and kind as one, in their order."""
    first = batches[0]
    if len(batches) == 1:
        return first
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(batch, name) for batch in batches])
        for name in ("times", *_ARRAYS)
        if getattr(first, name) is not None
    }
    ids = {
        field.name: np.concatenate([getattr(batch.ids, field.name) for batch in batches])
        for field in fields(Ids)
        if getattr(first.ids, field.name) is not None
    }
    classes = [batch.classes for batch in batches if batch.classes is not None]
    return replace(
        first,
        ids=Ids(ids.get("integers"), ids.get("text"), ids["valid"]),
        slices=_joined([batch.slices for batch in batches]),
        classes=_joined(classes) if classes else None,
        **arrays,
    )


def _joined(columns: Sequence[Column]) -> Column:
    """Return columns one after another, each distinct value once."""
    first = columns[0]
    if all(column.values == first.values for column in columns[1:]):
        return Column(np.concatenate([column.codes for column in columns]), first.values)
    places: dict[tuple[type, Any], int] = {}
    codes = []
    for column in columns:
        table = [places.setdefault((type(value), value), len(places)) for value in column.values]
        # The codes of what is missing (-1) and invalid (-2) count from the end, where they find themselves.
        codes.append(np.array([*table, -2, -1], np.int32)[column.codes])
    return Column(np.concatenate(codes), tuple(value for _, value in places))
