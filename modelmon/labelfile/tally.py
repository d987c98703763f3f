"""What became of a file so far: kept in the store after each batch, and shown as a table at the end."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelmon.stores.states import LABEL_OUTCOMES

if TYPE_CHECKING:
    from modelmon.labelfile.batches import Batch, Names
    from modelmon.written.rows import Delivered

UNREADABLE = "unreadable"


@dataclass(slots=True)
class Tally:
    """Count a file's records.

    Attributes:
        records: how many were read, blank ones among them.
        line: the line up to which everything is committed.
        finished: whether that is all.
        outcomes: rows by what became of them.
        names: under which names the rest of the file is read, as its first part decided.
    """

    records: int = 0
    line: int = 0
    finished: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)
    names: Names = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Return how many rows there were."""
        return sum(self.outcomes.values())

    @property
    def bad(self) -> int:
        """Return how many rows went to the side file."""
        return self.outcomes["invalid"] + self.outcomes[UNREADABLE]

    @property
    def unmet(self) -> bool:
        """Tell whether there were labels that could be read, and none of them met a prediction."""
        early = self.outcomes["early"] + self.outcomes["early_updated"]
        return 0 < early == self.rows - self.bad

    def add(self, batch: Batch, delivered: Delivered) -> None:
        """Count a batch that was committed."""
        self.records += batch.records
        self.line = max([self.line, *batch.lines[-1:], *(reject.line for reject in batch.unreadable[-1:])])
        for outcome, n in Counter(delivered.outcomes.tolist()).items():
            self.outcomes[LABEL_OUTCOMES[outcome]] += n
        if batch.unreadable:
            self.outcomes[UNREADABLE] += len(batch.unreadable)

    def to_note(self) -> bytes:
        """Return this as a small value."""
        state = {"records": self.records, "line": self.line, "finished": self.finished, "outcomes": self.outcomes}
        state["names"] = self.names
        return json.dumps(state, separators=(",", ":")).encode()

    @classmethod
    def from_note(cls, note: bytes | None) -> Tally:
        """Return what ``to_note`` wrote; a fresh one where there is nothing to be read."""
        try:
            state = json.loads(note or b"")
            names = {role: tuple(some) for role, some in state.get("names", {}).items()}
            return cls(state["records"], state["line"], state["finished"], Counter(state["outcomes"]), names)
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def table(self) -> list[str]:
        """Return one line per outcome that occurred, in the order of the outcomes, and the sum."""
        names = [name for name in (*LABEL_OUTCOMES, UNREADABLE) if self.outcomes[name]]
        width = max(len(f"{self.rows:,}"), 8)
        lines = [
            f"  {name:<14}{self.outcomes[name]:>{width},}{self.outcomes[name] / self.rows:>9.2%}" for name in names
        ]
        rule = "  " + "─" * (14 + width + 9)
        return [*lines, rule, f"  {'rows':<14}{self.rows:>{width},}"]
