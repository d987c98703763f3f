"""What a label call answers: how many of the delivered labels met which end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL_OUTCOMES = (
    "joined",
    "early",
    "early_updated",
    "duplicate",
    "corrected",
    "retracted",
    "retract_noop",
    "stale",
    "late",
    "evicted",
    "closed",
    "unsampled",
    "invalid",
)


class JoinReport(Mapping[str, int]):
    """Map each outcome to the number of labels that had it; absent outcomes read 0.

    Every delivered label has exactly one outcome, so ``total`` is the number of labels delivered.

    >>> report = JoinReport({"joined": 2, "duplicate": 1})
    >>> report["joined"], report["late"], report.total
    (2, 0, 3)
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        """Keep the outcomes that occurred."""
        self._counts = {name: int(n) for name, n in (counts or {}).items() if n}

    @property
    def total(self) -> int:
        """Return the number of labels delivered."""
        return sum(self._counts.values())

    def __getitem__(self, outcome: str) -> int:
        """Return the labels that had this outcome, 0 where none had.

        Raises:
            KeyError: when there is no such outcome at all; the message lists those there are.
        """
        if outcome not in LABEL_OUTCOMES:
            msg = f"{outcome!r} is no outcome of a label; there are {', '.join(LABEL_OUTCOMES)}"
            raise KeyError(msg)
        return self._counts.get(outcome, 0)

    def __contains__(self, outcome: object) -> bool:
        """Tell whether any label had this outcome."""
        return outcome in self._counts

    def __iter__(self) -> Iterator[str]:
        """Iterate over the outcomes that occurred."""
        return iter(self._counts)

    def __len__(self) -> int:
        """Return how many different outcomes occurred."""
        return len(self._counts)

    def __repr__(self) -> str:
        """Show the outcomes that occurred."""
        return f"JoinReport({', '.join(f'{name}={n}' for name, n in self._counts.items())})"
