"""Encode classes and ids as columns, from any library, and hash ids alike everywhere."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmon.columns import Column, encode_classes, encode_ids
from modelmon.identity import Missing, canonical_class, canonical_id

LIBRARIES = {
    "list": list,
    "tuple": tuple,
    "numpy": np.array,
    "object": lambda values: np.array(values, object),
    "pandas": pd.Series,
    "index": pd.Index,
    "category": lambda values: pd.Series(values, dtype="category"),
    "categorical": pd.Categorical,
    "polars": pl.Series,
    "arrow": pa.array,
    "chunked": lambda v: pa.chunked_array([v]),
    "dictionary": lambda values: pa.array(values).dictionary_encode(),
}


@pytest.mark.fault("L13")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "values",
    [["b", "a", "b"], [3, 1, 3, -2], [True, False], [0.5, 2.5], [7], ["x"]],
)
def test_classes_of_every_library(library, values):
    """A column of classes is the same from every library."""
    column = encode_classes(LIBRARIES[library](values))
    assert column.tolist() == values
    assert column.codes.dtype == np.int32
    assert len(set(column.values)) == len(column.values) == len(set(values))


@pytest.mark.fault("L6")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "values",
    [["b", "a", "b"], [3, 1, 3, -2], [7], ["x"], ["17", "-5"], ["é", "a"]],
)
def test_ids_of_every_library(library, values):
    """A column of ids is the same from every library, and hashes alike."""
    ids = encode_ids(LIBRARIES[library](values))
    assert ids.texts() == [str(value) for value in values]
    assert ids.valid.all()
    for found, expected in zip(ids.hashes(3), encode_ids(values).hashes(3), strict=True):
        assert (found == expected).all()


NULLABLE = {
    "Int64": lambda: pd.Series([1, None, 2], dtype="Int64"),
    "boolean": lambda: pd.Series([True, None, True], dtype="boolean"),
    "Float64": lambda: pd.Series([1.0, None, 2.0], dtype="Float64"),
    "string": lambda: pd.Series(["a", None, "b"], dtype="string"),
    "str": lambda: pd.Series(["a", None, "b"]),
    "pandas-object": lambda: pd.Series(["a", pd.NA, 1], dtype=object),
    "category": lambda: pd.Series(["a", None, "b"], dtype="category"),
    "arrow-int": lambda: pd.Series([1, None, 2], dtype="int64[pyarrow]"),
    "arrow-str": lambda: pd.Series(["a", None, "b"], dtype="string[pyarrow]"),
    "polars-int": lambda: pl.Series([1, None, 2]),
    "polars-bool": lambda: pl.Series([True, None, True]),
    "polars-str": lambda: pl.Series(["a", None, "b"]),
    "polars-cat": lambda: pl.Series(["a", None, "b"], dtype=pl.Categorical),
    "arrow": lambda: pa.array([1, None, 2]),
    "arrow-bool": lambda: pa.array([True, None, False]),
    "arrow-dictionary": lambda: pa.array(["a", None, "b"]).dictionary_encode(),
    "arrow-unsigned": lambda: pa.array(["a", None, "b"]).dictionary_encode().cast(pa.dictionary(pa.uint8(), pa.utf8())),
    "polars-to-arrow": lambda: pl.Series(["a", None, "b"], dtype=pl.Categorical).to_arrow(),
    "masked": lambda: np.ma.array([1, 5, 2], mask=[0, 1, 0]),
    "masked-str": lambda: np.ma.array(["a", "x", "b"], mask=[0, 1, 0]),
    "float": lambda: np.array([1.0, np.nan, 2.0]),
    "list": lambda: ["a", "", 1],
    "nans": lambda: [1, float("nan"), "b"],
    "na": lambda: [1, pd.NA, "b"],
    "nat": lambda: [1, pd.NaT, "b"],
}


@pytest.mark.fault("L11")
@pytest.mark.parametrize("name", NULLABLE)
def test_missing_is_no_class_and_no_id_in_any_library(name):
    """The second of three elements is missing, whatever way of saying so a library has."""
    column = encode_classes(NULLABLE[name]())
    assert (column.codes < 0).tolist() == [False, True, False]
    assert column.codes[1] == -1
    if "bool" not in name:
        assert encode_ids(NULLABLE[name]()).valid.tolist() == [True, False, True]


def test_wide_integers_stay_exact():
    """Integers past 2**53 with a missing one beside them do not pass through floats."""
    big = 2**60 + 1
    for values in (pd.Series([big, None], dtype="Int64"), pl.Series([big, None]), pa.array([big, None])):
        assert encode_classes(values).tolist() == [big, None]
        assert encode_ids(values).texts() == [str(big), ""]
    assert encode_classes(np.array([2**63 + 1, 1], np.uint64)).tolist() == [2**63 + 1, 1]
    assert encode_ids(np.array([2**63 + 1, 1], np.uint64)).texts() == [str(2**63 + 1), "1"]
    if hasattr(pl, "Int128"):  # not in the oldest version
        wide = pl.Series([2**100, None, 1], dtype=pl.Int128)
        assert encode_classes(wide).tolist() == [2**100, None, 1]
        assert encode_ids(wide).texts() == [str(2**100), "", "1"]
    assert encode_classes([2**80, 1]).tolist() == [2**80, 1]


@pytest.mark.parametrize("library", ["list", "numpy", "pandas", "pandas-nullable", "polars", "arrow", "objects"])
def test_floats_past_their_exact_integers_are_no_ids(library):
    """A float of 2**53 or more may stand for several whole numbers and is no id; smaller whole ones are."""
    values = [2.0**53 - 1, 2.0**53, -(2.0**53), 1.79e18, 1e22, 17.0, 0.5, float("inf")]
    make = {
        "list": list,
        "numpy": np.array,
        "pandas": pd.Series,
        "pandas-nullable": lambda values: pd.Series([*values, None], dtype="Float64"),
        "polars": pl.Series,
        "arrow": pa.array,
        "objects": lambda values: [*values, "x"],
    }[library]
    ids = encode_ids(make(values))
    assert ids.texts()[:8] == [str(2**53 - 1), "", "", "", "", "17", "", ""]
    assert ids.valid.tolist()[:8] == [True, False, False, False, False, True, False, False]


SCALARS = st.one_of(
    st.integers(),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.floats(),
    st.integers(0, 3),
    st.sampled_from(["1", "1.0", 1.0, np.int64(1), np.float32(0.5), b"1", "a\0", pd.NA, (1,)]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(SCALARS, max_size=12))
def test_columns_agree_with_single_values(values):
    """Encoding a list gives what each element gives by itself."""
    expected = [canonical_class(value) for value in values]
    column = encode_classes(values)
    assert column.tolist() == [None if isinstance(value, Missing) else value for value in expected]
    assert encode_ids(values).texts() == [canonical_id(value) or "" for value in values]
    assert len({(type(value) is str, value) for value in column.values}) == len(column.values)  # noqa: PD011


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.integers(-(2**66), 2**66), st.text(min_size=1, max_size=30)), min_size=1, max_size=8))
def test_hash_depends_on_the_text_alone(values):
    """An id hashes alike by itself, among others, as text and as an integer; only small integers have no upper half."""
    texts = [canonical_id(value) for value in values]
    low, high = encode_ids(values).hashes(7)
    for position, text in enumerate(texts):
        if text is None:
            continue
        for alone in (encode_ids(text), encode_ids([text, "x" * 200])):
            assert (alone.hashes(7)[0][0], alone.hashes(7)[1][0]) == (low[position], high[position])
        assert encode_ids(text).sampling()[0] == encode_ids(values).sampling()[position]
        small = text.lstrip("-").isdecimal() and str(int(text)) == text and -(2**63) <= int(text) < 2**63
        assert (high[position] == 0) == small
        assert not small or int(low[position : position + 1].view(np.int64)[0]) == int(text)


DECIMALS = [
    *("0", "-0", "00", "01", "-1", "+1", "1 ", "-", "1-", "--1", "1.0", "\u0661", "1e3", "1" * 36),
    *("9" * 18, "9" * 19, "9" * 20, "-" + "9" * 19),
    *(str(2**63 - 1), str(2**63), str(-(2**63)), str(-(2**63) - 1)),
]


@pytest.mark.parametrize("text", DECIMALS)
def test_canonical_decimals_alone_are_integers(text):
    """Just the texts that str() of an int64 writes hash as integers."""
    try:
        small = str(int(text)) == text and -(2**63) <= int(text) < 2**63
    except ValueError:
        small = False
    for ids in (encode_ids(text), encode_ids([text, "word"]), encode_ids([text, "w" * 60])):
        assert (ids.hashes(1)[1][0] == 0) == small
        assert ids.texts()[0] == text


def test_hashes_are_well_mixed():
    """Of 200,000 similar ids no two share either half, each bit is set about half the time, and the seed matters."""
    ids = encode_ids([f"order-{number}" for number in range(200_000)])
    low, high = ids.hashes(1)
    for words in (low, high, ids.sampling()):
        assert len(np.unique(words)) == len(words)
        bits = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
        assert np.abs(bits - 0.5).max() < 0.01
    other, _ = ids.hashes(2)
    assert not (other == low).any()
    difference = np.unpackbits((other ^ low).view(np.uint8)).mean()
    assert abs(difference - 0.5) < 0.01


def test_sampling_is_the_same_in_another_process():
    """Another interpreter, with another hash seed, samples the same ids."""
    code = "from modelmon.columns import encode_ids; print(encode_ids(['a', 17, 'order-é']).sampling().tolist())"
    environment = {"PYTHONHASHSEED": "123", "PYTHONPATH": ":".join(sys.path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == str(encode_ids(["a", "17", "order-é"]).sampling().tolist())


def test_sampling_is_pinned():
    """The sampling hash never changes: stores of different ages must agree on it."""
    assert encode_ids(["a", 17]).sampling().tolist() == [11431878346951662652, 4716646491437321973]


@pytest.mark.fault("L7")
def test_ids_that_clash_in_a_dictionary_stay_fast():
    """Integers chosen to share one hash of Python's take no longer than others, as ids and as classes."""
    evil = [k * (2**61 - 1) for k in range(1, 4001)]
    started = time.process_time()
    encode_ids(evil).hashes(1)
    encode_ids([*evil, "x"]).hashes(1)
    encode_classes(evil)
    encode_classes([*evil, "x", 0.5])
    encode_classes([float(value) for value in evil])
    assert time.process_time() - started < 1.0


def test_a_column_is_taken_by_positions_slices_and_masks():
    """Rows of ids and classes can be chosen in every way that numpy knows."""
    ids, column = encode_ids(["a", 1, None]), encode_classes(["a", 1, None])
    for index, expected in ((np.array([2, 0]), ["", "a"]), (slice(1, 3), ["1", ""]), (ids.valid, ["a", "1"])):
        assert ids.take(index).texts() == expected
        assert [str(value or "") for value in column.take(index).tolist()] == expected
    assert len(ids) == len(column) == 3
    assert isinstance(column, Column)


@pytest.mark.parametrize("size", [0, 1, 1_000, 1_000_000])
def test_sizes(size):
    """Empty, single and very long columns of integers and of text are all read."""
    numbers = np.arange(size)
    assert len(encode_ids(numbers).texts() if size < 10_000 else encode_ids(numbers)) == size
    texts = list(map(str, range(min(size, 100_000))))
    assert encode_ids(texts).integers.tolist() == list(range(len(texts)))
    assert len(encode_classes(numbers % 7).values) == min(size, 7)


def test_evil_and_odd_shapes_are_no_classes():
    """Rows, sets and unknown objects among classes are invalid, and a single column is flat."""
    assert encode_classes([[1, 2], 1, {2}, object()]).codes.tolist() == [-2, 0, -2, -2]
    assert encode_classes(np.array([[1], [2]])).tolist() == [1, 2]
    assert encode_classes(np.ones((2, 2))).codes.tolist() == [-2, -2]
    assert encode_ids(np.ones((2, 2))).valid.tolist() == [False, False]
    assert encode_ids(np.array([True])).valid.tolist() == [False]
    assert encode_ids([uuid.UUID(int=1), np.int64(4)]).texts()[1:] == ["4"]


def test_tensors_are_columns_too():
    """Tensors are read as arrays are, whole and one by one."""
    torch = pytest.importorskip("torch")
    assert encode_classes(torch.tensor([2, 1])).tolist() == [2, 1]
    assert encode_ids([uuid.UUID(int=1), np.int64(4), torch.tensor(3)]).texts()[1:] == ["4", "3"]


def test_rare_forms_of_ids():
    """Ids without any category, of large floats, of a masked column and of dates are read or refused like others."""
    assert encode_ids(pd.Categorical([None, None])).valid.tolist() == [False, False]
    assert encode_ids([1e22, 3.0, 1.5]).texts() == ["", "3", ""]
    assert encode_ids(np.array([1e22, 2.0])).texts() == ["", "2"]
    assert encode_ids(np.ma.array([1, 2], mask=[0, 1])).texts() == ["1", ""]
    assert encode_ids(np.array(["2020"], "M8[D]")).valid.tolist() == [False]
    assert encode_ids(np.array(3)).texts() == ["3"]


def test_first_class_seen_is_not_lost_among_many():
    """A million rows of ten thousand texts give ten thousand classes and each row its own."""
    values = [f"class-{number % 10_000}" for number in range(200_000)]
    column = encode_classes(values)
    assert len(column.values) == 10_000
    assert all(a != b for a, b in pairwise(column.values))
    assert column.tolist() == values
