"""The reader that evaluates rules every few seconds and tells whoever wants to be told."""

from __future__ import annotations

import math
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from modelmon.alerting.evaluation import Evaluation, table
from modelmon.alerting.notifiers import LogNotifier
from modelmon.alerting.outbox import Outbox
from modelmon.errors import ConfigurationError
from modelmon.exiting import at_exit
from modelmon.forking import renew_in_child
from modelmon.notices import warn
from modelmon.readers import Periodic, refuse_async
from modelmon.rules import Objective, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelmon.alerting.alert import Alert
    from modelmon.alerting.states import State
    from modelmon.readers import Source
    from modelmon.snapshot import Snapshot

    Notifier = Callable[[Alert], object]

STATES: Final = ("inactive", "pending", "firing", "resolved")
_LATEST: Final = 0.8
"""When a notifier is told again at the latest, as a share of how long it remembers; the rest is for a slow network."""


class Alerts(Periodic):
    """Evaluate rules every few seconds; add it to a monitor.

    Every rule has a state for every model it is about: inactive, pending (the number lies beyond the threshold, but not
    for long enough yet), firing, and resolved.
    """

    def __init__(
        self,
        *rules: Rule | Objective,
        notify: Notifier | Iterable[Notifier] | None = None,
        every: float | str = 15,
        states: Sequence[State] = ("firing", "resolved"),
    ) -> None:
        """Prepare; the first evaluation comes when it is added, the next one period later.

        Args:
            rules: each has a name of its own.
            notify: a function of an ``Alert``, a notifier, or several; each is told once per change, on a thread of its
                own. None logs.
            every: the period, in seconds or as text such as ``"15s"``.
            states: a change to one of these is told; ``"pending"`` and ``"inactive"`` may be added.

        Raises:
            ConfigurationError: when these are no rules, two have one name, a notifier cannot be called or is async, or
                what fires would end there before it is told again.
        """
        super().__init__(every, self.take, name="alerts")
        self.rules = checked_rules(rules)
        unknown = [state for state in states if state not in STATES]
        if unknown:
            msg = f"states: {unknown[0]!r} is none of {', '.join(STATES)}"
            raise ConfigurationError(msg)
        self._states = frozenset(states)
        told = _notifiers(notify)
        _check_pace(self._ticker.seconds, told)
        self._outboxes = [Outbox(notifier) for notifier in told]
        self.renew()
        self._inherited = False
        renew_in_child(self)

    def renew(self) -> None:
        """Forget every state; a forked child counts anew from zero."""
        self._evaluation = Evaluation(self.rules)
        self._inherited = True

    def __repr__(self) -> str:
        """Show where every rule stands, as a table."""
        return table(self.alerts)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Where every rule stands for every model that it is about, as of the last evaluation."""
        return self._evaluation.alerts

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire, as of the last evaluation."""
        return tuple(alert for alert in self.alerts if alert.state == "firing")

    def attach(self, source: Source) -> None:
        """Evaluate from now on; what was counted before is not held against anybody.

        Attached to the same monitor again, where a thread has ended, it goes on from where every rule stands.

        Raises:
            ConfigurationError: when a monitor has these already.
        """
        again = self._inherited or self._source is not None
        if again and not self._inherited and self._source != source:
            msg = "a monitor has these Alerts already: make others for each monitor"
            raise ConfigurationError(msg)
        for outbox in self._outboxes:
            outbox.attach(source)
        if not again:
            try:
                self.take(source.snapshot())
            except Exception as error:
                source.count_failure(self.name, type(error).__name__)
        super().attach(source)
        at_exit(self.begin, self._missed, shows=True)  # type: ignore[arg-type]  # bound methods
        if again:  # at a call, which shall not wait
            self._ticker.nudge()

    def take(self, snapshot: Snapshot) -> list[Alert]:
        """Evaluate a snapshot now, have whoever wants it told, and return the alerts whose state changed."""
        evaluation = self._evaluation
        changed = evaluation.evaluate(snapshot)
        for name, error in evaluation.troubles.items():
            self._trouble(name, error)
        firing = [alert for alert in evaluation.alerts if alert.state == "firing"]
        for outbox in self._outboxes:
            for alert in changed:
                if alert.state in self._states:
                    outbox.put(alert)
            outbox.refresh(firing)
        return changed

    def flush(self, timeout: float) -> bool:
        """Evaluate now and tell whoever is to be told; return whether that ended well within ``timeout`` seconds."""
        waiter = self.begin()
        return waiter is None or waiter(timeout)

    def begin(self) -> Callable[[float], bool] | None:
        """Begin to evaluate; return what waits so many seconds for it, and for the notifications that follow."""
        evaluated = super().begin()
        if evaluated is None:
            return None

        def wait(timeout: float) -> bool:
            end = monotonic() + timeout
            if not evaluated(timeout):
                return False
            asked = [outbox.ask() for outbox in self._outboxes if len(outbox)]
            ended = [one.wait(max(0.0, end - monotonic())) and not one.failed for one in asked]
            return all(ended)

        return wait

    def close(self, timeout: float) -> None:
        """Evaluate a last time, tell whoever is to be told and stop, within ``timeout`` seconds."""
        end = monotonic() + timeout
        super().close(timeout)
        for outbox in self._outboxes:
            outbox.close(max(0.0, end - monotonic()))

    def _missed(self) -> None:
        """Say at the end of the program what was not delivered."""
        for outbox in self._outboxes:
            outbox.forfeit()

    def _trouble(self, name: str, error: Exception) -> None:
        reason = f"rule:{type(error).__name__}"
        if self._source is not None:
            self._source.count_failure(self.name, reason)
        warn(f"alerts:{name}:{reason}", f"rule {name!r} could not be evaluated: {type(error).__name__}: {error}")


def checked_rules(rules: Sequence[Any]) -> tuple[Rule | Objective, ...]:
    """Return rules each of which has a name of its own.

    Raises:
        ConfigurationError: when these are no rules, or two have one name.
    """
    names: set[str] = set()
    for rule in rules:
        if not isinstance(rule, (Rule, Objective)):
            several = "; write * before several, as in Alerts(*rules)" if isinstance(rule, (list, tuple, set)) else ""
            msg = f"{rule!r} is no rule: give Rule(...) or Objective(...){several}"
            raise ConfigurationError(msg)
        if rule.name in names:
            msg = f"two rules are called {rule.name!r}: what they say could not be told apart"
            raise ConfigurationError(msg)
        names.add(rule.name)
    if not names:
        msg = "give one rule or more"
        raise ConfigurationError(msg)
    return tuple(rules)


def _check_pace(every: float, notifiers: Iterable[Notifier]) -> None:
    """Check that each notifier is told again of what fires before it forgets.

    Raises:
        ConfigurationError: when evaluations are too far apart for that.
    """
    for notifier in notifiers:
        keep = getattr(notifier, "keep", math.inf)
        if every > _LATEST * keep:
            msg = (
                f"every={every:g}: {notifier!r} forgets what fires after {keep:g} s, so it would end there between two "
                f"evaluations: give keep={every * 2:g} there, or every={_LATEST * keep:g} or less here"
            )
            raise ConfigurationError(msg)


def _notifiers(notify: Any) -> list[Notifier]:
    one = callable(notify) or isinstance(notify, str) or not isinstance(notify, Iterable)
    found = [LogNotifier()] if notify is None else [notify] if one else list(notify)
    for notifier in found:
        if isinstance(notifier, type):
            msg = f"notify={notifier.__name__} is a class: give one that is made, {notifier.__name__}(...)"
            raise ConfigurationError(msg)
        if not callable(notifier):
            msg = (
                f"notify={notifier!r} cannot be called: give a function of an Alert, Webhook(...) or Alertmanager(...)"
            )
            raise ConfigurationError(msg)
        for function in (notifier, getattr(notifier, "refresh", None)):
            refuse_async(function, "notify=: ")
    return found
