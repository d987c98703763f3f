"""A store that waits and fails when told to, around a real memory store; several monitors may share one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from modelmon import MemoryStore, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelmon.clocks import Clock
    from modelmon.stores.contract import JoinSettings

T = TypeVar("T")


class WaitingStore:
    """Join in memory, but only while the gate is open, and fail while ``trouble`` says so.

    Attributes:
        gate: closed, every call waits.
        trouble: what calls raise; None if they work.
        batches: how many rows each call of ``predict`` brought.
        asked: how often a lease was asked for.
        told: what was assumed: model, version and truth.
    """

    durable = True
    blocking = True

    def __init__(self, *, shared: bool = True) -> None:
        """Start with the gate open."""
        self.shared = shared
        self.gate = threading.Event()
        self.gate.set()
        self.trouble: Exception | None = None
        self.batches: list[int] = []
        self.asked = 0
        self.told: list[tuple[str, str | None, Any]] = []
        self.entered = threading.Event()
        self._lock = threading.RLock()
        self._inner = MemoryStore()
        self._opened = False
        self._lease = ("", 0.0)

    def fail(self, kind: str = "down") -> None:
        """Fail from now on."""
        self.trouble = StoreError("the store is away", kind=kind)

    def open(self, settings: JoinSettings, clock: Clock) -> None:
        """Open the memory store, once for all monitors."""
        if not self._opened:
            self._inner.open(settings, clock)
            self._opened = True

    def predict(self, predictions: Any) -> Any:
        """Take predictions, and note how many."""

        def act() -> Any:
            self.batches.append(len(predictions.ids))
            return self._inner.predict(predictions)

        return self._call(act)

    def assume(self, model: str, version: str | None, assumption: Any) -> None:
        """Assume, and note what."""

        def act() -> None:
            self._inner.assume(model, version, assumption)
            self.told.append((model, version, assumption.truth))

        self._call(act)

    def lease(self, holder: str, seconds: float, name: str = "exporter") -> bool:
        """Keep one lease, in this process; nobody serves this store."""

        def act() -> bool:
            if name != "exporter":
                return True
            self.asked += 1
            if self._lease[0] in ("", holder) or self._lease[1] < time.monotonic():
                self._lease = (holder, time.monotonic() + seconds)
            return self._lease[0] == holder

        return self._call(act)

    def release(self, holder: str) -> None:
        """Give the lease back."""
        self._call(lambda: setattr(self, "_lease", ("", 0.0)) if self._lease[0] == holder else None)

    def expire(self) -> None:
        """Let the lease run out now."""
        self._lease = (self._lease[0], 0.0)

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on, through the gate."""
        return lambda *given: self._call(lambda: getattr(self._inner, name)(*given))

    def _call(self, act: Callable[[], T]) -> T:
        self.entered.set()
        assert self.gate.wait(20), "nobody opened the gate"
        with self._lock:
            if self.trouble is not None:
                raise self.trouble
            return act()


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait until something holds; return whether it came to that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return condition()


def numbers(start: int, n: int) -> Iterator[str]:
    """Return ids."""
    return (f"order-{number}" for number in range(start, start + n))
