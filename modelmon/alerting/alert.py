"""An alert: what somebody is told when the state of a rule changes."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelmon.points.attributes import safe_text
from modelmon.rules import Objective

if TYPE_CHECKING:
    from modelmon.alerting.states import State
    from modelmon.intervals import Interval
    from modelmon.rules import Burn, Rule


@dataclass(frozen=True, slots=True)
class Alert:
    """Hold the state of a rule for one model and version, and the numbers behind it.

    Attributes:
        rule: the ``Rule`` or ``Objective``.
        state: ``"pending"``, ``"firing"``, ``"resolved"`` or ``"inactive"``.
        value: the number that was compared with the threshold; nan where it is undefined. Of an objective it is how
            many times faster than allowed the budget burns, in whichever of the two windows that is slower.
        interval: the interval that was compared, where the rule has a confidence; else (nan, nan).
        support: how many rows stand behind the value; None where that has no meaning.
        model: the model's name; nothing where the number belongs to no model.
        version: the model's version.
        since: when it took this state, seconds since the epoch.
        at: when the numbers were read, seconds since the epoch.
        reason: why nothing could be decided, in words; nothing where it could.
        burn: which burn of an objective; None for a rule.
    """

    rule: Rule | Objective
    state: State
    value: float
    interval: Interval
    support: int | None
    model: str
    version: str
    since: float
    at: float
    reason: str = ""
    burn: Burn | None = None

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.name

    @property
    def severity(self) -> str:
        """How urgent it is, as the rule or the burn says it."""
        return self.burn.severity if isinstance(self.rule, Objective) and self.burn else self.rule.severity  # type: ignore[union-attr]

    @property
    def threshold(self) -> float:
        """What the value was compared with."""
        return self.burn.factor if isinstance(self.rule, Objective) and self.burn else self.rule.threshold  # type: ignore[union-attr]

    @property
    def side(self) -> str:
        """On which side of the threshold it fires: ``"above"`` or ``"below"``."""
        return "above" if isinstance(self.rule, Objective) else self.rule.side

    @property
    def id(self) -> str:
        """Text that is the same however often this change is told, and differs for every other change."""
        parts = (self.name, self.burn.name if self.burn else "", self.model, self.version, self.state, repr(self.since))
        return hashlib.blake2b("\0".join(parts).encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()

    @property
    def sentence(self) -> str:
        """The alert as one line for people."""
        about = " ".join(text for text in (self.model, self.version) if text)
        said = f"{self.state}: {self.name}" + (f" ({self.burn.name} burn)" if self.burn else "")
        said += f" for {about}" if about else ""
        if math.isnan(self.value):
            return f"{said}: {self.reason or 'undefined'}"
        what = "burn rate" if isinstance(self.rule, Objective) else self.rule.subject_text
        said += f": {what} is {self.value:.4g}, {self.side} {self.threshold:g} fires"
        if not math.isnan(self.interval[0]):
            said += f"; interval {self.interval[0]:.4g} to {self.interval[1]:.4g}"
        return said + (f"; {self.reason}" if self.reason else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the alert as plain JSON values; undefined is None."""
        return {
            "id": self.id,
            "rule": safe_text(self.name),
            "state": self.state,
            "model": safe_text(self.model),
            "version": safe_text(self.version),
            "metric": self.rule.metric,
            "burn": self.burn.name if self.burn else None,
            "value": _plain(self.value),
            "interval": [_plain(end) for end in self.interval],
            "support": self.support,
            "threshold": self.threshold,
            "side": self.side,
            "since": self.since,
            "at": self.at,
            "severity": self.severity,
            "reason": self.reason,
            "note": self.rule.note,
            "message": self.sentence,
        }


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
