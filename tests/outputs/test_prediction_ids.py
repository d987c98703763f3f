"""Give the same ids with predictions and with labels: each meets itself, or is refused on both sides alike."""

from __future__ import annotations

import enum
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from modelmon.columns import encode_ids
from modelmon.copies import keep
from modelmon.outputs import read
from modelmon.tasks import Binary


class Order(enum.Enum):
    """Stand for ids that are members of an enum."""

    FIRST = "order-1"


IDS = {
    "text": "order-17",
    "int": 17,
    "digits": "17",
    "np.int64": np.int64(17),
    "np.uint8": np.uint8(17),
    "float": 17.0,
    "half": 17.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "true": True,
    "false": False,
    "np.bool": np.True_,
    "none": None,
    "empty": "",
    "space": " ",
    "zero": 0,
    "minus": -1,
    "zeros": "007",
    "plus": "+7",
    "big": 2**63,
    "huge": 2**70,
    "enormous": 10**400,
    "uuid": uuid.UUID(int=7),
    "uuid-text": str(uuid.UUID(int=7)),
    "bytes": b"order",
    "hex": b"\xff\x00",
    "bytearray": bytearray(b"order"),
    "np.str": np.str_("order"),
    "np.bytes": np.bytes_(b"order"),
    "decimal": Decimal(17),
    "accent": "é",
    "emoji": "🎈",
    "surrogate": "\ud800",
    "nul": "a\0b",
    "trailing-nul": "a\0",
    "256": "x" * 256,
    "257": "x" * 257,
    "10 MB": "x" * 10_000_000,
    "256 in bytes": "é" * 128,
    "258 in bytes": "é" * 129,
    "list": [[1]],
    "tuple": ((1, 2),),
    "dict": {"a": 1},
    "set": {1, 2},
    "object": object(),
    "enum": Order.FIRST,
    "NA": pd.NA,
    "NaT": pd.NaT,
    "masked": np.ma.masked,
    "timestamp": pd.Timestamp(0),
    "0-d": np.array(17),
    "one": np.array([17]),
    "complex": 1j,
    "arrow": pa.scalar(17),
    "long-double": np.longdouble(17),
}
INVALID = {
    *(
        "half",
        "nan",
        "inf",
        "true",
        "false",
        "np.bool",
        "none",
        "empty",
        "enormous",
        "surrogate",
        "nul",
        "trailing-nul",
    ),
    *("257", "10 MB", "258 in bytes", "list", "tuple", "dict", "set", "object", "NA", "NaT", "masked", "timestamp"),
    "complex",
}


TENSOR = "tensor"  # a case made by the test that asks for it, and skipped where torch is not installed


def id_of(name):
    """Return the id of a case."""
    return pytest.importorskip("torch").tensor(17) if name == TENSOR else IDS[name]


@pytest.mark.fault("L6")
@pytest.mark.parametrize("name", [*IDS, TENSOR])
def test_an_id_is_the_same_on_both_sides(name):
    """An id given with a lone prediction, within a batch, and with a label is one id, or none everywhere."""
    value = id_of(name)
    lone = read(Binary(), [0.5], [keep(value)])
    batch = read(Binary(), [keep([0.5, 0.25])], [keep([value, "beside"])])
    label, labels = encode_ids([value]), encode_ids([value, "beside"])
    rows = [(label, 0), (labels, 0), (batch.ids, 0)]
    if "length" not in lone.rejected:
        rows.append((lone.ids, 0))
    texts = {ids.texts()[row] for ids, row in rows}
    assert len(texts) == 1
    assert {bool(ids.valid[row]) for ids, row in rows} == {name not in INVALID}
    if name not in INVALID:
        hashes = {(int(ids.hashes(3)[0][row]), int(ids.hashes(3)[1][row])) for ids, row in rows}
        assert len(hashes) == 1
        assert len({int(ids.sampling()[row]) for ids, row in rows}) == 1
    assert batch.ids.texts()[1] == labels.texts()[1] == "beside"
    assert batch.rejected == ({"bad_id": 1} if name in INVALID else {})


SEVENTEEN = [
    "int",
    "digits",
    "np.int64",
    "np.uint8",
    "float",
    "decimal",
    TENSOR,
    "0-d",
    "one",
    "arrow",
    "long-double",
]


@pytest.mark.fault("L6")
@pytest.mark.parametrize("name", SEVENTEEN)
def test_every_seventeen_is_one_id(name):
    """17 is one id, whatever type says it."""
    assert encode_ids([id_of(name)]).texts() == ["17"]


COLUMNS = {
    "list": lambda v: v,
    "tuple": tuple,
    "numpy": np.array,
    "objects": lambda v: np.array(v, object),
    "pandas": pd.Series,
    "polars": pl.Series,
    "arrow": pa.array,
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(
    "values",
    [["a", "bb", "17"], [1, 2, 3], ["1", "2", "-3"], ["é", "b", "c" * 50]],
)
def test_columns_of_ids_meet_lists_of_labels(column, values):
    """A column given with a batch of predictions hashes as the plain list given with its labels."""
    found = read(Binary(), [keep([0.1, 0.2, 0.3])], [keep(COLUMNS[column](values))])
    for side, other in zip(found.ids.hashes(9), encode_ids(values).hashes(9), strict=True):
        assert (side == other).all()
    assert not found.rejected
