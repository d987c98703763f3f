"""Readers: what asks for snapshots; some when they are asked themselves, some on their own every few seconds.

Rules:

1. No thread exists before a reader that needs one is attached, and each such reader has its own, so that one that
   hangs holds up nobody else.
2. A fork waits for an export that is under way, though not long, lest a child inherit locks of other people's code.
3. Nothing an export raises gets out, not even ``SystemExit``; it is counted and said once per cause.
4. A forked child has no such thread; attaching again starts one.
5. All export a last time when the program ends, at once and within one deadline.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from modelmon.errors import ConfigurationError
from modelmon.exiting import at_exit, ending
from modelmon.forking import Gate
from modelmon.notices import warn
from modelmon.ticking import Keeper, Ticker
from modelmon.timespans import seconds as read_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.events import Mistake
    from modelmon.snapshot import Snapshot


class Source(Keeper, Protocol):
    """What a reader is attached to: a monitor."""

    def snapshot(self) -> Snapshot:
        """Return all that this process knows now, and what it alone shows of a store; for readers that send it."""
        ...

    def scraped(self) -> Snapshot:
        """Return all that is known now, with a directory of the whole machine; for readers that are asked for it."""
        ...

    def count_failure(self, exporter: str, reason: str) -> None:
        """Count an export that failed."""
        ...

    def succeeded(self, exporter: str) -> None:
        """Note that an exporter did its work, or begins to."""
        ...

    def watch_mistakes(self, witness: Callable[[Mistake], object]) -> None:
        """Have a reader told of each prediction that a label shows to be wrong, beside others that are told."""
        ...

    def leave_mistakes(self, witness: Callable[[Mistake], object]) -> None:
        """Have a reader told no more of what labels show to be wrong; others still are."""
        ...


class Reader(Protocol):
    """Ask a monitor for snapshots and do something with them."""

    def attach(self, source: Source) -> None:
        """Begin reading; called when the reader is added, and again in a forked child."""
        ...

    def close(self, timeout: float) -> None:
        """Send what is left and stop, within ``timeout`` seconds."""
        ...


class Periodic:
    """Give a function a snapshot every few seconds; make one with ``every``."""

    def __init__(self, seconds: float | str, export: Callable[[Snapshot], object], *, name: str = "") -> None:
        """Prepare; the first export comes one period after the reader was attached.

        Raises:
            ConfigurationError: when the period is not a positive span of time, or the function is async.
        """
        refuse_async(export)
        period = read_span(seconds, "every")
        if period <= 0:
            msg = f"every={seconds!r} must be more than zero seconds"
            raise ConfigurationError(msg)
        self.name = name or getattr(export, "__name__", type(export).__name__)
        self._export = export
        self._source: Source | None = None
        self._threadless = False
        self._gate = Gate()
        self._ticker = Ticker(period, self._tick, failed=self._complain, name=f"modelmon-{self.name}")

    def __repr__(self) -> str:
        """Show the period and the name."""
        return f"<{type(self).__name__} {self.name} every {self._ticker.seconds:g} s>"

    def attach(self, source: Source) -> None:
        """Export from now on, each period, what ``source`` knows then."""
        self._source = self._ticker.keeper = source
        source.succeeded(self.name)
        self._threadless = not self._ticker.start()
        at_exit(self.begin, self._missed, shows=True)  # type: ignore[arg-type]  # bound methods
        if self._threadless and not ending():
            source.count_failure(self.name, "no_thread")
            warn(f"reader:{self.name}:no_thread", f"{self.name}: no thread could be started; exports on flush only")

    def flush(self, timeout: float) -> bool:
        """Export now; return whether that ended within ``timeout`` seconds."""
        return self._source is None or self._ticker.run_now(timeout)

    def begin(self) -> Callable[[float], bool] | None:
        """Begin to export now; return what waits so many seconds for the end of it."""
        return None if self._source is None else self._ticker.ask().wait

    def begin_close(self) -> None:
        """Begin to export a last time, so that ``close`` has less to wait for."""
        if self._source is not None and self._ticker.running:
            self._ticker.ask(stop=True)

    def close(self, timeout: float) -> None:
        """Export a last time and stop, within ``timeout`` seconds; closing twice does nothing."""
        if self._source is None:
            return
        if self._threadless:
            self._ticker.run_now(timeout)
        if not self._ticker.stop(timeout):
            self._source.count_failure(self.name, "close_timeout")
        self._source = None

    def _tick(self) -> None:
        source = self._source
        if source is not None:
            snapshot = source.snapshot()
            with self._gate.enter():
                self._export(snapshot)
            source.succeeded(self.name)

    def _missed(self) -> None:
        """Say that the end of the program came before the end of the last export."""
        warn(f"reader:{self.name}:exit", f"{self.name}: the program ended before its last export did")

    def _complain(self, error: BaseException) -> None:
        reason = type(error).__name__
        if self._source is not None:
            self._source.count_failure(self.name, reason)
        warn(f"reader:{self.name}:{reason}", f"{self.name} failed with {reason}; further ones are counted only")


def every(seconds: float | str, function: Callable[[Snapshot], object]) -> Periodic:
    """Make an exporter of any function of a ``Snapshot``: it is called every ``seconds`` on a thread of its own.

    Raises:
        ConfigurationError: when the period is not a positive span of time, or the function is async.
    """
    return Periodic(seconds, function)


def refuse_async(function: Any, where: str = "") -> None:
    """Refuse what nobody would await: an ``async def``, be it a method, in a ``partial`` or an object's ``__call__``.

    Args:
        function: what is to be called on a thread of ours.
        where: how the message begins.

    Raises:
        ConfigurationError: when it is one.
    """
    import inspect  # noqa: PLC0415  (it is heavy, and whoever only watches calls has no reader)

    while isinstance(function, partial):
        function = function.func
    tests = inspect.iscoroutinefunction, inspect.isasyncgenfunction
    if any(test(one) for test in tests for one in (function, type(function).__call__)):
        name = getattr(function, "__name__", type(function).__name__)
        msg = (
            f"{where}{name} is async, and it would never run: it is called on a thread that has no loop; give a plain "
            "function, which may call asyncio.run_coroutine_threadsafe(coroutine, loop) to hand work to a loop"
        )
        raise ConfigurationError(msg)
