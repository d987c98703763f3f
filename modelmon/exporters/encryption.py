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
        return Secured(self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False))

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
    """Use an encrypted connection like a plain non-blocking socket; to wait is a ``Pause``, which says for what."""

    __slots__ = ("_wrapped",)

    def __init__(self, wrapped: ssl.SSLSocket) -> None:
        """Take over a connection that does not block."""
        self._wrapped = wrapped

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._wrapped.fileno()

    def recv(self, size: int) -> bytes:
        """Read what is there; nothing is the end."""
        try:
            return self._wrapped.recv(size)
        except ssl.SSLWantReadError:
            raise Pause(selectors.EVENT_READ) from None
        except ssl.SSLWantWriteError:
            raise Pause(selectors.EVENT_WRITE) from None

    def send(self, data: memoryview) -> int:
        """Write a record of what is given and return how many bytes that were."""
        try:
            return self._wrapped.send(data[:_PIECE])
        except ssl.SSLWantReadError:
            raise Pause(selectors.EVENT_READ) from None
        except ssl.SSLWantWriteError:
            raise Pause(selectors.EVENT_WRITE) from None

    def shutdown(self, how: int) -> None:
        """Say that nothing more will be written; what the client still sends is read unencrypted and thrown away."""
        with suppress(OSError, ValueError):  # the client's own farewell need not be waited for
            self._wrapped.unwrap()
        self._wrapped.shutdown(how)

    def close(self) -> None:
        """Close the connection."""
        self._wrapped.close()


def _refuse() -> NoReturn:
    msg = "the private key is encrypted; give one without a passphrase, readable for this user only"
    raise ConfigurationError(msg)
