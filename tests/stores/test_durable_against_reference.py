"""A store that keeps everything in a database does what the plain model of the join does, event by event."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from test_against_reference import Pair, assuming, programs

from modelmon.stores.memory import MemoryStore

OTHERS = ({"on_conflict": "last"}, {"max_awaiting": 3}, {"max_awaiting": 8})


@pytest.fixture
def durable(fresh_store: Any) -> Any:
    """Return a function that makes a store in a database."""
    if fresh_store is MemoryStore:
        pytest.skip("the memory store has tests of its own, and more of them")
    return fresh_store


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize(
    "changes",
    [{}, *(pytest.param(changes, marks=pytest.mark.slow) for changes in OTHERS)],
    ids=["first", "last", "full", "fuller"],
)
def test_every_program_ends_as_in_the_reference(durable: Any, changes: dict[str, Any], data: st.DataObject) -> None:
    """Any mix of predictions, labels, retractions, time and erasure gives the reference's counts after every step."""
    pair = Pair(durable(), **changes)
    for step in data.draw(programs):
        pair.step(*step)
        pair.compare()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_assumptions_take_turns_with_labels_as_in_the_reference(durable: Any, data: st.DataObject) -> None:
    """Assumptions are made, confirmed, corrected and restored as in the reference."""
    pair = Pair(durable())
    for step in [("assume", ("fixed", ""), ("b", 2.0)), *data.draw(st.lists(assuming, min_size=8, max_size=20))]:
        pair.step(*step)
        pair.compare()
