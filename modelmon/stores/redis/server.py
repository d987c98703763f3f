"""One server as one process sees it: connections of its own, every failure as a `StoreError`, no secret in any text.

Rules:

1. A client belongs to the process that made it; a forked child makes its own and keeps the inherited one untouched.
2. Whatever is sent may be sent twice, so a broken connection is tried once more at once; what is slow is not, unless it
   writes: then the answer is worth waiting for once more.
3. Messages are ours, or the one word that a server's refusal begins with, or the operating system's; they name the
   server, and never a user, a password or an option.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.addresses import redacted

try:
    import redis as driver
    from redis import exceptions as failures
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "redis":
        raise
    message = 'the Redis store needs redis: pip install "modelmon[redis]"'
    raise ImportError(message, name=error.name) from error

if TYPE_CHECKING:
    from modelmon.stores.redis.scripts import Script

_DEEP: Final = 8
Argument = str | bytes | int | float
_KINDS: Final = {
    "OOM": ("full", "the server's memory is full (maxmemory)"),
    "MISCONF": ("full", "the server cannot write its file, so it takes no writes"),
    "READONLY": ("readonly", "the server is a replica that takes no writes"),
    "NOREPLICAS": ("readonly", "too few replicas are connected, so the server takes no writes"),
    "NOAUTH": ("permission", "the server asks for a password"),
    "WRONGPASS": ("permission", "the server does not know this user and password"),
    "NOPERM": ("permission", "this user may not do that; it needs the keys of the namespace, scripts included"),
    "LOADING": ("down", "the server is loading its data"),
    "MASTERDOWN": ("down", "the server has lost its primary"),
    "CLUSTERDOWN": ("down", "the cluster is down"),
    "TRYAGAIN": ("down", "the cluster is moving this namespace"),
    "BUSY": ("timeout", "the server is busy with a script"),
    "MOVED": ("other", "this node of a cluster does not serve the namespace; give the one that does"),
    "ASK": ("other", "this node of a cluster does not serve the namespace; give the one that does"),
    "timeout": ("timeout", "the server did not answer in time"),
    "connection": ("down", "the server cannot be reached"),
    "WRONGTYPE": ("other", "keys of this namespace belong to something else; choose another namespace"),
}

# the driver takes the first word off some refusals and raises a class of its own instead; the narrower classes first
_CLASSES: Final = {
    failures.OutOfMemoryError: "OOM",
    failures.ReadOnlyError: "READONLY",
    failures.NoPermissionError: "NOPERM",
    failures.AuthenticationWrongNumberOfArgsError: "NOAUTH",
    failures.AuthenticationError: "WRONGPASS",
    failures.BusyLoadingError: "LOADING",
    failures.MasterDownError: "MASTERDOWN",
    failures.ClusterDownError: "CLUSTERDOWN",
    failures.TryAgainError: "TRYAGAIN",
    failures.MovedError: "MOVED",
    failures.AskError: "ASK",
    failures.TimeoutError: "timeout",
    failures.ConnectionError: "connection",
    OSError: "connection",
}
_FINAL: Final = (failures.AuthenticationError, failures.BusyLoadingError)
# no @ after the place: there it would be a part of a password, and the place another part
_READABLE: Final = re.compile(r"rediss?://(?:[^/?#@\s]*@)?[^/?#@\s]*(?:[/?][^#@\s]*)?|unix://\S+")


class Server:
    """Hold the connections of this process to one server.

    Attributes:
        shown: the URL, without its secrets.
    """

    def __init__(self, url: str, *, prefix: str, timeout: float) -> None:
        """Read the URL without connecting."""
        _pool(url, timeout)
        self._url, self._timeout = url, timeout
        self.shown = redacted(url)
        self._prefix = prefix
        self._client: driver.Redis | None = None
        self._pid = 0
        self._left: list[driver.Redis] = []

    def close(self) -> None:
        """Let go of this process's connections."""
        client, self._client = self._client, None
        if client is None:
            return
        if self._pid != os.getpid():
            self._left.append(client)  # closing it here could end the parent's connection
            return
        try:
            client.connection_pool.disconnect()
        except (driver.RedisError, OSError):
            return

    def key(self, name: str) -> str:
        """Return the whole name of a key; all keys of a namespace share a slot."""
        return f"{self._prefix}:{name}"

    def call(self, *command: Argument, insist: bool = False) -> Any:
        """Send a command and return its answer.

        Args:
            command: its name and arguments.
            insist: wait a second time where the server was too slow; only for what may be sent twice.
        """
        try:
            try:
                return self._execute(command)
            except (failures.ConnectionError, failures.TimeoutError) as error:
                if isinstance(error, _FINAL) or (isinstance(error, failures.TimeoutError) and not insist):
                    raise
                return self._execute(command)
        except (driver.RedisError, OSError, ValueError) as error:
            if isinstance(error, failures.ReadOnlyError):
                self.close()  # after a failover the same name may lead to the new primary
            self._give_up(error)

    def run(self, script: Script, *arguments: Argument, insist: bool = False) -> Any:
        """Run a script and return its answer; a server that has forgotten the script is told again."""
        rest = (len(script.keys), *map(self.key, script.keys), *arguments)
        try:
            return self.call("EVALSHA", script.digest, *rest, insist=insist)
        except StoreError as error:
            if not isinstance(error.__cause__, failures.NoScriptError):
                raise
        return self.call("EVAL", script.text, *rest, insist=insist)

    def _give_up(self, error: Exception) -> NoReturn:
        """Raise the `StoreError` that a failure of the driver means."""
        kind, text = _meaning(error)
        msg = f"{self.shown}: {text}{_cause(error) if kind in {'down', 'timeout'} else ''}"
        raise StoreError(msg, kind=kind) from error

    def _execute(self, command: tuple[Argument, ...]) -> Any:
        execute: Any = self._connected().execute_command
        return execute(*command)

    def _connected(self) -> driver.Redis:
        if self._client is None or self._pid != os.getpid():
            if self._client is not None:
                self._left.append(self._client)
            self._client = driver.Redis(connection_pool=_pool(self._url, self._timeout))
            self._pid = os.getpid()
        return self._client


def _pool(url: str, timeout: float) -> driver.ConnectionPool:
    """Return a pool of connections, none of them made yet.

    Raises:
        ConfigurationError: when the URL cannot be read; the message shows nothing of it.
    """
    pool = None
    fixed: dict[str, Any] = {"protocol": 2, "retry": Retry(NoBackoff(), 0)}
    if not url.startswith("unix:"):
        fixed["socket_keepalive"] = True
    if _READABLE.fullmatch(url):
        try:
            pool = driver.ConnectionPool.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, **fixed)
            pool.connection_kwargs["decode_responses"] = False  # whatever the URL says: bodies are bytes
            pool.connection_class(**pool.connection_kwargs)
        except (ValueError, TypeError, driver.RedisError):
            pool = None
    if pool is None:
        msg = (
            'the URL of a Redis store looks like "redis://user:password@host:6379/0" (rediss:// for TLS); '
            "signs like / ? # @ in a password are written %2F %3F %23 %40"
        )
        raise ConfigurationError(msg)
    return pool


def _meaning(error: Exception) -> tuple[str, str]:
    """Return the kind of a failure of the driver, and what to say of it."""
    word = str(error).partition(" ")[0].rstrip(":,")
    code = next((code for kind, code in _CLASSES.items() if isinstance(error, kind)), word)
    kind, text = _KINDS.get(code, ("other", ""))
    if not text:
        name = code if isinstance(error, driver.ResponseError) and code.isupper() else type(error).__name__
        text = f"the server refused a command ({name})"
    return kind, text


def _cause(error: BaseException | None) -> str:
    """Return what the operating system said of a connection; its words have no secret."""
    seen = 0
    while error is not None and seen < _DEEP:
        if isinstance(error, OSError) and error.strerror and not isinstance(error, driver.RedisError):
            return f" ({error.strerror})"
        error, seen = error.__cause__ or error.__context__, seen + 1
    return ""
