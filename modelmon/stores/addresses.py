"""Addresses: which store a URL or a path means, and how to show one without its secrets.

``sqlite:///var/lib/app/labels.db`` is the absolute path ``/var/lib/app/labels.db``; ``redis://``, ``rediss://``,
``postgresql://`` and ``postgres://`` are read by the drivers themselves.
Nothing is connected here, and only the store that is asked for gets loaded.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import unquote

from modelmon.errors import ConfigurationError
from modelmon.forking import load, load_counting

if TYPE_CHECKING:
    from modelmon.stores.contract import Store


class _Kind(NamedTuple):
    """Hold where a store's class is, and the driver that an extra of the same name brings, if it needs one."""

    module: str
    name: str
    driver: str = ""
    extra: str = ""


_SQLITE: Final = _Kind("modelmon.stores.sqlite", "SQLiteStore")
_REDIS: Final = _Kind("modelmon.stores.redis", "RedisStore", "redis", "redis")
_POSTGRES: Final = _Kind("modelmon.stores.postgres", "PostgresStore", "psycopg", "postgres")
_KINDS: Final = {
    "sqlite": _SQLITE,
    "redis": _REDIS,
    "rediss": _REDIS,
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
}
_HOST: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])?(?::\d+)?")
_FILE: Final = re.compile(r"(?:[\w.~-]*[\\/])*[\w-]+\.(?:db3?|sqlite3?|s3db)", re.ASCII)
_AHEAD: Final = ("modelmon.spool", "modelmon.storecounts", "encodings.idna")  # the last looks up names of hosts
HIDDEN: Final = "***"


def make_store(url: str | os.PathLike[str]) -> Store:
    """Return the store that a URL or a path means; it connects at its first use.

    Raises:
        ConfigurationError: when it means none; the message shows no secret.
        ImportError: when its driver is missing; the message names the extra that brings it.
    """
    check_address(url)
    if url == "memory":
        from modelmon.stores.memory import MemoryStore  # noqa: PLC0415  (only the store that is asked for)

        return MemoryStore()
    kind = _SQLITE if isinstance(url, os.PathLike) else _KINDS[_scheme(url)]
    try:
        made = getattr(load(kind.module), kind.name)
    except ModuleNotFoundError as error:
        if not kind.driver or (error.name or "").partition(".")[0] != kind.driver:
            raise
        raise _missing(kind) from error
    except Exception as error:  # nothing of the address is known yet, so no text of this has a secret
        msg = f"the store cannot be loaded: {error!r}"
        raise ImportError(msg, name=kind.module) from error
    store: Store = made(_path(url) if kind is _SQLITE else url)
    return store


def load_ahead(chosen: Any) -> None:
    """Load what a chosen store will need, for it cannot be loaded once the program is ending; never raises.

    What is wrong with the address is told where the store is used.
    """
    load_counting()
    for name in _AHEAD:
        load(name)
    if isinstance(chosen, (str, os.PathLike)):
        with suppress(ConfigurationError, ImportError):
            make_store(chosen)


def open_store(chosen: Any) -> Store:
    """Return the store that a program or its environment chose.

    One that cannot be made becomes a store whose every use raises why, and watched calls go on.
    """
    if not isinstance(chosen, (str, os.PathLike)):
        store: Store = chosen
        return store
    try:
        return make_store(chosen)
    except (ConfigurationError, ImportError) as error:
        return cast("Store", _Unusable(str(error)))


class _Unusable:
    """Stand for a store that cannot be made: watched calls go on, and labels are told why."""

    durable = shared = False
    blocking = True

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def open(self, *_: object) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def __getattr__(self, name: str) -> Any:
        def refuse(*_: object, **__: object) -> None:
            raise ConfigurationError(self._reason)

        return refuse


def check_address(url: str | os.PathLike[str]) -> None:
    """Check what can be checked without connecting or loading anything.

    Raises:
        ConfigurationError: when this means no store; the message shows no secret.
        ImportError: when the store's driver is missing; the message names the extra that brings it.
    """
    if url == "memory":
        return
    if isinstance(url, os.PathLike):
        _path(url)
        return
    kind = _KINDS.get(_scheme(url))
    if kind is None:
        names = ", ".join(f"{name}://" for name in _KINDS)
        _refuse(
            f"{_told(url)} is no store: give memory, {names}, or a pathlib.Path; sqlite:///x is the absolute path /x"
        )
    elif kind is _SQLITE:
        _path(url)
    elif find_spec(kind.driver) is None:
        raise _missing(kind)
    elif not all(map(_is_port, _ports(url))):
        _refuse("a port is a number from 1 to 65535; in a password : / ? # @ are written %3A %2F %3F %23 %40")


def redacted(url: str | os.PathLike[str]) -> str:
    """Return an address for people to read, without user, password and options.

    >>> redacted("redis://user:secret@cache:6379/0?password=secret")
    'redis://***@cache:6379/0?***'
    >>> redacted("sqlite:///var/lib/labels.db")
    'sqlite:///var/lib/labels.db'
    """
    if isinstance(url, os.PathLike):
        return os.fsdecode(url)
    scheme, mark, rest = url.partition("://")
    if scheme == "sqlite" or url == "memory":
        return url
    if not mark or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return HIDDEN
    place, options, after = _cut(rest)
    if "@" in after:  # a password with a bare question mark in it: nothing here can be told from it
        return f"{scheme}://{HIDDEN}"
    user, at, place = place.rpartition("@")
    hosts, _, path = place.partition("/")
    if ":" in path or not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        return f"{scheme}://{HIDDEN}"
    return f"{scheme}://{HIDDEN if user or at else ''}{at}{place}{options}{HIDDEN if options else ''}"


def _told(url: str) -> str:
    """Return what to call a text that is no address: the name of a file has no secret, and anything else may."""
    if "://" in url:
        return repr(redacted(url))
    if _FILE.fullmatch(url):
        return f"{url!r} (for a file: sqlite://{Path(url).absolute().as_posix()})"
    return "a text without ://"


def _cut(rest: str) -> tuple[str, str, str]:
    """Return what stands before the first question or number sign, the sign, and what follows."""
    found = re.search(r"[?#]", rest)
    return (rest, "", "") if found is None else (rest[: found.start()], found[0], rest[found.end() :])


def _ports(url: str) -> list[str]:
    """Return what stands where ports do."""
    hosts = _cut(url.partition("://")[2])[0].rpartition("@")[2].partition("/")[0]
    return [port for host in hosts.split(",") if (port := host.rpartition("]")[2].partition(":")[2])]


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 1 << 16


def _scheme(url: str) -> str:
    return url.partition("://")[0] if "://" in url else ""


def _path(url: str | os.PathLike[str]) -> Path:
    """Return the file of a SQLite address.

    Raises:
        ConfigurationError: when there is none.
    """
    if isinstance(url, os.PathLike):
        path = os.fsdecode(url)
    else:
        host, slash, path = url.partition("://")[2].partition("/")
        if host or not slash:
            _refuse("sqlite:///x is the absolute path /x; a relative one can be a pathlib.Path only")
        path = "/" + unquote(path).lstrip("/")
    if "\x00" in path or path.endswith("/") or path in ("", "."):
        _refuse(f"{path!r} names no file for the store")
    if path.endswith(":memory:"):
        _refuse('a durable store needs a file; for one in memory give "memory"')
    return Path(path)


def _missing(kind: _Kind) -> ImportError:
    message = f'this store needs {kind.driver}: pip install "modelmon[{kind.extra}]"'
    return ImportError(message, name=kind.driver)


def _refuse(message: str) -> None:
    msg = f"store: {message}"
    raise ConfigurationError(msg)
