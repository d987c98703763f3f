"""Ids of streamed items: one for all, one for each, or issued; kept once, and counted apart from tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modelmon import Monitor, Multiclass, current_prediction_ids
from modelmon.copies import keeping
from modelmon.probes.item_ids import item_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe_desk import Desk

TEXTS = ["a", "b", "c"]
NUMBERS = [7, 8, 9]


@pytest.mark.parametrize(
    "ids",
    [
        TEXTS,
        tuple(NUMBERS),
        np.array(TEXTS),
        np.array(NUMBERS),
        np.ma.array([7, 0, 9], mask=[False, True, False]),
        pd.Series(NUMBERS),
        pd.Series(TEXTS),
        pd.Index(TEXTS),
        pd.Series(TEXTS, dtype="category"),
        pd.Series(["a", None, "c"], dtype="category"),
        pd.Series([7, None, 9], dtype="Int64"),
        pl.Series(NUMBERS),
    ],
    ids=lambda ids: f"{type(ids).__module__}.{type(ids).__name__}.{getattr(ids, 'dtype', '')}",
)
def test_each_item_takes_its_own_id(ids: Any) -> None:
    """Of any array of ids the first item takes the first, and so on; an item for which there is none is told."""
    own = Monitor()

    @own(model="m", task=Multiclass(), id="ids", output=lambda item: item)
    def stream(ids: Any) -> Iterator[str]:
        for _ in range(len(ids) + 1):
            yield "x"

    assert len(list(stream(ids))) == 4
    whole = TEXTS if isinstance(ids[0], str) else NUMBERS
    known = [one for one, given in zip(whole, ids, strict=True) if not pd.isna(given) and one == given]
    assert own.labels(known, ["x"] * len(known))["joined"] == len(known) >= 2
    seen = own.snapshot()["m"]
    assert (seen.predictions, seen.accuracy) == (4, 1.0)
    assert dict(seen.rejected) == {"bad_id": 4 - len(known)}


def test_rows_of_ids_are_no_ids() -> None:
    """A row stays a row, which the drain refuses."""
    assert item_id("", 0, 2, np.array([[1, 2], [3, 4]])).tolist() == [3, 4]


def chunks(ids: Any = None) -> Iterator[tuple[str, int]]:
    """Yield predictions of a few tokens each, or of none."""
    yield from (("a", 2), ("b", 0), ("c", 3), ("d", 0))


BOTH: dict[str, Any] = {"output": lambda item: item[0], "tokens": lambda item: item[1]}


def test_tokens_do_not_move_ids(desk: Desk) -> None:
    """An item that stands for several tokens, or none, takes one id."""
    watched, site = desk.watch(chunks, id="ids", **BOTH)
    list(watched(["i", "j", "k", "l"]))
    assert site.seat.given[1::4] == ["a", "b", "c", "d"]
    assert site.seat.given[2::4] == ["i", "j", "k", "l"]
    assert site.seat.streams[4] == 5


def test_tokens_do_not_join_issued_ids(desk: Desk) -> None:
    """Items without a token have an issued id of their own too."""
    watched, site = desk.watch(chunks, id="auto", **BOTH)
    list(watched())
    assert current_prediction_ids() == site.seat.given[2::4]
    assert len(set(current_prediction_ids())) == 4


@pytest.mark.parametrize("hook", ["ids", lambda arguments: arguments["ids"]])
def test_a_sequence_of_ids_is_kept_once(desk: Desk, monkeypatch: pytest.MonkeyPatch, hook: Any) -> None:
    """What a stream's ids take does not grow with its items; what came to them meanwhile is found."""
    kept = []
    keep_tuple = keeping._keep_sequence

    def keep(value: Any) -> Any:
        kept.append(len(value))
        return keep_tuple(value)

    monkeypatch.setitem(keeping._KEEPERS, id(list), (list, keep))

    def six(ids: list[str]) -> Iterator[int]:
        yield from range(6)

    watched, site = desk.watch(six, id=hook, output=lambda item: item or None)
    ids = ["0", "1", "2", "3"]
    for item in watched(ids):
        if item == 3:
            ids += ["4", "5"]
    assert kept == [4, 6]  # not for the first item, which predicts nothing
    assert site.seat.given[2::4] == ["1", "2", "3", "4", "5"]


def test_an_id_of_its_own_for_each_item(desk: Desk) -> None:
    """A function of the arguments that tells one id is asked at every prediction."""
    watched, site = desk.watch(
        lambda state: (yield from (state.append(i) or i for i in range(3))),
        id=lambda arguments: f"id-{arguments['state'][-1]}",
        output=str,
    )
    list(watched([]))
    assert site.seat.given[2::4] == ["id-0", "id-1", "id-2"]


@pytest.mark.parametrize(
    ("result", "hook", "issued"),
    [(None, None, 0), ("a", None, 1), (["a", None], None, 2), ([], None, 0), ("a", lambda _: 1 / 0, 0)],
)
def test_no_id_is_issued_where_nothing_is_predicted(
    desk: Desk, result: Any, hook: Callable[[Any], Any] | None, issued: int
) -> None:
    """None is no prediction, nor is what cannot be read: nobody is given an id for it."""
    watched, site = desk.watch(lambda: result, id="auto", output=hook)
    before, _ = desk.watch(lambda: "another", id="auto")
    before()
    watched()
    assert len(current_prediction_ids()) == issued
    assert all(one.startswith(site.seat.prefix) for one in current_prediction_ids())
