"""Assuming: what a row means that nobody has labelled in time, as "no chargeback within 14 days is no fraud".

Rules:

1. An assumption is kept by model and version, or by model for all versions that have none of their own; the last one
   given holds.
2. A row that still awaits a label ``after`` seconds after its prediction is joined with the assumed truth.
   The correction horizon begins then.
3. A label that comes within the horizon counts as the row's first one, whatever its order; where it is retracted, the
   row falls back to the assumption.
4. What was assumed of a row stays assumed, even where something else is assumed later.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modelmon.errors import ConfigurationError
from modelmon.notices import warn
from modelmon.stores.series import Assumption
from modelmon.truths import NUMBER, OBJECT, truths

if TYPE_CHECKING:
    from modelmon.stores.holdings import Holdings
    from modelmon.stores.series import Series

_NO_TRUTH = "{0!r} is no truth of model {1!r}, version {2!r}"


def read_assumption(truth: Any, after: float) -> Assumption:
    """Make an assumption canonical.

    Args:
        truth: any truth that a label may have, or None for no assumption any more.
        after: seconds.

    Raises:
        ConfigurationError: when it is no truth.

    >>> read_assumption(False, 3600.0)
    Assumption(truth=0, after=3600.0)
    """
    if truth is None:
        return Assumption(None, after)
    found = truths([truth])
    if len(found) == 1 and found.kind[0] == NUMBER:
        number = float(found.number[0])
        return Assumption(int(number) if number.is_integer() else number, after)
    if len(found) == 1 and found.kind[0] == OBJECT:
        return Assumption(found.objects[found.codes[0]], after)
    msg = f"{truth!r} is no truth that could be assumed"
    raise ConfigurationError(msg)


def assume(holdings: Holdings, model: str, version: str | None, assumption: Assumption) -> None:
    """Let a version, or all versions without an assumption of their own, assume this from now on.

    Raises:
        ConfigurationError: when it could never be made, because it comes after ``ttl`` or means nothing to the model.
    """
    ttl = holdings.settings.ttl
    if assumption.truth is not None and not 0 <= assumption.after <= ttl:
        msg = (
            f"a label is assumed {assumption.after} s after the prediction, but predictions await one for {ttl} s only"
        )
        raise ConfigurationError(msg)
    for series in holdings.groups.series if assumption.truth is not None else ():
        mine = series.key[0] == model and version in {None, series.key[1]}
        if mine and not series.could_assume(assumption.truth):
            raise ConfigurationError(_NO_TRUTH.format(assumption.truth, *series.key))
    holdings.groups.assume(model, version, assumption)
    holdings.records.segments.hasten()


def mention(series: Series) -> None:
    """Say where what was assumed before a version's first prediction is no truth of it, so that nothing is assumed."""
    if series.assumption is None or series.assumption.truth is None or not math.isnan(series.assumed):
        return
    told = _NO_TRUTH.format(series.assumption.truth, *series.key)
    warn(f"assume:{series.key}", f"{told}, so that nothing is assumed of it: give assume_label() one of its classes")
