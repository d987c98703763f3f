"""PostgreSQL under a durable store: one writer at a time, in turns that the server gives by an advisory lock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.database import LONGEST_LEASE_S, Counted, Head, Reminder
from modelmon.stores.postgres.arrays import blobs, integers
from modelmon.stores.postgres.schema import VERSION, bring_up_to_date, checked, version_of
from modelmon.stores.postgres.session import Session
from modelmon.stores.postgres.statements import beginning, statements
from modelmon.stores.postgres.writing import plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelmon.stores.database import Changes, Keys

_LEAST: Final = -(2**63)
_GREATEST: Final = 2**63 - 1
_CHECK_S: Final = 3600.0


class PostgresDatabase:
    """Keep a store's state in a namespace of a PostgreSQL database, from version 12 on.

    `begin` waits for its turn, so `apply` never has to be repeated because of others.
    """

    name = "postgresql"
    shared = True

    def __init__(self, url: str, *, schema: str = "modelmon", flush: str = "labels", timeout: float = 5.0) -> None:
        """Check the settings; the first use connects.

        Args:
            url: ``postgresql://user:password@host:port/database``, with any option of libpq, TLS among them.
            schema: the namespace of the tables, which is made if need be.
            flush: ``"labels"`` has the server flush its log before it confirms labels; ``"always"``, predictions too.
            timeout: the most seconds that one statement, or waiting for a turn, may take.

        Raises:
            ConfigurationError: when any of these cannot work; no message shows the URL.
        """
        self._schema = checked(schema)
        self._timeout = float(timeout)
        if flush not in ("labels", "always"):
            msg = 'flush must be "labels" or "always"'
            raise ConfigurationError(msg)
        if not 0.0 < timeout <= _CHECK_S:
            msg = f"timeout must be a number of seconds, more than 0 and at most {_CHECK_S:g}"
            raise ConfigurationError(msg)
        self._session = Session(url, self._timeout, self._prepare)
        self._sql = statements(schema)
        self._begin = {
            durable: beginning(schema, lock=True, durable=durable or flush == "always", timeout=timeout)
            for durable in (False, True)
        }
        self._view = beginning(schema, lock=False, durable=False, timeout=timeout)
        self._short = beginning(schema, lock=False, durable=True, timeout=timeout, head=False)
        self._head: Head | None = None
        self._folded = 0
        self._now = 0.0

    def __repr__(self) -> str:
        """Show where this is, without secrets."""
        return f"{type(self).__name__}({self._session.shown!r}, schema={self._schema!r})"

    def open(self) -> None:
        """Connect, and make or migrate the tables; opening again in the same process does nothing."""
        self._session.open()

    def close(self) -> None:
        """Let go of the connection; what is under way is not written."""
        self._session.drop()

    def time(self) -> float | None:
        """Return the server's clock as of the transaction's beginning."""
        return self._now

    def begin(self, *, durable: bool) -> Head:
        """Begin a transaction, as soon as it is this one's turn."""
        self._session.roll_back()
        return self._entered(self._begin[durable])

    def fetch(self, keys: Keys) -> list[bytes | None]:
        """Return documents in the order of the keys; None where there is none."""
        if not len(keys):
            return []
        return [body for (body,) in self._session.rows(self._sql.fetch, (integers(keys),))]

    def entries(self, after: int) -> list[bytes]:
        """Return the catalogue's entries but the first ``after``, in order."""
        return [body for (body,) in self._session.rows(self._sql.entries, (after,))]

    def due(self, before: float, limit: int) -> list[Reminder]:
        """Return the earliest reminders due before a time; as writers take turns, none has to be locked or skipped."""
        return [Reminder(*row) for row in self._session.rows(self._sql.due, (before, limit))]

    def scan(self, after: int | None, limit: int) -> tuple[Keys, list[bytes | None], int | None]:
        """Walk through the documents by key."""
        if after == _GREATEST:
            return np.empty(0, np.int64), [], None
        rows = self._session.rows(self._sql.scan, (_LEAST if after is None else after + 1, max(1, limit)))
        keys = np.array([key for key, _ in rows], np.int64)
        return keys, [body for _, body in rows], int(keys[-1]) if len(rows) >= max(1, limit) else None

    def apply(self, changes: Changes) -> bool:
        """Write changes and commit; False, with nothing written, if what they rest on is not what is there."""
        head, self._head = self._head, None
        if head is None or not self._session.under_way:
            raise self._session.nothing_under_way()
        if (changes.entries and changes.known != head.entries) or (
            changes.rate is not None and changes.held_rate != head.rate
        ):
            self._session.roll_back()
            return False
        steps, expected = plan(self._sql, changes, head)
        try:
            met = self._session.counts(steps)
        except StoreError as error:
            if error.kind != "conflict":
                raise
            return False
        if met != expected:
            self._session.roll_back()
            return False
        self._session.command(b"COMMIT")
        return True

    def abandon(self) -> None:
        """End a transaction without writing; harmless where none is under way."""
        self._head = None
        self._session.roll_back()

    def counted(self, fold: int, journal: int) -> Counted:
        """Return what is counted, all of one moment."""
        with self._within(self._view) as head:
            folded = self._folded
            pages = self._session.rows(self._sql.pages, (fold, fold >= 0)) if fold < folded else []
            waiting = max(folded, journal)
            entries = self._session.rows(self._sql.journal, (waiting,)) if waiting < head.journal else []
        return Counted(head, folded, dict(pages), [body for (body,) in entries])

    def fold(self, pages: Mapping[str, bytes], upto: int, held: int) -> bool:
        """Write pages and drop the journal that they contain, unless another fold came first."""
        with self._within(self._begin[False]):
            if self._folded != held:
                return False
            size = self._session.rows(self._sql.drop, (upto,))[0][0]
            turn = (self._sql.turn, (upto, list(pages), blobs(list(pages.values()))))
            self._session.counts([turn, (self._sql.purge, ()), (self._sql.folded, (upto, size))])
        return True

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or extend a lease by the server's clock; return whether ``holder`` has it now."""
        if not seconds:
            return not self._single(self._sql.leased, (name, holder, LONGEST_LEASE_S))
        return bool(self._single(self._sql.lease, (name, holder, float(seconds), LONGEST_LEASE_S)))

    def release(self, name: str, holder: str) -> None:
        """Give a lease back, if ``holder`` has it."""
        self._single(self._sql.release, (name, holder))

    def note(self, name: str, value: bytes | None) -> None:
        """Keep a small value by name; None takes it away."""
        if value is None:
            self._single(self._sql.forget, (name,))
        else:
            self._single(self._sql.note, (name, value))

    def noted(self, name: str) -> bytes | None:
        """Return the value kept by that name."""
        found = self._single(self._sql.noted, (name,))
        return found[0][0] if found else None

    def check(self) -> list[str]:
        """Compare what the head tells with what the tables hold; this reads all of them."""
        unlimited = beginning(self._schema, lock=False, durable=False, timeout=_CHECK_S)
        with self._session.patient(_CHECK_S), self._within(unlimited):
            rows = self._session.rows(self._sql.wrong)
        return [f"{what}: {told} told, {found} found" for what, told, found in rows]

    def _entered(self, text: bytes) -> Head:
        """Begin a transaction and keep what its head says."""
        self._head = None
        row = self._session.begin(text)
        if not row:
            self._session.drop()
            msg = f"{self._session.shown}: the table {self._schema}.head is empty"
            raise StoreError(msg, kind="corrupt")
        *values, self._folded, self._now, server = row
        self._head = Head(*values)._replace(line=f"{server} {self._session.connections}")
        return self._head

    @contextmanager
    def _within(self, text: bytes) -> Iterator[Head]:
        """Run a block in a transaction of its own; leaving it early writes what was done till then."""
        self._session.roll_back()
        head = self._entered(text)
        try:
            yield head
        except BaseException:
            self.abandon()
            raise
        self._head = None
        self._session.command(b"COMMIT")

    def _single(self, text: bytes, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own, without the writers' lock."""
        self._session.roll_back()
        self._session.begin(self._short)
        rows = self._session.rows(text, parameters)
        self._session.command(b"COMMIT")
        return rows

    def _prepare(self, session: Session) -> None:
        """Make or migrate the tables on a new connection."""
        if version_of(session.rows, self._schema) == VERSION:
            return
        session.begin(beginning(self._schema, lock=True, durable=True, timeout=self._timeout, head=False))
        bring_up_to_date(session.rows, self._schema)
        session.command(b"COMMIT")
