"""Checks of what rules are given; what cannot work is refused at the line that declares it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from modelmon.errors import ConfigurationError
from modelmon.identity import attribute_text

T = TypeVar("T")


def declare(
    made: T, given: Mapping[str, Any], read: Callable[[Any], Mapping[str, Any]], check: Callable[[T], None]
) -> None:
    """Set the fields of a rule or an objective, which are frozen; what is refused is said with its name.

    Args:
        made: without any fields yet.
        given: what it was given, ``name`` among it.
        read: returns its fields from what was given.
        check: refuses what cannot work as a whole.

    Raises:
        ConfigurationError: when it cannot work.
    """
    name = text(given["name"], "name")
    try:
        for key, value in read(given).items():
            object.__setattr__(made, key, value)
        check(made)
    except ConfigurationError as error:
        msg = f"rule {name!r}: {error}"
        raise ConfigurationError(msg) from None


def refuse(message: str) -> NoReturn:
    """Raise.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError(message)


def text(value: object, name: str) -> str:
    """Return text that is not empty.

    Raises:
        ConfigurationError: when it is none.
    """
    if not isinstance(value, str) or not value.strip():
        refuse(f"{name}={value!r} must be text")
    return value


def scope(given: Mapping[str, Any]) -> None:
    """Check the texts that rules and objectives have in common.

    Raises:
        ConfigurationError: when the model, the version or the note is no text.
    """
    for name in ("model", "version", "note"):
        if given[name] is not None and not isinstance(given[name], str):
            refuse(f"{name}={given[name]!r} must be text")


def number(value: Any, name: str) -> float:
    """Return a finite number.

    Raises:
        ConfigurationError: when it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        refuse(f"{name}={value!r} must be a finite number")
    return float(value)


def share(value: Any, name: str) -> float:
    """Return a number from 0 to 1.

    Raises:
        ConfigurationError: when it is none.
    """
    if not 0 <= number(value, name) <= 1:
        refuse(f"{name}={value!r} must lie between 0 and 1")
    return float(value)


def fraction(value: Any, name: str) -> float:
    """Return a number between 0 and 1, neither of them.

    Raises:
        ConfigurationError: when it is none.
    """
    if not 0 < number(value, name) < 1:
        refuse(f"{name}={value!r} must lie between 0 and 1, and be neither")
    return float(value)


def pairs(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    """Return attributes as pairs of text, sorted, from a mapping or pairs.

    Raises:
        ConfigurationError: when a value has no text.
    """
    found = {}
    given = list(value.items() if isinstance(value, Mapping) else value if isinstance(value, (tuple, list)) else [None])
    if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in given):  # noqa: PLR2004
        refuse(f'{name}={value!r} must be a mapping, such as {{"outcome": "error"}}')
    for key, raw in given:
        known = attribute_text(raw)
        if known is None:
            refuse(f"{name}: {key!r} is {raw!r}, which is no text, number or bool")
        found[text(key, name)] = known
    return tuple(sorted(found.items()))
