"""Keep what a monitored call returned, in the calling thread, without keeping the object itself.

How it works: plain immutable scalars are kept as they are.
Anything else is looked up by its type, never by its behaviour: the families of arrays we know are recognised by the
module and name of a class in the type's method resolution order, so that no library is imported, and of an unknown
type no method is called at all, neither ``len`` nor ``bool`` nor ``repr``.
What comes out shares nothing with what came in: later changes are not seen, and the object may die at once.
"""

from __future__ import annotations

import sys
from itertools import chain, islice, repeat
from operator import is_, methodcaller
from typing import TYPE_CHECKING, Any

from modelmon.copies import arrays, frames, tensors
from modelmon.copies.kept import Coded, Deferred, Nullable, Rejection
from modelmon.faults import is_signalled
from modelmon.identity import Missing, plain

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = frozenset({int, float, str, bool, bytes, type(None)})
"""Types whose instances are kept as they are."""

_CACHED_TYPES = 512
_keep_item = methodcaller("item")
# By id: to look a type up in a set or a dict would hash it, and the metaclass of a user's type may do anything then.
_PLAIN = frozenset(map(id, PLAIN))
_ROWS = frozenset(map(id, (list, tuple)))
_SAMPLE = 1024  # elements of a sequence that are measured
_POINTER = 8
_OBJECT = 32  # bytes, about, of a small int or float


def keep(value: Any) -> Any:
    """Return something immutable or ours that says the same as ``value``, or a `Rejection`.

    Raises:
        BaseException: only what a signal handler raised meanwhile.

    Returns:
        A plain scalar; a tuple of plain scalars, or of such tuples, `Rejection` standing for elements of no known
        type; a frozenset of plain scalars; a numpy array of our own; `Nullable`; `Coded`; `Deferred`; or `Rejection`.
    """
    kind = type(value)
    if id(kind) in _PLAIN:
        return value
    try:
        known = _KEEPERS.get(id(kind))
        return (_find(kind) if known is None else known[1])(value)
    except Exception as fault:
        if is_signalled(fault):
            raise
        return Rejection("type")


def kept_bytes(kept: Any) -> int:
    """Return about how many bytes of memory a kept value holds."""
    kind = type(kept)
    if kind is str or kind is bytes:
        return len(kept) + 2 * _OBJECT
    if kind is tuple or kind is frozenset:
        return _sequence_bytes(kept)
    if kind is Nullable:
        return int(kept.data.nbytes + kept.absent.nbytes)
    if kind is Coded:
        return int(kept.codes.nbytes) + kept_bytes(kept.values)
    if kind is Deferred:
        return int(kept.size)
    return int(getattr(kept, "nbytes", _OBJECT))  # an array, or a number


def _sequence_bytes(kept: tuple[Any, ...] | frozenset[Any]) -> int:
    """Measure a sample of the elements, evenly spaced, so that a million of them cost the caller no longer."""
    count = len(kept)
    step = -(-count // _SAMPLE) or 1
    sample = kept[::step] if type(kept) is tuple else tuple(islice(kept, 0, None, step))
    return _OBJECT + _POINTER * count + sum(map(kept_bytes, sample)) * count // (len(sample) or 1)


def _find(kind: type) -> Callable[[Any], Any]:
    keeper = _recognise(kind)
    if keeper is not _reject:  # unknown types are not remembered: a class made per call would live for ever
        if len(_KEEPERS) >= _CACHED_TYPES:
            _KEEPERS.clear()
            _KEEPERS.update((id(kind), (kind, keeper)) for kind, keeper in _EXACT.items())
        _KEEPERS[id(kind)] = kind, keeper
    return keeper


def _recognise(kind: type) -> Callable[[Any], Any]:
    """Find the family of a type by the modules and names of its bases."""
    for ancestor in type.__getattribute__(kind, "__mro__"):
        module = type.__getattribute__(ancestor, "__module__")
        if type(module) is not str:
            continue
        root = module.partition(".")[0]
        keeper = _FAMILIES.get((root, type.__getattribute__(ancestor, "__name__")))
        if keeper is not None and root in sys.modules:
            return keeper
    return _reject


def _reject(_value: Any) -> Rejection:
    return Rejection("type")


def _keep_sequence(value: Any) -> Any:
    """Keep an exact list or tuple: a shallow copy where all elements are plain, one level deeper for rows."""
    kept = tuple(value)
    if _all_of(_PLAIN, kept):
        return kept
    if _all_of(_ROWS, kept):
        rows = tuple(map(tuple, kept))
        if _all_of(_PLAIN, tuple(chain.from_iterable(rows))):
            return rows
    return tuple(map(_keep_element, kept))


def _all_of(kinds: frozenset[int], values: tuple[Any, ...]) -> bool:
    """Tell whether the types of all values are among some, given by id; fastest where all are of one type."""
    if not values:
        return True
    kind = type(values[0])
    if id(kind) not in kinds:
        return False
    return all(map(is_, map(type, values), repeat(kind))) or kinds.issuperset(map(id, map(type, values)))


def _keep_element(value: Any) -> Any:
    if id(type(value)) in _ROWS:
        row = tuple(map(keep, value))
        return row if _all_of(_PLAIN, row) else Rejection("type")
    return keep(value)


def _keep_set(value: Any) -> Any:
    kept = frozenset(value)  # an exact set keeps the hashes of its elements: none is computed anew
    return kept if _all_of(_PLAIN, tuple(kept)) else Rejection("type")


def _keep_scalar(value: Any) -> Any:
    """Keep a member of an enum, a decimal, or an instance of a subclass of a plain type."""
    scalar = plain(value)
    if scalar is Missing.INVALID:
        return Rejection("type")
    return None if scalar is Missing.MISSING else scalar


def _keep_array(value: Any) -> Any:
    return arrays.keep_array(value, _keep_sequence)


def _keep_masked(value: Any) -> Any:
    return arrays.keep_masked(value, _keep_sequence)


def _keep_series(value: Any) -> Any:
    return frames.keep_pandas(value, _keep_sequence)


def _keep_categorical(value: Any) -> Any:
    return frames.keep_categorical(value, _keep_sequence)


def _keep_frame(value: Any) -> Any:
    return _keep_array(value.to_numpy())


def _keep_polars(value: Any) -> Any:
    return frames.keep_polars(value, _keep_sequence)


def _keep_arrow(value: Any) -> Any:
    return frames.keep_arrow(value, _keep_sequence)


def _keep_arrow_scalar(value: Any) -> Any:
    return keep(value.as_py())


def _keep_uuid(value: Any) -> str:
    return str(value)


def _keep_missing(_value: Any) -> None:
    return None


_EXACT: dict[type, Callable[[Any], Any]] = {
    list: _keep_sequence,
    tuple: _keep_sequence,
    range: tuple,
    set: _keep_set,
    frozenset: _keep_set,
    bytearray: bytes,
}

_KEEPERS = {
    id(kind): (kind, keeper) for kind, keeper in _EXACT.items()
}  # holding a type, it keeps the id from being given anew

_FAMILIES: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("numpy", "ndarray"): _keep_array,
    ("numpy", "generic"): arrays.keep_scalar,
    ("numpy", "timedelta64"): arrays.keep_scalar,  # which numpy counts among the integers
    ("numpy", "integer"): _keep_item,
    ("numpy", "float64"): _keep_item,
    ("numpy", "float32"): _keep_item,
    ("numpy", "bool"): _keep_item,
    ("numpy", "bool_"): _keep_item,
    ("numpy", "character"): _keep_item,
    ("numpy", "MaskedArray"): _keep_masked,
    ("numpy", "MaskedConstant"): _keep_missing,
    ("array", "array"): tuple,
    ("pandas", "Series"): _keep_series,
    ("pandas", "Index"): _keep_series,
    ("pandas", "ExtensionArray"): _keep_series,
    ("pandas", "Categorical"): _keep_categorical,
    ("pandas", "DataFrame"): _keep_frame,
    ("pandas", "NAType"): _keep_missing,
    ("pandas", "NaTType"): _keep_missing,
    ("polars", "Series"): _keep_polars,
    ("polars", "DataFrame"): _keep_frame,
    ("pyarrow", "Array"): _keep_arrow,
    ("pyarrow", "ChunkedArray"): _keep_arrow,
    ("pyarrow", "Scalar"): _keep_arrow_scalar,
    ("torch", "Tensor"): tensors.keep_torch,
    ("jax", "ArrayImpl"): tensors.keep_jax,
    ("jaxlib", "ArrayImpl"): tensors.keep_jax,
    ("tensorflow", "EagerTensor"): tensors.keep_tensorflow,
    ("uuid", "UUID"): _keep_uuid,
    ("enum", "Enum"): _keep_scalar,
    ("decimal", "Decimal"): _keep_scalar,
    ("fractions", "Fraction"): _keep_scalar,
    ("builtins", "str"): _keep_scalar,
    ("builtins", "int"): _keep_scalar,
    ("builtins", "float"): _keep_scalar,
    ("builtins", "bytes"): _keep_scalar,
}
