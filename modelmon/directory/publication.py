"""Publication: what keeps a process's own file, and reads those of the others, for one recorder.

Rules:

1. A thread of its own writes, at most once a second, and whoever reads writes first. No monitored call waits for it.
2. What fails is counted under ``modelmon.exporter.failures{exporter="directory"}`` and said once; the next second it is
   tried again. Meanwhile this process is shown as it was last written, as other processes show it.
"""

from __future__ import annotations

import errno
import threading
import weakref
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from modelmon.directory.latest import Latest
from modelmon.errors import BusyError, ConfigurationError
from modelmon.exiting import at_exit, ending
from modelmon.forking import load
from modelmon.memos import memo
from modelmon.notices import warn
from modelmon.ticking import Keeper, Ticker

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.directory.machine import Machine
    from modelmon.exiting import Waiter
    from modelmon.parts import Part

INTERVAL_S: Final = 1.0
SELDOM_S: Final = 10.0
SHARE: Final = 50.0
BYTES_PER_S: Final = 1 << 20
"""Much to write is written less often: a fiftieth of the time, and a mebibyte a second, but every ten seconds."""
OWN: Final = ("self:overhead", "sampler_tick", "sampler_calls", "hw_energy", "gpu_unattributed")
AT_ONCE: Final = 1024
AT_EXIT: Final = 8
_LOOK_EVERY: Final = 10
_PATIENCE_S: Final = 1.0
_NAME: Final = "directory"
_REASONS: Final = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.EROFS: "readonly",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EMFILE: "no_descriptor",
    errno.ENFILE: "no_descriptor",
}
_TOLD: Final = {
    "damaged": "was passed over: it is damaged, and put aside once its process has ended",
    "too_large": "would be too large: its oldest slots of time are kept in the total only",
}
T = TypeVar("T")


class Owner(Keeper, Protocol):
    """What is asked of the recorder."""

    def hold(self, act: Callable[[Any], T]) -> T:
        """Return what ``act`` returns, called with the lock held and every seat drained."""
        ...

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def fail_export(self, exporter: str, reason: str) -> None:
        """Count an export that failed."""
        ...


class Publication:
    """Publish what a recorder counted, and read what all processes of the machine did.

    Attributes:
        latest: what they showed last of their store.
    """

    def __init__(self, owner: Owner, root: str, interval: float, history: float) -> None:
        """Prepare; nothing is touched, and no thread runs before ``start``.

        Args:
            owner: the recorder.
            root: the directory.
            interval: seconds between two writings, at least one.
            history: seconds for which slots of processes that ended are kept apart.
        """
        self.latest = Latest(root)
        self._owner = owner
        self._root = root
        self._history = history
        self._turn = threading.RLock()
        self._published: Part | None = None
        self._origin = ""
        self._due = 0.0
        self._written = False
        self._asked = self._ending = False
        self._turns = 0
        self._registered = False
        self._ticker = Ticker(
            max(interval, INTERVAL_S), self._tick, failed=self._complain, name="modelmon-directory", keeper=owner
        )

    def start(self) -> None:
        """Start the thread that writes, unless it runs, and have the last part written when the program ends."""
        if not self._registered:
            self._registered = True
            at_exit(self._begin_exit, self._missed)  # type: ignore[arg-type]  # bound methods
        if not self._ticker.start() and not ending():
            warn("directory:no_thread", "no thread could be started: counts reach the directory when somebody reads")

    def finish(self, timeout: float) -> bool:
        """Have what was counted so far written; return whether it was, within ``timeout`` seconds."""
        return self.begin()(timeout)

    def begin(self) -> Waiter:
        """Begin to write what was counted so far; return what waits for it, and tells whether it was written."""
        self._asked = True
        asked = self._ticker.ask()
        return lambda timeout: asked.wait(timeout) and self._written

    def close(self, timeout: float) -> bool:
        """Write a last time and end the thread; return whether both were done within ``timeout`` seconds.

        What it counted stays, and counts as that of a living process until this object is collected.
        """
        done = self.finish(timeout / 2)
        return self._ticker.stop(timeout / 2) and done

    def parts(self) -> tuple[Part, ...]:
        """Return what every process of the machine published, this one just now.

        Raises:
            BusyError: when this thread does so already, further up the stack.
        """
        took, own = self._in_turn(_PATIENCE_S, self._publish)
        return self._machine.parts(own if took else self._published)

    def whole(self) -> tuple[Part, ...]:
        """Return the same added up, one part for each width of slots, which a later one replaces.

        Raises:
            BusyError: when this thread does so already, further up the stack.
        """
        parts, name = self.parts(), self._machine.name
        if not name:
            return parts
        added: tuple[Part, ...] = load("modelmon.directory.sums").added(parts, f"machine:{name}", living=True)
        return added

    @memo
    def _machine(self) -> Machine:
        machine: Machine = load("modelmon.directory.machine").machine_of(self._root)  # and numpy, but not in a call
        return machine

    def _publish(self) -> Part:
        """Write this process's part, and return the one that others see now."""
        part: Part = self._owner.hold(_part)
        last = self._published
        if part.origin != self._origin:
            self._origin = part.origin
            weakref.finalize(self, self._machine.leave, part.origin).atexit = False  # the system lets go then
        news = last is None or self._turns % _LOOK_EVERY == 0 or _said(part) != _said(last)
        begun = monotonic()
        try:
            size = self._machine.publish(part, news=news, history=self._history)
        except (OSError, ConfigurationError) as error:
            self._written = False
            self._complain(error)
            return self._stale(part)
        now = monotonic()
        self._due = now + min(max(SHARE * (now - begun), size / BYTES_PER_S) - INTERVAL_S / 2, SELDOM_S)
        self._written = True
        if last is None or news:
            self._published = part
            return part
        return replace(last, taken_at=part.taken_at)

    def _stale(self, part: Part) -> Part:
        """Return the part that was last written, with the failures of today; the part itself if none was written."""
        if self._published is None:
            return part
        name = "exporter_failures"
        told = {name: part.counts[name]} if name in part.counts else {}
        return replace(self._published, counts=type(part.counts)({**self._published.counts, **told}))

    def _tick(self) -> None:
        if monotonic() >= self._due or self._asked:
            self._asked = False
            if not self._in_turn(_PATIENCE_S, self._publish)[0]:
                self._written = False
        anew, most = not self._turns % _LOOK_EVERY and not self._ending, AT_EXIT if self._ending else AT_ONCE
        self._turns += 1
        self._machine.fold(self._owner.now(), self._history, most, anew=anew)
        for reason in self._machine.passed_over():
            self._owner.fail_export(_NAME, reason)
            warn(f"directory:{reason}", f"a file in {self._root} {_TOLD.get(reason, f'was passed over: {reason}')}")

    def _begin_exit(self) -> Waiter:
        self._ending = True
        return self.begin()

    def _missed(self) -> None:
        warn("directory:exit", f"the program ended with its last counts not written to {self._root}")

    def _in_turn(self, timeout: float, act: Callable[[], T]) -> tuple[bool, T | None]:
        """Return whether the turn came in time, and what ``act`` returned in it."""
        if _owned(self._turn):
            msg = "modelmon was interrupted in this thread while it read the directory; do this from normal code"
            raise BusyError(msg)
        try:
            if self._turn.acquire(timeout=timeout):
                return True, act()
        finally:  # also where a signal strikes between the two
            if _owned(self._turn):
                self._turn.release()
        return False, None

    def _complain(self, error: BaseException) -> None:
        reason = reason_of(error)
        self._owner.fail_export(_NAME, reason)
        told = error.strerror if isinstance(error, OSError) else error
        message = f"{self._root} cannot be used now: {told}; other processes see old counts of this one"
        warn(f"directory:{reason}", message)


def _part(held: Any) -> Part:
    held.sites()  # a call that runs is shown although none of its model has ended yet
    part: Part = held.part()
    return part


def _said(part: Part) -> Any:
    """Return what a part says, but for what the library's own work adds all the time."""
    return part.series, {name: held for name, held in part.counts.items() if name not in OWN}


def reason_of(error: BaseException) -> str:
    """Return the one word that a failure is counted under."""
    if isinstance(error, ConfigurationError):
        return "unsafe"
    known = _REASONS.get(error.errno or 0) if isinstance(error, OSError) else None
    return known or type(error).__name__


def _owned(lock: Any) -> bool:
    return bool(lock._is_owned())  # noqa: SLF001  (as the recorder asks of its lock)
