"""The index finds what a dictionary would find."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from modelmon.stores.index import Index, distinct, first_of_each, rounds

words = st.one_of(st.integers(0, 20), st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63, 2**64 - 1]))
keys = st.tuples(words, st.sampled_from([0, 0, 1, 2**64 - 1]))


class Shelf:
    """An index over growing key columns, beside a dictionary that says what it should hold."""

    def __init__(self) -> None:
        """Start empty."""
        self.low, self.high = np.zeros(1 << 15, np.uint64), np.zeros(1 << 15, np.uint64)
        self.index = Index(self.keys, self.differ)
        self.truth: dict[Any, int] = {}
        self.top = 0

    def keys(self, numbers: Any) -> tuple[Any, Any]:
        """Return the keys of records."""
        return self.low[numbers], self.high[numbers]

    def differ(self, numbers: Any, low: Any, high: Any) -> Any:
        """Return whether records have other keys."""
        return (self.low[numbers] != low) | (self.high[numbers] != high)

    def insert(self, wanted: list[Any]) -> None:
        """Insert those of the keys that are new."""
        new = [key for key in dict.fromkeys(wanted) if key not in self.truth]
        numbers = np.arange(self.top, self.top + len(new))
        low, high = columns(new)
        self.low[numbers], self.high[numbers] = low, high
        self.index.insert(low, high, numbers)
        self.truth.update(zip(new, numbers.tolist(), strict=True))
        self.top += len(new)

    def remove(self, wanted: list[Any]) -> None:
        """Remove those of the keys that are there."""
        old = [key for key in dict.fromkeys(wanted) if key in self.truth]
        self.index.remove(*columns(old))
        for key in old:
            del self.truth[key]

    def check(self, asked: list[Any]) -> None:
        """Compare with the dictionary."""
        assert self.index.used == len(self.truth)
        asked = [*asked, *self.truth]
        assert self.index.find(*columns(asked)).tolist() == [self.truth.get(key, -1) for key in asked]


def columns(wanted: list[Any]) -> tuple[Any, Any]:
    """Return keys as two columns."""
    return np.array([low for low, _ in wanted], np.uint64), np.array([high for _, high in wanted], np.uint64)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(keys, max_size=60)), max_size=12), st.lists(keys, max_size=10))
def test_any_sequence_of_batches_leaves_what_a_dictionary_would_hold(batches: Any, asked: Any) -> None:
    """Insertions and removals in batches, key 0 among them, answer like a dictionary."""
    shelf = Shelf()
    for inserts, batch in batches:
        (shelf.insert if inserts else shelf.remove)(batch)
        shelf.check(asked)


def test_growth_removal_and_growth_again_lose_no_key() -> None:
    """Ten thousand keys come, half go, and ten thousand others come: the table is rebuilt and stays right."""
    shelf = Shelf()
    first = [(number, 0) for number in range(10_000)]
    for start in range(0, 10_000, 1000):
        shelf.insert(first[start : start + 1000])
    shelf.remove(first[::2])
    shelf.insert([(number * 2**32, 7) for number in range(10_000)])
    shelf.check([(5, 1), (0, 0)])


def test_a_replaced_record_is_found_under_its_key() -> None:
    """Pointing a key at another record needs no removal."""
    shelf = Shelf()
    shelf.insert([(4, 0), (5, 0)])
    shelf.low[9] = 4
    shelf.index.replace(*columns([(4, 0)]), np.array([9]))
    assert shelf.index.find(*columns([(4, 0), (5, 0)])).tolist() == [9, 1]


@settings(max_examples=60, deadline=None)
@given(st.lists(keys, min_size=1, max_size=80))
def test_first_of_each_marks_the_first_occurrence_of_every_key(wanted: list[Any]) -> None:
    """A position is marked if and only if its key did not occur before."""
    seen: set[Any] = set()
    expected = [not (key in seen or seen.add(key)) for key in wanted]
    assert first_of_each(*columns(wanted)).tolist() == expected


def test_first_of_each_tells_a_crowd_of_repeated_keys_apart() -> None:
    """Thousands of keys that repeat are told apart whatever cells they share."""
    low = np.random.default_rng(3).integers(0, 700, 5000).astype(np.uint64)
    first = first_of_each(low, low % np.uint64(2))
    assert sorted(np.unique(low, return_index=True)[1].tolist()) == np.flatnonzero(first).tolist()


def test_distinct_numbers_are_ascending() -> None:
    """Repeated numbers stand once."""
    assert distinct(np.array([4, 1, 4, 0])).tolist() == [0, 1, 4]
    assert distinct(np.array([], np.int64)).tolist() == []


@settings(max_examples=60, deadline=None)
@given(st.lists(keys, min_size=1, max_size=80))
def test_rounds_hold_the_occurrences_of_each_key_in_turn(wanted: list[Any]) -> None:
    """Every position is in one round, and the r-th round holds the r-th occurrences."""
    expected: dict[int, list[int]] = {}
    seen: dict[Any, int] = {}
    for position, key in enumerate(wanted):
        occurrence = seen[key] = seen.get(key, -1) + 1
        expected.setdefault(occurrence, []).append(position)
    found = [sorted(np.arange(len(wanted))[chosen].tolist()) for chosen in rounds(*columns(wanted))]
    assert found == list(expected.values())
