"""Redeeming receipts: check them, deliver their predictions and labels together, and count what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.errors import ConfigurationError
from modelmon.notices import warn
from modelmon.receipts.taking import Delivery, deliver, verified
from modelmon.signing import VARIABLE, Keys
from modelmon.truths import instants, revisions, truths

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from modelmon.recorder import Recorder
    from modelmon.settings import Settings
    from modelmon.stores.contract import JoinSettings, Store

REFUSED = {
    "malformed": "the text is no receipt, or was cut",
    "unsupported": "it was written by another version of modelmon",
    "unknown_key": "it was signed with a key that is not among receipt_key",
    "signature": "it was changed, or not signed by us",
    "expired": "its prediction is older than ttl",
    "ahead": "its prediction lies more than an hour ahead",
    "task": "its model has another task by now",
}
"""What each reason of a refused receipt means."""


def redeem(
    recorder: Recorder, receipts: Any, given: Any, age: Callable[[], float], *, at: Any = None, revs: Any = None
) -> Counter[str]:
    """Deliver labels with the receipts of their predictions, and return how many had which outcome.

    Raises:
        ConfigurationError: when there is no key, or the store would forget a receipt while it is still good.
        ValueError: when lengths differ, or a keyword cannot be read.
        StoreError: when they were not committed; the same call may be repeated.
    """
    _check(recorder.settings)
    delivery = read_delivery(receipts, given, keys_of(recorder.settings.receipt_key), age, at=at, revs=revs)
    outcomes, events = recorder.reach("label", lambda store, now: deliver(store, delivery, now))
    recorder.entered(len(delivery.found))
    for event, n in events.items():
        recorder.count("receipts", event, n)
    say_refused(events)
    return outcomes


def redeem_at(  # noqa: PLR0917  (one caller, which has just these)
    hold: Callable[[Callable[[Store], Any]], Any],
    now: float,
    receipts: Any,
    given: Any,
    age: Callable[[], float],
    keys: Any,
    at: Any,
    revs: Any,
) -> Counter[str]:
    """Deliver labels with receipts to the store of a client, by the settings that it holds; see `redeem`."""
    delivery = read_delivery(receipts, given, keys_of(keys), age, at=at, revs=revs)

    def redeemed(store: Any) -> tuple[Counter[str], Counter[str]]:
        if hasattr(store, "governing"):
            _check(store.governing())
        return deliver(store, delivery, now)

    outcomes: Counter[str]
    outcomes, events = hold(redeemed)
    say_refused(events)
    return outcomes


def keys_of(given: Any) -> Keys:
    """Return the keys given, else those of the environment.

    Raises:
        ConfigurationError: when there are none.
    """
    keys = Keys.chosen(given)
    if keys is None:
        msg = f"receipts need the key they were signed with: receipt_key=..., or {VARIABLE} in the environment"
        raise ConfigurationError(msg)
    return keys


def read_delivery(
    receipts: Any, given: Any, keys: Keys, age: Callable[[], float], *, at: Any = None, revs: Any = None
) -> Delivery:
    """Read receipts and their labels into columns.

    Raises:
        ValueError: when lengths differ, or a keyword cannot be read.
    """
    tokens = [receipts] if isinstance(receipts, (str, bytes)) else list(receipts)
    column = truths(given)
    if len(tokens) != len(column):
        msg = f"{len(tokens)} receipts but {len(column)} truths: give one truth for each receipt"
        raise ValueError(msg)
    n = len(tokens)
    return Delivery(verified(tokens, keys), column, instants(at, n), np.column_stack(revisions(revs, n)), age)


def say_refused(events: Counter[str]) -> None:
    """Log what was refused, once in a while for each reason."""
    for reason, text in REFUSED.items():
        if events[reason]:
            warn(f"receipts:{reason}", f"{events[reason]} receipt(s) refused, {reason}: {text}")


def _check(settings: Settings | JoinSettings) -> None:
    if settings.correction_horizon + settings.forget_after < settings.ttl:
        msg = (
            "receipts need correction_horizon + forget_after of at least ttl, or the store would forget a receipt that "
            "can still come again, and count it twice"
        )
        raise ConfigurationError(msg)
