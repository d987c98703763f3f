"""The join as tables: what a row and a register can be, and what a label does to a row.

A *row* is one prediction under one (id, model, version); a *register* is the label of one id in one scope.

1. Every event has exactly one outcome; every change of state is one transition, counted as (from, to).
2. A row changes state only through `ACTIONS` (a label) or `NEXT` (time).
3. What a row becomes depends on two things only: its state, and how its effective truth differs from the truth it was
   counted with (a `CHANGE`).
4. Where nothing changes, the outcome says why: by the row's state and by what its register made of the label (a
   `RELATION`), in `UNCHANGED`.
5. Where its series has an assumption ("no chargeback within 14 days is none"), a row that awaits a label longer than
   that is joined with the assumed truth; any label for it counts as the first one, and where that is retracted the row
   falls back to the assumption.

::

    none ──► pending ──label──► joined ──correction horizon──► closed ──► forgotten
      │       │   ▲   (assumption)│ ▲ │
      │       │   └──retraction───┘ └─┘ correction
      │       ├──ttl──► expired ──► forgotten          retraction past ttl: joined ──► expired
      │       └──capacity──► evicted ──► forgotten
      └──an early label──► joined
    label:  none ──► early ──► consumed       early ──early_ttl──► orphaned
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE, PENDING, JOINED, CLOSED, EXPIRED, EVICTED, FORGOTTEN, EARLY, CONSUMED, ORPHANED = range(10)
STATES = (
    "none",
    "pending",
    "joined",
    "closed",
    "expired",
    "evicted",
    "forgotten",
    "early",
    "consumed",
    "orphaned",
)
REMEMBERED = (PENDING, JOINED, CLOSED, EXPIRED, EVICTED)

PREDICTION_OUTCOMES = ("pending", "joined_early", "duplicate", "conflict", "unsampled", "too_old", "invalid")

LABEL_OUTCOMES = (
    "joined",
    "corrected",
    "retracted",
    "retract_noop",
    "duplicate",
    "stale",
    "closed",
    "late",
    "evicted",
    "invalid",
    "early",
    "early_updated",
    "unsampled",
)
"""Of a label that meets several rows, the outcome is the first of these that any of them had."""

KEEPS, GAINS, DIFFERS, LOSES, LOSES_LATE, CONFIRMS, FALLS = range(7)
CHANGES = ("keeps", "gains", "differs", "loses", "loses_late", "confirms", "falls")
"""``confirms``: a label means what was assumed; ``falls``: the truth is lost, and an assumption takes its place."""

SAME, STALE, RETRACTION, VALUE, UNREADABLE = range(5)
RELATIONS = ("same", "stale", "retraction", "value", "unreadable")

ACTIONS: dict[tuple[str, str], tuple[str, str]] = {
    ("pending", "gains"): ("joined", "joined"),
    ("joined", "differs"): ("joined", "corrected"),
    ("joined", "loses"): ("pending", "retracted"),
    ("joined", "loses_late"): ("expired", "retracted"),
    ("joined", "confirms"): ("joined", "joined"),
    ("joined", "falls"): ("joined", "retracted"),
}
"""(state, change) → (new state, outcome); a pair that is absent leaves the row as it is."""

_BY_REGISTER = {"same": "duplicate", "stale": "stale", "unreadable": "invalid"}

UNCHANGED: dict[str, dict[str, str]] = {
    "pending": {**_BY_REGISTER, "retraction": "retract_noop", "value": "duplicate"},
    "joined": {**_BY_REGISTER, "retraction": "retract_noop", "value": "duplicate"},
    "closed": {**_BY_REGISTER, "retraction": "closed", "value": "closed"},
    "expired": {**_BY_REGISTER, "retraction": "late", "value": "late"},
    "evicted": {**_BY_REGISTER, "retraction": "evicted", "value": "evicted"},
}
"""state → relation → outcome of a label that leaves the row as it is."""

NEXT: dict[str, str] = {
    "pending": "expired",
    "joined": "closed",
    "closed": "forgotten",
    "expired": "forgotten",
    "evicted": "forgotten",
    "early": "orphaned",
}
"""What a row or register becomes when its deadline has passed."""

ASSUMED_NEXT: dict[str, str] = {"pending": "joined"}
"""The same for rows that an assumption speaks of."""

ASSUMPTION_EVENTS = ("made", "confirmed", "corrected", "restored")
"""What happens to assumptions: made by time, confirmed or corrected by a first label, restored where that is retracted.

Rows now counted with an assumption are ``made + restored - confirmed - corrected``.
"""


def _after() -> NDArray[np.uint8]:
    table = np.zeros((len(STATES), len(CHANGES)), np.uint8)
    table[:] = np.arange(len(STATES))[:, None]
    for (state, change), (new, _) in ACTIONS.items():
        table[STATES.index(state), CHANGES.index(change)] = STATES.index(new)
    return table


def _outcomes() -> NDArray[np.uint8]:
    table = np.zeros((len(STATES), len(CHANGES), len(RELATIONS)), np.uint8)
    for state, outcomes in UNCHANGED.items():
        for relation, outcome in outcomes.items():
            table[STATES.index(state), :, RELATIONS.index(relation)] = LABEL_OUTCOMES.index(outcome)
    for (state, change), (_, outcome) in ACTIONS.items():
        table[STATES.index(state), CHANGES.index(change)] = LABEL_OUTCOMES.index(outcome)
    return table


def _next(following: dict[str, str]) -> NDArray[np.uint8]:
    table = np.arange(len(STATES), dtype=np.uint8)
    for state, new in following.items():
        table[STATES.index(state)] = STATES.index(new)
    return table


AFTER = _after()
"""uint8 (state, change): the new state."""
OUTCOME = _outcomes()
"""uint8 (state, change, relation): the outcome, as an index of `LABEL_OUTCOMES`."""
FOLLOWING = _next(NEXT)
"""uint8 (state,): the state once the deadline has passed."""
ASSUMING = _next(NEXT | ASSUMED_NEXT)
"""uint8 (state,): the same for rows that an assumption speaks of."""
