"""The straight way of a batch of joins does exactly what the transition does."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from worlds import RETRACT, World, as_cells

from modelmon.stores import joining, labelling
from modelmon.tasks import Binary, Multiclass, Regression

SPANS = {"ttl": 10.0, "early_ttl": 5.0, "correction_horizon": 8.0, "forget_after": 4.0, "window": 5.0}
TASKS = {"open": Multiclass(), "fixed": Multiclass([0, 1]), "two": Binary(1), "number": Regression()}

ids = st.sampled_from([0, 1, 2, 3, 4, 5, 6, "x", "y", "uuid-7"])
predicted = st.tuples(
    st.just("predict"), st.sampled_from(list(TASKS)), st.lists(st.tuples(ids, st.sampled_from([0.0, -3.0, -9.5])))
)
values = st.sampled_from([0, 1, 1, 1, 0, 2, "cat", RETRACT])
said = st.tuples(ids, values, st.sampled_from([None, None, None, 3.0]))
labelled = st.tuples(st.just("label"), st.sampled_from([None, None, 2.0]), st.lists(said, max_size=6))
plain = st.tuples(st.just("label"), st.none(), st.lists(st.tuples(ids, st.sampled_from([0, 1]), st.none()), max_size=4))
passed = st.tuples(st.just("pass"), st.sampled_from([0.0, 0.5, 4.0]), st.none())
programs = st.lists(st.one_of(predicted, predicted, labelled, plain, plain, passed), max_size=14)


def step(world: World, kind: str, what: Any, given_: Any) -> dict[str, int] | None:
    """Run one step of a program, and return the outcomes."""
    if kind == "pass":
        world.clock.now += what
        return None
    names = [entry[0] for entry in given_]
    if kind == "label":
        return world.label(names, [entry[1] for entry in given_], at=[entry[2] for entry in given_], rev=what)
    task, times = TASKS[what], [world.clock.now + entry[1] for entry in given_]
    slices = [(("side", "left" if name in (0, 1, "x") else "right"),) for name in names]
    columns: dict[str, Any] = {} if what == "number" else {"values": [1] * len(names)}
    if what in ("two", "number"):
        columns["scores"] = [0.75] * len(names)
    return world.predict(names, model=what, task=task, at=times, slices=slices, **columns)


def everything(world: World) -> list[Any]:
    """Return all that is counted."""
    part = world.store.part()
    return [(key, by_class(page), page.shared) for key, page in part.series.items()] + [part.counts]


def by_class(page: Any) -> Any:
    """Return ledgers as plain values; which code a new class has says nothing."""
    tallies = {(name, None): ledger.total for name, ledger in page.ledgers.items()}
    tallies |= {(name, slot): tally for name, ledger in page.ledgers.items() for slot, tally in ledger.slots.items()}
    return {
        place: {
            name: [as_cells(held, page.classes, side) for side in ("added", "removed")] if name == "confusion" else held
            for name, held in tally.items()
        }
        for place, tally in tallies.items()
    }


@settings(max_examples=150, deadline=None)
@given(programs)
def test_the_straight_way_changes_nothing_but_the_time_it_takes(program: list[Any]) -> None:
    """Any program ends the same whether joins may go the straight way, whole or in part, or not, after every step."""
    with pytest.MonkeyPatch.context() as patch:
        straight, general = World(**SPANS), World(**SPANS)
        patch.setattr(labelling, "MANY", 1)
        for one in program:
            patch.setattr(labelling, "join", joining.join)
            found = step(straight, *one)
            patch.setattr(labelling, "join", lambda *_, **__: None)
            assert step(general, *one) == found
            assert everything(straight) == everything(general)
            straight.store.check_invariants()


def test_plain_batches_go_the_straight_way_and_others_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Awaiting rows, each labelled once, go the straight way; an id twice, a revision or an absent row do not."""
    taken = []

    def watched(*arguments: Any, **keywords: Any) -> Any:
        taken.append(joining.join(*arguments, **keywords))
        return taken[-1]

    monkeypatch.setattr(labelling, "join", watched)
    world = World(**SPANS)
    world.predict(np.arange(40), np.zeros(40, np.int64))
    world.predict(["a", "b"], [0, 0])
    for names, truths, rev in (
        ([0, 1, 2], [0, 1, 0], None),
        (["a", 3], [0, 0], None),
        ([4, 5, 4], [0, 0, 1], None),
        ([6, 7], [0, 0], 1.0),
        ([8, 900], [0, 0], None),
        ([9, 10], [0, RETRACT], None),
        ([0, 11], [1, 1], None),
        ([12], [1], None),
    ):
        world.label(names, truths, rev=rev)
        world.store.check_invariants()
    assert [found is not None for found in taken] == [True, True, False, False, False, False, False, True]
    assert world.counts("transitions") == {("none", "pending"): 42, ("pending", "joined"): 13, ("joined", "joined"): 2}


def test_what_just_joins_goes_the_straight_way_beside_what_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a large batch with repeats, absent ids and retractions, all others still go the straight way."""
    taken = []

    def watched(*arguments: Any, **keywords: Any) -> Any:
        found = joining.join(*arguments, **keywords)
        taken.append(0 if found is None else len(found))
        return found

    monkeypatch.setattr(labelling, "join", watched)
    world = World(**SPANS)
    world.predict(np.arange(1000), np.zeros(1000, np.int64))
    names = [*range(990), 5, 6, 2000]
    found = world.label(names, [0] * 980 + [RETRACT] * 10 + [1, 0, 0])
    assert found == {"joined": 980, "retract_noop": 10, "corrected": 1, "duplicate": 1, "early": 1}
    assert taken == [0, 980]
    world.store.check_invariants()
