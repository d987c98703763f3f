"""Items: labels as JSON objects, from a request or from the lines of a file.

An item is ``{"id": "order-17", "label": "fraud"}``, with ``at``, ``rev``, ``model``, ``version`` where they are known,
and ``"retract": true`` instead of a label to take one back.
A label is a text, a number or a bool; of a task with many labels it is a list of those that hold, a list of 0, 1 and
null, or an object of what is known, such as ``{"cat": true}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from modelmon.identity import MAXIMUM_NAME_BYTES, is_short
from modelmon.written.rows import INVALID, Delivered, Rows, deliver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelmon.written.rows import Intake

NAMES: Final = frozenset({"id", "label", "at", "rev", "model", "version", "retract"})
Scope = tuple["str | None", "str | None"]


@dataclass(slots=True)
class _Columns:
    """Collect the items of one scope."""

    places: list[int] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)
    truths: list[Any] = field(default_factory=list)
    at: list[Any] = field(default_factory=list)
    revs: list[Any] = field(default_factory=list)
    retracted: list[int] = field(default_factory=list)

    def add(self, place: int, item: Mapping[str, Any]) -> None:
        if item.get("retract") is True:
            self.retracted.append(len(self.places))
        self.places.append(place)
        self.ids.append(item.get("id"))
        self.truths.append(as_truth(item.get("label")))
        self.at.append(item.get("at"))
        self.revs.append(item.get("rev"))

    def rows(self) -> Rows:
        return Rows(
            self.ids,
            self.truths,
            self.at if self.at.count(None) < len(self.at) else None,
            self.revs if self.revs.count(None) < len(self.revs) else None,
            self.retracted,
        )


def deliver_items(
    intake: Intake,
    items: Sequence[Any],
    *,
    model: str | None = None,
    version: str | None = None,
    permit: Callable[[int], object] = bool,
    age: Callable[[], float] | None = None,
) -> Delivered:
    """Deliver items and say what became of each, in their order.

    Each model and version among them is a transaction of its own; what is no item is invalid and goes nowhere.

    Args:
        intake: what takes them.
        items: parsed JSON.
        model: the scope of items that name none.
        version: with ``model``.
        permit: told how many models and versions were found, at each new one and before each transaction; what it
            raises ends the delivery.
        age: tells how many seconds ago they came; None if they come now.

    Raises:
        StoreError: when some were not committed; delivering all of them again is safe.
    """
    outcomes = np.full(len(items), INVALID, np.uint8)
    reasons: dict[int, str] = {}
    scopes: dict[Scope, _Columns] = {}
    for place, item in enumerate(items):
        problem = fault(item)
        if problem:
            reasons[place] = problem
            continue
        scope = (item["model"], item.get("version")) if item.get("model") is not None else (model, version)
        if scope not in scopes:
            scopes[scope] = _Columns()
            permit(len(scopes))
        scopes[scope].add(place, item)
    for scope, columns in scopes.items():
        permit(len(scopes))
        found = deliver(intake, columns.rows(), model=scope[0], version=scope[1], age=age)
        places = columns.places
        outcomes[places] = found.outcomes
        reasons.update((places[place], reason) for place, reason in found.reasons.items())
    return Delivered(outcomes, reasons)


def fault(item: Any) -> str:
    """Return what keeps this from being an item; nothing where it is one.

    >>> fault({"id": 1, "label": 0}), fault({"id": 1, "lable": 0})
    ('', "unknown name 'lable'; there are at, id, label, model, retract, rev, version")
    """
    if not isinstance(item, dict):
        return "no object with id and label"
    unknown = next((name for name in item if name not in NAMES), None)
    if unknown is not None:
        return f"unknown name {unknown[:64]!r}; there are {', '.join(sorted(NAMES))}"
    return next((reason for reason, wrong in _FAULTS.items() if wrong(item)), "")


def as_truth(value: Any) -> Any:
    """Return the truth that a JSON value is: a list of names is the set of labels that hold.

    >>> as_truth("cat"), as_truth(["cat"]), as_truth([1, 0, None]), as_truth({"cat": True})
    ('cat', {'cat'}, (1, 0, None), {'cat': True})
    """
    if isinstance(value, list):
        return tuple(value) if value and all(part is None or part in (0, 1) for part in value) else set(value)
    return value


def is_flat(value: Any) -> bool:
    """Return whether a label is a plain value, or a list or an object of plain ones."""
    if isinstance(value, dict):
        value = list(value.values())
    return not isinstance(value, list) or not any(isinstance(part, (list, dict)) for part in value)


_FAULTS: Final[dict[str, Callable[[dict[str, Any]], bool]]] = {
    "no id": lambda item: "id" not in item,
    "model is no text": lambda item: not isinstance(item.get("model"), (str, type(None))),
    "version is no text": lambda item: not isinstance(item.get("version"), (str, type(None))),
    f"model has more than {MAXIMUM_NAME_BYTES} bytes": lambda item: not is_short(item.get("model") or ""),
    f"version has more than {MAXIMUM_NAME_BYTES} bytes": lambda item: not is_short(item.get("version") or ""),
    "version without model": lambda item: item.get("version") is not None and item.get("model") is None,
    "retract is neither true nor false": lambda item: not isinstance(item.get("retract", False), bool),
    "label and retract exclude each other": lambda item: item.get("retract") is True and item.get("label") is not None,
    "no label": lambda item: item.get("retract") is not True and item.get("label") is None,
    "the label is nested too deeply": lambda item: not is_flat(item.get("label")),
}
"""What keeps an object from being an item, the first that holds."""
