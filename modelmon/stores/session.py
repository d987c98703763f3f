"""A session: one process at work on a database, transaction by transaction.

Not safe for threads: whoever owns it calls it under one lock.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from modelmon.clocks import StoreClock, SystemClock
from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.catalogue import Catalogue
from modelmon.stores.contract import JoinSettings
from modelmon.stores.damage import DamageError, condemn, told
from modelmon.stores.limits import restore
from modelmon.stores.settingtexts import read_settings, write_settings
from modelmon.stores.working import Working

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelmon.clocks import Clock
    from modelmon.stores.database import Database, Head

T = TypeVar("T")
_ATTEMPTS = 200
_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.1
_KEY_BYTES = 40
_WEIGHED = 64
_FOLLOWING = 0.05


class Session:
    """Run transactions, and remember what the store's numbers mean.

    Attributes:
        database: where everything is kept.
        settings: what governs the join: what was given, else what the store holds.
        catalogue: what numbers mean.
        head: what the last transaction began with.
        awaiting: rows that awaited labels after it.
        shortened: whether rows or labels are due earlier by the settings given than by those that the store held.
        reminded: the settings by which all documents were reminded here; others may give other ones all the time.
    """

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self.database = database
        self.given: JoinSettings | None = None
        self.settings = JoinSettings()
        self.head: Head | None = None
        self.awaiting = 0
        self.shortened = False
        self.reminded: JoinSettings | None = None
        self._document_bytes = 0.0
        self._text: str | None = None
        self._governed: tuple[str, JoinSettings | None] | None = None
        self.set_clock(SystemClock())
        self.forget()

    def set_clock(self, clock: Clock) -> None:
        """Read this clock; the machine's own gives way to the clock of the database's server."""
        self._own_clock = not isinstance(clock, SystemClock)
        self._clock = StoreClock(clock)

    def forget(self) -> None:
        """Forget what was read of the store; it is read anew."""
        self.catalogue = Catalogue()
        self._history = ("", "")
        self._sequence = 0
        self._lost = 0

    def now(self, head: Head) -> float:
        """Return the time of the transaction under way: never less than any before."""
        server = None if self._own_clock else self.database.time()
        return max(head.now, self._clock.now() if server is None else server)

    def begin(self, *, durable: bool = False) -> Working:
        """Begin a transaction with all that others have added to the catalogue."""
        self.database.open()
        head = self.head = self.database.begin(durable=durable)
        try:
            self._follow(head)
            self._govern(head)
            return Working(head, self.now(head), self.settings, self.catalogue)
        except BaseException as error:
            self.database.abandon()
            whole = not self.catalogue.known  # all of it was read: it will not do better next time
            self.forget()
            if whole and isinstance(error, DamageError):
                condemn(self.database, error)
            raise

    def followed(self) -> Catalogue:
        """Return the catalogue with all that others have added."""
        self.begin()
        self.database.abandon()
        return self.catalogue

    def _follow(self, head: Head) -> None:
        if not head.goes_on(self._history, self._sequence, self.catalogue.known):
            self.forget()
        self._history, self._sequence = head.history, head.sequence
        if self.catalogue.known < head.entries:
            with told("the catalogue", kind="corrupt"):
                self.catalogue.apply(self.database.entries(self.catalogue.known))

    def _govern(self, head: Head) -> None:
        """Let the settings given govern the join, else those held."""
        if self._governed == (head.settings, self.given):
            return
        held = read_settings(head.settings) if head.settings else None
        self._text, self._governed = None, None
        if self.given is None:
            self.settings = held or JoinSettings()
            self._governed = (head.settings, None)
            return
        self.settings = self.given
        window = (held or JoinSettings()).window
        counted = self.catalogue.groups.series if held is None else head.journal
        if window != self.given.window and counted:
            msg = (
                f"this store counts in slots of {window:g} s, and window={self.given.window:g} does not fit: "
                "give it the same window, or another store"
            )
            raise ConfigurationError(msg)
        if write_settings(self.given) != head.settings:
            self._text = write_settings(self.given)
            self.shortened |= held is not None and self.given != self.reminded and _is_shorter(self.given, held)
        else:
            self._governed = (head.settings, self.given)

    def most_awaiting(self) -> int:
        """Return how many rows may await labels."""
        most, most_bytes = self.settings.max_awaiting, self.settings.max_awaiting_bytes
        if most_bytes is None or not self._document_bytes:
            return most
        return min(most, int(most_bytes / self._document_bytes))

    def recount(self) -> None:
        """Count what awaits labels by now, whoever brought it or let it go."""
        self.awaiting = self.begin().head.awaiting - self._lost
        self.database.abandon()

    def write_off(self) -> None:
        """Take what is counted as awaiting for lost from here on: there is none of it."""
        self._lost += self.awaiting
        self.awaiting = 0

    def _restore(self, working: Working) -> None:
        """Sample again as the settings say, where few enough rows await; whoever is new here weighs some documents."""

        def most() -> int:
            if self.settings.max_awaiting_bytes is not None and not self._document_bytes:
                self._weigh(self.database.scan(None, _WEIGHED)[1])
            return self.most_awaiting()

        if restore(working.holdings, working.head.awaiting - self._lost + working.holdings.awaiting, most):
            working.rate = working.holdings.rate

    def _weigh(self, documents: Sequence[bytes | None]) -> None:
        """Follow what a document takes, on average, with its key and its reminder."""
        written = [*filter(None, documents[:_WEIGHED])]  # keys are hashes, so any few do
        if written:
            mean = sum(map(len, written)) / len(written) + _KEY_BYTES
            self._document_bytes += (mean - self._document_bytes) * (_FOLLOWING if self._document_bytes else 1.0)

    def transact(self, low: NDArray[np.uint64], act: Callable[[Working], T], *, durable: bool = False) -> T:
        """Return what ``act`` returns, called with the documents of ids fetched; what it changed is committed.

        Args:
            low: lower words of the ids.
            act: applies events to the working set; called again where somebody else changed the same documents.
            durable: return only when the changes are on disk.

        Raises:
            StoreError: when nothing was committed.
        """

        def fetched(working: Working) -> T:
            working.fetch(self.database, low)
            self._restore(working)
            return act(working)

        return self.attempt(fetched, durable=durable)

    def attempt(self, act: Callable[[Working], T], *, durable: bool = False) -> T:
        """Do as `transact` does, where ``act`` fetches for itself."""
        for attempt in range(_ATTEMPTS):
            working = self.begin(durable=durable)
            try:
                with told("something under these ids"):
                    result = act(working)
                    changes = working.changes(self._text)
                done = self.database.apply(changes)
            except BaseException:
                self.database.abandon()
                self.forget()
                raise
            if done:
                self.catalogue.settle(changes.entries)
                self.catalogue.release()
                self.awaiting = working.head.awaiting - self._lost + changes.awaiting
                self._weigh(changes.after)
                return result
            if changes.entries:
                self.forget()
            self.catalogue.release()
            time.sleep(random.uniform(0, min(_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S)))  # noqa: S311  (no secret)
        msg = f"others changed the same rows {_ATTEMPTS} times in a row; nothing was committed"
        raise StoreError(msg, kind="conflict")


def _is_shorter(given: JoinSettings, held: JoinSettings) -> bool:
    return given.ttl < held.ttl or given.early_ttl < held.early_ttl
