"""Reading a durable store: what is counted there, kept up to date in this process, and folded now and then."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from modelmon.errors import InvariantError
from modelmon.parts import Part
from modelmon.stores.books import Books
from modelmon.stores.catalogue import Catalogue
from modelmon.stores.damage import DamageError, condemn, told
from modelmon.stores.documents import load
from modelmon.stores.holdings import Holdings
from modelmon.stores.laws import check
from modelmon.stores.limits import in_force
from modelmon.stores.states import EARLY, REMEMBERED, STATES
from modelmon.stores.tails import Tails

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from modelmon.stores.contract import JoinSettings
    from modelmon.stores.database import Database, Head

MOST_BACKLOG = 4 << 20
MOST_ENTRIES = 512
"""Bytes and entries of the journal past which it is folded."""
_AT_ONCE = 8192


def is_long(head: Head, journal: int) -> bool:
    """Tell whether a journal is so long that it is time to fold it; ``journal`` is what was folded last."""
    return head.backlog > MOST_BACKLOG or head.journal - journal > MOST_ENTRIES


class Reading:
    """Know what a store has counted."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self._database = database
        self._history, self._sequence = ("", ""), 0
        self._settings: JoinSettings | None = None
        self._catalogue = Catalogue()
        self._books: Books | None = None

    @property
    def folded(self) -> int:
        """Number of the last journal entry known to be folded."""
        return self._books.folded if self._books else 0

    def part(self, settings: JoinSettings) -> Part:
        """Return what is counted as of the last transaction, frozen."""
        with self._told():
            head, books = self._read(settings)
            part = Part(
                origin=f"{self._database.name}:{head.origin}",
                epoch=head.sequence,
                kind="store",
                taken_at=head.now,
                window=settings.window,
                series=books.series(head.now),
                counts=books.counts,
                gauges={"sample_rate": in_force(head.rate, settings), "documents": float(head.documents)},
            )
        self._catalogue.release()
        return part

    def fold(self, settings: JoinSettings) -> None:
        """Fold the journal into pages, unless somebody else just does."""
        with self._told():
            head, books = self._read(settings)
            pages = books.changed(head.now) if books.journal > books.folded else {}
        if books.journal > books.folded:
            if self._database.fold(pages, books.journal, books.folded):
                books.written()
                books.folded = books.journal
            else:
                self._books = None
        self._catalogue.release()

    def forget(self) -> None:
        """Forget what was read; it is read anew."""
        self._history, self._books = ("", ""), None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Read everything anew after a failure; where that fails as well, what is counted cannot be read at all."""
        whole = self._books is None
        try:
            with told("what is counted", kind="corrupt"):
                yield
        except DamageError as error:
            self.forget()
            if whole:
                condemn(self._database, error)
            raise

    def _read(self, settings: JoinSettings) -> tuple[Head, Books]:
        """Return the books, up to date, and the head of the moment that they show."""
        self._database.open()
        books = self._books if settings == self._settings else None
        if books is not None:
            counted = self._database.counted(books.folded, books.journal)
            if self._goes_on(counted.head):
                self._follow(counted.head)
                if books.follow(counted):
                    return counted.head, books
        counted = self._database.counted(-1, 0)
        if not self._goes_on(counted.head):
            self._history, self._sequence, self._catalogue = counted.head.history, 0, Catalogue()
        books, self._settings = Books(self._catalogue, settings.window, settings.history), settings
        self._follow(counted.head)
        books.follow(counted)
        self._books = books
        return counted.head, books

    def _goes_on(self, head: Head) -> bool:
        return head.goes_on(self._history, self._sequence, self._catalogue.known)

    def _follow(self, head: Head) -> None:
        self._sequence = head.sequence
        if self._catalogue.known < head.entries:
            self._database.begin(durable=False)
            try:
                self._catalogue.apply(self._database.entries(self._catalogue.known))
            finally:
                self._database.abandon()

    def check(self, settings: JoinSettings) -> None:
        """Check the conservation laws on what is counted, and that just that is held.

        Raises:
            InvariantError: naming the law and the two numbers that differ.
        """
        part = self.part(settings)
        check(part)
        try:
            held = self._held(part.epoch, settings)
        finally:
            self.forget()  # deadlines were read with the catalogue, which may have met classes that no entry names
        if held is None:
            return  # others write meanwhile: what is held is of a later moment than what is counted
        counted: Counter[str] = Counter()
        for tally in (part.counts, *(ledger.total for one in part.series.values() for ledger in one.ledgers.values())):
            for (before, after), n in tally["transitions"].items() if "transitions" in tally else ():
                counted[before] -= n
                counted[after] += n
        for state in (*REMEMBERED, EARLY):
            if held[STATES[state]] != counted[STATES[state]]:
                msg = f"{STATES[state]} rows held: {held[STATES[state]]} is not {counted[STATES[state]]}"
                raise InvariantError(msg)

    def _held(self, epoch: int, settings: JoinSettings) -> Counter[str] | None:
        """Return how many records are held by state; None where the store went on since.

        A walk shows no single moment: that nothing has changed is sure only once it is over.
        """
        held: Counter[str] = Counter()
        seen: set[int] = set()
        cursor: int | None = None
        while (lot := self._lot(epoch, cursor)) is not None:
            keys, documents, cursor = lot
            fresh = [place for place, key in enumerate(keys.tolist()) if key not in seen]
            seen.update(keys.tolist())
            held += self._states(keys[fresh], [documents[place] for place in fresh], settings)
            if cursor is None:
                return None if self._lot(epoch, None) is None else held
        return None

    def _lot(self, epoch: int, cursor: int | None) -> tuple[NDArray[np.int64], list[bytes | None], int | None] | None:
        head = self._database.begin(durable=False)
        try:
            return self._database.scan(cursor, _AT_ONCE) if head.sequence == epoch else None
        finally:
            self._database.abandon()

    def _states(self, keys: NDArray[np.int64], documents: list[bytes | None], settings: JoinSettings) -> Counter[str]:
        holdings = Holdings(settings, self._catalogue.groups, self._catalogue.objects)
        load(holdings, keys, documents, Tails(lambda: self._catalogue.catalogued))
        self._catalogue.release()
        table = holdings.records.records
        counts = np.bincount(table["state"][: table.top], minlength=len(STATES)).tolist()
        return Counter({name: n for name, n in zip(STATES, counts, strict=True) if n})
