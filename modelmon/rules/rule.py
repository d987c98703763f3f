"""A rule: a condition on one number of every model that it is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from modelmon.errors import ConfigurationError
from modelmon.points.catalogue import CATALOGUE
from modelmon.readings.classes import AVERAGES
from modelmon.readings.metrics import METRICS, metric_named
from modelmon.readings.uncertainty import unknown
from modelmon.rules.checks import declare, fraction, number, pairs, refuse, scope, share, text
from modelmon.rules.kinds import check_kind, check_kinds
from modelmon.rules.subjects import Subject, subject_named
from modelmon.timespans import seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.readings.classes import Average
    from modelmon.rules.subjects import Pairs

_UNBOUNDED = frozenset({"log_loss", "brier", "mae", "mse", "rmse", "r2", "explained_variance", "bias", "mape"})


@dataclass(frozen=True, slots=True, init=False)
class Rule:
    """Fire while a number lies beyond a threshold.

    Every model and version that the rule is about has a state of its own.
    Spans of time are seconds, or text such as ``"5m"``; they read back as seconds.

    Attributes:
        name: what the alert is called.
        metric: what is looked at: a quality metric (``"recall"``, ``"coverage"``), a distribution (``"duration"``), a
            count (``"errors"``), a level (``"in_flight"``), or any point by its name (``"modelmon.store.errors"``).
        of: the class of a quality metric, the error's type of ``"errors"``, the outcome of ``"calls"`` and the like.
        average: how a quality metric is averaged over classes.
        quantile: which quantile of a distribution; without it the mean.
        above: fires above this threshold; exactly one of ``above`` and ``below`` is given.
        below: fires below this threshold.
        hold: how long the number must lie beyond it without a break, in seconds.
        window: how long a time is looked at, in seconds. For calls it is the time before now; for quality the slots of
            prediction time, one at least.
        min_support: fewer rows than this decide nothing: the rows that a ratio divides by, or that a distribution has.
        confidence: fires only when the whole interval of this confidence lies beyond the threshold.
        model: the model; None for every model.
        version: the version; None for every version.
        per: what to divide a count by, such as ``per="calls"``, within the same window.
        where: attributes that a point must have, as pairs of text; a mapping is taken too.
        min_coverage: quality decides nothing while a smaller share of the window's predictions has its label.
        mature: quality looks at predictions old enough for their labels to be there: True for as old as the model's
            ``maturity``, a span for a deadline of your own, False for the window up to now, whatever labels it has.
        severity: how urgent it is, as the notification says it.
        note: a sentence for whoever is told, such as what to do.
    """

    name: str
    metric: str
    of: Any
    average: Average | None
    quantile: float | None
    above: float | None
    below: float | None
    hold: float
    window: float
    min_support: int
    confidence: float | None
    model: str | None
    version: str | None
    per: str | None
    where: Pairs
    min_coverage: float
    mature: bool | float
    severity: str
    note: str

    def __init__(
        self,
        name: str,
        metric: str,
        *,
        of: Any = None,
        average: Average | None = None,
        quantile: float | None = None,
        above: float | None = None,
        below: float | None = None,
        hold: float | str = 0,
        window: float | str = "5m",
        min_support: int = 0,
        confidence: float | None = None,
        model: str | None = None,
        version: str | None = None,
        per: str | None = None,
        where: Mapping[str, Any] | Pairs = (),
        min_coverage: float = 0.0,
        mature: bool | float | str = True,
        severity: str = "warning",
        note: str = "",
    ) -> None:
        """Declare a rule.

        Raises:
            ConfigurationError: when the rule cannot work; the message names the rule and what would.
        """
        given = {key: value for key, value in locals().items() if key != "self"}
        declare(self, given, _read, _check)

    @property
    def subject(self) -> Subject:
        """What the metric means, and which point carries it."""
        return subject_named(self.metric)

    @property
    def threshold(self) -> float:
        """The threshold, above or below."""
        return self.below if self.above is None else self.above  # type: ignore[return-value]  # one is given

    @property
    def side(self) -> Literal["above", "below"]:
        """On which side of the threshold the rule fires."""
        return "below" if self.above is None else "above"

    @property
    def subject_text(self) -> str:
        """What the rule looks at, in words.

        >>> Rule("slow", "duration", quantile=0.99, above=0.25).subject_text
        '0.99 quantile of duration'
        """
        spread = self.subject.kind == "histogram"
        said = f"mean {self.metric}" if spread and self.quantile is None else self.metric
        said = said if self.quantile is None else f"{self.quantile:g} quantile of {self.metric}"
        said = f"{self.average} {said}" if self.average else said
        said += "" if self.of is None else f" of {self.of!r}"
        said += f" ({', '.join(f'{name}={value}' for name, value in self.where)})" if self.where else ""
        return f"{said} per {self.per}" if self.per else said

    def changed(self, **changes: Any) -> Rule:
        """Return this rule with some of it replaced.

        Raises:
            ConfigurationError: when the result cannot work.
        """
        return replace(self, **changes)


def _read(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a rule from what was given."""
    scope(given)
    mature = given["mature"]
    return given | {
        "metric": text(given["metric"], "metric"),
        "quantile": None if given["quantile"] is None else share(given["quantile"], "quantile"),
        "above": None if given["above"] is None else number(given["above"], "above"),
        "below": None if given["below"] is None else number(given["below"], "below"),
        "hold": seconds(given["hold"], "hold"),
        "window": seconds(given["window"], "window"),
        "confidence": None if given["confidence"] is None else fraction(given["confidence"], "confidence"),
        "where": pairs(given["where"], "where"),
        "min_coverage": share(given["min_coverage"], "min_coverage"),
        "mature": mature if isinstance(mature, bool) else seconds(mature, "mature"),
        "severity": text(given["severity"], "severity"),
    }


def _check(rule: Rule) -> None:
    if (rule.above is None) is (rule.below is None):
        refuse("give exactly one of above= and below=")
    if isinstance(rule.min_support, bool) or not isinstance(rule.min_support, int) or rule.min_support < 0:
        refuse(f"min_support={rule.min_support!r} must be a whole number, 0 or more")
    if rule.version is not None and rule.model is None:
        refuse("version= without model= is about no model")
    subject = _subject(rule.metric)
    if subject.sort == "quality":
        _check_quality(rule)
        return
    if subject.sort != "level" and rule.window <= 0:
        refuse("window= must be more than 0 seconds")
    if rule.average is not None or rule.min_coverage:
        refuse(f"average= and min_coverage= are for quality metrics, and {rule.metric} is none")
    if rule.of is not None and subject.narrowed not in {"", "predicted"}:
        _check_kind(rule.of, subject)
    if rule.of is not None and not subject.narrowed:
        refuse(f"{rule.metric} does not take of=" + ("; use where=" if subject.sort == "point" else ""))
    if rule.where and subject.sort != "point":
        refuse(f"where= is for points by their dotted name, such as {subject.point}")
    _check_numbers(rule, subject)


def _check_quality(rule: Rule) -> None:
    if rule.quantile is not None or rule.per is not None or rule.where:
        refuse(f"quantile=, per= and where= do not apply to {rule.metric}")
    if rule.average is not None and rule.average not in AVERAGES:
        refuse(f"average={rule.average!r}: there are {', '.join(AVERAGES)}")
    if rule.of is not None and rule.average is not None:
        refuse("give a class (of=) or an average (average=), not both")
    if rule.metric not in _UNBOUNDED and abs(rule.threshold) > 1:
        refuse(f"{rule.side}={rule.threshold:g}: {rule.metric} is 1 at most, so give 0.8 for 80 %")
    try:
        metric_named(rule.metric, rule.of, rule.average or "default")
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if rule.confidence is not None and (METRICS[rule.metric].interval is unknown or rule.average == "samples"):
        what = f"{rule.average} {rule.metric}" if rule.average else rule.metric
        refuse(f"confidence= needs an interval, and none is known of {what}")


def _check_kind(of: Any, subject: Subject) -> None:
    if not isinstance(of, str):
        refuse(f"of={of!r} must be text, such as {getattr(of, '__name__', str(of))!r}")
    check_kind(subject.point, subject.narrowed, of, "of")


def _check_numbers(rule: Rule, subject: Subject) -> None:
    spread, added = subject.kind == "histogram", subject.kind == "counter"
    taken = sorted({name for name, _ in rule.where} & {"model", "version"})
    if taken:
        refuse(f"where= names {taken[0]}; use {taken[0]}=")
    check_kinds(subject.point, rule.where, "where")
    if rule.model is not None and not CATALOGUE[subject.point].per_model:
        refuse(f"{rule.metric} belongs to no model, so model= does not apply")
    if rule.quantile is not None and not spread:
        refuse(f"quantile= is for distributions, and {rule.metric} is none")
    if rule.per is not None and not (added and _subject(rule.per).kind == "counter"):
        refuse(f"per={rule.per!r} divides counts by counts; {rule.metric if not added else rule.per} is none")
    if rule.per is not None and CATALOGUE[_subject(rule.per).point].per_model != CATALOGUE[subject.point].per_model:
        refuse(f"per={rule.per!r}: of {rule.metric} and {rule.per} one is counted by model, and the other by none")
    if rule.per == "calls" and rule.metric in {"calls", "errors"} and rule.threshold > 1:
        refuse(f"{rule.side}={rule.threshold:g}: {rule.metric} per calls is 1 at most, so give 0.01 for 1 %")
    if rule.confidence is not None and rule.per is None:
        refuse(f"confidence= is for quality metrics and for ratios (per=); no interval of {rule.metric} is known")
    if rule.min_support and not (spread or rule.per is not None):
        refuse(f"min_support= is for quality metrics, distributions and ratios (per=), and {rule.metric} is none")


def _subject(name: str) -> Subject:
    try:
        return subject_named(name)
    except KeyError as error:
        raise ConfigurationError(error.args[0]) from None
