"""Notifiers: whoever is told of alerts; any function of an ``Alert`` is one too.

A notifier may say how often it is tried in vain before it is given up (``attempts``, None for never), and may want to
be told again and again of what fires (``refresh``), since it lasts there for so many seconds only (``keep``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from modelmon.alerting.posting import address_of, post
from modelmon.errors import ConfigurationError
from modelmon.exporters.log import one_line
from modelmon.points.attributes import label_name, safe_text
from modelmon.timespans import seconds

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from modelmon.alerting.alert import Alert

_ALERTS: Final = "/api/v2/alerts"
_LEVELS: Final = {"firing": logging.WARNING}


class LogNotifier:
    """Log every change: firing at level WARNING, all else at INFO.

    The message is for people; the same facts stand in the record's attribute ``modelmon``, a dict that ``json.dumps``
    takes as it is. The logger's level, handlers and propagation are the application's own.
    """

    name = "log"
    attempts = 1

    def __init__(self, logger: str = "modelmon") -> None:
        """Log on the logger of this name."""
        self._logger = logging.getLogger(logger)

    def __call__(self, alert: Alert) -> None:
        """Log a change."""
        level = _LEVELS.get(alert.state, logging.INFO)
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", one_line(alert.sentence), extra={"modelmon": alert.to_dict()})


class Webhook:
    """Post every change as one JSON document (``Alert.to_dict``) to an address of yours.

    The form of the document is fixed; ``id`` is the same however often one change is sent, so that a receiver can leave
    out what it had already. No redirect is followed, and three seconds are the most that one attempt takes.
    """

    name = "webhook"
    attempts = None

    def __init__(
        self, address: str, *, headers: Mapping[str, str] | None = None, cafile: str | os.PathLike[str] | None = None
    ) -> None:
        """Post to this address.

        Args:
            address: begins with ``http://`` or ``https://``.
            headers: sent with every request, such as ``{"Authorization": "Bearer …"}``.
            cafile: a PEM file with those whose certificates are trusted; those of the system if left out.

        Raises:
            ConfigurationError: when it cannot be posted to.
        """
        self._address = address_of(address, kind="Webhook", headers=headers, cafile=cafile)

    def __call__(self, alert: Alert) -> None:
        """Post a change."""
        post(self._address, alert.to_dict())

    def __repr__(self) -> str:
        """Show where it posts to, and nothing that may be secret."""
        return f"<Webhook {self._address.target}>"


class Alertmanager:
    """Tell a Prometheus Alertmanager, by version 2 of its API.

    What fires is told again and again, as Alertmanager wants it; if this process dies, its alerts end ``keep`` after
    the last word of it.
    """

    name = "alertmanager"
    attempts = None

    def __init__(
        self,
        address: str,
        *,
        labels: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        cafile: str | os.PathLike[str] | None = None,
        keep: float | str = "5m",
    ) -> None:
        """Tell the one at this address.

        Args:
            address: begins with ``http://`` or ``https://``; the API's path is added where it is missing.
            labels: added to every alert, such as ``{"team": "risk"}``.
            headers: sent with every request.
            cafile: a PEM file with those whose certificates are trusted; those of the system if left out.
            keep: how long what fires stays there without word of us; it is told again five times as often, or at every
                evaluation where those come less often.

        Raises:
            ConfigurationError: when it cannot be posted to.
        """
        found = address_of(address, kind="Alertmanager", headers=headers, cafile=cafile)
        if labels is not None and not isinstance(labels, Mapping):
            msg = f'Alertmanager: labels={labels!r} must be a mapping, such as {{"team": "risk"}}'
            raise ConfigurationError(msg)
        before = found.path.rstrip("/").removesuffix(_ALERTS)
        self._address = replace(found, path=f"{before}{_ALERTS}")
        self._labels = {label_name(name): safe_text(str(value)) for name, value in (labels or {}).items()}
        self.keep = max(seconds(keep, "keep"), 1.0)
        self.every = self.keep / 5

    def __call__(self, alert: Alert) -> None:
        """Tell of a change; what is no alarm yet, or none any more, is not told of as one."""
        if alert.state in {"firing", "resolved"}:
            self._post([alert])

    def refresh(self, firing: Sequence[Alert]) -> None:
        """Tell again of all that fires."""
        self._post(firing)

    def __repr__(self) -> str:
        """Show where it is, and nothing that may be secret."""
        return f"<Alertmanager {self._address.target}>"

    def _post(self, alerts: Sequence[Alert]) -> None:
        post(self._address, [self._written(alert) for alert in alerts])

    def _written(self, alert: Alert) -> dict[str, Any]:
        """Return an alert as the API takes it; times are of this machine's clock, which the other side shares."""
        now = time.time()
        labels = {"alertname": alert.name, "severity": alert.severity, "model": alert.model, "version": alert.version}
        if alert.burn is not None:
            labels["burn"] = alert.burn.name
        ends = now + self.keep if alert.state == "firing" else now
        return {
            "labels": self._labels | {name: safe_text(text) for name, text in labels.items() if text},
            "annotations": {"summary": safe_text(alert.sentence), "description": safe_text(alert.rule.note)},
            "startsAt": _moment(now - max(0.0, alert.at - alert.since) - (0 if alert.state == "firing" else 1)),
            "endsAt": _moment(ends),
        }


def _moment(when: float) -> str:
    return datetime.fromtimestamp(when, timezone.utc).isoformat(timespec="milliseconds")
