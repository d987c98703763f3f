r"""JSON without bombs: what two readers could understand in two ways is refused, and so is what has no plain value.

Refused are NaN and infinities, numbers past float64, integers that take too long to read, a name given twice in one
object, nesting deeper than a label can be, NUL, and halves of surrogate pairs.

>>> read_json('{"id": 1, "label": "ok"}')
{'id': 1, 'label': 'ok'}
>>> read_json('[NaN]')
Traceback (most recent call last):
ValueError: NaN is no JSON
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

MOST_DIGITS: Final = 4300
_SURROGATE: Final = re.compile("[\ud800-\udfff\x00]")


def read_json(text: str) -> Any:
    """Read one JSON document.

    Raises:
        ValueError: when it is none, or holds what is refused; the message quotes nothing of it.
    """
    try:
        found = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        msg = f"no JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise ValueError(msg) from None
    except RecursionError:
        msg = "nested too deeply"
        raise ValueError(msg) from None
    if "\\u" in text:  # nothing else brings in what UTF-8 itself cannot hold
        _check_text(found)
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        msg = "an object has the same name twice"
        raise ValueError(msg)
    return made


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        msg = f"an integer has more than {MOST_DIGITS} digits"
        raise ValueError(msg)
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        msg = "a number is larger than any float64"
        raise ValueError(msg)
    return number


def _constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


def _check_text(found: Any) -> None:
    waiting = [found]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if _SURROGATE.search(value):
                msg = "a text holds NUL or half of a surrogate pair"
                raise ValueError(msg)
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
