"""Encryption: TLS for the endpoint, 1.2 or newer, without ever waiting for a client."""

from __future__ import annotations

import os
import selectors
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    import socket

LOOK_S: Final = 10.0
_PIECE: Final = 16_384  # one TLS record, so that a slow reader's progress is seen
_CHUNK: Final = 65_536
_FEEDS: Final = 16  # looks at what came, before others have their turn


class Pause(BlockingIOError):  # noqa: N818  (no error: it goes on later)
    """Say that a connection must wait, and for what."""

    def __init__(self, interest: int) -> None:
        """Wait for this mask of ``selectors``."""
        super().__init__()
        self.interest = interest


class Certificate:
    """Hold a certificate and its key; files that were replaced are read again for new connections."""

    def __init__(self, certfile: str | os.PathLike[str], keyfile: str | os.PathLike[str] | None = None) -> None:
        """Read both.

        Raises:
            ConfigurationError: when they cannot be read, do not belong together, or the key needs a passphrase.
        """
        self._files = (os.fspath(certfile), None if keyfile is None else os.fspath(keyfile))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        self._state = self._stamps()
        self._look_at = time.monotonic() + LOOK_S
        try:
            self._load()
        except (OSError, ValueError) as error:
            msg = f"certfile={self._files[0]!r} cannot be used: {error}"
            raise ConfigurationError(msg) from error

    def wrap(self, connection: socket.socket) -> Secured:
        """Return a connection that is encrypted; the handshake takes place while it is read or written."""
        self._refresh()
        return Secured(connection, self._context)

    def _refresh(self) -> None:
        """Read the files again if they changed; what cannot be used yet leaves the old certificate in use."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        stamps = self._stamps()
        if stamps != self._state:
            try:
                self._load()
            except (OSError, ValueError, ConfigurationError):  # half replaced: look again next time
                return
            self._state = stamps

    def _load(self) -> None:
        self._context.load_cert_chain(*self._files, password=_refuse)

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        found = []
        for name in self._files:
            try:
                seen = Path(name).stat() if name is not None else None
            except OSError:
                seen = None
            found.append((0, 0) if seen is None else (seen.st_mtime_ns, seen.st_ino))
        return tuple(found)


class Secured:
    """Use an encrypted connection like a plain non-blocking socket; to wait for writing is a ``Pause``.

    TLS works on buffers of ours here, and the plain socket is never handed to it.
    """

    __slots__ = ("_incoming", "_outgoing", "_owed", "_pending", "_session", "_socket")

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        """Take over a connection that does not block."""
        self._socket = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session: ssl.SSLObject | None = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._pending = b""
        self._owed = 0

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._socket.fileno()

    def recv(self, size: int, /) -> bytes:
        """Read what is there; nothing is the end."""
        if self._session is None:
            return self._socket.recv(size)
        for _ in range(_FEEDS):
            try:
                return self._session.read(size)
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError:
                with suppress(OSError):  # tell the client why, if it listens
                    self._flush()
                raise
            data = self._socket.recv(_CHUNK)
            if not data:
                return b""
            self._incoming.write(data)
        raise BlockingIOError

    def send(self, data: memoryview, /) -> int:
        """Write a record of what is given and return how many bytes that were, once they are all out."""
        if self._session is None:
            raise BrokenPipeError
        if not self._owed:
            self._owed = self._session.write(data[:_PIECE])
        self._flush()
        sent, self._owed = self._owed, 0
        return sent

    def shutdown(self, how: int, /) -> None:
        """Say that nothing more will be written; what the client still sends is read as it is and thrown away."""
        session, self._session = self._session, None
        with suppress(OSError, ValueError):  # the client's own farewell need not be waited for
            if session is not None:
                session.unwrap()
        with suppress(OSError):
            self._flush()
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _flush(self) -> None:
        self._pending += self._outgoing.read()
        while self._pending:
            try:
                sent = self._socket.send(self._pending)
            except BlockingIOError:
                raise Pause(selectors.EVENT_WRITE) from None
            self._pending = self._pending[sent:]


def _refuse() -> NoReturn:
    msg = "the private key is encrypted; give one without a passphrase, readable for this user only"
    raise ConfigurationError(msg)
