"""Tell which values are one class, which are one id, and which are neither."""

from __future__ import annotations

import enum
import fractions
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from modelmon.identity import (
    EMPTY,
    INVALID,
    MISSING,
    OTHER,
    attribute_text,
    canonical_class,
    canonical_id,
    class_order,
    class_text,
    class_texts,
)


class Number(enum.IntEnum):
    """Stand for an enum of integers."""

    ONE = 1


class Text(str):
    """Stand for a user's text whose every method that could betray it raises."""

    __slots__ = ()

    def __eq__(self, other):
        """Raise."""
        raise RuntimeError

    def __hash__(self):
        """Raise."""
        raise RuntimeError

    def __str__(self):
        """Raise."""
        raise RuntimeError

    __len__ = __repr__ = __bool__ = __iter__ = __str__


@pytest.mark.fault("L12")
@pytest.mark.parametrize(
    "value",
    [
        1,
        True,
        1.0,
        np.int8(1),
        np.uint64(1),
        np.float16(1),
        np.float64(1),
        np.longdouble(1),
        np.True_,
        Number.ONE,
        Decimal(1),
        Decimal("1.0"),
        fractions.Fraction(1),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_one_is_one_class(value):
    """Every one that any library knows is the class 1."""
    found = canonical_class(value)
    assert found == 1
    assert type(found) is int


@pytest.mark.fault("L12")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", "1"),
        (b"1", "1"),
        (np.str_("1"), "1"),
        (np.bytes_(b"1"), "1"),
        (bytearray(b"ok"), "ok"),
        (b"\xff\x00", "ff00"),
        (0.5, 0.5),
        (np.float32(0.5), 0.5),
        (-0.0, 0),
        (2**70, 2**70),
        (1e300, int(1e300)),
        (Text("cat"), "cat"),
        ("a\0b", "ab~f5ccd773"),
        ("\udc80", "\\udc80~4dacb0cd"),
        ("é", "é"),
        ("x" * 128, "x" * 128),
        (Decimal("0.5"), 0.5),
        (" ", " "),
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:8]!a}" if not isinstance(value, Text) else "Text",
)
def test_class_of_value(value, expected):
    """Text, bytes, numbers and members of enums are the classes they say."""
    found = canonical_class(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.fault("L11")
@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        np.nan,
        np.float32("nan"),
        pd.NA,
        pd.NaT,
        np.datetime64("NaT", "ns"),
        np.ma.masked,
        "",
        "\0",
        b"",
        Decimal("nan"),
    ],
)
def test_missing_is_no_class(value):
    """Every form of missing is missing, and never a class of its own."""
    assert canonical_class(value) is MISSING


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        1j,
        np.complex64(1),
        [1],
        (1,),
        {1},
        {"a": 1},
        object(),
        np.datetime64("2020"),
        pd.Timestamp(0),
        10**400,
        int,
        np.array([1, 2]),
        Decimal("sNaN"),
        lambda: 1,
    ],
    ids=lambda value: type(value).__name__,
)
def test_invalid_is_no_class(value):
    """What is neither text nor a finite number is invalid."""
    assert canonical_class(value) is INVALID


def test_changed_class_texts_stay_distinct():
    """Text with NUL or lone surrogates is spelled out and ends in a digest: it is no class of another text."""
    texts = ["ab", "a\0b", "ab\0", "\0ab", "\ud800", "\\ud800", "\ud800\\ud801", "\\ud800\ud801", "\0" * 200 + "ab"]
    found = [canonical_class(text) for text in texts]
    assert len(set(found)) == len(texts)
    assert [text.partition("~")[0] for text in found[:6]] == ["ab"] * 4 + ["\\ud800"] * 2
    assert all(canonical_class(text) == text and len(text) <= 128 for text in found)


def test_long_class_text_keeps_its_beginning_and_stays_distinct():
    """Text longer than 128 characters is cut to 128, and texts that differ behind the cut stay apart."""
    first, second = canonical_class("x" * 500 + "a"), canonical_class("x" * 500 + "b")
    assert len(first) == len(second) == 128
    assert first != second
    assert first.startswith("x" * 119)
    assert canonical_class(first) == first


IDS = [
    ("order-17", "order-17"),
    (17, "17"),
    (np.int64(17), "17"),
    (np.uint8(17), "17"),
    (17.0, "17"),
    ("17", "17"),
    (Decimal(17), "17"),
    (-5, "-5"),
    (0, "0"),
    (-0.0, "0"),
    ("017", "017"),
    (" 17", " 17"),
    ("é", "é"),
    (b"ab", "ab"),
    (b"\xff", "ff"),
    (bytearray(b"ab"), "ab"),
    (np.str_("ab"), "ab"),
    (Text("ab"), "ab"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (Number.ONE, "1"),
    (2**70, str(2**70)),
    (2**63, str(2**63)),
    (2.0**53 - 1, str(2**53 - 1)),
    (-(2.0**53) + 1, str(1 - 2**53)),
    (2.0**53, None),
    (-(2.0**53), None),
    (1e22, None),
    (np.float64(2**60), None),
    (np.longdouble(2**60), None),
    (Decimal(2**60), str(2**60)),
    (Decimal(2**60) + Decimal("0.5"), None),
    ("x" * 256, "x" * 256),
    ("é" * 128, "é" * 128),
    ("None", "None"),
    (None, None),
    ("", None),
    (True, None),
    (False, None),
    (np.True_, None),
    (1.5, None),
    (float("nan"), None),
    (float("inf"), None),
    (pd.NA, None),
    (pd.NaT, None),
    (np.ma.masked, None),
    ([1], None),
    ((1, 2), None),
    ({}, None),
    ({1}, None),
    (object(), None),
    ("a\0b", None),
    ("a\0", None),
    ("\udc80", None),
    ("x" * 257, None),
    ("é" * 129, None),
    ("x" * 10_000_000, None),
    (10**400, None),
    (1j, None),
    (pd.Timestamp(0), None),
]


@pytest.mark.fault("L6")
@pytest.mark.parametrize(("value", "expected"), IDS, ids=lambda value: f"{type(value).__name__}")
def test_canonical_id(value, expected):
    """Ids of every type become text, or are no ids; nothing raises."""
    assert canonical_id(value) == expected


def test_class_text_tells_numbers_from_text():
    """Of classes with equal text the text is quoted, and all texts of a task differ."""
    classes = (1, "1", '"1"', 0.5, "0.5", "cat", 2)
    texts = class_texts(classes)
    assert texts == ("1", '"1"', '""1""', "0.5", '"0.5"', "cat", "2")
    assert [class_text(value, classes) for value in classes] == list(texts)


def test_class_order_puts_numbers_first_and_other_last():
    """Numbers come sorted, then text sorted, then what was folded together."""
    values = ["b", OTHER, 10, -1, "a", 0.5, 10**400, -(10**400)]
    assert sorted(values, key=class_order) == [-(10**400), -1, 0.5, 10, 10**400, "a", "b", OTHER]


@pytest.mark.parametrize("value", ["", "\0", b"", np.str_(""), np.bytes_(b"")])
def test_empty_attribute_is_visible(value):
    """An empty text is an attribute all the same, and no label of Prometheus may be empty; nan and objects are none."""
    assert attribute_text(value) == EMPTY
    assert attribute_text(np.float64("nan")) is None
    assert attribute_text(object()) is None
