"""The transition and its tables, case by case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelmon.stores import states, transition
from modelmon.stores.contract import JoinSettings
from modelmon.stores.rounds import LabelOrder, LabelRound, PredictionRound

SETTINGS = JoinSettings(ttl=10.0, correction_horizon=8.0, forget_after=4.0)
NAN = np.nan


def order(at: float, rev: float | None = None) -> LabelOrder:
    """Return the order of one label."""
    given = rev is not None
    return LabelOrder(np.array([given]), np.array([rev or 0.0]), np.array([0.0]), np.array([at]))


def one(state: str = "pending", *, given: float = 1.0, held: float = NAN, **changes: Any) -> LabelRound:
    """Return a round of one label that meets one row; the register exists if it holds something."""
    there = state != "pending" or not np.isnan(held)
    base = LabelRound(
        now=5.0,
        level=0,
        readable=np.array([True]),
        retraction=np.array([np.isnan(given)]),
        order=order(5.0),
        explicit=np.array([False]),
        sampled=np.array([True]),
        register=np.array([states.CONSUMED if there else states.NONE], np.uint8),
        held_order=order(1.0),
        same=np.array([there and given == held]),
        greater=np.array([1], np.int8),
        lost=np.array([False]),
        event=np.array([0]),
        state=np.array([states.STATES.index(state)], np.uint8),
        time=np.array([0.0]),
        due=np.array([10.0]),
        until=np.array([10.0]),
        truth=np.array([held if state == "joined" else NAN]),
        held=np.array([[held], [NAN], [NAN]]),
        given=np.array([given]),
        assumed=np.array([NAN]),
        standing=np.array([False]),
    )
    return replace(base, **changes)


def outcome(found: LabelRound) -> tuple[str, str]:
    """Return outcome and new state of a round of one."""
    effects = transition.label(found, SETTINGS)
    return states.LABEL_OUTCOMES[effects.outcome[0]], states.STATES[effects.state[0]]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (one("pending"), ("joined", "joined")),
        (one("pending", given=NAN), ("retract_noop", "pending")),
        (one("joined", held=1.0), ("duplicate", "joined")),
        (one("joined", held=0.0), ("corrected", "joined")),
        (one("joined", held=0.0, given=NAN), ("retracted", "pending")),
        (one("joined", held=0.0, given=NAN, now=10.0), ("retracted", "pending")),
        (one("joined", held=0.0, given=NAN, now=10.5), ("retracted", "expired")),
        (one("joined", held=0.0, held_order=order(6.0)), ("stale", "joined")),
        (one("joined", held=0.0, held_order=order(1.0, rev=1.0)), ("stale", "joined")),
        (one("joined", held=0.0, order=order(0.5, rev=2.0), held_order=order(9.0, rev=1.0)), ("corrected", "joined")),
        (one("joined", held=0.0, lost=np.array([True])), ("stale", "joined")),
        (one("joined", held=0.0, lost=np.array([True]), explicit=np.array([True])), ("corrected", "joined")),
        (one("closed", held=0.0), ("closed", "closed")),
        (one("expired", held=0.0), ("late", "expired")),
        (one("evicted", held=0.0), ("evicted", "evicted")),
        (one("expired", held=1.0), ("duplicate", "expired")),
        (one("joined", held=0.0, given=NAN, retraction=np.array([False])), ("invalid", "joined")),
    ],
)
def test_a_label_does_to_a_row_what_its_state_says(found: LabelRound, expected: tuple[str, str]) -> None:
    """Each state meets each kind of label with the outcome and the state of the table."""
    assert outcome(found) == expected


def assuming(given: float = 1.0, held: float = NAN, **changes: Any) -> LabelRound:
    """Return a round of a label and a joined row of a series that assumes 0 from 4 s on."""
    changes = {"until": np.array([4.0]), "assumed": np.array([0.0]), **changes}
    return one("joined", given=given, held=held, **changes)


STANDING = {"truth": np.array([0.0]), "standing": np.array([True])}


@pytest.mark.parametrize(
    ("found", "expected", "change"),
    [
        (assuming(1.0, **STANDING), ("corrected", "joined"), ("differs", 1.0, False, 13.0)),
        (assuming(0.0, **STANDING), ("joined", "joined"), ("confirms", 0.0, False, 13.0)),
        (assuming(NAN, **STANDING), ("retract_noop", "joined"), ("keeps", 0.0, True, 10.0)),
        (assuming(NAN, held=1.0), ("retracted", "joined"), ("falls", 0.0, True, 13.0)),
        (assuming(NAN, held=0.0), ("retracted", "joined"), ("falls", 0.0, True, 13.0)),
        (assuming(NAN, held=1.0, now=4.0), ("retracted", "pending"), ("loses", NAN, False, 4.0)),
        (assuming(0.0, held=1.0), ("corrected", "joined"), ("differs", 0.0, False, 10.0)),
        (
            assuming(NAN, truth=np.array([5.0]), standing=np.array([True])),
            ("retract_noop", "joined"),
            ("keeps", 5.0, True, 10.0),
        ),
    ],
)
def test_a_label_always_wins_over_an_assumption(
    found: LabelRound, expected: tuple[str, str], change: tuple[str, float, bool, float]
) -> None:
    """A first label confirms or corrects what was assumed, and a retraction falls back to it."""
    effects = transition.label(found, SETTINGS)
    assert outcome(found) == expected
    became = (effects.truth[0], effects.standing[0], effects.due[0])
    assert states.CHANGES[effects.change[0]] == change[0]
    np.testing.assert_array_equal(became, change[1:])


def test_time_joins_what_an_assumption_speaks_of() -> None:
    """A pending row whose series assumes something is joined and then closed, each by the deadline before."""
    state = np.full(4, states.PENDING, np.uint8)
    due, assumed = np.array([0.0, 1.0, 11.0, 11.0]), np.array([1.0, 0.0, 0.0, NAN])
    steps, after, new_due = transition.expire(state, due, 12.0, SETTINGS, assumed)
    assert [states.STATES[code] for code in after] == ["closed", "closed", "joined", "expired"]
    assert new_due.tolist() == [12.0, 13.0, 19.0, 15.0]
    assert [len(step.which) for step in steps] == [4, 2]


@pytest.mark.parametrize(
    ("explicit", "greater", "expected"), [(True, -1, "stale"), (True, 1, "corrected"), (False, -1, "corrected")]
)
def test_ties_go_to_the_greater_value_where_an_order_was_given(explicit: bool, greater: int, expected: str) -> None:
    """Labels of one moment: with an explicit order the greater value wins, else the later arrival."""
    tie = one(
        "joined",
        held=0.0,
        held_order=order(5.0),
        explicit=np.array([explicit]),
        greater=np.array([greater], np.int8),
    )
    assert outcome(tie)[0] == expected


def test_revisions_compare_by_both_of_their_halves() -> None:
    """Two revisions that differ beyond the precision of one float are still in order."""
    late = LabelOrder(np.array([True]), np.array([2.0**60]), np.array([1.0]), np.array([0.0]))
    early = LabelOrder(np.array([True]), np.array([2.0**60]), np.array([0.0]), np.array([9.0]))
    assert outcome(one("joined", held=0.0, order=late, held_order=early))[0] == "corrected"
    assert outcome(one("joined", held=0.0, order=early, held_order=late))[0] == "stale"


def test_the_most_specific_meaning_counts() -> None:
    """A meaning for id, model and version hides the wider ones."""
    held = np.array([[0.0, 0.0, 0.0, NAN], [NAN, 1.0, 1.0, NAN], [NAN, NAN, 2.0, NAN]])
    np.testing.assert_array_equal(transition.effective(held), [0.0, 1.0, 2.0, NAN])


def test_a_label_of_many_rows_has_the_first_outcome_in_precedence() -> None:
    """One label joins one row and comes late for another: it joined."""
    both = replace(
        one("pending"),
        event=np.array([0, 0]),
        state=np.array([states.EXPIRED, states.PENDING], np.uint8),
        time=np.zeros(2),
        due=np.full(2, 10.0),
        until=np.full(2, 10.0),
        truth=np.full(2, NAN),
        held=np.full((3, 2), NAN),
        given=np.ones(2),
        assumed=np.full(2, NAN),
        standing=np.zeros(2, np.bool_),
    )
    effects = transition.label(both, SETTINGS)
    assert [states.LABEL_OUTCOMES[code] for code in effects.row_outcome] == ["late", "joined"]
    assert states.LABEL_OUTCOMES[effects.outcome[0]] == "joined"


def test_the_tables_name_only_states_and_outcomes_there_are() -> None:
    """Every row state can pass, and every outcome of the tables is one."""
    remembered = {states.STATES[number] for number in states.REMEMBERED}
    assert set(states.NEXT) == remembered | {"early"}
    assert set(states.UNCHANGED) == remembered
    named = {name for outcomes in states.UNCHANGED.values() for name in outcomes.values()}
    named |= {name for _, name in states.ACTIONS.values()}
    assert named <= set(states.LABEL_OUTCOMES)
    assert all(set(outcomes) == set(states.RELATIONS) for outcomes in states.UNCHANGED.values())


def test_time_takes_every_state_to_its_end_however_seldom_it_is_asked() -> None:
    """A pending row two deadlines late is expired and forgotten in one step; what is due exactly now stays."""
    state = np.array([states.PENDING, states.JOINED, states.EARLY, states.PENDING], np.uint8)
    due = np.array([1.0, 7.0, 2.0, 8.0])
    steps, after, new_due = transition.expire(state, due, 8.0, SETTINGS)
    assert [states.STATES[code] for code in after] == ["forgotten", "closed", "orphaned", "pending"]
    assert new_due[1] == 11.0
    assert [len(step.which) for step in steps] == [3, 1]


def test_predictions_are_checked_in_order() -> None:
    """Unreadable, too old, known and outside the sample come before a new row."""
    n = 7
    found = PredictionRound(
        now=20.0,
        patience=10.0,
        readable=np.array([False, True, True, True, True, True, True]),
        time=np.array([20.0, 9.0, 20.0, 20.0, 20.0, 10.0, 4000.0]),
        sampled=np.array([True, True, True, True, False, True, True]),
        state=np.array([0, 0, states.PENDING, states.CLOSED, 0, 0, 0], np.uint8),
        due=np.zeros(n),
        truth=np.full(n, NAN),
        same=np.array([False, False, True, False, False, False, False]),
        held=np.array([[NAN, NAN, NAN, NAN, NAN, 3.0, NAN], [NAN] * n, [NAN] * n]),
    )
    effects = transition.predict(found, SETTINGS)
    assert [states.PREDICTION_OUTCOMES[code] for code in effects.outcome] == [
        *("invalid", "too_old", "duplicate", "conflict", "unsampled", "joined_early", "invalid"),
    ]
    assert effects.accepted.tolist() == [False] * 5 + [True, False]
    assert effects.due[5] == 28.0
