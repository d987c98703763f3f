"""Series: one model and version, its classes by code, and what any label means to its task.

A label's value is stored as it came (kind and float64) and read by every series for itself, because one label may
score several models; the reading is a *meaning*: a class code, a number, or the code of a row of flags.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.identity import OTHER, number_of
from modelmon.stores.index import distinct
from modelmon.tasks import Binary, Multiclass, Multilabel, Regression
from modelmon.truths import flags_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.columns import Column
    from modelmon.stores.objects import Objects
    from modelmon.tasks import Task

RETRACTED, NUMBER, OBJECT, TEXTUAL, NOTHING = range(5)
"""Kinds of a stored label value: none, a number, an object by code, the same from a textual source, unreadable."""

MOST_CLASSES = 256
_UNKNOWN = -2.0
_SMALL = 1024


class Assumption(NamedTuple):
    """Say which truth is assumed, canonical (None: none any more), and how many seconds after the prediction."""

    truth: Any
    after: float


class Series:
    """Know the classes of one model and version, and read labels for it."""

    __slots__ = (
        "_codes",
        "_objects",
        "_readings",
        "_small",
        "_texts",
        "assumption",
        "classes",
        "key",
        "scopes",
        "task",
    )

    def __init__(self, key: tuple[str, str], task: Task | None, objects: Objects, scopes: tuple[int, int, int]) -> None:
        """Start with the declared classes.

        Args:
            key: model and version.
            task: how outputs are read; None until the first prediction tells.
            objects: what the codes of label values stand for.
            scopes: numbers of the scopes that reach this series, the widest first.
        """
        self.key = key
        self.scopes = scopes
        self.assumption: Assumption | None = None
        self._objects = objects
        self.classes: list[Any] = []
        self._codes: dict[Any, int] = {}
        self._texts: dict[str, int] = {}
        self.forget_readings()
        self.task: Task | None = None
        if task is not None:
            self.assign(task)

    def assign(self, task: Task) -> None:
        """Set the task, once."""
        self.task = task
        for value in task.declared or ():
            self.add(value)

    def forget_readings(self) -> None:
        """Drop what was found out about object codes."""
        self._small = np.full(_SMALL, _UNKNOWN)
        self._readings = {kind: np.full(0, _UNKNOWN) for kind in (OBJECT, TEXTUAL)}

    def forget_objects(self, first: int) -> None:
        """Drop what was found out about object codes from ``first`` on, and any code of flags."""
        size = 0 if isinstance(self.task, Multilabel) else first
        for kind, readings in self._readings.items():
            if len(readings) > size:
                self._readings[kind] = readings[:size].copy()

    def fits(self, task: Task, columns: tuple[Any, ...]) -> bool:
        """Tell whether predictions of a task, with these columns of flags, belong to this series."""
        if self.task is None:
            self.assign(task)
        if type(task) is not type(self.task):
            return False
        if isinstance(task, Multilabel):
            if not self.classes:
                for value in columns:
                    self.add(value)
            return tuple(self.classes) == tuple(columns)
        return _counts_alike(task, self.task)

    def predicted(self, column: Column | None, n: int) -> NDArray[np.int32]:
        """Return the class code of each prediction: int32 ``(n,)``, -1 where there is none."""
        if column is None or isinstance(self.task, (Regression, Multilabel)):
            return np.full(n, -1, np.int32)
        codes = np.array([*map(self.code, column.values), -1, -1], np.int32)
        return codes[column.codes]

    def code(self, value: Any) -> int:
        """Return the code of a predicted class, a new one if the classes are open and there is room."""
        code = self._codes.get(value)
        if code is not None:
            return code
        if isinstance(self.task, Binary):
            return 0
        if self._is_closed or len(self.classes) >= MOST_CLASSES:
            return self._codes[OTHER] if OTHER in self._codes else self.add(OTHER)
        return self.add(value)

    @property
    def _is_closed(self) -> bool:
        return isinstance(self.task, Multiclass) and self.task.classes is not None

    def add(self, value: Any) -> int:
        """Return the code of a class that is new here."""
        code = self._codes[value] = len(self.classes)
        self.classes.append(value)
        if isinstance(value, str):
            self._texts[value] = code
            self._readings[TEXTUAL].fill(_UNKNOWN)  # it may have been read as a number
        else:
            self._texts.setdefault(str(value), code)
        if value in (0, 1):  # 1 and True are one class, and so are the texts that a bool is written as
            for text in (str(bool(value)), str(bool(value)).lower()):
                self._texts.setdefault(text, code)
        self._small[np.isnan(self._small)] = _UNKNOWN  # what meant nothing may be this class
        for readings in self._readings.values():
            readings[np.isnan(readings)] = _UNKNOWN
        return code

    def meanings(self, kind: NDArray[np.uint8], value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what stored label values mean here: float64 ``(n,)``, nan where nothing."""
        numbers = kind == NUMBER
        if numbers.all():
            return self._numbers(value)
        meaning = np.full(len(kind), np.nan)
        if numbers.any():
            meaning[numbers] = self._numbers(value[numbers])
        for object_kind in (OBJECT, TEXTUAL):
            chosen = np.flatnonzero(kind == object_kind)
            if len(chosen):
                meaning[chosen] = self._of_objects(object_kind, value[chosen].astype(np.int64))
        return meaning

    @property
    def assumed(self) -> float:
        """The meaning of a row that nobody labelled in time; nan where nothing is assumed."""
        if self.assumption is None or self.assumption.truth is None or self.task is None:
            return math.nan
        return self._read(self.assumption.truth)

    def could_assume(self, truth: Any) -> bool:
        """Tell whether a canonical truth means something here, as far as one can tell before the first prediction."""
        if self.task is None or (isinstance(self.task, Multilabel) and not self.classes):
            return True
        return not math.isnan(self._read(truth))

    def patience(self, ttl: float) -> float:
        """Return how many seconds a row awaits its label, where rows await one for ``ttl`` otherwise."""
        if self.assumption is None or math.isnan(self.assumed):
            return ttl
        return min(self.assumption.after, ttl)

    def flags(self, meaning: float) -> NDArray[np.uint8]:
        """Return the row of flags that a multilabel meaning stands for: uint8 ``(L,)``."""
        return np.frombuffer(self._objects[int(meaning)], np.uint8)

    def _numbers(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        if isinstance(self.task, Regression):
            return np.where(np.isfinite(value), value, np.nan)
        small = np.clip(value, -1, _SMALL).astype(np.int64)  # a number past int64 has no cast
        plain = (small == value) & (small >= 0) & (small < _SMALL)
        if plain.all():
            return self._of_small(small)
        meaning = np.full(len(value), np.nan)
        meaning[plain] = self._of_small(small[plain])
        found, where = np.unique(value[~plain], return_inverse=True)
        each = [self._read(int(number) if number.is_integer() else number) for number in found.tolist()]
        meaning[~plain] = np.array(each, np.float64)[where]
        return meaning

    def _of_small(self, small: NDArray[np.int64]) -> NDArray[np.float64]:
        while (unknown := self._small[small] == _UNKNOWN).any():
            for number in distinct(small[unknown]).tolist():
                self._small[number] = self._read(number)
        return self._small[small]

    def _of_objects(self, kind: int, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        readings = self._readings[kind]
        if len(readings) < len(self._objects):
            grown = np.full(max(64, 2 * len(self._objects)), _UNKNOWN)
            grown[: len(readings)] = readings
            readings = self._readings[kind] = grown
        while (unknown := readings[codes] == _UNKNOWN).any():  # again, where a new class asked for new readings
            for code in distinct(codes[unknown]).tolist():
                readings[code] = self._read(self._objects[code], textual=kind == TEXTUAL)
        return readings[codes]

    def _read(self, value: Any, *, textual: bool = False) -> float:
        """Return the meaning of one label value, nan if it has none."""
        task = self.task
        if isinstance(task, Regression):
            return _as_number(value) if textual or not isinstance(value, str) else math.nan
        if isinstance(task, Multilabel):
            flags = flags_of(value, tuple(self.classes))
            return math.nan if flags is None else float(self._objects.intern(flags.tobytes()))
        if isinstance(value, (tuple, bytes)) or task is None:
            return math.nan
        return self._read_class(value, task, textual=textual)

    def _read_class(self, value: Any, task: Task, *, textual: bool) -> float:
        same_text = self._texts.get(str(value))
        if textual:
            if same_text is not None:
                return float(same_text)
            value = self._said(value)
        code = self._codes.get(value)
        if code is not None:
            return float(code)
        if same_text is not None or self._is_closed or (isinstance(task, Binary) and task.negative is not None):
            return math.nan
        return float(self.code(value))

    def _said(self, value: Any) -> Any:
        """Return the class that a text of no known class says: a number, where that is known or the first class is one.

        The first class is of the first prediction and stays, so that it does not matter which of them comes next.
        """
        number = number_of(value) if isinstance(value, str) else value
        if number is None or (number not in self._codes and isinstance(next(iter(self.classes), ""), str)):
            return value
        return number


def _counts_alike(task: Task, held: Task) -> bool:
    """Tell whether predictions of one task mean the same in a series that counts by another of its type."""
    if isinstance(task, Binary):
        return task.declared == held.declared
    if isinstance(task, Multiclass) and isinstance(held, Multiclass) and task.classes and held.classes:
        return task.classes == held.classes or {*task.classes} == {*held.classes}
    return True


def _as_number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan
