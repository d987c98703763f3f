"""One connection of one process, made anew whenever it is gone."""

from __future__ import annotations

import os
import selectors
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.waiting import Ready

from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.addresses import redacted
from modelmon.stores.postgres.arrays import adapt
from modelmon.stores.postgres.failures import Stalled, connection_is_over, explained, secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psycopg.abc import PQGen

Row = tuple[Any, ...]
Result = TypeVar("Result")
_SLACK_S: Final = 1.0  # more than the server allows itself
_INHERITED: Final[list[Link]] = []
"""Connections that a child found in its memory; kept, since dropping one could tell the server that it ends."""


class Link(psycopg.Connection[Row]):
    """A connection that waits for the server only so long."""

    patience: float = 60.0

    def wait(self, gen: PQGen[Result], *_settings: Any, **_named: Any) -> Result:
        """Run one exchange with the server; whatever ends it early, ends the connection.

        Raises:
            Stalled: when the server did not answer in time.
        """
        try:
            return _driven(gen, self.pgconn.socket, self.patience)
        except psycopg.Error as error:
            if isinstance(error, Stalled):
                self.pgconn.finish()
            raise
        except BaseException:
            self.pgconn.finish()
            raise


def _driven(gen: PQGen[Result], socket: int, seconds: float) -> Result:
    """Run one exchange with the server; the generator says what it waits for, and is told when that has come."""
    ends = time.monotonic() + seconds
    with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:
        try:
            wanted = next(gen)
            while True:
                selector.register(socket, wanted)
                ready = selector.select(max(0.0, ends - time.monotonic()))
                selector.unregister(socket)
                if ready:
                    wanted = gen.send(Ready(ready[0][1]))
                elif time.monotonic() >= ends:
                    break
        except StopIteration as end:
            result: Result = end.value
            return result
    msg = "the server did not answer in time"
    raise Stalled(msg)


class Session:
    """Keep this process's connection to one server, and say in our words what goes wrong with it.

    Attributes:
        connections: how many were made: whoever has a new one may speak to a server that lost the last transactions.
    """

    def __init__(self, url: str, timeout: float, prepare: Callable[[Session], None]) -> None:
        """Read the URL; nothing is connected yet.

        Args:
            url: where the server is.
            timeout: the most seconds that one exchange may take.
            prepare: what to do first on each new connection.

        Raises:
            ConfigurationError: when the URL cannot be read; the message does not show it.
        """
        self.shown = redacted(url)
        self._parameters = _read(url, timeout)
        self._timeout = timeout
        self._prepare = prepare
        self.connections = 0
        self._link: Link | None = None
        self._pid = 0

    @property
    def under_way(self) -> bool:
        """Whether a transaction of this process is under way."""
        link = self._link if self._pid == os.getpid() else None
        return link is not None and link.pgconn.transaction_status == TransactionStatus.INTRANS

    def open(self) -> Link:
        """Return this process's connection, a new one if there is none that works."""
        if self._pid != os.getpid():
            if self._link is not None:
                _INHERITED.append(self._link)
            self._link, self._pid = None, os.getpid()
        link = self._link
        if link is None or link.closed:
            link = self._link = self._connected()
            self.connections += 1
            try:
                self._prepare(self)
            except BaseException:
                self.drop()
                raise
        return link

    def drop(self) -> None:
        """Let go of the connection, unless it is another process's."""
        link, self._link = self._link, None
        if link is None:
            return
        if self._pid == os.getpid():
            link.close()
        else:
            _INHERITED.append(link)

    def begin(self, text: bytes) -> Row:
        """Run statements that begin a transaction, and return the last row; a lost connection is made anew at once."""
        fresh = self._link is None or self._pid != os.getpid()
        self.open()
        try:
            return self.run(lambda link: _last_row(link, text))
        except StoreError as error:
            if fresh or error.kind != "down":
                raise
        self.open()
        return self.run(lambda link: _last_row(link, text))

    def rows(self, text: bytes, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a statement and return its rows; none where it returns none."""
        return self.run(lambda link: _rows(link, text, parameters))

    def counts(self, statements: Sequence[tuple[bytes, Sequence[Any]]]) -> list[int]:
        """Run statements within a transaction, in one exchange where the driver can; return how many rows each met."""

        def work(link: Link) -> list[int]:
            cursors = [link.cursor(binary=True) for _ in statements]
            if not psycopg.Pipeline.is_supported():
                for cursor, (text, parameters) in zip(cursors, statements, strict=True):
                    cursor.execute(text, parameters)
            else:
                with link.pipeline():
                    for cursor, (text, parameters) in zip(cursors, statements, strict=True):
                        cursor.execute(text, parameters)
            return [cursor.rowcount for cursor in cursors]

        return self.run(work)

    def command(self, text: bytes) -> None:
        """Run a statement that returns nothing."""
        self.run(lambda link: link.execute(text))

    @contextmanager
    def patient(self, seconds: float) -> Iterator[None]:
        """Allow exchanges with the server more time within a block."""
        self.open().patience = seconds
        try:
            yield
        finally:
            if self._link is not None:
                self._link.patience = self._timeout + _SLACK_S

    def roll_back(self) -> None:
        """End a transaction without writing; never raises."""
        link = self._link if self._pid == os.getpid() else None
        if link is None:
            return
        status = link.pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            return
        if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            try:
                link.execute(b"ROLLBACK")
            except psycopg.Error:
                self.drop()
        else:
            self.drop()

    def run(self, work: Callable[[Link], Result]) -> Result:
        """Do something with the connection; after a failure nothing is under way.

        Raises:
            StoreError: what went wrong, without secrets, and without a trace of the driver's frames.
        """
        if self._pid != os.getpid() or self._link is None:
            raise self.nothing_under_way()
        try:
            return work(self._link)
        except psycopg.Error as error:
            failure = explained(error, secrets_of(self._parameters), self.shown)
        except BaseException:
            self.drop()
            raise
        if connection_is_over(failure.kind):
            self.drop()
        else:
            self.roll_back()
        raise failure

    def nothing_under_way(self) -> StoreError:
        """Return what to raise where there is no transaction to go on with."""
        return StoreError(f"{self.shown}: no transaction is under way in this process")

    def _connected(self) -> Link:
        try:
            link = Link.connect(**self._parameters)
        except psycopg.Error as error:
            failure = explained(error, secrets_of(self._parameters), self.shown)
        else:
            link.prepare_threshold = None  # a pooler between us and the server may not know prepared statements
            link.patience = self._timeout + _SLACK_S
            adapt(link)
            return link
        raise failure


def _rows(link: Link, text: bytes, parameters: Sequence[Any]) -> list[Row]:
    """Run a statement with its values in binary, both ways."""
    cursor = link.cursor(binary=True).execute(text, parameters)
    return [] if cursor.description is None else cursor.fetchall()


def _last_row(link: Link, text: bytes) -> Row:
    """Run several statements at once, each of which sees what was committed before it, and return the last row."""
    cursor = link.execute(text)
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    return () if row is None else row


def _are_ports(found: dict[str, Any]) -> bool:
    return all(
        not port or (port.isdecimal() and 0 < int(port) < 1 << 16) for port in str(found.get("port", "")).split(",")
    )


def _read(url: str, timeout: float) -> dict[str, Any]:
    """Return what to connect with."""
    scheme, mark, rest = url.partition("://") if isinstance(url, str) else ("", "", "")
    found: dict[str, Any] | None = None
    if scheme in ("postgresql", "postgres") and mark:
        if _is_ambiguous(rest):
            msg = "url has an @ or / too many: in a user or password, write %40 for @ and %2F for /"
            raise ConfigurationError(msg)
        try:
            found = dict(conninfo_to_dict(url))
        except (psycopg.Error, UnicodeError):  # halves of surrogate pairs
            found = None
    if found is None or "@" in f"{found.get('host', '')}{found.get('hostaddr', '')}" or not _are_ports(found):
        msg = (
            "url must be postgresql://user:password@host:port/database?option=value "
            "(or an option is unknown, or a port is no number)"
        )
        raise ConfigurationError(msg)
    ours = {
        "connect_timeout": max(2, round(timeout)),
        "application_name": "modelmon",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": round((timeout + _SLACK_S) * 1000),
    }
    return {**ours, **found, "client_encoding": "utf8", "autocommit": True}


def _is_ambiguous(rest: str) -> bool:
    """Return whether part of a password may be taken for a host or a database, which errors show."""
    authority, _, path = rest.partition("?")[0].partition("/")
    return authority.count("@") > 1 or "@" in path
