"""An outbox: notifications on their way to one notifier, in order, on a thread of their own.

Rules:

1. A notifier that hangs or raises holds up no other, and no evaluation.
2. What failed is tried again, after longer and longer pauses; what was refused for good, or failed as often as the
   notifier bears, is given up.
3. At most a thousand notifications wait; past that the oldest go.
4. Whatever is not delivered is counted by reason, and said.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from modelmon.alerting.posting import Refused, Unanswered
from modelmon.forking import Gate, renew_in_child
from modelmon.notices import warn
from modelmon.pausing import Backoff
from modelmon.ticking import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelmon.alerting.alert import Alert
    from modelmon.readers import Source
    from modelmon.ticking import Asked

MOST: Final = 1000
ATTEMPTS: Final = 5
_PERIOD_S: Final = 5.0


class Outbox:
    """Deliver alerts to one notifier."""

    def __init__(self, notifier: Callable[[Alert], object]) -> None:
        """Start empty; the thread starts when it is attached."""
        own = getattr(notifier, "name", None) or getattr(notifier, "__name__", type(notifier).__name__)
        self.name = f"alerts:{own}"
        self.source: Source | None = None
        self._notifier: Any = notifier
        self._attempts: int | None = getattr(notifier, "attempts", ATTEMPTS)
        self._gate = Gate()
        self._ticker = Ticker(_PERIOD_S, self._deliver, failed=self._complain, name=f"modelmon-{self.name}")
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget what waits; in a forked child it is the parent's to deliver."""
        self._lock = threading.Lock()
        self._waiting: deque[Alert] = deque()
        self._again: Sequence[Alert] = ()
        self._refreshed: float | None = None
        self._backoff = Backoff()
        self._failures = 0
        self._eager = False

    def __len__(self) -> int:
        """Return how many notifications wait."""
        return len(self._waiting)

    def attach(self, source: Source) -> None:
        """Deliver from now on, and count what fails with this source."""
        self.source = self._ticker.keeper = source
        self._ticker.start()  # now: at the end of the program none is started, and a notifier that hangs needs one

    def put(self, alert: Alert) -> None:
        """Have an alert delivered."""
        with self._lock:
            full = len(self._waiting) >= MOST
            if full:
                self._waiting.popleft()
            self._waiting.append(alert)
            self._again = tuple(one for one in self._again if _subject(one) != _subject(alert))  # what fired then
        if full:
            self._lost("queue_full", f"more than {MOST} notifications wait, so the oldest go")
        self._ticker.nudge()

    def refresh(self, firing: Sequence[Alert]) -> None:
        """Have the notifier told again of all that fires, if it wants to be and the time has come.

        What fires first was told just now, so its time comes one period later.
        """
        every, now = getattr(self._notifier, "every", None), monotonic()
        if every is None or not firing:
            self._refreshed = None
            return
        if self._refreshed is None:
            self._refreshed = now
        if now < self._refreshed + every:
            return
        with self._lock:
            self._refreshed, self._again = now, firing
        self._ticker.nudge()

    def ask(self, *, stop: bool = False) -> Asked:
        """Ask for an attempt to deliver all that waits, whatever pause lasts."""
        self._eager = True
        return self._ticker.ask(stop=stop)

    def close(self, timeout: float) -> None:
        """Try a last time, within ``timeout`` seconds, and say what was not delivered."""
        asked = self.ask(stop=True) if self._waiting or self._ticker.running else None
        if asked is not None:
            asked.wait(timeout)
        self.forfeit()

    def forfeit(self) -> None:
        """Say what was not delivered; nothing waits any more then."""
        with self._lock:
            left, self._waiting = len(self._waiting), deque()
        for _ in range(left):
            self._lost("undelivered", f"{left} notification(s) were not delivered before the end")

    def _deliver(self) -> bool:
        """Deliver what waits, in order, until one fails; return whether all was delivered."""
        eager, self._eager = self._eager, False
        if self._backoff.waiting and not eager:
            return False
        while self._waiting:
            alert = self._waiting[0]
            try:
                with self._gate.enter():
                    self._notifier(alert)
            except Refused as error:
                self._refused(error)
            except (Exception, SystemExit) as error:
                if not self._failed(error):
                    return False
            self._done(alert)
        with self._lock:
            again, self._again = self._again, ()
        if again:
            self._refresh(again)
        self._backoff.clear()
        return True

    def _refresh(self, again: Sequence[Alert]) -> None:
        try:
            with self._gate.enter():
                self._notifier.refresh(again)
        except Refused as error:
            self._refused(error)

    def _refused(self, error: Refused) -> None:
        self._lost(f"refused:{error.reason}", f"a notification was refused for good: {error.reason}")

    def _failed(self, error: BaseException) -> bool:
        """Take note of a failure, and return whether the notification is given up."""
        self._failures += 1
        self._backoff.failed()
        self._complain(error)
        if self._attempts is None or self._failures < self._attempts:
            return False
        self._lost("given_up", f"a notification failed {self._failures} times and was given up")
        return True

    def _done(self, alert: Alert) -> None:
        self._failures = 0
        with self._lock:
            if self._waiting and self._waiting[0] is alert:
                self._waiting.popleft()

    def _complain(self, error: BaseException) -> None:
        said = f" ({error})" if isinstance(error, Unanswered) else ""  # other texts may hold what is secret
        self._lost(type(error).__name__, f"a notification failed with {type(error).__name__}{said}")

    def _lost(self, reason: str, what: str) -> None:
        if self.source is not None:
            self.source.count_failure(self.name, reason)
        warn(f"{self.name}:{reason}", f"{self.name}: {what}; further ones are counted only")


def _subject(alert: Alert) -> tuple[str, str, str, str]:
    """Return what tells an alert from all others, whatever its state."""
    return (alert.name, alert.burn.name if alert.burn else "", alert.model, alert.version)
