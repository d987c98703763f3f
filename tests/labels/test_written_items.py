"""Tests of labels as JSON: strict reading, and every item with just one outcome."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmon import LabelClient, MemoryStore, Monitor, Multilabel
from modelmon.stores.states import LABEL_OUTCOMES
from modelmon.written.items import NAMES, as_truth, deliver_items
from modelmon.written.rows import Rows, deliver
from modelmon.written.strict import read_json

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
ITEMS = VALUES | st.dictionaries(st.sampled_from(sorted(NAMES)) | TEXT, VALUES, max_size=5)
LIKELY = st.fixed_dictionaries({"id": st.integers(0, 5) | PLAIN, "label": VALUES}, optional={"at": PLAIN, "rev": PLAIN})


@given(VALUES)
def test_plain_json_is_read_as_it_is(value: object) -> None:
    """Whatever is no bomb comes out as the standard library reads it."""
    text = json.dumps(value)
    assert read_json(text) == json.loads(text) == value
    assert read_json(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.fault("Z6")
@given(st.lists(ITEMS | LIKELY, max_size=12))
def test_each_item_has_one_outcome(items: list[object]) -> None:
    """Any JSON at all is delivered without an error: one outcome each, a reason for each invalid one."""
    with LabelClient(MemoryStore()) as client:
        found = deliver_items(client, items)
        assert len(found.outcomes) == len(items)
        invalid = [place for place, code in enumerate(found.outcomes) if LABEL_OUTCOMES[code] == "invalid"]
        assert sorted(found.reasons) == invalid
        assert all(found.reasons.values())
        client._store.check_invariants()


@pytest.mark.parametrize(
    ("label", "flags"),
    [(["cat"], [1, 0]), ([], [0, 0]), ([0, 1], [0, 1]), ({"dog": True, "cat": False}, [0, 1]), ({"dog": True}, None)],
    ids=["names", "none", "row", "map", "partial"],
)
def test_labels_of_many_kinds(label: object, flags: list[int] | None) -> None:
    """A task of many labels takes the names that hold, a row of flags, or what is known of some."""
    monitor = Monitor(store=(store := MemoryStore()))
    monitor.predictions(["a"], [["cat"]], model="m", task=Multilabel(classes=("cat", "dog")))

    class Into:
        def outcomes(self, labels):
            return store.outcomes(labels)

    monitor.flush()
    found = deliver_items(Into(), [{"id": "a", "label": label}, {"id": "a", "label": ["bird"], "rev": 1}])
    assert [LABEL_OUTCOMES[code] for code in found.outcomes] == ["joined", "invalid"]
    if flags is not None:
        matrix = monitor.snapshot()["m"].confusion.matrix
        assert [int(matrix[place, 1].sum()) for place in range(2)] == flags


@pytest.mark.parametrize(
    ("label", "truth"),
    [("x", "x"), (["a", "b"], {"a", "b"}), ([1, 0, None], (1, 0, None)), ([], set()), ({"a": None}, {"a": None})],
    ids=["text", "names", "row", "empty", "map"],
)
def test_json_values_as_truths(label: object, truth: object) -> None:
    """A list of flags is a row, any other the set of labels that hold."""
    assert as_truth(label) == truth


def test_columns_of_text() -> None:
    """Times and revisions come as text or numbers; what cannot be read is invalid by itself, with its reason."""
    at = ["1767225600", "2026-01-01T00:00:00Z", "", "2026-01-01", "soon", "inf", True, None]
    revs = ["1", "2.5", "", "x", None, 2**101, True, 1]
    with LabelClient(MemoryStore()) as client:
        found = deliver(client, Rows([*range(8)], ["x"] * 8, at, revs))
    assert [LABEL_OUTCOMES[code] for code in found.outcomes] == ["early"] * 3 + ["invalid"] * 4 + ["early"]
    assert {place: reason[:3] for place, reason in found.reasons.items()} == {3: "at:", 4: "at:", 5: "at:", 6: "at:"}
    with LabelClient(MemoryStore()) as client:
        found = deliver(client, Rows([*range(8)], ["x"] * 8, None, revs), model="m", version="")
    assert sorted(found.reasons) == [3, 5, 6]
