"""Kinds: the values that attributes of points can have, where these are few and known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelmon.errors import ConfigurationError
from modelmon.points.catalogue import CATALOGUE
from modelmon.points.qualities import AVERAGES
from modelmon.points.sheets import TOTAL
from modelmon.points.windows import window_of
from modelmon.readings.calls import OUTCOMES, TIMINGS
from modelmon.stores.states import ASSUMPTION_EVENTS, LABEL_OUTCOMES, PREDICTION_OUTCOMES, STATES

if TYPE_CHECKING:
    from modelmon.rules.subjects import Pairs

_KINDS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("modelmon.calls", "outcome"): OUTCOMES,
    ("modelmon.call.duration", "outcome"): OUTCOMES,
    ("modelmon.call.device_duration", "timing"): TIMINGS,
    ("modelmon.prediction.events", "outcome"): PREDICTION_OUTCOMES,
    ("modelmon.label.events", "outcome"): LABEL_OUTCOMES,
    ("modelmon.label.assumed", "event"): ASSUMPTION_EVENTS,
    ("modelmon.join.transitions", "from"): STATES,
    ("modelmon.join.transitions", "to"): STATES[1:],
    ("modelmon.join.occupancy", "state"): STATES[1:],
    **{(f"modelmon.confusion{side}", "correct"): ("true", "false") for side in ("", ".retracted")},
    **{(f"modelmon.quality{part}", "average"): AVERAGES for part in ("", ".low", ".high", ".support")},
}


def check_kind(point: str, attribute: str, value: Any, said: str) -> None:
    """Check the value of an attribute, where all that it can have are known; ``said`` is how it was given.

    Raises:
        ConfigurationError: when it is none of them, so that no point ever has it.
    """
    if attribute == "window" and attribute in CATALOGUE[point].attributes and value != TOTAL:
        window_of(value)
    known = _KINDS.get((point, attribute))
    if known is not None and value not in known:
        msg = f"{said}={value!r} is none of {', '.join(known)}"
        raise ConfigurationError(msg)


def check_kinds(point: str, pairs: Pairs, argument: str) -> None:
    """Check each of several attributes; one that the point does not have may be a slice's, with any value.

    Raises:
        ConfigurationError: when no point ever has one of them.
    """
    for attribute, value in pairs:
        check_kind(point, attribute, value, f"{argument}: {attribute}")
