"""Integer counts under tuples of values."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator

    from modelmon.accumulators.sparse import State

Key: TypeAlias = tuple[str | int | float, ...]


class Counts:
    """Count events by key; a key never counted reads 0, and equality does not tell it from a counted 0.

    >>> counts = Counts()
    >>> counts.add(("ok", ""), 3)
    >>> counts.get(("ok", "")), counts.get(("error", "")), counts.total
    (3, 0, 3)
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        """Begin empty."""
        self._counts: dict[Key, int] = {}

    def add(self, key: Key, n: int = 1) -> None:
        """Add ``n`` (0 makes the key known, negative takes away) to the count of ``key``."""
        self._counts[key] = self._counts.get(key, 0) + n

    def get(self, key: Key) -> int:
        """Return the count of ``key``."""
        return self._counts.get(key, 0)

    def items(self) -> ItemsView[Key, int]:
        """Return (key, count) pairs in order of first appearance."""
        return self._counts.items()

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the known keys."""
        return iter(self._counts)

    def __len__(self) -> int:
        """Return the number of known keys."""
        return len(self._counts)

    @property
    def total(self) -> int:
        """The sum of all counts."""
        return sum(self._counts.values())

    @property
    def is_empty(self) -> bool:
        """Whether every count is zero."""
        return not any(self._counts.values())

    def merge(self, other: Counts) -> None:
        """Add the counts of ``other``."""
        for key, n in other._counts.items():
            self._counts[key] = self._counts.get(key, 0) + n

    def copy(self) -> Counts:
        """Return an independent copy."""
        twin = Counts()
        twin._counts = dict(self._counts)
        return twin

    def to_state(self) -> State:
        """Return the counts as plain lists."""
        return {"counts": [[list(key), n] for key, n in self._counts.items()]}

    @classmethod
    def from_state(cls, state: State) -> Counts:
        """Rebuild the counts that ``to_state`` wrote."""
        counts = cls()
        counts._counts = {tuple(key): int(n) for key, n in state["counts"]}
        return counts

    def __eq__(self, other: object) -> bool:
        """Compare count by count, absent reading 0."""
        if not isinstance(other, Counts):
            return NotImplemented
        return {k: n for k, n in self._counts.items() if n} == {k: n for k, n in other._counts.items() if n}

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the counts."""
        return f"Counts({self._counts})"
