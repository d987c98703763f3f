"""Histograms of scores: exact until there are too many distinct ones, then coarser, always with known bounds.

State: sorted keys with the number of negatives and positives under each.
At shift 0 the keys are fine (one per score).
Past ``capacity`` distinct keys they become coarse, and shift s > 0 cuts s - 1 bits.
The shift reached by adding alone depends on the set of scores only, so shards merged in any order equal one pass.
Raw rows wait in a small buffer until there are enough to be worth sorting; every read takes them in first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.keys import ZONE_BITS, coarse_keys, fine_keys, hold_one_score, scores_of
from modelmon.accumulators.sparse import add_tables, count_keys, drop_empty, group_table, unite

if TYPE_CHECKING:
    from modelmon.accumulators.sparse import Flags, Floats, Ints, State

SMALLEST_CAPACITY = 8
BUFFER_ROWS = 1024


class ScoreHistogram:
    """Count rows by score and by whether they are positive.

    >>> histogram = ScoreHistogram()
    >>> histogram.update(np.array([0.1, 0.9, 0.9]), np.array([False, True, False]))
    >>> histogram.exact, histogram.negatives.tolist(), histogram.positives.tolist()
    (True, [1, 1], [0, 1])
    """

    __slots__ = ("_columns", "_held", "_held_flags", "_held_scores", "_held_sign", "_keys", "_shift", "capacity")

    def __init__(self, capacity: int = 2048) -> None:
        """Begin empty.

        Args:
            capacity: The most distinct keys kept, at least 8.

        Raises:
            ValueError: The capacity is below 8.
        """
        if capacity < SMALLEST_CAPACITY:
            message = f"a score histogram keeps at least {SMALLEST_CAPACITY} keys, not {capacity}"
            raise ValueError(message)
        self.capacity = capacity
        self._shift = 0
        self._keys: Ints = np.empty(0, np.int64)
        self._columns: Ints = np.empty((2, 0), np.int64)
        self._held = 0
        self._held_sign = 1
        self._held_scores: Floats | None = None
        self._held_flags: Flags | None = None

    def update(self, scores: Floats, positive: Flags, sign: int = 1) -> None:
        """Count rows, or take them away.

        Args:
            scores: float64[n]; a row whose score is nan has no place and is left out.
            positive: bool[n].
            sign: +1 or -1.
        """
        if sign != self._held_sign:
            self.flush()
            self._held_sign = sign
        n = scores.size
        if n >= BUFFER_ROWS:
            self._apply(scores, positive, sign)
            return
        if self._held + n > BUFFER_ROWS:
            self.flush()
        if self._held_scores is None or self._held_flags is None:
            self._held_scores, self._held_flags = np.empty(BUFFER_ROWS), np.empty(BUFFER_ROWS, np.bool_)
        self._held_scores[self._held : self._held + n] = scores
        self._held_flags[self._held : self._held + n] = positive
        self._held += n

    def flush(self) -> None:
        """Take in the rows that wait in the buffer."""
        if self._held_scores is None or self._held_flags is None:
            return
        scores, positive = self._held_scores[: self._held], self._held_flags[: self._held]
        self._held, self._held_scores, self._held_flags = 0, None, None
        self._apply(scores, positive, self._held_sign)

    def _apply(self, scores: Floats, positive: Flags, sign: int) -> None:
        positive = positive.astype(np.bool_, copy=False)
        unknown = np.isnan(scores)
        if unknown.any():
            scores, positive = scores[~unknown], positive[~unknown]
        if self._shift:
            keys = coarse_keys(np.ascontiguousarray(scores, np.float64)) >> (self._shift - 1)
        else:
            keys = fine_keys(np.ascontiguousarray(scores, np.float64))
        no_keys, no_counts = count_keys(keys[~positive])
        yes_keys, yes_counts = count_keys(keys[positive])
        united = unite(no_keys, yes_keys)
        columns = np.zeros((2, united.size), np.int64)
        columns[0, np.searchsorted(united, no_keys)] = sign * no_counts
        columns[1, np.searchsorted(united, yes_keys)] = sign * yes_counts
        self._add(united, columns)

    def _add(self, keys: Ints, columns: Ints) -> None:
        self._keys, self._columns = drop_empty(*add_tables(self._keys, self._columns, keys, columns))
        if self._keys.size > self.capacity:
            if not self._shift:
                self.coarsen(1)
            self.coarsen(self._shift + _excess(self._keys, self.capacity))

    def coarsen(self, shift: int) -> None:
        """Cut the keys down to ``shift``, unless they are as coarse already."""
        self.flush()
        if shift <= self._shift:
            return
        if not self._shift:
            self._keys = coarse_keys(scores_of(self._keys))
            self._shift = 1
        self._keys, self._columns = drop_empty(*group_table(self._keys >> (shift - self._shift), self._columns))
        self._shift = shift

    def shrink(self, capacity: int) -> None:
        """Keep at most ``capacity`` keys from now on."""
        self.flush()
        self.capacity = max(min(capacity, self.capacity), SMALLEST_CAPACITY)
        self._add(np.empty(0, np.int64), np.empty((2, 0), np.int64))

    @property
    def shift(self) -> int:
        """How coarse the keys are; 0 is exact."""
        self.flush()
        return self._shift

    @property
    def exact(self) -> bool:
        """Whether every key stands for one score."""
        return self.shift == 0

    @property
    def single(self) -> Flags:
        """Which keys are known to stand for one score, bool[n]."""
        self.flush()
        return hold_one_score(self._keys, self._shift - 1) if self._shift else np.ones(self._keys.size, np.bool_)

    @property
    def keys(self) -> Ints:
        """The keys, int64[n], strictly ascending."""
        self.flush()
        return self._keys

    @property
    def table(self) -> tuple[Ints, Ints]:
        """The keys, and (negatives, positives) under each as int64[2, n]."""
        self.flush()
        return self._keys, self._columns

    @property
    def negatives(self) -> Ints:
        """The number of negative rows under every key, int64[n]."""
        negatives: Ints = self.table[1][0]
        return negatives

    @property
    def positives(self) -> Ints:
        """The number of positive rows under every key, int64[n]."""
        positives: Ints = self.table[1][1]
        return positives

    def at_least(self, scores: Floats) -> Ints:
        """Return how many negative and positive rows have each of these scores or a greater one, int64[2, n].

        Where the histogram is coarse a score stands for its whole key.
        """
        keys, columns = self.table
        wanted = coarse_keys(scores) >> (self._shift - 1) if self._shift else fine_keys(scores)
        above = np.concatenate([np.cumsum(columns[:, ::-1], axis=1)[:, ::-1], np.zeros((2, 1), np.int64)], axis=1)
        found: Ints = above[:, np.searchsorted(keys, wanted)]
        return found

    @property
    def total(self) -> int:
        """The number of rows that count now."""
        self.flush()
        return int(self._columns.sum())

    @property
    def is_empty(self) -> bool:
        """Whether no row counts."""
        self.flush()
        return not self._keys.size

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        held = 0 if self._held_scores is None else 9 * BUFFER_ROWS
        return self._keys.nbytes + self._columns.nbytes + held

    def merge(self, other: ScoreHistogram) -> None:
        """Add the rows of ``other``; the coarser of the two resolutions and the smaller capacity hold for the sum."""
        self.flush()
        twin = other.copy()
        self.capacity = min(self.capacity, other.capacity)
        twin.coarsen(self._shift)
        self.coarsen(twin.shift)
        self._add(*twin.table)

    def copy(self) -> ScoreHistogram:
        """Return an independent copy."""
        self.flush()
        twin = ScoreHistogram(self.capacity)
        twin._shift, twin._keys, twin._columns = self._shift, self._keys.copy(), self._columns.copy()
        return twin

    def to_state(self) -> State:
        """Return the histogram as plain lists."""
        self.flush()
        return {
            "capacity": self.capacity,
            "shift": self._shift,
            "keys": self._keys.tolist(),
            "negatives": self._columns[0].tolist(),
            "positives": self._columns[1].tolist(),
        }

    @classmethod
    def from_state(cls, state: State) -> ScoreHistogram:
        """Rebuild the histogram that ``to_state`` wrote."""
        histogram = cls(state["capacity"])
        histogram._shift = state["shift"]
        histogram._keys = np.array(state["keys"], np.int64)
        histogram._columns = np.array([state["negatives"], state["positives"]], np.int64)
        return histogram

    def __eq__(self, other: object) -> bool:
        """Compare resolution and counts."""
        return self.to_state() == other.to_state() if isinstance(other, ScoreHistogram) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the number of keys and rows."""
        return f"ScoreHistogram(keys={self.keys.size}, shift={self._shift}, total={self.total})"


def _excess(keys: Ints, capacity: int) -> int:
    """Return the fewest bits to cut off so that at most ``capacity`` of the ascending keys stay distinct."""
    apart = keys[1:] ^ keys[:-1]
    if apart.size < capacity:
        return 0
    # All neighbours but (capacity - 1) must agree above the cut; where zones meet, the cut stays below.
    place = apart.size - capacity
    largest = int(np.partition(np.where(apart < 0, np.iinfo(np.int64).max, apart), place)[place])
    return min(largest.bit_length(), ZONE_BITS)
