"""Counts of one model and version in this process: calls, durations and predicted classes, by slice and slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.exemplars import Exemplars
from modelmon.identity import OTHER
from modelmon.parts import SeriesPart
from modelmon.tallies import Ledger, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelmon.identity import ClassValue
    from modelmon.parts import Slice
    from modelmon.tasks import Task

SLICE_BUDGET: Final = 100
ERROR_TYPE_BUDGET: Final = 100
CLASS_BUDGET: Final = 256
_BLAMED: Final = 5


class SeriesCounts:
    """Count the calls and predictions of one model and version in this process.

    Attributes:
        task: how outputs are read, once known.
        ledgers: counts by slice.
        ended: calls taken from the buffers.
        lost: those of them whose outcome was not counted, because something struck amid it.
        rejected: predictions that could not be read.
        news: those of them that nobody was told of yet, by reason.
        blamed: hooks that failed and what they raised, in words, of which nobody was told yet.
        exemplars: a few traced calls.
        overflowed: calls counted under ``"__other__"``, by name of the budget that was spent.
    """

    __slots__ = (
        "_classes",
        "_error_types",
        "_pages",
        "blamed",
        "ended",
        "exemplars",
        "ledgers",
        "lost",
        "news",
        "overflowed",
        "rejected",
        "task",
    )

    def __init__(self) -> None:
        """Start at zero."""
        self.news: dict[str, int] = {}
        self.blamed: dict[str, None] = {}
        self.task: Task | None = None
        self.ledgers: dict[Slice, Ledger] = {(): Ledger()}
        self.ended = self.lost = 0
        self.rejected = 0
        self.overflowed = {"slices": 0, "error_types": 0}
        self.exemplars = Exemplars()
        self._pages: dict[Slice, Slice] = {(): ()}
        self._error_types: set[str] = set()
        self._classes: set[ClassValue] = set()

    def part(self, active: int) -> SeriesPart:
        """Return a frozen view; ``active`` calls are running now."""
        ledgers = {page: ledger.copy() for page, ledger in self.ledgers.items()}
        return SeriesPart(task=self.task, ledgers=ledgers, active={(): active}, exemplars=self.exemplars.frozen())

    def page(self, wanted: Slice) -> Slice:
        """Return the slice to count under: the wanted one, or ``"__other__"`` past the budget."""
        page = self._pages.get(wanted)
        if page is not None:
            return page
        if len(self._pages) <= SLICE_BUDGET:
            self._pages[wanted] = wanted
            return wanted
        self.overflowed["slices"] += 1
        return tuple((name, OTHER) for name, _ in wanted)

    def error_type(self, name: str) -> str:
        """Return the exception's class name, or ``"__other__"`` past the budget."""
        if name in self._error_types or not name:
            return name
        if len(self._error_types) >= ERROR_TYPE_BUDGET:
            self.overflowed["error_types"] += 1
            return OTHER
        self._error_types.add(name)
        return name

    def classes(self, values: Sequence[ClassValue]) -> Sequence[ClassValue]:
        """Return what to count predicted classes under: themselves, or ``"__other__"`` if undeclared and too many."""
        known = self._classes
        if known.issuperset(values) or (self.task is not None and self.task.declared is not None):
            return values
        for value in values:
            if len(known) >= CLASS_BUDGET:
                break
            known.add(value)
        return [value if value in known else OTHER for value in values]

    def overflows(self) -> dict[str, int]:
        """Return what was counted under ``"__other__"``, by name of the budget: predictions of classes, else calls."""
        overflows = dict(self.overflowed)
        if len(self._classes) >= CLASS_BUDGET and OTHER not in self._classes:
            totals = [ledger.total for ledger in self.ledgers.values()]
            overflows["classes"] = sum(total["predicted"].get((OTHER,)) for total in totals if "predicted" in total)
        return overflows

    def enter(self, page: Slice, slot: int, entry: Tally) -> None:
        """Add an entry to a slice's total and to one of its slots."""
        ledger = self.ledgers.get(page)
        if ledger is None:
            ledger = self.ledgers[page] = Ledger()
        for tally in ledger.book(slot):
            tally.merge(entry)

    def reject(self, reasons: dict[str, int], slot: int) -> None:
        """Count predictions that could not be read, by reason."""
        entry = Tally()
        for reason, n in reasons.items():
            entry.counts("rejected").add((reason,), n)
            self.news[reason] = self.news.get(reason, 0) + n
            self.rejected += n
        self.enter((), slot, entry)

    def blame(self, hooks: Iterable[str]) -> None:
        """Note hooks that failed, a few of them."""
        for said in hooks:
            if len(self.blamed) < _BLAMED:
                self.blamed[said] = None

    def calls(self) -> list[tuple[tuple[str, str], int]]:
        """Return the calls that ended by (outcome, error type), slice by slice."""
        totals = [ledger.total for ledger in self.ledgers.values()]
        return [pair for total in totals if "calls" in total for pair in total["calls"].items()]

    def miss(self) -> None:
        """Note how many calls have no outcome, after something struck amid a count."""
        self.lost = self.ended - sum(n for _, n in self.calls())

    def fold(self, first_kept: int) -> None:
        """Forget the slots before the first one kept; the totals keep their counts."""
        for ledger in self.ledgers.values():
            if ledger.slots and min(ledger.slots) < first_kept:
                ledger.drop(first_kept)
