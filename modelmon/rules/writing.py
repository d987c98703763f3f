"""Rule files for Prometheus: quality recorded from counters, and the rules of a process as alerts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from modelmon.errors import ConfigurationError
from modelmon.points.attributes import RESERVED
from modelmon.rules.alerts import alerts_of
from modelmon.rules.gains import Gains
from modelmon.rules.gauges import watch
from modelmon.rules.recorded import Group, rule_file
from modelmon.rules.recording import Table
from modelmon.timespans import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelmon.rules.objective import Objective
    from modelmon.rules.rule import Rule

QUALITY: Final = "modelmon_quality"
ALERTS: Final = "modelmon_alerts"
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def prometheus(
    rules: Iterable[Rule | Objective] = (),
    *,
    arrivals: Sequence[float | str] | None = ("1h",),
    keep: Sequence[str] = (),
    interval: float | str | None = None,
) -> str:
    """Return rules as the text of a rule file for Prometheus.

    Quality of all labelled predictions is recorded as ``modelmon:accuracy``, ``modelmon:recall`` and so on, over all
    replicas and slices, and again as ``modelmon:accuracy:1h`` for the labels that arrived within each of ``arrivals``.

    Args:
        rules: what to write alerts for; rules about quality read windows that an exporter must show, see ``windows``.
        arrivals: windows of label arrival, in seconds or as text; None records no quality at all.
        keep: labels of your own that tell deployments apart, such as ``("namespace",)``; all others are added up.
            Names of labels that points have themselves, such as ``class``, are refused.
        interval: how often the server works them out; None for as often as its other rules.

    Raises:
        ConfigurationError: when the exported points cannot tell what a rule asks, or two rules bear one name.
    """
    by = ("model", "version", *_kept(keep))
    every = None if interval is None else seconds(interval, "interval")
    groups = []
    if arrivals is not None:
        tables = (Table(", ".join(by)), *(Table(", ".join(by), window) for window in _spans(arrivals)))
        groups.append(Group(QUALITY, tuple(rule for table in tables for rule in table.rules()), every))
    gains = Gains(by)
    told = tuple(_different(rules))
    alerts = tuple(alert for rule in told for alert in alerts_of(rule, gains))
    if alerts:
        groups.append(Group(ALERTS, (*gains.recordings(), *alerts, *watch(told, by)), every))
    return rule_file(groups) if groups else "groups: []\n"


def _kept(keep: Sequence[str]) -> Iterator[str]:
    """Yield each label to keep once, if it is one and none of those that the rules themselves tell apart."""
    for name in dict.fromkeys(keep):
        if not _LABEL.fullmatch(name):
            msg = f"keep={tuple(keep)!r}: {name!r} is no label of Prometheus"
            raise ConfigurationError(msg)
        if name in RESERVED or name.startswith("__"):
            msg = f"keep={tuple(keep)!r}: {name!r} is no label of yours; points have it themselves"
            raise ConfigurationError(msg)
        yield name


def _spans(arrivals: Sequence[float | str]) -> Iterator[float]:
    """Yield each window of arrival once, however it is written."""
    for window in dict.fromkeys(seconds(window, "arrivals") for window in arrivals):
        if window <= 0:
            msg = f"arrivals={tuple(arrivals)!r}: nothing arrives within no time"
            raise ConfigurationError(msg)
        yield window


def _different(rules: Iterable[Rule | Objective]) -> Iterator[Rule | Objective]:
    names = set()
    for rule in rules:
        if rule.name in names:
            msg = f"two rules are called {rule.name!r}"
            raise ConfigurationError(msg)
        names.add(rule.name)
        yield rule
