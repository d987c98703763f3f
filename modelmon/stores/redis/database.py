"""Redis 7 or Valkey as the database of a durable store: reads by scripts, and one script that checks and writes.

Rules:

1. Nothing is locked between `begin` and `apply`: `apply` writes only where all that was read is still there.
   Where no transaction came between, it is; else the documents are compared.
2. Where others have added to the catalogue since `begin`, their documents may mean nothing here.
   Such a transaction is lost already: reads give no documents, and `apply` says that it has to be repeated.
3. A transaction has a random id, so it may be sent again.
   One whose outcome stayed unknown is forbidden before the next begins.
4. A server may have lost a transaction known here: restarted without its file, or failed over.
   It then gets another origin, so that no process goes on with what it remembers.
5. No key has an expiry; how much survives a loss of power is the server's ``appendfsync``.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from modelmon.errors import ConfigurationError, StoreError
from modelmon.notices import warn
from modelmon.stores.database import Changes, Counted, Head, Reminder
from modelmon.stores.redis import opening, scripts, writes
from modelmon.stores.redis.blobs import packed, unpacked, weight
from modelmon.stores.redis.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from modelmon.stores.redis.opening import Found
    from modelmon.stores.redis.scripts import Script
    from modelmon.stores.redis.server import Argument

    Keys = NDArray[np.int64]

_KEY: Final = np.dtype("<i8")
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")


@dataclass(slots=True, eq=False)
class _Transaction:
    """Hold what a transaction began with, and whether it cannot be applied any more.

    Attributes:
        seen: the last transaction applied before all that was read here; empty where that was not always the same.
    """

    origin: str
    clock: float
    entries: int
    lost: bool = False
    seen: bytes | None = None


class RedisDatabase:
    """Keep documents, reminders, a catalogue, a journal and pages in one namespace of a Redis or Valkey server.

    Attributes:
        name: of this kind of database.
        shared: other hosts use the same state.
        resets: how often the server was found to have lost what it had confirmed.
    """

    name = "redis"
    shared = True

    def __init__(self, url: str, *, namespace: str = "modelmon", timeout: float = 1.0) -> None:
        """Read the settings; nothing is connected.

        Args:
            url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password where the server wants them.
            namespace: begins the names of all keys.
            timeout: seconds to wait for a connection, and for an answer.

        Raises:
            ConfigurationError: when one of them cannot be used.
        """
        if not _NAMESPACE.fullmatch(namespace):
            msg = "namespace: up to 100 of the signs A-Z a-z 0-9 _ . : / -"
            raise ConfigurationError(msg)
        if not timeout > 0:
            msg = "timeout: a number of seconds above 0"
            raise ConfigurationError(msg)
        self.resets = 0
        self._namespace = namespace
        self._server = Server(url, prefix=f"{{{namespace}}}", timeout=timeout)
        self._pid = 0
        self._origin = ""
        self._seen = (b"", 0)
        self._unsettled = b""
        self._transaction: _Transaction | None = None

    def __repr__(self) -> str:
        """Show where this is, without secrets."""
        return f"RedisDatabase({self._server.shown!r}, namespace={self._namespace!r})"

    def open(self) -> None:
        """Connect, and make or migrate what there is; opening again in the same process does nothing."""
        if self._pid == os.getpid():
            return
        self._transaction, self._unsettled = None, b""  # in a child: they are the parent's
        opening.examine(self._server)
        self._read(scripts.BEGIN)
        self._pid = os.getpid()

    def close(self) -> None:
        """Let go of the connection; closing twice does nothing."""
        self.abandon()
        self._pid = 0
        self._server.close()

    def time(self) -> float | None:
        """Return the server's clock in seconds since the epoch, as of `begin`."""
        return self._current().clock

    def begin(self, *, durable: bool) -> Head:  # noqa: ARG002  (the server alone decides when it writes to disk)
        """Begin a transaction; nothing is locked.

        Args:
            durable: has no effect: every transaction is as durable as the server's ``appendfsync`` makes it.
        """
        self.open()
        self.abandon()
        if self._unsettled:
            self._server.run(writes.FORGO, self._unsettled)
            self._unsettled = b""
        found, _ = self._read(scripts.BEGIN)
        self._transaction = _Transaction(found.head.origin, found.clock, found.head.entries)
        return found.head

    def fetch(self, keys: Keys) -> list[bytes | None]:
        """Return the documents of keys that are all different and ascending; None where there is none."""
        entries, last, sizes, bodies = self._ask(scripts.FETCH, keys.astype(_KEY, copy=False).tobytes())
        self._saw(last or b"")
        return self._understood(entries, unpacked(sizes, bodies))

    def entries(self, after: int) -> list[bytes]:
        """Return the catalogue's entries but the first ``after``, in order."""
        transaction = self._current()
        found: list[bytes] = self._ask(scripts.ENTRIES, after)
        transaction.entries = after + len(found)
        return found

    def due(self, before: float, limit: int) -> list[Reminder]:
        """Return up to ``limit`` reminders due before a time, the earliest first."""
        found = self._ask(scripts.DUE, repr(float(before)), limit)
        return [Reminder(member, float(due), member[8:]) for member, due in zip(found[::2], found[1::2], strict=True)]

    def scan(self, after: int | None, limit: int) -> tuple[Keys, list[bytes | None], int | None]:
        """Walk through the documents of the store; ``after`` and the last value are the server's cursor."""
        entries, cursor, names, sizes, bodies = self._ask(scripts.SCAN, after or 0, limit)
        self._saw(b"")
        keys, first = np.unique(np.frombuffer(names, _KEY), return_index=True)
        documents = self._understood(entries, unpacked(sizes, bodies))
        return keys.astype(np.int64), [documents[place] for place in first.tolist()], int(cursor) or None

    def apply(self, changes: Changes) -> bool:
        """Write changes and end the transaction; return False where it has to be repeated."""
        transaction, self._transaction = self._current(), None
        if transaction.lost:
            return False
        self._unsettled = name = secrets.token_bytes(16)
        try:
            arguments = (*_arguments(changes), transaction.seen or b"")
            number = self._server.run(_script(changes), name, transaction.origin, *arguments, insist=True)
        except StoreError as error:
            if error.kind not in {"down", "timeout"}:
                self._unsettled = b""  # it was refused before its first step
            raise
        self._unsettled = b""
        if number:
            self._seen = (name, number)
        return bool(number)

    def abandon(self) -> None:
        """End a transaction without writing; harmless where none is under way."""
        self._transaction = None

    def counted(self, fold: int, journal: int) -> Counted:
        """Return what is counted, in one consistent view outside any transaction."""
        self.open()
        found, (names, bodies, taken, entries) = self._read(scripts.COUNTED, fold, journal)
        pages = {name.decode(): body for name, body in zip(names, bodies, strict=True)}
        return Counted(found.head, found.folded, {name.decode(): b"" for name in taken} | pages, entries)

    def fold(self, pages: Mapping[str, bytes], upto: int, held: int) -> bool:
        """Write pages that contain the journal up to ``upto`` and drop it so far; return whether that was done."""
        self.open()
        named = [part for item in pages.items() for part in item]
        name = secrets.token_bytes(16)
        return bool(self._server.run(writes.FOLD, name, self._origin, held, upto, *named, insist=True))

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or extend a lease; return whether ``holder`` has it now; it ends by the server's clock."""
        self.open()
        return bool(self._server.run(writes.LEASE, name, holder, repr(float(seconds))))

    def release(self, name: str, holder: str) -> None:
        """Give a lease back, if ``holder`` has it."""
        self.open()
        self._server.run(writes.RELEASE, name, holder)

    def note(self, name: str, value: bytes | None) -> None:
        """Keep a small value by name; None takes it away."""
        self.open()
        key = self._server.key("notes")
        self._server.call(*(("HDEL", key, name) if value is None else ("HSET", key, name, value)))

    def noted(self, name: str) -> bytes | None:
        """Return the value kept by that name."""
        self.open()
        found: bytes | None = self._server.call("HGET", self._server.key("notes"), name)
        return found

    def check(self) -> list[str]:
        """Return where counts of the head and what is there differ; usually nowhere."""
        self.open()
        return opening.check(self._server, self._read(scripts.BEGIN)[0])

    def _current(self) -> _Transaction:
        if self._pid != os.getpid():
            self._transaction = None
        if self._transaction is None:
            msg = "Redis: no transaction is under way"
            raise StoreError(msg, kind="conflict")
        return self._transaction

    def _ask(self, script: Script, *arguments: Argument) -> Any:
        """Read within a transaction, which ends where that fails."""
        self._current()
        try:
            return self._server.run(script, *arguments)
        except BaseException:
            self.abandon()
            raise

    def _saw(self, last: bytes) -> None:
        """Note which transaction was the last when something was read."""
        transaction = self._current()
        transaction.seen = last if transaction.seen in {None, last} else b""

    def _understood(self, entries: int, documents: list[bytes | None]) -> list[bytes | None]:
        """Return documents, or none where they may need entries of the catalogue that were not there yet."""
        transaction = self._current()
        transaction.lost |= entries != transaction.entries
        return [None] * len(documents) if transaction.lost else documents

    def _read(self, script: Script, *arguments: Argument) -> tuple[Found, list[Any]]:
        """Read the head and more; make it where there is none, and rename it where the server lost what is known."""
        while True:
            head, lost, *rest = self._server.run(script, self._origin, *self._seen, *arguments)
            found = opening.read_head(head)
            if found is not None and not lost:
                break
            if self._origin:
                self.resets += 1
                warn("redis reset", "this Redis has lost what it had confirmed: the store goes on from what is left")
            opening.make_head(self._server, found.head.origin if found else "")
            self._origin, self._seen = "", (b"", 0)
        self._origin = found.head.origin
        self._seen = (found.last, found.head.sequence)
        return found, rest


def _script(changes: Changes) -> Script:
    """Return the script for changes: one that frees memory may run when memory is full."""
    more = weight(changes.after) + weight(changes.entries) + len(changes.journal or b"")
    more += weight([body for _, body in changes.reminders])
    return writes.APPLY_SMALLER if more < weight(changes.before) else writes.APPLY


def _arguments(changes: Changes) -> list[Argument]:
    """Return what the script that applies changes takes, after the transaction's id and the origin."""
    return [
        repr(float(changes.now)),
        changes.keys.astype(_KEY, copy=False).tobytes(),
        sha1(b"".join(packed(changes.before)), usedforsecurity=False).hexdigest(),
        *packed(changes.after),
        np.array([due for due, _ in changes.reminders], "<f8").tobytes(),
        *packed([body for _, body in changes.reminders]),
        *packed([number if isinstance(number, bytes) else b"" for number in changes.reminded]),
        changes.known,
        *packed(changes.entries),
        b"" if changes.journal is None else b"+" + changes.journal,
        int(changes.awaiting),
        "" if changes.rate is None else repr(float(changes.rate)),
        repr(float(changes.held_rate)),
        int(changes.settings is not None),
        changes.settings or "",
    ]
