"""Tests of the spool: batches are joined without changing what they say, and the bound holds exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmon.columns import Column, encode_classes, encode_ids
from modelmon.events import Predictions
from modelmon.spool import TOGETHER, Spool, merged, rows_of, weight
from modelmon.tasks import Multiclass, Regression

if TYPE_CHECKING:
    import pytest

CLASSES = ("cat", "dog", 1, "1", 2.5, None)
PAGES = ((), (("country", "DE"),), (("country", "FR"),))


def batch(
    ids: list[Any], values: list[Any] | None = None, model: str = "m", page: int = 0, columns: int = 0
) -> Predictions:
    """Return a batch of predictions, with ``columns`` scores each."""
    n = len(ids)
    scores = np.arange(n * columns, dtype=np.float64).reshape(n, columns) if columns else None
    return Predictions(
        model=model,
        version="1",
        task=Multiclass(),
        ids=encode_ids(ids),
        times=np.arange(n, dtype=np.float64),
        slices=Column(np.zeros(n, np.int32), (PAGES[page],)),
        classes=encode_classes(values if values is not None else ["cat"] * n),
        scores=scores,
        columns=tuple(range(columns)),
    )


def listed(batches: list[Predictions]) -> list[tuple[Any, ...]]:
    """Return what batches say, row by row."""
    rows: list[tuple[Any, ...]] = []
    for one in batches:
        classes = [None] * len(one.ids) if one.classes is None else one.classes.tolist()
        scores = [None] * len(one.ids) if one.scores is None else one.scores.tolist()
        told = [one.ids.texts(), one.times.tolist(), one.slices.tolist(), map(repr, classes), scores]
        rows += zip([one.model] * len(one.ids), *told, strict=True)
    return rows


@st.composite
def batches(draw: st.DrawFn) -> Predictions:
    """Draw a batch of few rows of one of two models, with ids as numbers or as text."""
    textual, n = draw(st.booleans()), draw(st.integers(1, 5))
    ids = [draw(st.integers(0, 99)) for _ in range(n)]
    values = [draw(st.sampled_from(CLASSES)) for _ in range(n)]
    known = [f"order-{number}" for number in ids] if textual else ids
    return batch(known, values, draw(st.sampled_from("ab")), draw(st.integers(0, 2)), draw(st.sampled_from((0, 0, 2))))


def emptied(spool: Spool) -> list[Predictions]:
    """Write everything, and return the batches in order."""
    written = []
    while (taken := spool.next()) is not None:
        assert spool.next() is taken
        written.append(taken)
        spool.done()
    return written


@settings(max_examples=200, deadline=None)
@given(st.lists(batches(), max_size=12))
def test_joined_batches_say_the_same(given_batches: list[Predictions]) -> None:
    """Whatever comes in goes out once, unchanged, and in order within each model."""
    spool = Spool(lambda: None)
    for one in given_batches:
        spool.predict(one)
    written = emptied(spool)
    for model in "ab":
        assert listed([one for one in written if one.model == model]) == listed(
            [one for one in given_batches if one.model == model]
        )
    assert spool.rows == 0
    assert spool._bytes == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(batches(), st.booleans()), min_size=1, max_size=20), st.integers(1, 12))
def test_the_bound_holds_and_every_row_is_accounted_for(program: list[tuple[Predictions, bool]], most: int) -> None:
    """Rows waiting never pass the bound but for one newest batch and one in hand; written and dropped add up."""
    spool, written = Spool(lambda: None, most), 0
    for one, write in program:
        spool.predict(one)
        assert spool.rows <= max(most, len(one.ids) + (0 if spool.hand is None else len(spool.hand.ids)))
        taken = spool.next()
        if write and taken is not None:
            written += len(taken.ids)
            spool.done()
    written += sum(len(one.ids) for one in emptied(spool))
    assert spool.written == written
    assert written + spool.dropped == spool.came == sum(len(one.ids) for one, _ in program)


def test_the_newest_rows_stay() -> None:
    """What goes past the bound are the oldest rows, to the row, of whichever model."""
    spool = Spool(lambda: None, 10)
    spool.predict(batch(list(range(4)), model="a"))
    spool.predict(batch(list(range(4, 9)), model="b"))
    spool.predict(batch(list(range(9, 12)), model="a"))
    assert [row[1] for row in listed(emptied(spool))] == ["2", "3", "9", "10", "11", "4", "5", "6", "7", "8"]
    assert spool.dropped == 2


def test_many_rows_are_written_in_pieces_and_somebody_is_woken() -> None:
    """A large batch is cut without being copied, and whoever writes is woken once it is worth it."""
    woken: list[int] = []
    spool = Spool(lambda: woken.append(1))
    spool.predict(batch([1, 2]))
    assert not woken
    spool.predict(batch(list(range(3, 3 * TOGETHER))))
    assert woken
    sizes = [len(one.ids) for one in emptied(spool)]
    assert sizes[:2] == [TOGETHER, TOGETHER]
    assert sum(sizes) == 3 * TOGETHER - 1


def test_bytes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide scores fill the spool before many rows do."""
    wide = batch([1, 2, 3], columns=1000)
    monkeypatch.setattr("modelmon.spool.MOST_BYTES", 3 * weight(wide))
    spool = Spool(lambda: None)
    for _ in range(10):
        spool.predict(wide)
    assert spool.rows == 9
    assert spool.dropped == 21


def test_what_cannot_be_one_batch_stays_apart() -> None:
    """Tasks, shapes and kinds of ids differ, and an empty batch is none."""
    spool = Spool(lambda: None)
    first = batch([1], columns=2)
    spool.predict(first)
    spool.predict(batch([2], columns=3))
    spool.predict(batch(["x"], columns=3))
    spool.predict(Predictions("m", "1", Regression(), encode_ids([3]), np.zeros(1), first.slices, scores=np.ones(1)))
    spool.predict(batch([]))
    assert [len(one.ids) for one in emptied(spool)] == [1, 1, 1, 1]
    assert merged([first]) is first
    assert rows_of(first, slice(0, 5)) is first


def test_lag_is_how_long_the_oldest_rows_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lag is the age of the rows that wait longest, falls as they are written, and is 0 where none wait."""
    now = [100.0]
    monkeypatch.setattr("modelmon.spool.monotonic", lambda: now[0])
    spool = Spool(lambda: None)
    assert spool.lag() == 0.0
    for model in "aab":
        spool.predict(batch([1, 2], model=model))
        now[0] += 1.0
    assert spool.lag() == 3.0
    spool.next()
    assert spool.lag() == 3.0
    spool.done()
    assert spool.lag() == 1.0
    spool.next()
    spool.done()
    assert spool.lag() == 0.0


def test_lag_takes_few_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of batches that wait are noted within bounds, and the oldest are never forgotten."""
    now = [0.0]
    monkeypatch.setattr("modelmon.spool.monotonic", lambda: now[0])
    spool = Spool(lambda: None)
    for _ in range(3000):
        spool.predict(batch([1]))
        now[0] += 1.0
    assert len(spool._marks) <= 256
    assert spool.lag() == 3000.0
