"""Books: what a durable store has counted, materialised in one process from pages and the journal after them.

A page is one tally: of a ledger or of a series' shared scores, as a whole or for one slot, or the global counts.
Folding writes the pages that the journal touched, and the journal up to there can go.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from modelmon.parts import SeriesPart
from modelmon.stores.counting import Counting
from modelmon.stores.journal import unpack
from modelmon.stores.scoring import Accepted
from modelmon.tallies import Ledger, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.parts import SeriesKey
    from modelmon.stores.catalogue import Catalogue
    from modelmon.stores.database import Counted
    from modelmon.stores.groups import Groups
    from modelmon.stores.journal import Entry, Section
    from modelmon.stores.scoring import Rows

_LEDGER, _SHARED, _COUNTS, _TOTAL = "l", "s", "counts", "total"
_MANY_CELLS = 1 << 12


class Books:
    """Keep the ledgers of a store.

    Attributes:
        folded: number of the last journal entry that loaded pages contain; 0 at first.
        journal: number of the last journal entry that is counted; 0 at first.
    """

    def __init__(self, catalogue: Catalogue, window: float, history: float) -> None:
        """Start at zero; the spans are seconds."""
        self.folded = 0
        self.journal = 0
        self._catalogue = catalogue
        self._window = window
        self._history = history
        self._counting = _Pages(catalogue.groups, window, history)

    def follow(self, counted: Counted) -> bool:
        """Take in what a database has counted since; the catalogue must know its entries.

        Returns:
            Whether that could be done: not where somebody folded less than is counted here already, so that pages have
            arrived which miss some of it; then new books have to begin with all pages.
        """
        if counted.folded != self.folded and self.journal > counted.folded:
            return False
        self.load(counted.pages)
        for entry in counted.journal:
            self.replay(entry)
        self.folded, self.journal = counted.folded, counted.head.journal
        return True

    def load(self, pages: Mapping[str, bytes]) -> None:
        """Replace the pages named; empty bytes: the page is gone."""
        if pages:
            self._counting.finish()
        for name, body in pages.items():
            self._counting.put(name, Tally.from_state(json.loads(zlib.decompress(body))) if body else None)

    def replay(self, entry: bytes) -> None:
        """Count one journal entry."""
        self._counting.replay(unpack(entry, self._window))

    def changed(self, now: float) -> dict[str, bytes]:
        """Return the pages that replays touched since they were loaded or written; empty bytes: too old to keep."""
        self._counting.finish()
        self._counting.fold(now)
        return {name: b"" if tally is None else _body(tally) for name, tally in self._counting.touched()}

    def written(self) -> None:
        """Take note that the pages changed were written."""
        self._counting.forget_touched()

    @property
    def counts(self) -> Tally:
        """Counts that belong to no series, frozen."""
        self._counting.finish()
        return self._counting.counts.copy()

    def series(self, now: float | None = None) -> dict[SeriesKey, SeriesPart]:
        """Return what is known by (model, version), frozen; slots that are too old at ``now`` are left out."""
        self._counting.finish()
        groups, counting = self._catalogue.groups, self._counting
        first = None if now is None else int((now - self._history) // self._window)
        ledgers: list[dict[Any, Ledger]] = [{} for _ in groups.series]
        for number, (owner, page) in enumerate(groups.ledgers):
            if owner < len(ledgers):
                ledgers[owner][page] = _frozen(counting.ledgers.get(number), first)
        return {
            page.key: SeriesPart(
                task=page.task,
                classes=tuple(page.classes),
                ledgers=ledgers[number],
                shared=_frozen(counting.shared.get(number), first),
            )
            for number, page in enumerate(groups.series)
        }


class _Pages(Counting):
    """Count, and note which pages that touches."""

    def __init__(self, groups: Groups, window: float, history: float) -> None:
        super().__init__(groups, window, history)
        self._touched: set[tuple[str, int, int | None]] = set()
        self._counts_touched = False
        self._cells: dict[tuple[int, int, int], int] = {}

    def replay(self, entry: Entry) -> None:
        """Put an entry aside, and count when there is enough of it."""
        cells = self._cells
        for ledger, slot, code, n in entry.cells:
            cell = (ledger, slot, code)
            cells[cell] = cells.get(cell, 0) + n
        for section in entry.sections:
            self._take(section)
        if entry.counts is not None:
            self.counts.merge(Tally.from_state(entry.counts))
            self._counts_touched = True
        if self.crowded or len(cells) > _MANY_CELLS:
            self.finish()

    def _take(self, section: Section) -> None:
        rows = section.rows
        if isinstance(rows, Accepted):
            self.accepted(rows, section.sign)
        elif section.kind == "delays":
            self._delays.append((rows.group, rows.time, section.delays))  # type: ignore[arg-type]
            self._wait(len(rows.group))
        elif section.kind == "joins":
            self._joins.setdefault(self._layout(rows), []).append((rows, section.delays))  # type: ignore[arg-type]
            self._wait(len(rows.group))
        else:
            self.rows(self._layout(rows), rows, section.sign)

    def _layout(self, rows: Rows) -> Any:
        return self._groups.all[int(rows.group[0])].layout

    def finish(self) -> None:
        """Count all that was put aside."""
        cells, self._cells = self._cells, {}
        self.cells((*cell, n) for cell, n in cells.items())
        self.settle()

    def _book(self, ledgers: dict[int, Ledger], number: int, slot: int) -> list[Tally]:
        book = super()._book(ledgers, number, slot)
        kind = _SHARED if ledgers is self.shared else _LEDGER
        self._touched.add((kind, number, None))
        if len(book) > 1:
            self._touched.add((kind, number, slot))
        return book

    def fold(self, now: float) -> None:
        """Fold what is too old or too much away, and note which pages that touches."""
        before = self._slots()
        overflows = _overflows(self.counts)
        super().fold(now)
        self._counts_touched |= _overflows(self.counts) > overflows
        self._touched |= before - self._slots()

    def _slots(self) -> set[tuple[str, int, int | None]]:
        kinds = ((_LEDGER, self.ledgers), (_SHARED, self.shared))
        return {(kind, number, slot) for kind, held in kinds for number, each in held.items() for slot in each.slots}

    def touched(self) -> list[tuple[str, Tally | None]]:
        """Return the pages touched, None where a page is gone."""
        pages: list[tuple[str, Tally | None]] = []
        for kind, number, slot in sorted(self._touched, key=repr):
            ledger = self._ledger(kind)[number]
            tally = ledger.total if slot is None else ledger.slots.get(slot)
            pages.append((f"{kind}/{number}/{_TOTAL if slot is None else slot}", tally))
        if self._counts_touched:
            pages.append((_COUNTS, self.counts))
        return pages

    def forget_touched(self) -> None:
        """Begin to note anew."""
        self._touched = set()
        self._counts_touched = False

    def _ledger(self, kind: str) -> dict[int, Ledger]:
        return self.shared if kind == _SHARED else self.ledgers

    def put(self, name: str, tally: Tally | None) -> None:
        """Replace a page by one that is not touched yet, or drop it."""
        if name == _COUNTS:
            self.counts, self._counts_touched = tally or Tally(), False
            return
        kind, number, slot = _parsed(name)
        ledger = self._ledger(kind).setdefault(number, Ledger())
        self._touched.discard((kind, number, slot))
        if slot is None:
            ledger.total = tally or Tally()
            return
        ledger.replace(slot, tally)


def _parsed(name: str) -> tuple[str, int, int | None]:
    kind, number, slot = name.split("/")
    return kind, int(number), None if slot == _TOTAL else int(slot)


def _overflows(counts: Tally) -> int:
    return int(counts["self:overflow"].total) if "self:overflow" in counts else 0


def _body(tally: Tally) -> bytes:
    tally.settle()
    return zlib.compress(json.dumps(tally.to_state(), separators=(",", ":"), allow_nan=False).encode(), 1)


def _frozen(ledger: Ledger | None, first: int | None) -> Ledger:
    """Return a copy of a ledger without the slots before the first one."""
    copy = Ledger() if ledger is None else ledger.copy()
    if first is not None:
        copy.drop(first)
    return copy
