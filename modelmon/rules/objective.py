"""An objective: the share of calls that shall be good, and how fast its budget of bad ones may burn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from modelmon.rules.checks import declare, fraction, number, pairs, refuse, scope, text
from modelmon.rules.kinds import check_kinds
from modelmon.rules.subjects import Pairs, Subject, subject_named
from modelmon.timespans import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, init=False)
class Burn:
    """Fire while the budget burns at least ``factor`` times as fast as it may, in a long and in a short window.

    The long window tells that it matters, the short one that it still goes on.

    Attributes:
        name: what tells it from the other burns of the objective, such as ``"fast"``.
        factor: how many times faster than the budget allows; 1 spends it exactly by the end of the objective's period.
        window: the long window, in seconds.
        short: the short window, in seconds.
        severity: how urgent it is, as the notification says it.
    """

    name: str
    factor: float
    window: float
    short: float
    severity: str

    def __init__(
        self, name: str, factor: float, window: float | str, short: float | str, severity: str = "page"
    ) -> None:
        """Declare a burn.

        Raises:
            ConfigurationError: when it cannot work.
        """
        object.__setattr__(self, "name", text(name, "name"))
        object.__setattr__(self, "factor", number(factor, "factor"))
        object.__setattr__(self, "window", seconds(window, "window"))
        object.__setattr__(self, "short", seconds(short, "short"))
        object.__setattr__(self, "severity", text(severity, "severity"))
        if self.factor <= 0:
            refuse(f"burn {name!r}: factor={factor!r} must be more than 0")
        if not 0 < self.short <= self.window:
            refuse(f"burn {name!r}: short= must be more than 0 seconds and no longer than window=")


FAST = Burn("fast", 14.4, "1h", "5m", "page")
SLOW = Burn("slow", 6.0, "6h", "30m", "ticket")


@dataclass(frozen=True, slots=True, init=False)
class Objective:
    """Fire while bad calls come faster than an objective has room for.

    ``Objective("answers fast", "duration", within=0.25, target=0.99)`` asks that 99 % of the calls take at most 0.25 s.
    ``Objective("answers", "calls", bad={"outcome": "error"}, target=0.999)`` asks that 99.9 % do not fail.
    The budget is the share that may be bad; a burn of 1 spends just that.

    Attributes:
        name: what the alert is called.
        metric: a distribution (with ``within``), or a count (with ``bad``): ``"duration"``, ``"calls"``, or a point.
        target: the share that shall be good, between 0 and 1.
        within: what a value of a distribution must not exceed to be good; digits past the third are cut off.
        bad: attributes of what is bad among a count, as pairs of text; for ``"calls"`` those with outcome error.
        burns: when to tell, by default a fast burn (14.4 in 1 h and 5 min) and a slow one (6 in 6 h and 30 min).
        min_support: fewer calls than this in the long window decide nothing.
        hold: how long it must burn without a break, in seconds.
        model: the model; None for every model.
        version: the version; None for every version.
        note: a sentence for whoever is told, such as what to do.
    """

    name: str
    metric: str
    target: float
    within: float | None
    bad: Pairs
    burns: tuple[Burn, ...]
    min_support: int
    hold: float
    model: str | None
    version: str | None
    note: str

    def __init__(
        self,
        name: str,
        metric: str = "duration",
        *,
        target: float,
        within: float | None = None,
        bad: Mapping[str, Any] | Pairs = (),
        burns: tuple[Burn, ...] = (FAST, SLOW),
        min_support: int = 0,
        hold: float | str = 0,
        model: str | None = None,
        version: str | None = None,
        note: str = "",
    ) -> None:
        """Declare an objective.

        Raises:
            ConfigurationError: when it cannot work; the message names it and what would.
        """
        given = {key: value for key, value in locals().items() if key != "self"}
        declare(self, given, _read, _check)

    @property
    def subject(self) -> Subject:
        """What the metric means, and which point carries it."""
        return subject_named(self.metric)

    @property
    def budget(self) -> float:
        """The share that may be bad."""
        return 1.0 - self.target

    def changed(self, **changes: Any) -> Objective:
        """Return this objective with some of it replaced.

        Raises:
            ConfigurationError: when the result cannot work.
        """
        return replace(self, **changes)


def _read(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an objective from what was given."""
    scope(given)
    bad = pairs(given["bad"], "bad")
    if not bad and given["metric"] in {"calls", "modelmon.calls"}:
        bad = (("outcome", "error"),)
    return given | {
        "metric": text(given["metric"], "metric"),
        "target": fraction(given["target"], "target"),
        "within": None if given["within"] is None else number(given["within"], "within"),
        "bad": bad,
        "burns": tuple(given["burns"]),
        "hold": seconds(given["hold"], "hold"),
    }


def _check(objective: Objective) -> None:
    try:
        kind = objective.subject.kind
    except KeyError as error:
        refuse(error.args[0])
    if kind == "histogram":
        if objective.within is None or objective.bad:
            refuse(f"{objective.metric} is a distribution: say what is good by within=")
        if objective.within <= 0:
            refuse(f"within={objective.within:g} must be more than 0")
    elif kind != "counter" or objective.subject.sort == "quality":
        refuse(f"{objective.metric} is neither a distribution nor a count")
    elif objective.within is not None or not objective.bad:
        refuse(f'{objective.metric} is a count: say what is bad by bad=, such as {{"outcome": "error"}}')
    check_kinds(objective.subject.point, objective.bad, "bad")
    if (
        isinstance(objective.min_support, bool)
        or not isinstance(objective.min_support, int)
        or objective.min_support < 0
    ):
        refuse(f"min_support={objective.min_support!r} must be a whole number, 0 or more")
    if objective.version is not None and objective.model is None:
        refuse("version= without model= is about no model")
    _check_burns(objective)


def _check_burns(objective: Objective) -> None:
    strange = [burn for burn in objective.burns if not isinstance(burn, Burn)]
    if strange:
        refuse(f'burns= holds {strange[0]!r}: give Burn("fast", 14.4, "1h", "5m")')
    names = [burn.name for burn in objective.burns]
    if not names or len(set(names)) != len(names):
        refuse("burns= needs one burn or more, each with a name of its own")
    most = 1 / objective.budget
    if all(burn.factor >= most for burn in objective.burns):
        refuse(f"target={objective.target:g}: nothing burns {most:.3g} times as fast as that; give burns= below it")
