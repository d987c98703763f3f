"""The working set of one transaction: documents fetched, put into holdings, changed there, and written back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.stores.database import Changes
from modelmon.stores.documents import dues_of, dump, load
from modelmon.stores.holdings import Holdings
from modelmon.stores.journal import pack
from modelmon.stores.limits import sweep
from modelmon.stores.reminding import reminders
from modelmon.stores.tails import Tails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.stores.catalogue import Catalogue
    from modelmon.stores.contract import JoinSettings
    from modelmon.stores.database import Database, Head

    Numbers = NDArray[np.int64]


class Working:
    """Hold what one transaction works on.

    Attributes:
        head: what the transaction began with.
        now: its time.
        holdings: the records fetched so far, with counts that start at zero.
        rate: the sampling rate to set, or None.
        reminded: numbers of reminders that go.
        reminders: reminders to write besides those of changed documents.
    """

    def __init__(self, head: Head, now: float, settings: JoinSettings, catalogue: Catalogue) -> None:
        """Start with nothing fetched."""
        self.head = head
        self.now = now
        self.holdings = Holdings(settings, catalogue.groups, catalogue.objects)
        self.holdings.rate = head.rate or settings.sample_rate
        self.rate: float | None = None if head.rate else settings.sample_rate
        self.reminded: Sequence[int | bytes] = ()
        self.reminders: list[tuple[float, bytes]] = []
        self._catalogue = catalogue
        self._tails = Tails(lambda: catalogue.catalogued)
        self._keys = np.empty(0, np.int64)
        self._before: list[bytes | None] = []

    def fetch(self, database: Database, low: NDArray[np.uint64]) -> None:
        """Fetch the documents of ids, given by their lower words, and let expire what of them is due.

        So a late sweeper changes nothing.
        """
        keys = np.unique(low.view(np.int64))
        if len(keys):
            self.take(keys, database.fetch(keys))
            sweep(self.holdings, self.now)

    def take(self, keys: Numbers, documents: list[bytes | None]) -> None:
        """Work on documents already read; their keys are ascending."""
        self._keys, self._before = keys, documents
        load(self.holdings, keys, documents, self._tails)
        self.holdings.awaiting = 0

    def changes(self, settings: str | None) -> Changes:
        """Return what is to be written."""
        entries = self._catalogue.news()
        dumped = dump(self.holdings, self._tails)
        after: list[bytes | None] = [None] * len(self._keys)
        due = np.full(len(after), np.inf)
        place = np.searchsorted(self._keys, dumped.keys)
        due[place] = dumped.due
        for number, document in zip(place.tolist(), dumped.documents, strict=True):
            after[number] = document
        before = self._before
        changed = [number for number, pair in enumerate(zip(after, before, strict=True)) if pair[0] != pair[1]]
        moved = np.array(changed, np.int64)
        moved = moved[due[moved] != dues_of([before[number] for number in changed])]
        return Changes(
            now=self.now,
            keys=self._keys[changed],
            before=[before[number] for number in changed],
            after=[after[number] for number in changed],
            reminders=[*reminders(self._keys[moved], due[moved], self.holdings.settings.ttl), *self.reminders],
            reminded=self.reminded,
            known=self._catalogue.known,
            entries=entries,
            journal=pack(self.holdings.counting, self._catalogue),
            awaiting=self.holdings.awaiting,
            rate=self.rate,
            settings=settings,
            held_rate=self.head.rate,
        )
