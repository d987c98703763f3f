"""Bearer tokens: one per source of labels, so that each can be told from the others and taken back by itself."""

from __future__ import annotations

import hmac
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError
from modelmon.notices import warn

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST: Final = 16
_LONGEST_NAME: Final = 64
ONE: Final = "token"
_MOST_READ: Final = 1 << 20


class Tokens:
    """Know which source a token is from.

    A file of tokens holds a line ``name:token`` for each source; lines that begin with # are comments.
    It is read again when it changes, so that taking out a line revokes a token at once.
    """

    def __init__(
        self, tokens: str | Mapping[str, str] | None = None, *, file: str | os.PathLike[str] | None = None
    ) -> None:
        """Take one token, several by the name of their source, or a file of them.

        Raises:
            ConfigurationError: when there is none, or one is shorter than 16 characters; no message shows one.
        """
        self._file = None if file is None else Path(file)
        self._state: tuple[float, int, int] | None = None
        if self._file is not None:
            self._known: dict[str, bytes] = {}
            self._read(self._file)
        else:
            self._known = _checked({ONE: tokens} if isinstance(tokens, str) else dict(tokens or {}))

    def __repr__(self) -> str:
        """Show whose tokens there are; never one of them."""
        return f"<Tokens of {', '.join(self._known)}>"

    def source(self, header: str) -> str | None:
        """Return the source whose token an ``Authorization`` header carries, None where it carries none of them.

        Takes the same time whichever token it is and however much of it is right.
        """
        if self._file is not None:
            self._refresh(self._file)
        scheme, _, given = header.partition(" ")
        spoken = given.strip().encode("utf-8", "surrogateescape")
        found = None
        for name, token in self._known.items():
            if hmac.compare_digest(spoken, token):
                found = name
        return found if scheme.lower() == "bearer" else None

    def _refresh(self, file: Path) -> None:
        try:
            if _state(file) != self._state:
                self._read(file)
        except (OSError, ConfigurationError) as error:  # nobody gets in by a file that cannot be read
            self._known, self._state = {}, None
            warn("serving:tokens", f"the file of tokens cannot be used, so all are refused: {error}")

    def _read(self, file: Path) -> None:
        try:
            state = _state(file)
            with file.open(encoding="utf-8") as lines:
                text = lines.read(_MOST_READ)
        except (OSError, UnicodeDecodeError) as error:
            msg = f"the file of tokens cannot be read: {error}"
            raise ConfigurationError(msg) from None
        if os.name == "posix" and file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            warn("serving:tokens:mode", f"{file} can be read by others: chmod 600 {file}")
        self._known = _checked(_named(text))
        self._state = state


def _state(file: Path) -> tuple[float, int, int]:
    found = file.stat()
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _named(text: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        name, colon, token = line.partition(":")
        if not colon or not 0 < len(name.strip()) <= _LONGEST_NAME or name.strip() in named:
            msg = f"line {number} of the file of tokens is no name:token of its own"
            raise ConfigurationError(msg)
        named[name.strip()] = token
    return named


def _checked(named: Mapping[str, str]) -> dict[str, bytes]:
    if not named:
        msg = "no token is given"
        raise ConfigurationError(msg)
    found = {}
    for name, token in named.items():
        plain = token.strip()
        if len(plain) < SHORTEST:
            msg = f"the token of {name!r} is shorter than {SHORTEST} characters: make one by openssl rand -hex 24"
            raise ConfigurationError(msg)
        found[name] = plain.encode("utf-8")
    return found
