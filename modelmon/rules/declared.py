"""Declared rules: what plain data, read from a YAML or JSON file, says of rules and objectives."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from modelmon.errors import ConfigurationError
from modelmon.rules.objective import Burn, Objective
from modelmon.rules.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTS: Final[dict[str, type[Rule | Objective]]] = {"rules": Rule, "objectives": Objective}


def declared(data: Any) -> list[Rule | Objective]:
    """Return the rules and objectives that plain data declares.

    Args:
        data: a mapping with lists under ``rules`` and ``objectives``, each entry a mapping of what ``Rule`` and
            ``Objective`` take; the ``burns`` of an objective are such mappings too.

    Raises:
        ConfigurationError: when it is none, or a rule in it cannot work.

    >>> declared({"rules": [{"name": "slow", "metric": "duration", "quantile": 0.99, "above": 0.25}]})[0].above
    0.25
    """
    if not isinstance(data, dict) or not data or not data.keys() <= _LISTS.keys():
        strange = [key for key in data if key not in _LISTS] if isinstance(data, dict) else []
        found = f", and not {strange[0]!r}" if strange else ""
        msg = f"a file of rules holds a list under rules:, under objectives:, or both{found}"
        raise ConfigurationError(msg)
    return [_made(_LISTS[key], entry, f"{key}[{place}]") for key in data for place, entry in _entries(key, data[key])]


def _entries(key: str, entries: Any) -> Iterator[tuple[int, Any]]:
    if not isinstance(entries, list):
        msg = f"{key}: must be a list"
        raise ConfigurationError(msg)
    yield from enumerate(entries)


def _made(kind: type, entry: Any, where: str) -> Any:
    """Make a rule, an objective or a burn of a mapping."""
    known = [field.name for field in fields(kind)]
    if not isinstance(entry, dict):
        msg = f"{where} must be a mapping with name: and more"
        raise ConfigurationError(msg)
    unknown = [str(key) for key in entry if key not in known]
    if unknown:
        msg = f"{where}: {unknown[0]!r} is none of {', '.join(known)}"
        raise ConfigurationError(msg)
    given = dict(entry)
    if kind is Objective and "burns" in given:
        burns = _entries(f"{where}.burns", given["burns"])
        given["burns"] = tuple(_made(Burn, burn, f"{where}.burns[{place}]") for place, burn in burns)
    try:
        return kind(**given)
    except TypeError as error:  # an argument that is missing
        msg = f"{where}: {str(error).partition('() ')[2] or error}"
        raise ConfigurationError(msg) from None
