"""Tasks: what the output of a model means.

A task is declared once and travels with every prediction, so that an output is read the same way everywhere.
Only the standard library is needed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from modelmon.errors import ConfigurationError
from modelmon.identity import ClassValue, Missing, canonical_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class _Declaration:
    """Make a declaration frozen, comparable and printable, without the cost of importing ``dataclasses``.

    The call half imports tasks, and ``dataclasses`` would bring ``inspect`` along.
    """

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: a declaration does not change."""
        msg = f"{type(self).__name__} is frozen: declare another one to change {name}"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> None:
        """Refuse: a declaration does not change."""
        self.__setattr__(name, None)

    def _settings(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        """Tell whether another declaration says the same."""
        if type(other) is not type(self):
            return NotImplemented
        return self._settings() == other._settings()

    def __hash__(self) -> int:
        """Hash what is declared."""
        return hash((type(self).__name__, self._settings()))

    def __repr__(self) -> str:
        """Show the call that declares the same."""
        settings = zip(self.__match_args__, self._settings(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in settings)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the call that declares the same."""
        return (type(self), self._settings())


class Binary(_Declaration):
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

    __slots__ = ("negative", "positive", "threshold")
    __match_args__ = ("positive", "negative", "threshold")
    positive: ClassValue
    negative: ClassValue | None
    threshold: float

    def __init__(self, positive: Any = 1, negative: Any = None, threshold: float = 0.5) -> None:
        """Make the classes canonical.

        Raises:
            ConfigurationError: when a class is missing, both are one class, or the threshold is no finite number.
        """
        object.__setattr__(self, "positive", _declared_class(positive, "positive"))
        object.__setattr__(self, "negative", None if negative is None else _declared_class(negative, "negative"))
        if self.shown_negative == self.positive:
            msg = f"Binary needs two classes, and both are {self.positive!r}: name the negative class, negative=…"
            raise ConfigurationError(msg)
        object.__setattr__(self, "threshold", _threshold(threshold))

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


class Multiclass(_Declaration):
    """Say that a prediction is one of several classes, or a row of class probabilities.

    Attributes:
        classes: the classes in the order of the probability columns; None means 0…k-1 for rows of k probabilities and
            whatever values come for labels.

    >>> Multiclass(["cat", "dog"]).declared
    ('cat', 'dog')
    """

    __slots__ = ("classes",)
    __match_args__ = ("classes",)
    classes: tuple[ClassValue, ...] | None

    def __init__(self, classes: Iterable[Any] | None = None) -> None:
        """Make the classes a canonical tuple.

        Raises:
            ConfigurationError: when the classes are none at all, repeated, missing, or given as one text.
        """
        object.__setattr__(self, "classes", _declared_classes(classes, "Multiclass"))

    @property
    def declared(self) -> tuple[ClassValue, ...] | None:
        """The classes in declared order, or None."""
        return self.classes


class Multilabel(_Declaration):
    """Say that a prediction is a set of labels, as a row of L flags or of L scores, or as the labels themselves.

    Attributes:
        classes: the L labels in the order of the columns; None means 0…L-1.
        threshold: the least score that predicts a label.
    """

    __slots__ = ("classes", "threshold")
    __match_args__ = ("classes", "threshold")
    classes: tuple[ClassValue, ...] | None
    threshold: float

    def __init__(self, classes: Iterable[Any] | None = None, threshold: float = 0.5) -> None:
        """Make the labels a canonical tuple.

        Raises:
            ConfigurationError: when the labels are none at all, repeated, missing, or given as one text, or the
                threshold is no finite number.
        """
        object.__setattr__(self, "classes", _declared_classes(classes, "Multilabel"))
        object.__setattr__(self, "threshold", _threshold(threshold))

    @property
    def declared(self) -> tuple[ClassValue, ...] | None:
        """The labels in declared order, or None."""
        return self.classes


class Regression(_Declaration):
    """Say that a prediction is a number."""

    __slots__ = ()

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
    for name in task.__match_args__:
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
