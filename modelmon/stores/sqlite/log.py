"""The log of documents in the file: appended to by every transaction, and merged into the table slice by slice."""

from __future__ import annotations

import sqlite3
import struct
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from modelmon.faults import is_signalled
from modelmon.stores.sqlite.recents import Mark, Recents
from modelmon.stores.sqlite.segments import packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelmon.stores.database import Keys

LEAST_SLICE: Final = 2000
"""Documents merged with one transaction, at least; one that writes more merges a quarter more than it writes."""
MOST_TRIMMED: Final = 4 << 20
"""Bytes of segments deleted with one transaction, about."""
_AT_ONCE: Final = 500
_KEYS: Final = ",".join(["(?)"] * _AT_ONCE)
# keys come ascending, so a list walked through from outside spares the sorted copy that IN makes of them
_FIND: Final = (
    f"WITH wanted (key) AS (VALUES {_KEYS})"  # noqa: S608 - question marks only
    " SELECT d.key, d.body FROM wanted CROSS JOIN documents d ON d.key = wanted.key"
)
_PUT_AT_ONCE: Final = 250
_PUT: Final = "INSERT OR REPLACE INTO documents VALUES "
_PUT_ONE: Final = _PUT + "(?,?)"
_PUT_MANY: Final = _PUT + ",".join(["(?,?)"] * _PUT_AT_ONCE)
_SEGMENTS_AT_ONCE: Final = 64
_COUNTED_AT_ONCE: Final = 10_000
_FIRST_PHASE: Final = 2**64


class _Written(NamedTuple):
    """Hold a segment that is not committed yet."""

    mark: Mark
    keys: list[int]
    bodies: Sequence[bytes | None]
    size: int


class Log:
    """Keep documents: those written lately in segments, all others in a table."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._recents = Recents()
        self._mark = Mark(0, 0, 0, None, 0)
        self._written: _Written | None = None

    def forget(self) -> None:
        """Forget what was read; it is read anew."""
        self._recents.forget()

    def follow(self, connection: sqlite3.Connection, origin: str, mark: Mark) -> None:
        """Read what others have written; the transaction under way begins with this mark."""

        def read(after: int) -> Iterator[tuple[int, bytes]]:
            return connection.execute("SELECT number, body FROM recent WHERE number > ? ORDER BY number", (after,))

        self._mark, self._written = mark, None
        try:
            self._recents.follow(origin, mark, read)
        except (TypeError, ValueError, struct.error) as error:
            if is_signalled(error):
                raise
            message = "a segment is malformed"
            raise sqlite3.DatabaseError(message) from error

    # -- reading -----------------------------------------------------------------------------------------------------

    def fetch(self, connection: sqlite3.Connection, keys: list[int]) -> list[bytes | None]:
        """Return the documents of keys; None where there is none."""
        found, absent = self._recents.find(keys)
        if absent and self._mark.merging:
            wanted = [keys[place] for place in absent]
            table = self._look_up(connection, wanted)
            for place, body in zip(absent, map(table.get, wanted), strict=True):
                found[place] = body
        return found

    @staticmethod
    def _look_up(connection: sqlite3.Connection, keys: list[int]) -> dict[int, bytes]:
        """Return the documents that the table has; the last chunk repeats a key, so that one statement serves all."""
        found: dict[int, bytes] = {}
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            some += some[-1:] * (_AT_ONCE - len(some))
            found.update(connection.execute(_FIND, some))
        return found

    def scan(
        self, connection: sqlite3.Connection, after: int | None, limit: int
    ) -> tuple[Keys, list[bytes | None], int | None]:
        """Walk through the documents: first those in the log, then those in the table, each in the order of their keys.

        What leaves the log during the walk arrives in the table, so nothing that stays is missed.
        """
        limit = max(1, limit)
        if after is None or after >= _FIRST_PHASE:
            start = None if after is None else after - _FIRST_PHASE - 2**63
            keys = self._recents.walk(start, limit)
            bodies = self.fetch(connection, keys)
            going_on = _FIRST_PHASE + 2**63 + keys[-1] if len(keys) == limit else -(2**63) - 1
        else:
            statement = "SELECT key, body FROM documents WHERE key > ? ORDER BY key LIMIT ?"
            if after < -(2**63):
                statement, after = statement.replace(">", ">="), -(2**63)
            rows = connection.execute(statement, (after, limit)).fetchall()
            keys = [key for key, _ in rows]
            bodies, absent = self._recents.find(keys)
            for place in absent:
                bodies[place] = rows[place][1]
            if len(keys) < limit:
                return np.array(keys, np.int64), bodies, None
            going_on = keys[-1]
        return np.array(keys, np.int64), bodies, going_on

    def count(self, connection: sqlite3.Connection) -> int:
        """Return how many documents there are, by counting them."""
        (held,) = connection.execute("SELECT count(*) FROM documents").fetchone()
        after = None
        while keys := self._recents.walk(after, _COUNTED_AT_ONCE):
            bodies, _ = self._recents.find(keys)
            held += len(keys) - bodies.count(None) - len(self._look_up(connection, keys))
            after = keys[-1]
        return int(held)

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(self, connection: sqlite3.Connection, keys: Keys, bodies: Sequence[bytes | None]) -> Mark:
        """Append a segment, merge a slice of older ones, and return where the log stands after the transaction."""
        mark, size = self._mark, 0
        if len(keys):
            segment = packed(keys, bodies)
            size = len(segment)
            mark = mark._replace(segment=mark.segment + 1)
            connection.execute("INSERT INTO recent VALUES (?, ?)", (mark.segment, segment))
        if mark.merging > mark.merged:
            mark = self._merge(connection, mark, max(LEAST_SLICE, len(keys) * 5 // 4))
        elif mark.trimmed < mark.merged:
            mark = self._trim(connection, mark)
        elif self._recents.is_long(len(keys), size):
            mark = mark._replace(merging=mark.segment, cursor=None)
        self._written = _Written(mark, keys.tolist(), bodies, size)
        return mark

    def written(self) -> None:
        """Take over what was committed."""
        if self._written is not None:
            self._recents.add(*self._written)
            self._mark, self._written = self._written.mark, None

    def _merge(self, connection: sqlite3.Connection, mark: Mark, n: int) -> Mark:
        some = self._recents.slice(mark.cursor, n)
        self._put(connection, some.keys, some.bodies)
        if some.gone:
            connection.executemany("DELETE FROM documents WHERE key = ?", [(key,) for key in some.gone])
        if some.last is None:
            return mark._replace(merged=mark.merging, cursor=None)
        return mark._replace(cursor=some.last)

    @staticmethod
    def _put(connection: sqlite3.Connection, keys: list[int], bodies: list[bytes]) -> None:
        """Write documents into the table, many with each statement, since one takes longer to run than a row."""
        whole = len(keys) - len(keys) % _PUT_AT_ONCE
        rows: list[int | bytes] = [0] * (2 * whole)
        rows[0::2], rows[1::2] = keys[:whole], bodies[:whole]
        for start in range(0, 2 * whole, 2 * _PUT_AT_ONCE):
            connection.execute(_PUT_MANY, rows[start : start + 2 * _PUT_AT_ONCE])
        connection.executemany(_PUT_ONE, zip(keys[whole:], bodies[whole:], strict=True))

    @staticmethod
    def _trim(connection: sqlite3.Connection, mark: Mark) -> Mark:
        """Delete some of the segments that are merged."""
        statement = "SELECT number, length(body) FROM recent WHERE number <= ? ORDER BY number LIMIT ?"
        rows = connection.execute(statement, (mark.merged, _SEGMENTS_AT_ONCE)).fetchall()
        sizes = list(accumulate(size for _, size in rows))
        most = sum(size < MOST_TRIMMED for size in sizes)
        upto = rows[most][0] if most < len(rows) else mark.merged if len(rows) < _SEGMENTS_AT_ONCE else rows[-1][0]
        connection.execute("DELETE FROM recent WHERE number <= ?", (upto,))
        return mark._replace(trimmed=upto)
