"""Evaluation: what snapshots say of rules, and nothing else; it reads no clock and talks to nobody.

Rules:

1. What is undefined, or has too little behind it, lies beyond no threshold: it fires nothing, and ends what fired.
2. Time is that of the snapshots; a clock that is set back stands still until it moves on.
3. A rule that cannot be evaluated keeps its states and holds up no other.
4. Where no store was read, nothing is decided of what one counts; once it is, counting begins anew, so that what others
   counted meanwhile, or before this process showed it, did not come all at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from modelmon.alerting.alert import Alert
from modelmon.alerting.conditions import conditions_of
from modelmon.alerting.findings import Finding, Seen
from modelmon.alerting.history import History
from modelmon.alerting.states import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelmon.alerting.conditions import Condition
    from modelmon.parts import SeriesKey
    from modelmon.rules import Objective, Rule
    from modelmon.snapshot import Snapshot

_GONE: Final = Finding(math.nan, reason="there is no such model any more")
_UNREAD: Final = Finding(math.nan, reason="the store cannot be read now, or another process shows it")


class Evaluation:
    """Evaluate rules on one snapshot after another.

    Attributes:
        alerts: where every rule stands for every model it is about, as of the last snapshot.
        troubles: what the last evaluation of each rule raised, by the rule's name.
    """

    def __init__(self, rules: Iterable[Rule | Objective]) -> None:
        """Start with nothing known."""
        self._tracks = [_Track(condition) for rule in rules for condition in conditions_of(rule)]
        self._now = 0.0
        self._last: float | None = None
        self.alerts: tuple[Alert, ...] = ()
        self.troubles: dict[str, Exception] = {}

    def evaluate(self, snapshot: Snapshot) -> list[Alert]:
        """Take in the next snapshot, and return the alerts whose state it changed."""
        if not snapshot.parts:
            return []
        at = snapshot.taken_at
        last = self._now
        if self._last is not None:
            self._now += max(0.0, at - self._last)
        first, self._last = self._last is None, at
        seen = Seen(snapshot)
        self.troubles = {}
        for track in self._tracks:
            try:
                track.evaluate(seen, now=self._now, at=at, last=None if first else last)
            except Exception as error:  # noqa: PERF203  (one rule shall not hold up the others)
                self.troubles[track.condition.rule.name] = error
        self.alerts = tuple(alert for track in self._tracks for alert in track.alerts.values())
        return [alert for track in self._tracks for alert in track.changed]


class _Track:
    """Follow one condition over all models that it is about."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.alerts: dict[SeriesKey, Alert] = {}
        self.changed: list[Alert] = []
        self._standings: dict[SeriesKey, Standing] = {}
        self._histories: dict[SeriesKey, list[History[Any]]] = {}
        self._unread = False

    def evaluate(self, seen: Seen, *, now: float, at: float, last: float | None) -> None:
        """Take in one snapshot; ``last`` is when the one before was, None if there was none."""
        self.changed = []
        samples = self.condition.measure.read(seen)
        before, self._unread = self._unread, self.condition.stored and not seen.snapshot.stored
        if self._unread:
            self._histories.clear()
            found = dict.fromkeys((*samples, *self._standings), _UNREAD)
        else:
            found = self._found(samples, now=now, last=None if before else last)
        for key in sorted(found):
            self._step(key, found[key], now=now, at=at)

    def _found(self, samples: Mapping[SeriesKey, Any], *, now: float, last: float | None) -> dict[SeriesKey, Finding]:
        """Return what is found for every model that there is, and for every one that there was."""
        measure, found = self.condition.measure, {}
        for key, sample in samples.items():
            if key not in self._histories:
                self._histories[key] = self._begin(last)
            before = [history.push(now, sample) for history in self._histories[key]]
            found[key] = self.condition.decided(measure.find(sample, before))
        for key in self._standings.keys() - samples.keys():
            self._histories.pop(key, None)
            found[key] = _GONE
        return found

    def _begin(self, last: float | None) -> list[History[Any]]:
        """Return empty histories; what was not there at the last snapshot was nothing then."""
        measure = self.condition.measure
        histories: list[History[Any]] = [History(window, measure.most) for window in measure.windows]
        if last is not None:
            for history in histories:
                history.push(last, None)
        return histories

    def _step(self, key: SeriesKey, found: Finding, *, now: float, at: float) -> None:
        condition = self.condition
        before = self._standings.get(key) or Standing(since=at)
        after = before.step(beyond=condition.beyond(found), hold=condition.rule.hold, now=now, at=at)
        self._standings[key] = after
        alert = Alert(
            rule=condition.rule,
            state=after.state,
            value=found.value,
            interval=found.interval,
            support=found.support,
            model=key[0],
            version=key[1],
            since=after.since,
            at=at,
            reason=found.reason,
            burn=condition.burn,
        )
        self.alerts[key] = alert
        if after.state != before.state:
            self.changed.append(alert)


def table(alerts: Sequence[Alert]) -> str:
    """Return alerts as a table that a person can read.

    >>> table([])
    'no rule is about any model yet'
    """
    rows = [("rule", "model", "state", "value", "threshold", "reason")]
    for alert in alerts:
        name = alert.name + (f" ({alert.burn.name})" if alert.burn else "")
        about = " ".join(text for text in (alert.model, alert.version) if text)
        value = "undefined" if math.isnan(alert.value) else f"{alert.value:.4g}"
        rows.append((name, about, alert.state, value, f"{alert.side} {alert.threshold:g}", alert.reason))
    if len(rows) == 1:
        return "no rule is about any model yet"
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
