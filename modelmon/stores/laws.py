"""The conservation laws of the join: what must hold between counts whatever happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelmon.errors import InvariantError
from modelmon.stores.states import ASSUMPTION_EVENTS, JOINED, LABEL_OUTCOMES, PREDICTION_OUTCOMES, REMEMBERED, STATES
from modelmon.tallies import Ledger, Tally
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

if TYPE_CHECKING:
    from modelmon.parts import Part, SeriesPart
    from modelmon.stores.holdings import Holdings


def check(part: Part, holdings: Holdings | None = None) -> None:
    """Check what a store counted, and against what it holds where that is given.

    Raises:
        InvariantError: naming the law and the two numbers that differ.
    """
    for key, series in part.series.items():
        name = f"{key[0]!r} {key[1]!r}"
        whole = Ledger()
        for ledger in series.ledgers.values():
            whole.merge(ledger)
            _check_slots(name, ledger)
        _check_series(name, whole.total, series)
    _equal("early labels", _events(part.counts, "label_events", "early"), _arrived(part.counts, "early"))
    if holdings is not None:
        _check_holdings(part, holdings)


def _equal(law: str, left: float, right: float) -> None:
    if left != right:
        msg = f"{law}: {left} is not {right}"
        raise InvariantError(msg)


def _moves(tally: Tally, before: str, after: str) -> int:
    return int(tally["transitions"].get((before, after))) if "transitions" in tally else 0


def _arrived(tally: Tally, state: str) -> int:
    return sum(_moves(tally, other, state) for other in STATES)


def _left(tally: Tally, state: str) -> int:
    return sum(_moves(tally, state, other) for other in STATES)


def _occupancy(tally: Tally, state: str) -> int:
    return _arrived(tally, state) - _left(tally, state)


def _events(tally: Tally, name: str, *outcomes: str) -> int:
    return sum(tally[name].get((outcome,)) for outcome in outcomes) if name in tally else 0


def _check_series(name: str, total: Tally, series: SeriesPart) -> None:
    accepted = _moves(total, "none", "pending") + _moves(total, "none", "joined")
    _equal(
        f"{name}: accepted predictions are new rows",
        _events(total, "prediction_events", "pending", "joined_early"),
        accepted,
    )
    if isinstance(series.task, (Binary, Multiclass)):
        _check_accepted(name, accepted, total, series.shared.total)
    held = sum(_occupancy(total, STATES[state]) for state in REMEMBERED)
    _equal(f"{name}: accepted rows are somewhere", accepted, held + _arrived(total, "forgotten"))
    for state in STATES[1:]:
        if _occupancy(total, state) < 0:
            _equal(f"{name}: {state} rows left that never came", _arrived(total, state), _left(total, state))
    joins = _moves(total, "pending", "joined") + _moves(total, "none", "joined")
    swaps = _moves(total, "joined", "joined")
    taken = swaps + _moves(total, "joined", "pending") + _moves(total, "joined", "expired")
    assumed = {event: _events(total, "assumed", event) for event in ASSUMPTION_EVENTS}
    first = joins - assumed["made"] + assumed["confirmed"] + assumed["corrected"]
    _equal(f"{name}: every join has a delay", total["label_delay"].count if "label_delay" in total else 0, first)
    counted = joins + swaps - taken
    still = sum(_occupancy(total, state) for state in ("joined", "closed"))
    still += _moves(total, "closed", "forgotten") + _moves(total, "joined", "forgotten")
    _equal(f"{name}: joined rows stay counted", counted, still)
    standing = assumed["made"] + assumed["restored"] - assumed["confirmed"] - assumed["corrected"]
    if not 0 <= standing <= counted:
        _equal(f"{name}: rows counted with an assumption are counted", standing, min(max(standing, 0), counted))
    if isinstance(series.task, (Binary, Multiclass)) and "confusion" in total:
        matrix = total["confusion"]
        _equal(f"{name}: cells added", matrix.added_total, joins + swaps)
        _equal(f"{name}: cells removed", matrix.removed_total, taken)
        if matrix.is_complete and (matrix.added_matrix() < matrix.removed_matrix()).any():
            _equal(f"{name}: a cell lost more than it had", 1, 0)
        _check_scores(name, series, counted)
    if isinstance(series.task, Regression) and "residuals" in total:
        _equal(f"{name}: residuals", total["residuals"].n + total["residuals"].skipped, counted)
    if isinstance(series.task, Multilabel) and "multilabel" in total:
        _equal(f"{name}: rows of labels", total["multilabel"].rows, counted)


def _check_accepted(name: str, accepted: int, total: Tally, shared: Tally) -> None:
    """Check what was predicted by accepted rows, and how many of them have labels."""
    predicted = total["accepted"].total if "accepted" in total else 0
    _equal(f"{name}: accepted rows by predicted class", predicted, accepted)
    if "strata" in shared:
        strata = shared["strata"]
        if (strata.labelled.sum(axis=1) > strata.accepted).any():
            _equal(f"{name}: a bin of scores has more labels than rows", 1, 0)


def _check_scores(name: str, series: SeriesPart, counted: int) -> None:
    scored = Ledger()
    for ledger in series.ledgers.values():
        scored.merge(ledger)
    shared = series.shared.total
    if "scores" not in shared or "losses" not in scored.total:
        return
    losses, scores = scored.total["losses"], shared["scores"]
    rows = losses.scored + losses.unscored
    _equal(f"{name}: score histogram and losses", scores.total if isinstance(series.task, Binary) else rows, rows)
    if rows > counted:
        _equal(f"{name}: more scored rows than rows", rows, counted)


def _check_slots(name: str, ledger: Ledger) -> None:
    slots = Tally()
    for tally in ledger.slots.values():
        slots.merge(tally)
    for counts, outcomes in (("prediction_events", PREDICTION_OUTCOMES), ("label_events", LABEL_OUTCOMES)):
        within, whole = _events(slots, counts, *outcomes), _events(ledger.total, counts, *outcomes)
        if within > whole:
            _equal(f"{name}: slots hold more {counts} than the total", within, whole)


def _check_holdings(part: Part, holdings: Holdings) -> None:
    table = holdings.records.records
    state = table["state"][: table.top]
    held = np.bincount(state, minlength=len(STATES)).tolist()
    whole = Tally()
    for series in part.series.values():
        for ledger in series.ledgers.values():
            whole.merge(ledger.total)
    for number in REMEMBERED:
        _equal(f"{STATES[number]} rows held", held[number], _occupancy(whole, STATES[number]))
    _equal("early labels held", held[STATES.index("early")], _occupancy(part.counts, "early"))
    _equal("rows awaiting", holdings.awaiting, held[STATES.index("pending")])
    _check_assumed(whole, holdings)
    _equal("records in use", len(table), int(np.count_nonzero(state)))
    reachable = holdings.records.chains(
        np.unique(holdings.records.index.find(*holdings.records.keys(np.flatnonzero(state))))
    )[1]
    _equal("records reachable by id", len(reachable), len(table))


def _check_assumed(whole: Tally, holdings: Holdings) -> None:
    table = holdings.records.records
    state = table["state"][: table.top]
    standing = int(np.count_nonzero(holdings.records.standing(np.flatnonzero(state == JOINED), state[state == JOINED])))
    made = _events(whole, "assumed", "made", "restored") - _events(whole, "assumed", "confirmed", "corrected")
    if standing > made:
        _equal("rows held with an assumption", standing, made)
