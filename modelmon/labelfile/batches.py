"""Batches of a file: what is delivered in one go, and what each row was, for those that turn out bad."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from modelmon.labelfile.fields import fields
from modelmon.written.items import deliver_items
from modelmon.written.rows import Rows, deliver

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelmon.written.rows import Delivered, Intake


Names = dict[str, "tuple[str, ...]"]


class Reject(NamedTuple):
    """Hold a row that was not taken: its line, why, and what it said, as far as that could be told."""

    line: int
    reason: str
    id: str = ""
    label: str = ""
    at: str = ""
    rev: str = ""
    record: str = ""


@dataclass(slots=True)
class Batch:
    """Hold the next records of a file.

    Attributes:
        records: how many records of the file this is, blank ones and unreadable ones among them.
        lines: where each row begins, counted from 1.
        rows: the rows as columns, or
        items: as JSON objects.
        unreadable: records that are no rows.
    """

    records: int = 0
    lines: list[int] = field(default_factory=list)
    rows: Rows | None = None
    items: list[Any] = field(default_factory=list)
    unreadable: list[Reject] = field(default_factory=list)

    def deliver(self, intake: Intake, model: str | None, version: str | None) -> Delivered:
        """Deliver the rows and say what became of each."""
        if self.rows is not None:
            return deliver(intake, self.rows, model=model, version=version)
        return deliver_items(intake, self.items, model=model, version=version)

    def reject(self, place: int, reason: str) -> Reject:
        """Return the row at a position as one that was not taken."""
        if self.rows is not None:
            rows = self.rows
            said = {"id": rows.ids[place], "label": rows.truths[place]}
            said |= {"at": _at(rows.at, place), "rev": _at(rows.revs, place)}
        else:
            said = self.items[place]
        return Reject(self.lines[place], reason, **fields(said))


class Source(Protocol):
    """A file that is being read.

    Attributes:
        format: ``"csv"``, ``"jsonl"`` or ``"parquet"``.
        names: what earlier records have decided about the names of later ones, by role; a run that goes on is told so.
    """

    format: str
    names: Names

    def batches(self, skip: int, size: int) -> Iterator[Batch]:
        """Yield batches of ``size`` records after the first ``skip``."""
        ...

    def progress(self) -> float:
        """Return how much of the file is read, 0 to 1; nan where nobody can tell."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def _at(column: Sequence[Any] | None, place: int) -> Any:
    return None if column is None else column[place]
