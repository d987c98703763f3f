"""What a durable store asks of a database: documents by key, deadlines, a catalogue, a journal, and pages of counts.

Rules:

1. A transaction is `begin`, any reading, then `apply` or `abandon`; one at a time per object, on any thread.
2. `apply` writes everything of its `Changes`, or nothing.
   It returns False, having written nothing, where something that was read has changed meanwhile; whoever called begins
   again.
   A database that locks at `begin` never does.
3. What `apply` confirmed survives a kill of this process or of the server.
   With ``durable`` it survives a loss of power too, as far as the server is set up for it.
4. Nothing inside a document, an entry, a reminder, a journal entry or a page means anything here.
5. A connection is used only by the process that opened it.
   In a forked child `open` makes another one and never touches the inherited one.
6. Whatever may pass raises ``StoreError`` with a ``kind``.
   After it nothing is under way, and the next `begin` may work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Keys = NDArray[np.int64]

LONGEST_LEASE_S: Final = 240.0
"""Twice the longest lease that anybody asks for."""


class Head(NamedTuple):
    """Hold what a transaction begins with.

    Attributes:
        origin: name of this store, made at random when it was made, and again when it was reset.
        now: the greatest time of any transaction, seconds since the epoch; 0 at first.
        sequence: transactions applied so far.
        entries: entries in the catalogue.
        awaiting: rows that await a label.
        documents: documents kept.
        rate: share of ids that a full store has come to, for all who share it; 0 where nobody has set it.
        settings: the join's settings as text; empty as long as nobody has set them.
        due: the earliest deadline of any reminder; infinite where there is none.
        journal: number of the last journal entry; 0 at first.
        backlog: bytes of journal entries that are not folded yet.
        line: who tells all this; with another line, what was read before may have been lost, and others' in its place.
    """

    origin: str
    now: float
    sequence: int
    entries: int
    awaiting: int
    documents: int
    rate: float
    settings: str
    due: float
    journal: int
    backlog: int
    line: str = ""

    @property
    def history(self) -> tuple[str, str]:
        """Return what is the same as long as whatever was read still holds."""
        return self.origin, self.line

    def goes_on(self, history: tuple[str, str], sequence: int, known: int) -> bool:
        """Tell whether what was read before still holds: nobody lost it and wrote something else in its place.

        Args:
            history: that of a head before.
            sequence: transactions applied then.
            known: entries of the catalogue that were read since.
        """
        return self.history == history and self.sequence >= sequence and self.entries >= known


class Reminder(NamedTuple):
    """Hold one reminder: its number (whatever the database knows it by), when it is due, and what it holds."""

    number: int | bytes
    due: float
    body: bytes


class Counted(NamedTuple):
    """Hold what is counted, all of one moment.

    Attributes:
        head: as of this moment.
        folded: number of the last journal entry that the pages contain.
        pages: pages written by a fold later than the one asked about; empty bytes where a page was taken away.
        journal: journal entries after the later of ``folded`` and the one asked about, oldest first.
    """

    head: Head
    folded: int
    pages: Mapping[str, bytes]
    journal: Sequence[bytes]


def _no_keys() -> Keys:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Hold what one transaction writes.

    Attributes:
        now: the transaction's time; the head keeps the greatest.
        keys: int64 ``(n,)``, all different, ascending: documents that change.
        before: what `fetch` or `scan` returned for these keys in this transaction; None where there is no document.
        after: what they become; None where the document goes.
        reminders: new reminders, (due, body).
        reminded: numbers of reminders that go; each was read in this transaction.
        known: entries in the catalogue that were read; where ``entries`` is not empty there must still be just as many.
        entries: new entries of the catalogue.
        journal: a new journal entry, or None.
        awaiting: rows that await more (or fewer) than before.
        rate: the new rate, or None where it stays.
        settings: the new settings, or None where they stay.
        held_rate: the rate that was read; where ``rate`` is given it must still be that.
    """

    now: float
    keys: Keys = field(default_factory=_no_keys)
    before: Sequence[bytes | None] = ()
    after: Sequence[bytes | None] = ()
    reminders: Sequence[tuple[float, bytes]] = ()
    reminded: Sequence[int | bytes] = ()
    known: int = 0
    entries: Sequence[bytes] = ()
    journal: bytes | None = None
    awaiting: int = 0
    rate: float | None = None
    settings: str | None = None
    held_rate: float = 0.0


class Database(Protocol):
    """Keep documents, reminders, a catalogue, a journal and pages.

    Attributes:
        name: ``"sqlite"``, ``"postgresql"``, ``"redis"``.
        shared: other hosts or processes use the same state.
    """

    name: str
    shared: bool

    def open(self) -> None:
        """Connect, and make or migrate what there is; opening again in the same process does nothing."""
        ...

    def close(self) -> None:
        """Let go of the connection; closing twice does nothing."""
        ...

    def time(self) -> float | None:
        """Return the server's clock in seconds since the epoch, within a transaction; None: use the host's clock."""
        ...

    def begin(self, *, durable: bool) -> Head:
        """Begin a transaction.

        Args:
            durable: `apply` returns only after the data are on disk, as far as the database can promise it.
        """
        ...

    def fetch(self, keys: Keys) -> list[bytes | None]:
        """Return the documents of keys that are all different and ascending; None where there is none."""
        ...

    def entries(self, after: int) -> list[bytes]:
        """Return the catalogue's entries but the first ``after``, in order."""
        ...

    def due(self, before: float, limit: int) -> list[Reminder]:
        """Return up to ``limit`` reminders due before a time, the earliest first."""
        ...

    def scan(self, after: int | None, limit: int) -> tuple[Keys, list[bytes | None], int | None]:
        """Walk through the documents of the store.

        Args:
            after: None at first, then what the last call returned.
            limit: about how many documents to return.

        Returns:
            Keys (all different, ascending), their documents, and how to go on, or None at the end.
            Every document that is there all the time comes at least once.
        """
        ...

    def apply(self, changes: Changes) -> bool:
        """Write changes and end the transaction; return False where it has to be repeated."""
        ...

    def abandon(self) -> None:
        """End a transaction without writing; harmless where none is under way."""
        ...

    def counted(self, fold: int, journal: int) -> Counted:
        """Return what is counted, in one consistent view outside any transaction.

        Args:
            fold: the ``folded`` that the caller's pages contain; -1: none, so that all pages come.
            journal: the number of the last journal entry that the caller has counted.
        """
        ...

    def fold(self, pages: Mapping[str, bytes], upto: int, held: int) -> bool:
        """Write pages (empty bytes take one away) that contain the journal up to ``upto``, and drop that much of it.

        Returns:
            Whether that was done: not if the pages' last fold is not ``held`` any more.
        """
        ...

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or extend a lease; return whether ``holder`` has it now; it ends ``seconds`` from now, by one clock.

        One that ends later than `LONGEST_LEASE_S` from now is over: the clock was set back since.
        With no ``seconds`` this only tells whether ``holder`` could have it, and leaves none to anybody.
        """
        ...

    def release(self, name: str, holder: str) -> None:
        """Give a lease back, if ``holder`` has it."""
        ...

    def note(self, name: str, value: bytes | None) -> None:
        """Keep a small value by name, durably; None takes it away."""
        ...

    def noted(self, name: str) -> bytes | None:
        """Return the value kept by that name."""
        ...

    def check(self) -> list[str]:
        """Return what is wrong with the database by its own integrity check; usually nothing."""
        ...
