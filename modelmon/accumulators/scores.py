"""Score histograms: of one class, and of every class against all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.score_histogram import BUFFER_ROWS, SMALLEST_CAPACITY, ScoreHistogram

if TYPE_CHECKING:
    from modelmon.accumulators.sparse import Floats, Ints, State

__all__ = ["ClassScores", "ScoreHistogram"]


class ClassScores:
    """One score histogram per class, of that class against all others."""

    __slots__ = ("_classes", "_held", "_held_actual", "_held_columns", "_held_sign", "capacity")

    def __init__(self, capacity: int = 512) -> None:
        """Begin empty.

        Args:
            capacity: The most distinct keys kept per class, at least 8.
        """
        self.capacity = capacity
        self._classes: dict[int, ScoreHistogram] = {}
        self._held = 0
        self._held_sign = 1
        self._held_columns: list[Floats] = []
        self._held_actual: list[Ints] = []

    def update(self, probabilities: Floats, actual: Ints, sign: int = 1) -> None:
        """Count rows, or take them away.

        Args:
            probabilities: float64[n, k], column j being the score of class j.
            actual: int[n] codes of the true classes; one that is no column is a negative of every class.
            sign: +1 or -1.
        """
        if self._held and (sign != self._held_sign or probabilities.shape[1] != self._held_columns[0].shape[1]):
            self.flush()
        self._held_sign = sign
        self._held_columns.append(probabilities.copy())
        self._held_actual.append(actual.copy())
        self._held += actual.size
        if self._held >= BUFFER_ROWS:
            self.flush()

    def flush(self) -> None:
        """Take in the rows that wait in the buffer."""
        if not self._held:
            return
        columns, actual = np.concatenate(self._held_columns).T, np.concatenate(self._held_actual)
        self._held, self._held_columns, self._held_actual = 0, [], []
        for code, scores in enumerate(columns):
            self._of(code).update(np.ascontiguousarray(scores), actual == code, self._held_sign)

    def _of(self, code: int) -> ScoreHistogram:
        histogram = self._classes.get(code)
        if histogram is None:
            histogram = self._classes[code] = ScoreHistogram(self.capacity)
        return histogram

    def of(self, code: int) -> ScoreHistogram:
        """Return the histogram of one class against all others, empty for one never seen."""
        self.flush()
        return self._classes.get(code) or ScoreHistogram(self.capacity)

    def codes(self) -> list[int]:
        """Return the codes that have a histogram, ascending."""
        self.flush()
        return sorted(self._classes)

    @property
    def exact(self) -> bool:
        """Whether every class is exact."""
        self.flush()
        return all(histogram.exact for histogram in self._classes.values())

    @property
    def is_empty(self) -> bool:
        """Whether no row counts."""
        self.flush()
        return all(histogram.is_empty for histogram in self._classes.values())

    @property
    def total(self) -> int:
        """The number of rows that count now."""
        self.flush()
        return max((histogram.total for histogram in self._classes.values()), default=0)

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        held: int = sum(columns.nbytes + 8 * columns.shape[0] for columns in self._held_columns)
        return held + sum(histogram.nbytes for histogram in self._classes.values())

    def shrink(self, capacity: int) -> None:
        """Keep at most ``capacity`` keys per class from now on."""
        self.flush()
        self.capacity = max(min(capacity, self.capacity), SMALLEST_CAPACITY)
        for histogram in self._classes.values():
            histogram.shrink(capacity)

    def relabel(self, mapping: Ints, size: int) -> None:
        """Give every class a new code.

        Args:
            mapping: int64[k], new code of every old one; no two classes may share one.
            size: Number of classes afterwards.

        Raises:
            ValueError: Two classes would become one, or a code leaves the range; nothing was changed.
        """
        self.flush()
        moved = {int(mapping[code]): histogram for code, histogram in self._classes.items()}
        if len(moved) != len(self._classes) or any(not 0 <= code < size for code in moved):
            message = "score histograms of two classes cannot become one"
            raise ValueError(message)
        self._classes = moved

    def merge(self, other: ClassScores) -> None:
        """Add the rows of ``other``, whose codes must mean the same classes."""
        self.flush()
        self.capacity = min(self.capacity, other.capacity)
        for code in other.codes():
            self._of(code).merge(other.of(code))

    def copy(self) -> ClassScores:
        """Return an independent copy."""
        self.flush()
        twin = ClassScores(self.capacity)
        twin._classes = {code: histogram.copy() for code, histogram in self._classes.items()}
        return twin

    def to_state(self) -> State:
        """Return the histograms as plain lists."""
        return {
            "capacity": self.capacity,
            "classes": [[code, self.of(code).to_state()] for code in self.codes()],
        }

    @classmethod
    def from_state(cls, state: State) -> ClassScores:
        """Rebuild the histograms that ``to_state`` wrote."""
        scores = cls(state["capacity"])
        scores._classes = {code: ScoreHistogram.from_state(inner) for code, inner in state["classes"]}
        return scores

    def __eq__(self, other: object) -> bool:
        """Compare every class."""
        return self.to_state() == other.to_state() if isinstance(other, ClassScores) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the number of classes and rows."""
        return f"ClassScores(classes={len(self.codes())}, total={self.total})"
