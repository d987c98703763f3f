"""The working set of one transaction: documents fetched, put into holdings, changed there, and written back."""

from __future__ import annotations

from operator import eq
from typing import TYPE_CHECKING

import numpy as np

from modelmon.faults import is_signalled
from modelmon.notices import warn
from modelmon.stores.database import Changes
from modelmon.stores.documents import dump, load
from modelmon.stores.holdings import Holdings
from modelmon.stores.index import distinct
from modelmon.stores.journal import pack
from modelmon.stores.limits import in_force, sweep
from modelmon.stores.reminding import reminders
from modelmon.stores.tails import Tails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.stores.catalogue import Catalogue
    from modelmon.stores.contract import JoinSettings
    from modelmon.stores.database import Database, Head
    from modelmon.stores.forms import Dumped

    Numbers = NDArray[np.int64]

_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError)


class Working:
    """Hold what one transaction works on.

    Attributes:
        head: what the transaction began with.
        now: its time.
        holdings: the records fetched so far, with counts that start at zero.
        rate: the sampling rate to come to, or None; what is no less than the settings' own is kept as no rate at all.
        reminded: numbers of reminders that go.
        reminders: reminders to write besides those of changed documents.
    """

    def __init__(self, head: Head, now: float, settings: JoinSettings, catalogue: Catalogue) -> None:
        """Start with nothing fetched."""
        self.head = head
        self.now = now
        self.rate: float | None = None
        self.reminded: Sequence[int | bytes] = ()
        self.reminders: list[tuple[float, bytes]] = []
        self._settings = settings
        self._catalogue = catalogue
        self.holdings = self._fresh()
        self._tails = Tails(lambda: catalogue.catalogued)
        self._keys = np.empty(0, np.int64)
        self._before: list[bytes | None] = []
        self._due = np.empty(0)

    def fetch(self, database: Database, low: NDArray[np.uint64]) -> None:
        """Fetch the documents of ids, given by their lower words, and let expire what of them is due.

        So a late sweeper changes nothing.
        """
        keys = distinct(low.view(np.int64))
        if len(keys):
            self.take(keys, database.fetch(keys))
            sweep(self.holdings, self.now)

    def take(self, keys: Numbers, documents: list[bytes | None]) -> None:
        """Work on documents already read; their keys are ascending."""
        self._keys, self._before = keys, documents
        self.holdings.records.index.expect(len(keys))
        try:
            self._due = load(self.holdings, keys, documents, self._tails)
        except _UNREADABLE as error:
            if is_signalled(error):
                raise
            readable = self._readable(documents)
            self.holdings = self._fresh()
            self._due = load(self.holdings, keys, readable, self._tails)
            lost = readable.count(None) - documents.count(None)
            self.holdings.counting.counts.counts("self:dropped").add(("damaged",), lost)
            warn("store:damaged", f"{lost} document(s) of the store are damaged, and are gone with what they held")
        self.holdings.awaiting = 0

    def _fresh(self) -> Holdings:
        """Return holdings with nothing in them."""
        holdings = Holdings(self._settings, self._catalogue.groups, self._catalogue.objects)
        holdings.rate = in_force(self.head.rate, self._settings)
        return holdings

    def _readable(self, documents: list[bytes | None]) -> list[bytes | None]:
        """Return None for each document that is damaged: it is lost, and what is written instead can be read."""
        pairs = zip(self._keys, documents, strict=True)
        return [document if self._can_load(key, document) else None for key, document in pairs]

    def _can_load(self, key: np.int64, document: bytes | None) -> bool:
        try:
            load(self._fresh(), np.array([key]), [document], self._tails)
        except _UNREADABLE as error:
            if is_signalled(error):
                raise
            return False
        return True

    def changes(self, settings: str | None) -> Changes:
        """Return what is to be written."""
        entries = self._catalogue.news()
        dumped = dump(self.holdings, self._tails)
        after, due = self._placed(dumped)
        before, keys, moved = self._before, self._keys, due != self._due
        if None in before and before.count(None) == len(before):
            same = [document is None for document in after] if None in after else []
        else:
            same = [*map(eq, after, before)]
        if True in same:
            changed = [number for number, is_same in enumerate(same) if not is_same]
            keys, due, moved = keys[changed], due[changed], moved[changed]
            before, after = [before[number] for number in changed], [after[number] for number in changed]
        return Changes(
            now=self.now,
            keys=keys,
            before=before,
            after=after,
            reminders=[*reminders(keys[moved], due[moved], self.holdings.settings.ttl), *self.reminders],
            reminded=self.reminded,
            known=self._catalogue.known,
            entries=entries,
            journal=pack(self.holdings.counting, self._catalogue),
            awaiting=self.holdings.awaiting,
            rate=self._lowered(),
            settings=settings,
            held_rate=self.head.rate,
        )

    def _lowered(self) -> float | None:
        """Return the rate to keep for all who share the store: 0 where each samples by its own settings again."""
        return 0.0 if self.rate is not None and self.rate >= self._settings.sample_rate else self.rate

    def _placed(self, dumped: Dumped) -> tuple[list[bytes | None], NDArray[np.float64]]:
        """Return the document of each key, None where there is none, and when it is due."""
        if len(dumped.keys) == len(self._keys):
            return [*dumped.documents], dumped.due
        after: list[bytes | None] = [None] * len(self._keys)
        due = np.full(len(after), np.inf)
        place = np.searchsorted(self._keys, dumped.keys)
        due[place] = dumped.due
        for number, document in zip(place.tolist(), dumped.documents, strict=True):
            after[number] = document
        return after, due
