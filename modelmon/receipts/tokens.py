"""Tokens: one prediction as signed text of the characters A-Z, a-z, 0-9, ``-`` and ``_``.

Base64 of: a byte for the version, the key's name (4 bytes), the time in microseconds (8 bytes), the prediction as JSON,
and 16 bytes of HMAC-SHA256 over all of it.
There is one spelling of every token, so a text that differs in any character is refused.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from modelmon.tasks import task_from_state, to_state

if TYPE_CHECKING:
    from modelmon.parts import Slice
    from modelmon.signing import Keys
    from modelmon.tasks import Task

VERSION: Final = 1
LONGEST: Final = 16_384
"""Characters of a token that anybody reads."""
_LEAST: Final = 1 + 4 + 8 + 2 + 16
_MICRO: Final = 1e6
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "binary": {"positive": 1, "negative": None, "threshold": 0.5},
    "multiclass": {"classes": None},
    "multilabel": {"classes": None, "threshold": 0.5},
    "regression": {},
}
"""The settings of each kind of task, and what they are where a token leaves them out."""


class Receipt(NamedTuple):
    """Hold one prediction.

    Attributes:
        model: the model's name.
        version: its version.
        task: how its outputs are read.
        id: the prediction's canonical id.
        time: when it was made, seconds since the epoch.
        predicted: the predicted class, or None.
        score: the score of the positive or predicted class, or the predicted value; or all scores; or None.
        columns: what the scores, the flags or the best classes are.
        flags: predicted labels, or None.
        best: places of the five best classes in ``columns``, or None.
        page: the slice.
    """

    model: str
    version: str
    task: Task
    id: str
    time: float
    predicted: Any = None
    score: Any = None
    columns: tuple[Any, ...] = ()
    flags: tuple[int, ...] | None = None
    best: tuple[int, ...] | None = None
    page: Slice = ()


def write(receipt: Receipt, keys: Keys) -> str:
    """Return a token."""
    parts = [
        receipt.model,
        receipt.version,
        _task_parts(receipt.task),
        receipt.id,
        receipt.predicted,
        receipt.score,
        receipt.page,
        receipt.columns,
        receipt.flags,
        receipt.best,
    ]
    text = json.dumps(_trimmed(parts), separators=(",", ":"), ensure_ascii=False)
    body = round(receipt.time * _MICRO).to_bytes(8, "big") + text.encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(bytes([VERSION]) + keys.signed(body)).decode().rstrip("=")


def read(token: Any, keys: Keys) -> Receipt | str:
    """Return what a token says, or why it is refused: malformed, unsupported, unknown_key, signature."""
    data = _bytes(token)
    if data is None:
        return "malformed"
    if data[0] != VERSION:
        return "unsupported"
    body = keys.opened(data[1:])
    if not body:
        return "signature" if body is None else "unknown_key"
    try:
        return _receipt(int.from_bytes(body[:8], "big") / _MICRO, json.loads(body[8:].decode("utf-8", "surrogatepass")))
    except (ValueError, TypeError, LookupError, RecursionError):  # signed, but by another version of this library
        return "unsupported"


def _bytes(token: Any) -> bytes | None:
    if isinstance(token, bytes) and len(token) <= LONGEST:
        token = token.decode("ascii", "replace")
    if not isinstance(token, str) or len(token) > LONGEST or not token.isascii():
        return None
    try:
        data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    # The decoder lets strange characters and spare bits pass: only the one right spelling is a token.
    canonical = urlsafe_b64encode(data).decode().rstrip("=") == token
    return data if canonical and len(data) >= _LEAST else None


def _receipt(time: float, parts: list[Any]) -> Receipt:
    model, version, task, identity, *rest = parts
    rest += [None] * (6 - len(rest))
    predicted, score, page, columns, flags, best = rest
    kind = task[0]
    state = {"kind": kind, **_KINDS[kind], **dict(zip(_KINDS[kind], task[1:], strict=False))}
    return Receipt(
        model,
        version,
        task_from_state(state),
        identity,
        time,
        predicted,
        tuple(score) if isinstance(score, list) else score,
        tuple(columns or ()),
        None if flags is None else tuple(flags),
        None if best is None else tuple(best),
        tuple((name, text) for name, text in page or ()),
    )


def _task_parts(task: Task) -> list[Any]:
    state = to_state(task)
    kind = state.pop("kind")
    parts = list(state.items())
    while parts and parts[-1] == (parts[-1][0], _KINDS[kind][parts[-1][0]]):
        parts.pop()
    return [kind, *(value for _, value in parts)]


def _trimmed(parts: list[Any]) -> list[Any]:
    """Return a list without the nothings at its end."""
    end = len(parts)
    while end and (parts[end - 1] is None or parts[end - 1] == ()):
        end -= 1
    return parts[:end]
