"""Tasks: what the output of a model means.

A task is declared once and travels with every prediction, so that an output is read the same way everywhere.
Only the standard library is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from modelmon.errors import ConfigurationError
from modelmon.identity import ClassValue, Missing, canonical_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Binary:
    """Say that a prediction is one of two classes, or a score of the positive one.

    Float outputs are scores; the predicted class is positive where the score is at least the threshold.
    Other outputs are classes.

    Attributes:
        positive: the class that scores speak of and that precision and recall are about.
        negative: the other class; None means every other value, shown as ``0`` beside ``1``, else as ``"other"``.
        threshold: the least score that predicts the positive class.

    >>> Binary(positive=True).declared, Binary("fraud").declared, Binary("fraud", "fine").declared
    ((0, 1), ('other', 'fraud'), ('fine', 'fraud'))
    """

    positive: ClassValue = 1
    negative: ClassValue | None = None
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Make the classes canonical.

        Raises:
            ConfigurationError: when a class is missing, both are one class, or the threshold is no finite number.
        """
        object.__setattr__(self, "positive", _declared_class(self.positive, "positive"))
        if self.negative is not None:
            object.__setattr__(self, "negative", _declared_class(self.negative, "negative"))
        if self.shown_negative == self.positive:
            msg = f"Binary needs two classes, and both are {self.positive!r}: name the negative class, negative=…"
            raise ConfigurationError(msg)
        object.__setattr__(self, "threshold", _threshold(self.threshold))

    @property
    def shown_negative(self) -> ClassValue:
        """The negative class as it is shown."""
        if self.negative is not None:
            return self.negative
        return 0 if self.positive == 1 else "other"

    @property
    def declared(self) -> tuple[ClassValue, ...]:
        """The two classes: negative, positive."""
        return (self.shown_negative, self.positive)


@dataclass(frozen=True, slots=True)
class Multiclass:
    """Say that a prediction is one of several classes, or a row of class probabilities.

    Attributes:
        classes: the classes in the order of the probability columns; None means 0…k-1 for rows of k probabilities and
            whatever values come for labels.

    >>> Multiclass(["cat", "dog"]).declared
    ('cat', 'dog')
    """

    classes: Iterable[ClassValue] | None = None

    def __post_init__(self) -> None:
        """Make the classes a canonical tuple.

        Raises:
            ConfigurationError: when the classes are none at all, repeated, missing, or given as one text.
        """
        object.__setattr__(self, "classes", _declared_classes(self.classes, "Multiclass"))

    @property
    def declared(self) -> tuple[ClassValue, ...] | None:
        """The classes in declared order, or None."""
        return self.classes  # type: ignore[return-value]  # a tuple since the initialiser


@dataclass(frozen=True, slots=True)
class Multilabel:
    """Say that a prediction is a set of labels, as a row of L flags or of L scores, or as the labels themselves.

    Attributes:
        classes: the L labels in the order of the columns; None means 0…L-1.
        threshold: the least score that predicts a label.
    """

    classes: Iterable[ClassValue] | None = None
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Make the labels a canonical tuple.

        Raises:
            ConfigurationError: when the labels are none at all, repeated, missing, or given as one text, or the
                threshold is no finite number.
        """
        object.__setattr__(self, "classes", _declared_classes(self.classes, "Multilabel"))
        object.__setattr__(self, "threshold", _threshold(self.threshold))

    @property
    def declared(self) -> tuple[ClassValue, ...] | None:
        """The labels in declared order, or None."""
        return self.classes  # type: ignore[return-value]  # a tuple since the initialiser


@dataclass(frozen=True, slots=True)
class Regression:
    """Say that a prediction is a number."""

    @property
    def declared(self) -> None:
        """None: a number has no classes."""
        return


Task: TypeAlias = Binary | Multiclass | Multilabel | Regression

_KINDS: dict[str, type[Binary | Multiclass | Multilabel | Regression]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "multilabel": Multilabel,
    "regression": Regression,
}


def to_state(task: Task) -> dict[str, Any]:
    """Return a task as values that JSON can carry.

    >>> to_state(Binary("fraud"))
    {'kind': 'binary', 'positive': 'fraud', 'negative': None, 'threshold': 0.5}
    """
    state: dict[str, Any] = {"kind": type(task).__name__.lower()}
    for name in ("positive", "negative", "classes", "threshold"):
        if hasattr(task, name):
            value = getattr(task, name)
            state[name] = list(value) if isinstance(value, tuple) else value
    return state


def task_from_state(state: Mapping[str, Any]) -> Task:
    """Return the task that `to_state` described.

    Raises:
        ConfigurationError: when the state describes no task.
    """
    kind = _KINDS.get(state.get("kind", ""))
    if kind is None:
        msg = f"no task is called {state.get('kind')!r}: there are {', '.join(_KINDS)}"
        raise ConfigurationError(msg)
    try:
        return kind(**{name: value for name, value in state.items() if name != "kind"})
    except TypeError as error:
        msg = f"{kind.__name__} is not described by {dict(state)!r}"
        raise ConfigurationError(msg) from error


def _declared_class(value: Any, name: str) -> ClassValue:
    canonical = canonical_class(value)
    if isinstance(canonical, Missing):
        msg = f"{name}={value!r} is no class: a class is a text, a number, a bool or a member of an enum"
        raise ConfigurationError(msg)
    return canonical


def _declared_classes(values: Any, task: str) -> tuple[ClassValue, ...] | None:
    if values is None:
        return None
    if isinstance(values, (str, bytes)):
        msg = f"{task}(classes={values!r}) is one text: give a sequence of classes"
        raise ConfigurationError(msg)
    try:
        given = list(values)
    except TypeError:
        msg = f"{task}(classes={values!r}) is no sequence of classes"
        raise ConfigurationError(msg) from None
    classes = tuple(_declared_class(value, "class") for value in given)
    if not classes:
        msg = f"{task}(classes=…) has no class: leave it out to take the classes that come"
        raise ConfigurationError(msg)
    if len(set(classes)) < len(classes):
        repeated = sorted({repr(value) for value in classes if classes.count(value) > 1})
        msg = f"{task}(classes=…) names a class more than once: {', '.join(repeated)}"
        raise ConfigurationError(msg)
    return classes


def _threshold(value: Any) -> float:
    if isinstance(value, (str, bytes, bool)):
        msg = f"threshold={value!r} is no number"
        raise ConfigurationError(msg)
    try:
        threshold = float(value)
    except (TypeError, ValueError):
        msg = f"threshold={value!r} is no number"
        raise ConfigurationError(msg) from None
    if not math.isfinite(threshold):
        msg = f"threshold={value!r} must be finite"
        raise ConfigurationError(msg)
    return threshold
