"""Keep numpy arrays and scalars, numpy itself being imported by whoever made them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from modelmon.copies.kept import Nullable, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBERS = "biuf"
_TEXT = "SU"
_ROW_DIMENSIONS = 2
_DOUBLE = 8  # bytes of the widest float that is kept as it is


def rows_of(value: Any) -> int:
    """Return the length of the first axis of an array, 1 where it has none."""
    shape = tuple(value.shape)
    return int(shape[0]) if shape else 1


def keep_array(value: Any, sequence: Callable[[Any], Any]) -> Any:
    """Keep a numpy array: a contiguous copy of numbers or text, a tuple of objects, the scalar of a single element.

    Args:
        value: the array, of any subclass.
        sequence: keeps a list of objects.
    """
    kind, dimensions = value.dtype.kind, value.ndim
    if dimensions > _ROW_DIMENSIONS:
        return Rejection("shape", rows_of(value))
    if kind in "OT":
        elements = value.tolist()
        return sequence(elements) if dimensions else sequence([elements])
    if kind == "V" and value.dtype.name == "bfloat16":  # of ml_dtypes, as JAX and TensorFlow give it
        value, kind = value.astype("float32"), "f"
    if kind not in _NUMBERS and kind not in _TEXT:
        return Rejection("type", rows_of(value))
    if dimensions <= 1 and value.size == 1:
        return float(value.item()) if kind == "f" else value.item()  # a long double gives itself
    return _owned(value)


def _owned(value: Any) -> Any:
    """Return a contiguous copy of a plain numpy array, floats at most as wide as those of Python."""
    numpy = sys.modules["numpy"]
    if value.dtype.kind == "f" and value.dtype.itemsize > _DOUBLE:
        with numpy.errstate(over="ignore"):
            return value.astype("float64", subok=False)
    if type(value) is numpy.ndarray:
        return value.copy()
    return numpy.array(value, copy=True, order="C", subok=False)


def keep_masked(value: Any, sequence: Callable[[Any], Any]) -> Any:
    """Keep a masked array, its masked elements being absent."""
    numpy = sys.modules["numpy"]
    absent = numpy.array(numpy.ma.getmaskarray(value), copy=True, order="C", subok=False)
    return nullable(numpy.array(value, copy=True, order="C", subok=False), absent, sequence)


def nullable(data: Any, absent: Any, sequence: Callable[[Any], Any]) -> Any:
    """Keep an array of which some elements are absent; both arrays are ours already."""
    kind = data.dtype.kind
    if data.ndim > _ROW_DIMENSIONS:
        return Rejection("shape", rows_of(data))
    if kind in "OT":
        data = data.astype(object)
        data[absent] = None
        elements = data.tolist()
        return sequence(elements) if data.ndim else sequence([elements])
    if kind not in _NUMBERS and kind not in _TEXT:
        return Rejection("type", rows_of(data))
    return Nullable(data, absent) if absent.any() else data


def keep_scalar(value: Any) -> Any:
    """Keep a numpy scalar as the scalar of Python that it is."""
    kind = value.dtype.kind
    if kind == "f":
        return float(value)
    if kind in _NUMBERS or kind in _TEXT:
        return value.item()
    if kind in "mM" and value != value:  # noqa: PLR0124  # NaT is the one that differs from itself
        return None
    return Rejection("type")
