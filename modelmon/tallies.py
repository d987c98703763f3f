"""Tallies and ledgers: named accumulators of one series, as a whole and by slot of time.

Rules:

1. Whoever counts asks for the accumulator anew for each batch (``tally.confusion.update(...)``) and never keeps it.
2. ``copy`` is cheap and final: a copy shares every accumulator with its origin, and whichever of the two writes first
   takes a private one. A copy that nobody writes to is therefore frozen, whatever happens to the origin.
3. Merging adds. Names present on one side only are shared, not copied.
4. Where two tallies hold different kinds of accumulator under one name (two tasks under one model name), the kind that
   comes last in the alphabet stays; which of the tallies came first never matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from modelmon.accumulators.confusion import Confusion
from modelmon.accumulators.counts import Counts
from modelmon.accumulators.durations import Histogram
from modelmon.accumulators.losses import Losses
from modelmon.accumulators.multilabel import LabelMatrix
from modelmon.accumulators.residuals import Residuals
from modelmon.accumulators.scores import ClassScores, ScoreHistogram
from modelmon.accumulators.strata import Strata

if TYPE_CHECKING:
    from collections.abc import Iterator

Accumulator: TypeAlias = (
    "Counts | Histogram | Confusion | Losses | Residuals | LabelMatrix | ScoreHistogram | ClassScores | Strata"
)

Kind = TypeVar("Kind")

NANOSECOND = 1e-9

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Counts, Histogram, Confusion, Losses, Residuals, LabelMatrix, ScoreHistogram, ClassScores, Strata)
}
_BUFFERED = (ScoreHistogram, ClassScores)


class Tally(Mapping[str, Any]):
    """Hold accumulators by name; reading goes by the mapping, writing by the typed accessors."""

    __slots__ = ("_held", "_own")

    def __init__(self, held: Mapping[str, Accumulator] | None = None) -> None:
        """Start empty, or with accumulators that somebody else may hold too."""
        self._held: dict[str, Any] = dict(held or {})
        self._own: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        """Return the accumulator of that name, for reading only."""
        return self._held[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an accumulator of that name."""
        return name in self._held

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._held)

    def __len__(self) -> int:
        """Return how many accumulators there are."""
        return len(self._held)

    def __eq__(self, other: object) -> bool:
        """Compare contents; a missing accumulator equals an empty one of its kind only if both are missing."""
        return isinstance(other, Tally) and self._held == other._held

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the names held."""
        return f"Tally({', '.join(sorted(self._held))})"

    def counts(self, name: str) -> Counts:
        """Return the counts of that name, for writing."""
        return self._writable(name, Counts)

    def durations(self, name: str) -> Histogram:
        """Return the histogram of nanoseconds of that name, for writing."""
        return self._writable(name, Histogram, NANOSECOND)

    def sizes(self, name: str) -> Histogram:
        """Return the histogram of whole numbers of that name, for writing."""
        return self._writable(name, Histogram, 1)

    @property
    def confusion(self) -> Confusion:
        """The confusion matrix, for writing."""
        return self._writable("confusion", Confusion)

    @property
    def losses(self) -> Losses:
        """The sums of losses, for writing."""
        return self._writable("losses", Losses)

    @property
    def residuals(self) -> Residuals:
        """The sums of residuals, for writing."""
        return self._writable("residuals", Residuals)

    def multilabel(self, size: int) -> LabelMatrix:
        """Return the matrices of ``size`` labels, for writing."""
        return self._writable("multilabel", LabelMatrix, size)

    def scores(self, capacity: int = 2048) -> ScoreHistogram:
        """Return the binary score histogram, for writing; ``capacity`` keys if it is new."""
        return self._writable("scores", ScoreHistogram, capacity)

    @property
    def strata(self) -> Strata:
        """The binary rows by bin of score, for writing."""
        return self._writable("strata", Strata)

    def class_scores(self, capacity: int = 512) -> ClassScores:
        """Return the one-vs-rest score histograms, for writing; ``capacity`` keys per class if new."""
        return self._writable("scores", ClassScores, capacity)

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add every accumulator of ``other``."""
        for name, theirs in other.items():
            ours = self._held.get(name)
            if ours is None or type(ours).__name__ < type(theirs).__name__:
                self._held[name] = theirs
                self._own.discard(name)
                _lend(other, name)
            elif type(ours) is type(theirs):
                held: Any = self._writable(name, type(ours))
                held.merge(theirs)

    def copy(self) -> Tally:
        """Return a tally equal to this one now, whatever is counted later."""
        self.settle()
        self._own.clear()
        return Tally(self._held)

    def settle(self) -> None:
        """Take in rows that wait in buffers, so that reading changes nothing."""
        for name in self._own:
            if isinstance(self._held[name], _BUFFERED):
                self._held[name].flush()

    def to_state(self) -> dict[str, Any]:
        """Return JSON-able state: name to kind and the accumulator's own state."""
        return {name: [type(held).__name__, held.to_state()] for name, held in sorted(self._held.items())}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Tally:
        """Rebuild a tally.

        Raises:
            ValueError: when the state holds a kind of accumulator this version does not know.
        """
        held = {}
        for name, (kind, inner) in state.items():
            if kind not in _KINDS:
                msg = f"unknown accumulator {kind!r} under {name!r}"
                raise ValueError(msg)
            held[name] = _KINDS[kind].from_state(inner)
        return cls(held)

    def _writable(self, name: str, kind: type[Kind], *arguments: Any) -> Kind:
        held: Any = self._held.get(name)
        if held is None:
            held = self._held[name] = kind(*arguments)
            self._own.add(name)
        elif name not in self._own:
            held = self._held[name] = held.copy()
            self._own.add(name)
        return cast("Kind", held)


def _lend(other: Mapping[str, Any], name: str) -> None:
    if isinstance(other, Tally):
        other._own.discard(name)  # noqa: SLF001 - shared from now on, so neither side may write in place


class Ledger:
    """Hold a tally of everything and tallies by slot of time.

    Slot ``k`` covers ``[k * window, (k + 1) * window)`` of the time a prediction was made, or a call ended.
    What is counted into a slot is counted into the total too; ``book`` is the pair to write to.
    """

    __slots__ = ("_own", "slots", "total")

    def __init__(self, total: Tally | None = None, slots: Mapping[int, Tally] | None = None) -> None:
        """Start empty, or with tallies that somebody else may hold too."""
        self.total = Tally() if total is None else total
        self.slots: dict[int, Tally] = dict(slots or {})
        self._own: set[int] = set()

    def __eq__(self, other: object) -> bool:
        """Compare contents."""
        return isinstance(other, Ledger) and self.total == other.total and self.slots == other.slots

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show how many slots there are."""
        return f"Ledger({self.total!r}, {len(self.slots)} slots)"

    def slot(self, number: int) -> Tally:
        """Return the tally of one slot, for writing."""
        held = self.slots.get(number)
        if held is None:
            held = self.slots[number] = Tally()
            self._own.add(number)
        elif number not in self._own:
            held = self.slots[number] = held.copy()
            self._own.add(number)
        return held

    def book(self, number: int) -> tuple[Tally, Tally]:
        """Return the total and the tally of one slot, both for writing."""
        return self.total, self.slot(number)

    def replace(self, number: int, tally: Tally | None) -> None:
        """Let a slot hold a tally that nobody else holds, or forget it."""
        self.slots.pop(number, None)
        self._own.discard(number)
        if tally is not None:
            self.slots[number] = tally

    def drop(self, before: int) -> int:
        """Forget the slots numbered below ``before`` (the total keeps their counts) and return how many there were."""
        old = [number for number in self.slots if number < before]
        for number in old:
            del self.slots[number]
            self._own.discard(number)
        return len(old)

    def merge(self, other: Ledger) -> None:
        """Add every tally of ``other``."""
        self.total.merge(other.total)
        for number, tally in other.slots.items():
            if number in self.slots:
                self.slot(number).merge(tally)
            else:
                self.slots[number] = tally
                other._own.discard(number)

    def copy(self) -> Ledger:
        """Return a ledger equal to this one now, whatever is counted later."""
        for number in self._own:
            self.slots[number].settle()
        self._own.clear()
        return Ledger(self.total.copy(), self.slots)

    def to_state(self) -> dict[str, Any]:
        """Return JSON-able state; slots as a list of pairs, oldest first."""
        slots = [[number, tally.to_state()] for number, tally in sorted(self.slots.items())]
        return {"total": self.total.to_state(), "slots": slots}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Ledger:
        """Rebuild a ledger."""
        slots = {int(number): Tally.from_state(inner) for number, inner in state["slots"]}
        return cls(Tally.from_state(state["total"]), slots)
