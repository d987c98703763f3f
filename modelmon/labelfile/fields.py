"""Fields of the side file: what a row said, as text that means the same when it is delivered again.

A row that CSV cannot say (a label of several parts, an id that is none, a label that is taken back, or one for a model)
stands as a line of JSON in the field ``record``, which a file of JSON lines may hold as it is.
Its other fields are empty: a part of it, delivered without the rest, would reach more than the row did.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final

from modelmon.identity import Missing, canonical_class, canonical_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST: Final = 1000
_LONGEST_RECORD: Final = 100_000  # a field of CSV may have 131,072 characters
_BESIDES: Final = ("model", "version", "retract")


def fields(said: Mapping[str, Any]) -> dict[str, str]:
    """Return what a row said by the names of the side file's fields.

    >>> fields({"id": 17, "label": b"ok", "at": None})
    {'id': '17', 'label': 'ok', 'at': ''}
    >>> fields({"id": "a", "label": {"cat"}})
    {'record': '{"id": "a", "label": ["cat"]}'}
    """
    given = {name: value for name, value in said.items() if value is not None}
    found = {name: _FIELDS[name](value) for name, value in said.items() if name in _FIELDS}
    if None in found.values() or any(name in given for name in _BESIDES):
        record = {name: _JSON.get(name, _json)(value) for name, value in given.items()}
        return {"record": json.dumps(record)[:_LONGEST_RECORD]}
    return {name: text or "" for name, text in found.items()}


def _id(value: Any) -> str | None:
    if value is None:
        return ""
    text = canonical_id(value)
    return _text(value) if text is None and type(value) is str else text


def _label(value: Any) -> str | None:
    if type(value) is str:
        return _text(value) if len(value) <= _LONGEST else None  # of any length it is a class, and cut another one
    known = canonical_class(value)
    if isinstance(known, Missing):
        return "" if known is Missing.MISSING else None
    return repr(value) if type(value) is float else _text(str(known))


def _moment(value: Any) -> str | None:
    if value is None:
        return ""
    return _text(value.isoformat() if isinstance(value, dt.date) else str(value))


def _text(text: str) -> str | None:
    """Return a text, cut where it is far too long for all that it may be; None where CSV cannot hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return None if "\0" in text else text[:_LONGEST]


def _json_id(value: Any) -> Any:
    text = canonical_id(value)
    return _json(value) if text is None else value if type(value) in {str, int} else text


def _json_moment(value: Any) -> Any:
    return value if type(value) in {str, int, float, bool} else _moment(value)


def _json(value: Any) -> Any:
    """Return a value as JSON has it: a set is a list, and bytes are the text they are read as.

    What JSON has not, and is neither id nor label, is an object of its type and text, which is neither too.
    """
    if value is None or type(value) in {str, int, bool, float}:
        return value
    if isinstance(value, (set, frozenset)):
        return sorted(map(_json, value), key=repr)
    if isinstance(value, (list, tuple)):
        return list(map(_json, value))
    if isinstance(value, dict):
        return {str(_json(name)): _json(part) for name, part in value.items()}
    known = canonical_class(value)
    return {type(value).__name__: str(value)} if isinstance(known, Missing) else known


_FIELDS: Final[dict[str, Callable[[Any], str | None]]] = {"id": _id, "label": _label, "at": _moment, "rev": _moment}
_JSON: Final[dict[str, Callable[[Any], Any]]] = {"id": _json_id, "at": _json_moment, "rev": _json_moment}
