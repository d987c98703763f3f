"""A connection: one store, called by one thread at a time, from the moment it is made until it is closed."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from modelmon.errors import BusyError, ConfigurationError, StoreError
from modelmon.forking import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

T = TypeVar("T")


class Connection:
    """Hold a store for threads to share; a forked child begins with a lock that nobody holds."""

    def __init__(self, store: Any) -> None:
        """Take over an open store."""
        self._lock = threading.RLock()
        self._store: Any = store
        self._serving = ""
        renew_in_child(self)

    def note(self, name: str, value: bytes | None) -> None:
        """Keep a small value in a durable store by name, such as how far a file was read; None takes it away."""
        self._hold(lambda store: _lasting(store).note(name, value))

    def noted(self, name: str) -> bytes | None:
        """Return the value that a durable store keeps by that name."""
        found: bytes | None = self._hold(lambda store: _lasting(store).noted(name))
        return found

    def serves(self, holder: str, seconds: float) -> bool:
        """Tell whether ``holder`` is the one who serves the store, for so many seconds from now.

        A store that keeps no leases is served by whoever asks.
        """

        def ask(store: Any) -> bool:
            if not hasattr(store, "lease"):
                return True
            shows = bool(store.lease(holder, seconds, "serve"))
            self._serving = holder if shows else ""
            return shows

        return self._hold(ask)

    def close(self) -> None:
        """Let go of the store, and have others show it that this one served; closing twice does nothing."""
        with self._lock:
            store, self._store = self._store, None
            holder, self._serving = self._serving, ""
        if store is not None:
            if holder:
                with suppress(StoreError):  # it is away; the lease ends by itself
                    store.release(holder, "serve")
            store.close()

    def __enter__(self) -> Self:
        """Return this very thing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the store."""
        self.close()

    def renew(self) -> None:
        """Take a lock that no thread of the parent can hold, and leave the parent its lease; runs in a forked child."""
        self._lock = threading.RLock()
        self._serving = ""

    def _hold(self, act: Callable[[Any], T]) -> T:
        """Return what ``act`` makes of the store, with the lock held.

        Raises:
            BusyError: when this thread holds the lock already, further up the stack.
            StoreError: when the store was let go.
        """
        if self._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  (as threading.Condition asks it)
            msg = "the client was interrupted in this thread (signal handler, finaliser); label from normal code"
            raise BusyError(msg)
        with self._lock:
            if self._store is None:
                msg = "this client is closed"
                raise StoreError(msg)
            return act(self._store)


def _lasting(store: Any) -> Any:
    if not hasattr(store, "note"):
        msg = f"{type(store).__name__} keeps no notes"
        raise ConfigurationError(msg)
    return store
