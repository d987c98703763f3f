"""Identity of classes and of prediction ids: which two values from two libraries mean the same thing.

A class is an ``int``, ``float`` or ``str`` of Python; ``1``, ``True``, ``1.0`` and ``numpy.int64(1)`` are one class
and ``"1"`` is another.
An id is text of 1 to 256 bytes of UTF-8; ``17``, ``numpy.int64(17)`` and ``"17"`` are one id.
Only the standard library is needed, and no method that a user's class could override is called.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

ClassValue: TypeAlias = "int | float | str"

OTHER = "__other__"
"""The class that classes past the bound are counted under."""

EMPTY = "__empty__"
"""What an attribute's empty text is written as: to Prometheus an empty label is the same as none."""

MAXIMUM_CLASS_LENGTH = 128
"""Characters of the longest class text kept as it is."""

MAXIMUM_ID_BYTES = 256
"""Bytes of the longest id, in UTF-8."""

EXACT_FLOATS = float(1 << 53)
"""Below this magnitude a whole float is the number that was meant; from it on it may stand for several."""

MAXIMUM_NAME_BYTES = 256
"""Bytes of the longest name of a model, and of a version, in UTF-8: stores and all who read them keep each for ever."""

_BOOLS = {"True": 1, "true": 1, "False": 0, "false": 0}
_NUMERIC = frozenset("0123456789+-.eE")
_DIGEST_LENGTH = 8
_MAXIMUM_CLASS_BITS = 1024  # as far as a float reaches, so that 1e300 and int(1e300) are one class
_MAXIMUM_ID_BITS = 850  # fewer than 256 decimal digits


class Missing(enum.Enum):
    """Tell apart the two ways in which a value is no class."""

    MISSING = "missing"
    INVALID = "type"


def is_short(name: str) -> bool:
    """Tell whether a text is short enough for the name of a model or version.

    >>> is_short("fraud"), is_short("é" * 128), is_short("é" * 129)
    (True, True, False)
    """
    most = MAXIMUM_NAME_BYTES
    return len(name) <= most // 4 or (len(name) <= most and len(name.encode("utf-8", "surrogatepass")) <= most)


_module_of = type.__dict__["__module__"].__get__  # past whatever a metaclass of the user's defines
_name_of = type.__dict__["__name__"].__get__

MISSING = Missing.MISSING
INVALID = Missing.INVALID


def plain(value: Any) -> int | float | str | bytes | Missing:
    """Turn a scalar of any known library into an exact ``int``, ``float``, ``str`` or ``bytes``.

    Returns:
        The scalar, ``MISSING`` for None, nan, ``pandas.NA``, ``NaT`` and masked, ``INVALID`` for anything else.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bytes:
        return value  # type: ignore[no-any-return]
    if kind is float:
        return MISSING if value != value else value  # noqa: PLR0124
    if kind is bool:
        return int(value)
    if value is None:
        return MISSING
    try:
        return _foreign(value, kind)
    except Exception:
        return INVALID


def _foreign(value: Any, kind: type) -> int | float | str | bytes | Missing:
    if issubclass(kind, enum.Enum):
        return _member(value)
    module, name = _module_of(kind), _name_of(kind)
    if name in {"NAType", "NaTType", "MaskedConstant"}:
        return MISSING
    if module == "numpy" and hasattr(kind, "dtype"):
        return _numpy_scalar(value)
    if module in {"decimal", "_decimal", "_pydecimal", "fractions"}:
        return _exact_number(value)
    return _builtin(value, kind)


def _builtin(value: Any, kind: type) -> int | float | str | bytes | Missing:
    """Take the built-in value out of an instance of a subclass, past any method the subclass overrides."""
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        number = float.__float__(value)
        return MISSING if math.isnan(number) else number
    if issubclass(kind, (bytes, bytearray, memoryview)):
        return bytes(memoryview(value))
    return INVALID


def _member(value: enum.Enum) -> int | float | str | bytes | Missing:
    inner = plain(value._value_)
    return inner if type(inner) in {int, str} else str.__str__(value._name_)


def _numpy_scalar(value: Any) -> int | float | str | bytes | Missing:
    code = value.dtype.kind
    if code in "mM":
        return MISSING if value != value else INVALID  # noqa: PLR0124
    if code not in "biufSU":
        return INVALID
    item = float(value) if code == "f" else value.item()
    return plain(item)


def _exact_number(value: Any) -> int | float | Missing:
    if value != value:  # noqa: PLR0124
        return MISSING
    number = float(value)
    if not math.isinf(number) and value == int(value):
        return int(value)
    return number


def canonical_class(value: Any) -> int | float | str | Missing:
    """Return the class that a value means.

    Returns:
        A class; ``MISSING`` for None, nan, ``pandas.NA``, ``NaT``, masked and ``""``; ``INVALID`` for what is no class.

    >>> canonical_class(True), canonical_class(2.0), canonical_class("2"), canonical_class(0.5), canonical_class(b"ok")
    (1, 2, '2', 0.5, 'ok')
    >>> canonical_class(float("nan")).name
    'MISSING'
    """
    scalar = plain(value)
    if isinstance(scalar, Missing):
        return scalar
    if isinstance(scalar, bytes):
        scalar = _decoded(scalar)
    if isinstance(scalar, str):
        return _class_text(scalar)
    if isinstance(scalar, float):
        if math.isinf(scalar):
            return INVALID
        return int(scalar) if scalar.is_integer() else scalar
    return scalar if scalar.bit_length() <= _MAXIMUM_CLASS_BITS else INVALID


def number_of(text: str) -> int | float | None:
    """Return the class that a text says as a number, or as a bool; None where it says none.

    >>> number_of("3"), number_of("1.0"), number_of("-2.5e1"), number_of("true"), number_of("nan"), number_of("1_0")
    (3, 1, -25, 1, None, None)
    """
    if text in _BOOLS:
        return _BOOLS[text]
    if not set(text) <= _NUMERIC:
        return None
    try:
        number = canonical_class(int(text) if text.removeprefix("-").isdigit() else float(text))
    except ValueError:
        return None
    return number if isinstance(number, (int, float)) else None


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.hex()


def _class_text(text: str) -> str | Missing:
    clean = text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
    clean = clean.replace("\0", "")
    if not clean:
        return MISSING
    if clean == text and len(text) <= MAXIMUM_CLASS_LENGTH:
        return text
    import hashlib  # noqa: PLC0415  # rare, and not worth its import time in every process

    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_LENGTH // 2).hexdigest()
    return f"{clean[: MAXIMUM_CLASS_LENGTH - _DIGEST_LENGTH - 1]}~{digest}"


def canonical_id(value: Any) -> str | None:
    """Return the text under which a prediction id is known, or None for what is no id.

    Integers, integral decimals, and integral floats below 2**53 in magnitude give their decimal digits;
    bytes are read as UTF-8, else written as hex; enums give their value.
    Bools, other floats, missing values, ``""``, text with NUL or lone surrogates and text above 256 bytes are no ids.

    >>> canonical_id(17), canonical_id(17.0), canonical_id("17"), canonical_id("017"), canonical_id(True)
    ('17', '17', '17', '017', None)
    """
    if type(value) is bool:
        return None
    kind = type(value)
    module = _module_of(kind)
    if module == "uuid" and _name_of(kind) == "UUID":
        return str(value)
    scalar = plain(value)
    if isinstance(scalar, Missing) or (module == "numpy" and _name_of(kind).startswith("bool")):
        return None
    if isinstance(scalar, bytes):
        scalar = _decoded(scalar)
    if isinstance(scalar, str):
        return scalar if _is_id_text(scalar) else None
    if isinstance(scalar, float):
        if not scalar.is_integer() or abs(scalar) >= EXACT_FLOATS:
            return None
        scalar = int(scalar)
    return str(scalar) if scalar.bit_length() <= _MAXIMUM_ID_BITS else None


def _is_id_text(text: str) -> bool:
    if not text or "\0" in text or len(text) > MAXIMUM_ID_BYTES:
        return False
    if text.isascii():
        return True
    try:
        return len(text.encode()) <= MAXIMUM_ID_BYTES
    except UnicodeEncodeError:
        return False


def attribute_text(value: Any) -> str | None:
    """Return an attribute's value as text, or None for what is none.

    >>> attribute_text("DE"), attribute_text(1), attribute_text(True), attribute_text(None), attribute_text([1])
    ('DE', '1', 'True', 'None', None)
    >>> attribute_text("")
    '__empty__'
    """
    if value is None or type(value) is bool:
        return str(value)
    known = canonical_class(value)
    if isinstance(known, str):
        return known
    if isinstance(known, (int, float)):
        return str(known)
    return EMPTY if isinstance(plain(value), (str, bytes)) else None


def class_text(value: ClassValue, among: Iterable[ClassValue] = ()) -> str:
    """Return a class as text for an attribute, in quotes where a number among the classes has the same text.

    >>> class_text("1", [0, 1]), class_text("1", ["0"]), class_text(1, ["1"]), class_text(0.5)
    ('"1"', '1', '1', '0.5')
    """
    if not isinstance(value, str):
        return str(value)
    bare = value.strip('"')
    return f'"{value}"' if any(not isinstance(other, str) and str(other) == bare for other in among) else value


def class_texts(values: Iterable[ClassValue]) -> tuple[str, ...]:
    """Return the attribute texts of all classes of a task, each different from every other.

    >>> class_texts((1, "1", "cat"))
    ('1', '"1"', 'cat')
    """
    values = tuple(values)
    numbers = {str(value) for value in values if not isinstance(value, str)}
    return tuple(
        f'"{value}"' if isinstance(value, str) and value.strip('"') in numbers else str(value) for value in values
    )


def class_order(value: ClassValue) -> tuple[int, float, str]:
    """Return the sort key of classes whose order was not declared: numbers, then text, then ``"__other__"``.

    >>> sorted(["b", 10, "__other__", 2, 0.5, "a"], key=class_order)
    [0.5, 2, 10, 'a', 'b', '__other__']
    """
    if isinstance(value, str):
        return (2 if value == OTHER else 1, 0.0, value)
    try:
        return (0, float(value), "")
    except OverflowError:
        return (0, math.inf if value > 0 else -math.inf, "")
