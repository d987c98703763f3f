"""Read truths, instants and revisions from every form in which users have them."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from modelmon.truths import flags_of, instants, retractions, revisions, truths

NUMBER, OBJECT, NOTHING = 1, 2, 3


def tensor(values):
    """Make a tensor where torch is installed; elsewhere skip the case that asks for it."""
    return pytest.importorskip("torch").tensor(values)


def shown(values, **settings):
    """Return truths as (kind, value) pairs."""
    found = truths(values, **settings)
    pairs = []
    for kind, number, code in zip(found.kind.tolist(), found.number.tolist(), found.codes.tolist(), strict=True):
        pairs.append((kind, number if kind == NUMBER else found.objects[code] if kind == OBJECT else code))
    return pairs


NUMBERS = {
    "list": [1, 0, 2],
    "floats": [1.0, 0.0, 2.0],
    "mixed": [True, 0.0, 2],
    "numpy": np.array([1, 0, 2], np.int8),
    "float-array": np.array([1.0, 0, 2]),
    "bools": np.array([1, 0, 2]),
    "column": np.array([[1], [0], [2]]),
    "series": pd.Series([1, 0, 2]),
    "Int64": pd.Series([1, 0, 2], dtype="Int64"),
    "polars": pl.Series([1, 0, 2]),
    "arrow": pa.array([1, 0, 2]),
    "category": pd.Categorical([1, 0, 2]),
    "scalars": [np.int64(1), np.float32(0), np.array(2)],
}
NUMBERS_IN_TENSORS = {"tensor": lambda: tensor([1, 0, 2]), "tensors": lambda: [np.int64(1), 0, tensor(2)]}


@pytest.mark.parametrize("name", [*NUMBERS, *NUMBERS_IN_TENSORS])
def test_numbers_of_every_library(name):
    """Numbers are the same truths from every library."""
    values = NUMBERS[name] if name in NUMBERS else NUMBERS_IN_TENSORS[name]()
    assert shown(values) == [(NUMBER, 1.0), (NUMBER, 0.0), (NUMBER, 2.0)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["cat", 1, None, "1"], [(OBJECT, "cat"), (NUMBER, 1.0), (NOTHING, -1), (OBJECT, "1")]),
        ([1, math.nan, math.inf], [(NUMBER, 1.0), (NOTHING, -1), (NOTHING, -2)]),
        (np.array([1, np.nan, -np.inf]), [(NUMBER, 1.0), (NOTHING, -1), (NOTHING, -2)]),
        (["", pd.NA, pd.NaT, np.ma.masked], [(NOTHING, -1)] * 4),
        (pd.Series([1, None], dtype="Int64"), [(NUMBER, 1.0), (NOTHING, -1)]),
        (np.ma.array([1, 2], mask=[1, 0]), [(NOTHING, -1), (NUMBER, 2.0)]),
        (pl.Series(["a", None]), [(OBJECT, "a"), (NOTHING, -1)]),
        ([2**53 + 1, 2**60, 1], [(OBJECT, 2**53 + 1), (NUMBER, 2.0**60), (NUMBER, 1.0)]),
        (np.array([2**53 + 1, 1]), [(OBJECT, 2**53 + 1), (NUMBER, 1.0)]),
        (np.array([2**64 - 1], np.uint64), [(OBJECT, 2**64 - 1)]),
        ([10**300, 10**400], [(OBJECT, 10**300), (NOTHING, -2)]),
        ([-0.0], [(NUMBER, 0.0)]),
        ([object(), len, 1j], [(NOTHING, -2)] * 3),
        ("cat", [(OBJECT, "cat")]),
        (3, [(NUMBER, 3.0)]),
        ([], []),
        (None, [(NOTHING, -1)]),
        (object(), [(NOTHING, -2)]),
        ({"a": 1}, [(OBJECT, ("map", (("a", True),)))]),
        ([{"b": True, "a": 0, "c": None}], [(OBJECT, ("map", (("a", False), ("b", True))))]),
        ([{"a": 2}, {None: 1}, {"a": "x"}, {(1,): 1}], [(NOTHING, -2)] * 4),
        (
            [{"b", "a"}, frozenset("a"), set()],
            [(OBJECT, ("set", ("a", "b"))), (OBJECT, ("set", ("a",))), (OBJECT, ("set", ()))],
        ),
        ([[1, 0], (0, None)], [(OBJECT, ("row", (1, 0))), (OBJECT, ("row", (0, None)))]),
        (np.array([[1, 0], [0, 1]]), [(OBJECT, ("row", (1, 0))), (OBJECT, ("row", (0, 1)))]),
        (np.array([[1.0, np.nan]]), [(OBJECT, ("row", (1, None)))]),
        (np.ma.array([[1, 1]], mask=[[0, 1]]), [(OBJECT, ("row", (1, None)))]),
        ([np.array([1, 0]), ["a"]], [(OBJECT, ("row", (1, 0))), (OBJECT, ("row", ("a",)))]),
        ([[object()], [1j]], [(NOTHING, -2)] * 2),
    ],
)
def test_truths(values, expected):
    """Each truth is a number, an object, missing or invalid, whatever holds it."""
    assert shown(values) == expected


def test_equal_objects_are_held_once():
    """Equal truths share one object, sets in whatever order they come."""
    rows = [[1, 0], (1, 0), np.array([1, 0]), {"a", "b"}, {"b", "a"}, {"a": 1}, {"a": True}]
    assert len(truths(rows).objects) == 3
    assert len(truths(np.tile([[1, 0], [0, 1]], (500, 1))).objects) == 2


def test_rare_forms_of_truths():
    """Integers past every float, rows without columns and mappings beside plain values are read or refused."""
    assert shown([10**400, 10**399]) == [(NOTHING, -2)] * 2
    assert shown(np.ones((2, 0))) == [(OBJECT, ("row", ()))] * 2
    assert shown([{"a": 1}, "cat", 3, None, object()])[1:] == [
        (OBJECT, "cat"),
        (NUMBER, 3.0),
        (NOTHING, -1),
        (NOTHING, -2),
    ]
    assert shown([(1, 2**70), {1j}])[0] == (OBJECT, ("row", (1, 2**70)))


def test_long_rows_stay_apart():
    """Rows that differ far inside are different truths."""
    first, second = np.zeros(5000, int), np.zeros(5000, int)
    second[2500] = 1
    assert len(truths([first, second]).objects) == 2
    assert len(truths(np.array([first, second])).objects) == 2


def test_textual_truths_are_text():
    """From text, numbers are the text they were written as."""
    assert shown(["1", "cat", ""], textual=True) == [(OBJECT, "1"), (OBJECT, "cat"), (NOTHING, -1)]
    assert shown([1, "cat", 0.5, None], textual=True) == [
        (OBJECT, "1"),
        (OBJECT, "cat"),
        (OBJECT, "0.5"),
        (NOTHING, -1),
    ]


def test_retractions_are_their_own_kind():
    """A retraction is neither missing nor a value."""
    found = retractions(3)
    assert found.kind.tolist() == [0, 0, 0]
    assert len(found.take(slice(1))) == 1


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (("row", (1, 0, None)), [1, 0, 255]),
        (("row", ("c", "a")), [1, 0, 1]),
        (("set", ()), [0, 0, 0]),
        (("set", ("b",)), [0, 1, 0]),
        (("map", (("b", False),)), [255, 0, 255]),
        (["row", [1, 1, 1]], [1, 1, 1]),
        (("row", (1, 0)), None),
        (("set", ("z",)), None),
        (("map", (("z", True),)), None),
        ("a", None),
        (1.0, None),
        (("row", (2, 0, 1)), None),
    ],
)
def test_flags(truth, expected):
    """A multilabel truth of any form becomes flags, or does not fit."""
    found = flags_of(truth, ("a", "b", "c"))
    assert found is expected if expected is None else found.tolist() == expected


UTC = dt.timezone.utc
INSTANTS = {
    "seconds": [0, 1.5],
    "numpy": np.array([0, 1.5]),
    "aware": [
        dt.datetime(1970, 1, 1, tzinfo=UTC),
        dt.datetime(1970, 1, 1, 1, 0, 1, 500_000, dt.timezone(dt.timedelta(hours=1))),
    ],
    "np-datetimes": np.array(["1970-01-01T00:00:00.000", "1970-01-01T00:00:01.500"], "M8[ms]"),
    "list-of-np": [np.datetime64("1970-01-01"), np.datetime64("1970-01-01T00:00:01.5")],
    "timestamps": [pd.Timestamp(0, tz="UTC"), pd.Timestamp("1970-01-01T01:00:01.5", tz="Europe/Berlin")],
    "series": pd.Series(pd.to_datetime(["1970-01-01T00:00:00.0", "1970-01-01T00:00:01.5"])),
    "zoned": pd.Series(pd.to_datetime(["1970-01-01T01:00:00.0", "1970-01-01T01:00:01.5"]).tz_localize("Europe/Berlin")),
    "index": pd.to_datetime(["1970-01-01T00:00:00.0", "1970-01-01T00:00:01.5"]),
    "strings-of-numbers": pd.Series([0, 1.5]),
    "arrow": pa.array([0.0, 1.5]),
    "polars": pl.Series([0.0, 1.5]),
    "polars-zoned": pl.Series([dt.datetime(1970, 1, 1, tzinfo=UTC), dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)]),
    "ints": np.array([0, 1.5], object),
    "Float64": pd.Series([0, 1.5], dtype="Float64"),
}


@pytest.mark.parametrize("name", [*INSTANTS, "tensor"])
def test_instants_of_every_kind(name):
    """Instants are seconds since the epoch from every library."""
    assert instants(INSTANTS[name] if name in INSTANTS else tensor([0, 1.5]), 2).tolist() == [0.0, 1.5]


def test_one_instant_is_for_all_and_missing_is_nan():
    """One instant is meant for every id; None, nan, NaT and NA are missing."""
    assert instants(5, 3).tolist() == [5.0] * 3
    assert instants(np.datetime64("1970-01-01"), 2).tolist() == [0.0, 0.0]
    assert instants(dt.datetime(1970, 1, 1, tzinfo=UTC), 1).tolist() == [0.0]
    assert np.isnan(instants(None, 2)).all()
    assert np.isnan(instants([None, math.nan, pd.NaT, pd.NA, np.datetime64("NaT", "ns")], 5)).all()
    assert np.isnan(instants(pd.Series(pd.to_datetime(["2020", None])), 2)).tolist() == [False, True]
    assert np.isnan(instants(pd.Series([1, None], dtype="Int64"), 2)).tolist() == [False, True]


@pytest.mark.parametrize(
    "at",
    [
        dt.datetime.fromtimestamp(0, UTC).replace(tzinfo=None),
        pd.Timestamp(0),
        [1, 2, 3],
        np.arange(3),
        "2020-01-01",
        [1, "x"],
        [True, 1],
        object(),
    ],
)
def test_bad_instants_raise(at):
    """A datetime without a zone, another number of instants, or what is no instant is a ValueError."""
    with pytest.raises(ValueError, match="at"):
        instants(at, 2)


@pytest.mark.parametrize("revision", [0, 1, -7, 2**53 + 1, 2**60 + 1, 2**100 - 1, 2**100, -(2**99) - 1, 10**29])
def test_revisions_are_exact(revision):
    """Every integer up to 2**100 is the exact sum of its two parts."""
    high, low = revisions(revision, 1)
    assert int(high[0]) + int(low[0]) == revision
    high, low = revisions([revision, None, 0.5], 3)
    assert int(high[0]) + int(low[0]) == revision
    assert np.isnan(high).tolist() == [False, True, False]
    assert high[2] + low[2] == 0.5


def test_revisions_keep_their_order():
    """Pairs of parts, compared in turn, order as the integers do."""
    numbers = sorted([*range(2**100 - 40, 2**100 + 1, 7), *range(2**53 - 3, 2**53 + 4), -(2**99), -(2**99) + 1])
    pairs = list(zip(*(part.tolist() for part in revisions(numbers, len(numbers))), strict=True))
    assert pairs == sorted(pairs)
    assert len(set(pairs)) == len(numbers)


def test_revisions_of_columns():
    """Revisions come as columns of any library too."""
    for values in (np.array([1, 2]), pd.Series([1, 2], dtype="Int64"), pl.Series([1, 2])):
        assert revisions(values, 2)[0].tolist() == [1.0, 2.0]
    assert np.isnan(revisions(pd.Series([1, None], dtype="Int64"), 2)[0]).tolist() == [False, True]
    assert np.isnan(revisions(None, 2)).all()


def test_revisions_in_a_tensor():
    """Revisions in a tensor are those in an array."""
    assert revisions(tensor([1, 2]), 2)[0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "revs",
    [2**101, math.inf, "3", True, [1, 2, 3], [object(), 1]],
)
def test_bad_revisions_raise(revs):
    """What is no finite number, or another number of revisions, is a ValueError."""
    with pytest.raises(ValueError, match="rev"):
        revisions(revs, 2)
