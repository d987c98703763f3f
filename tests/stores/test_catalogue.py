"""Entries of the catalogue, replayed, give the same numbers in every process."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from modelmon.errors import StoreError
from modelmon.stores.catalogue import MOST_BYTES, MOST_OBJECTS, Catalogue
from modelmon.stores.groups import Group, Layout
from modelmon.stores.series import OBJECT, TEXTUAL, Assumption
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression

KEYS = [("m", ""), ("m", "1"), ("m", "2"), ("other", ""), ("flags", ""), ("\u00e9\n", "v")]
TASKS: list[Any] = [
    None,
    Multiclass(),
    Multiclass(["a", "b", 3]),
    Binary("fraud", threshold=0.1),
    Regression(),
    Multilabel(["a", "b"]),
    Multilabel(),
]
SLICES = [(), (("region", "eu"),), (("region", "us"), ("tier", "1"))]
LAYOUTS = [Layout("class"), Layout("score"), Layout("rows", (0, 1), 2), Layout("flags", (), 2)]
VALUES: list[Any] = ["a", "b", "zz", "1", 1 << 200, -(1 << 90), "\U0001f600", "fraud", "7.5"]
FLAGS: list[Any] = [("set", ("a",)), ("row", (1, None)), ("map", (("a", True), ("b", False))), ("set", ())]

actions = st.one_of(
    st.tuples(st.just("declare"), st.sampled_from(KEYS), st.sampled_from(TASKS)),
    st.tuples(st.just("assign"), st.integers(0, 9), st.sampled_from(TASKS[1:])),
    st.tuples(st.just("code"), st.integers(0, 9), st.sampled_from([*VALUES, 0, 1, 0.5])),
    st.tuples(st.just("group"), st.integers(0, 9), st.tuples(st.sampled_from(SLICES), st.sampled_from(LAYOUTS))),
    st.tuples(st.just("scope"), st.sampled_from([("m", None), ("new", None), ("new", "2"), ("m", "2")]), st.none()),
    st.tuples(
        st.just("assume"),
        st.sampled_from([*KEYS, ("m", None)]),
        st.builds(Assumption, st.sampled_from([None, 0, 0.5, *VALUES, *FLAGS]), st.sampled_from([0.0, 5.0])),
    ),
    st.tuples(st.just("label"), st.sampled_from([OBJECT, TEXTUAL]), st.sampled_from(VALUES + FLAGS)),
)
batches = st.lists(st.tuples(st.integers(0, 1), st.lists(actions, max_size=8)), max_size=10)


def act(catalogue: Catalogue, kind: str, what: Any, value: Any) -> None:
    """Do to a catalogue what a store does to its groups and objects."""
    groups, objects = catalogue.groups, catalogue.objects
    if kind == "declare":
        groups.declare(what, value, objects)
    elif kind == "assume":
        groups.assume(*what, value)
        groups.patience(np.zeros(min(1, len(groups.all)), np.int64), 9.0)
    elif kind == "scope":
        groups.scope(*what)
    elif kind == "label":
        code = objects.codes([value])
        for series in groups.series:
            if isinstance(value, tuple) <= isinstance(series.task, Multilabel):
                series.meanings(np.array([what], np.uint8), code)
    elif groups.series:
        number = what % len(groups.series)
        act_on(catalogue, number, kind, value)


def act_on(catalogue: Catalogue, number: int, kind: str, value: Any) -> None:
    """Do to one series what predictions do."""
    groups = catalogue.groups
    series = groups.series[number]
    if kind == "assign":
        series.fits(value, tuple(value.declared or ("x", "y")))
    elif kind == "code" and isinstance(series.task, (Binary, Multiclass)):
        series.code(value)
    elif kind == "group":
        groups.group(Group(number, groups.ledger(number, value[0]), value[1]))


def numbers(catalogue: Catalogue) -> Any:
    """Return everything that has a number, by number, exact in every type."""
    groups = catalogue.groups
    series = [(page.key, page.task, page.scopes, repr([page.classes, page.assumption])) for page in groups.series]
    codes = [[page.code(value) for value in page.classes] for page in groups.series]
    objects = repr(catalogue.objects.after(0))
    return series, codes, groups.ledgers, groups.all, groups.scopes(), objects, catalogue.known, catalogue.catalogued


@settings(deadline=None, max_examples=200)
@given(batches)
def test_replaying_gives_the_same_numbers(program: list[Any]) -> None:
    """Two processes that take turns, and a third that reads all at the end, number everything alike."""
    entries: list[bytes] = []
    processes = [Catalogue(), Catalogue()]
    for which, batch in program:
        catalogue = processes[which]
        catalogue.apply(entries[catalogue.known :])
        assert catalogue.news() == []
        for kind, what, value in batch:
            act(catalogue, kind, what, value)
        news = catalogue.news()
        entries += news
        catalogue.settle(news)
        catalogue.release()
        assert catalogue.news() == []
    late = Catalogue()
    late.apply(entries)
    for catalogue in processes:
        catalogue.apply(entries[catalogue.known :])
        assert numbers(catalogue) == numbers(late)
    halves = Catalogue()
    for entry in entries:
        halves.apply([entry])
    assert numbers(halves) == numbers(late)


def test_only_so_many_objects_are_entries() -> None:
    """Past the bound objects stay temporary, and so do rows of flags and very long objects."""
    catalogue = Catalogue()
    catalogue.objects.intern(b"\x00\x01")
    catalogue.objects.intern("x" * MOST_BYTES)
    for number in range(MOST_OBJECTS + 10):
        catalogue.objects.intern(f"o{number}")
    news = catalogue.news()
    catalogue.settle(news)
    assert len(news) == catalogue.catalogued == len(catalogue.objects) == MOST_OBJECTS
    assert (catalogue.objects[0], catalogue.objects[MOST_OBJECTS - 1]) == ("o0", f"o{MOST_OBJECTS - 1}")
    assert catalogue.objects.intern("one more") == MOST_OBJECTS
    assert catalogue.news() == []


def test_what_a_temporary_code_meant_is_forgotten() -> None:
    """After a release the same code may stand for another object, which is read anew."""
    catalogue = Catalogue()
    number = catalogue.groups.declare(("m", ""), Multiclass(["a", "b"]), catalogue.objects)
    series = catalogue.groups.series[number]
    kind = np.array([OBJECT], np.uint8)
    assert series.meanings(kind, catalogue.objects.codes(["a"])).tolist() == [0.0]
    catalogue.release()
    assert series.meanings(kind, catalogue.objects.codes(["b"])).tolist() == [1.0]


def test_flags_of_catalogued_objects_are_found_anew() -> None:
    """What a catalogued set of labels means to a multilabel series is a temporary code, new in every batch."""
    catalogue = Catalogue()
    number = catalogue.groups.declare(("m", ""), Multilabel(["a", "b"]), catalogue.objects)
    series = catalogue.groups.series[number]
    catalogue.objects.intern(("set", ("b",)))
    catalogue.settle(catalogue.news())
    kind = np.array([OBJECT], np.uint8)
    for other in (b"x", b"y"):
        catalogue.objects.intern(other)
        (meaning,) = series.meanings(kind, catalogue.objects.codes([("set", ("b",))])).tolist()
        assert series.flags(meaning).tolist() == [0, 1]
        catalogue.release()


def test_release_lets_payloads_go() -> None:
    """A batch's payloads go with it."""
    catalogue = Catalogue()
    assert catalogue.groups.pool(Layout("rows", (0, 1), 2)) is not None
    catalogue.release()
    assert catalogue.groups.pools == {}


def test_unknown_entries_ask_for_an_upgrade() -> None:
    """An entry of a kind that a later version invented is not passed over."""
    with pytest.raises(StoreError, match="upgrade") as caught:
        Catalogue().apply([b'["orbit",1]'])
    assert caught.value.kind == "schema"
