"""Say each kind of trouble once on the logger ``modelmon``, then at most every five minutes.

The counters tell how often; the log tells what to do.
``logging`` is loaded at the first notice only, and its configuration is never touched.
"""

from __future__ import annotations

import time
from typing import Final

from modelmon.forking import Gate

AHEAD: Final = "at= lies more than an hour ahead; it takes seconds since the epoch: are these milliseconds?"
UNUSABLE: Final = "with an unusable id (text or a whole number, at most 256 bytes)"
ABSENT: Final = "without a truth"
UNREADABLE: Final = "with a truth that is no class and no finite number"
UNKNOWN: Final = (
    "that the task does not know (the text '1' is not the number 1), or whose id belongs to a model of another task"
)
"""Why labels are invalid."""
REASONS: Final = {
    "task_undeclared": "floats may be scores or values: declare task=Binary(...), Multiclass(...) or Regression()",
    "nan": "the output is nan",
    "infinite": "the output is infinite",
    "missing": "the output is missing",
    "length": "ids and predictions of a call differ in number, so none of them was taken",
    "type": "an output of a type that the task cannot read; output= may pick the prediction out of it",
    "shape": "an output of a shape that the task cannot read; output= may pick the prediction out of it",
    "unknown_class": "a class that the task does not declare",
    "bad_id": "an id that is missing, no text or whole number, or longer than 256 bytes",
    "hook": "a function given as id=, output=, attributes=, batch_size= or tokens= raised",
    "attributes": "an attribute that is no text, number, bool or None",
    "batch_size": "batch_size= gave no whole number",
    "capture": "the output lies on a device whose graph is being captured",
    "misuse": "a call's context was used before or after its block",
    "overflow": "too many models to count each by itself, and those counted together have one task, the first one's",
    "internal": "a fault of modelmon itself, please report it",
}
"""What each reason of a rejection means, and what to do about it."""

INTERVAL_S: Final = 300.0
_CAP: Final = 1000
_EVER: Final = float("inf")
_said: dict[str, float] = {}
_gate: Final = Gate()


def is_silent(site: str) -> bool:
    """Tell whether this site spoke within the last five minutes, or has said all it had to say."""
    last = _said.get(site)
    return last is not None and time.monotonic() - last < INTERVAL_S


def may(site: str) -> bool:
    """Return whether this site may act now; it then may not again for five minutes."""
    if is_silent(site):
        return False
    if len(_said) >= _CAP:
        _said.clear()
    _said[site] = time.monotonic()
    return True


def warn(site: str, message: str, *, once: bool = False) -> None:
    """Log a warning unless this site spoke within the last five minutes, or ever if ``once``; never raise."""
    if not may(site):
        return
    if once:
        _said[site] = _EVER
    _log("warning", message)


def inform(message: str) -> None:
    """Log at level INFO, once, what is worth knowing and no trouble; never raise."""
    if may(message):
        _said[message] = _EVER
        _log("info", message)


def _log(level: str, message: str) -> None:
    try:
        import logging  # noqa: PLC0415  (loaded at the first notice, not at import)

        with _gate.enter():
            getattr(logging.getLogger("modelmon"), level)("%s", message)
    except Exception:  # noqa: S110  (a broken log handler of the host is not ours to report)
        pass


def forget() -> None:
    """Let every site speak again; for a test that expects its notice."""
    _said.clear()
