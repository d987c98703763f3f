"""Keep columns of pandas, polars and pyarrow, by the methods they document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.copies import arrays
from modelmon.copies.kept import Coded, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDE = {"b": "bool", "i": "int64", "u": "uint64", "f": "float64"}
_BEYOND_NUMPY = ("Int128", "UInt128")  # numpy has no such integers
_ARROW_NUMBERS = ("int", "uint", "float", "double", "halffloat", "bool")


def keep_pandas(value: Any, sequence: Callable[[Any], Any]) -> Any:
    """Keep a Series, an Index or an extension array; missing values of nullable types are absent."""
    dtype = value.dtype
    if type(dtype).__module__.partition(".")[0] == "numpy":
        return arrays.keep_array(value.to_numpy(), sequence)
    if type(dtype).__name__ == "CategoricalDtype":
        return keep_categorical(getattr(value, "array", value), sequence)
    kind = getattr(dtype, "kind", "O")
    if kind in "mM":
        return Rejection("type", len(value))
    absent = value.isna()
    absent = absent.to_numpy() if hasattr(absent, "to_numpy") else absent
    wide = _WIDE.get(kind)
    if wide is None:
        return sequence(value.to_numpy(dtype=object, na_value=None).tolist())
    data = value.to_numpy(dtype=wide, na_value=0) if absent.any() else value.to_numpy(dtype=wide)
    return arrays.nullable(data.copy(), absent.copy(), sequence)


def keep_categorical(value: Any, sequence: Callable[[Any], Any]) -> Any:
    """Keep the codes and the categories of a pandas Categorical."""
    return Coded(value.codes.copy(), keep_pandas(value.categories, sequence))


def keep_polars(value: Any, sequence: Callable[[Any], Any]) -> Any:
    """Keep a polars Series; nulls are absent."""
    dtype = value.dtype
    if dtype.is_temporal():
        return Rejection("type", len(value))
    wide = str(dtype) in _BEYOND_NUMPY
    if wide or not (dtype.is_integer() or dtype.is_float() or str(dtype) == "Boolean"):
        return sequence(value.to_list())
    if not value.null_count():
        return arrays.keep_array(value.to_numpy(), sequence)
    filled = value.fill_null(value=False) if str(dtype) == "Boolean" else value.fill_null(0)
    return arrays.nullable(filled.to_numpy().copy(), value.is_null().to_numpy().copy(), sequence)


def keep_arrow(value: Any, sequence: Callable[[Any], Any]) -> Any:
    """Keep a pyarrow Array or ChunkedArray; nulls are absent."""
    if hasattr(value, "combine_chunks"):
        value = value.combine_chunks()
        if hasattr(value, "chunks"):  # before pyarrow 15 an empty one stays chunked
            return sequence(value.to_pylist())
    name = str(value.type)
    if name.startswith("dictionary"):
        indices, dictionary = value.indices, value.dictionary
        codes = indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)  # unsigned ones, too
        return Coded(codes.copy(), keep_arrow(dictionary, sequence))
    if name.startswith(("date", "time", "duration")):
        return Rejection("type", len(value))
    if not name.startswith(_ARROW_NUMBERS):
        return sequence(value.to_pylist())
    if not value.null_count:
        return arrays.keep_array(value.to_numpy(zero_copy_only=False), sequence)
    zero = False if name == "bool" else 0
    filled = value.fill_null(zero)
    absent = value.is_null().to_numpy(zero_copy_only=False)
    return arrays.nullable(filled.to_numpy(zero_copy_only=False).copy(), absent.copy(), sequence)
