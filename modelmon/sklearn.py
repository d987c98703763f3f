"""Watch a fitted scikit-learn estimator, or a whole pipeline, wherever it is used.

``predict_proba``, ``decision_function`` and ``predict`` are watched under one model; everything else passes through.
Of several of them called under one id, the first in that order gives the prediction and the others are only timed.
"""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any, Final

import wrapt

from modelmon import copies
from modelmon.errors import ConfigurationError
from modelmon.identity import canonical_class
from modelmon.probes.seats import PLAIN
from modelmon.tasks import Binary, Multiclass, Regression

try:
    from sklearn.base import is_regressor
except ImportError as missing:
    msg = "modelmon.sklearn needs scikit-learn: pip install 'modelmon[sklearn]'"
    raise ImportError(msg) from missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from modelmon.monitoring import Monitor
    from modelmon.tasks import Task

WATCHED: Final = ("predict_proba", "decision_function", "predict")
_REMEMBERED: Final = 4096  # latest sets of ids


def watch(
    estimator: Any,
    *,
    model: str | None = None,
    version: str = "",
    id: str | Callable[[Mapping[str, Any]], Any] | None = None,  # noqa: A002  (the public name)
    task: Task | None = None,
    attributes: Iterable[str] | Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    monitor: Monitor | None = None,
) -> Any:
    """Return a stand-in for a fitted estimator whose predictions are watched.

    It is an instance of the estimator's class to everyone who asks, has its parameters and attributes, and pickles to a
    stand-in that is watched where it is loaded; ``sklearn.base.clone`` gives a plain, unfitted, unwatched estimator.

    Args:
        estimator: a fitted estimator or pipeline.
        model: the model's name; module and name of the estimator's class if left out.
        version: its version.
        id: name of the argument that holds the ids (``"X"``), or a function of the bound arguments, such as
            ``lambda arguments: arguments["X"].index``; None: nothing awaits a label.
        task: how outputs are read; from ``classes_``, or regression, if left out.
        attributes: names of arguments, or a function of the bound arguments, that give the slice.
        monitor: the monitor that records; ``modelmon.monitor`` if left out.

    Raises:
        ConfigurationError: when a setting cannot work.
    """
    from modelmon import monitoring  # noqa: PLC0415  (the default monitor is made at the first need)

    _check_positive(estimator, task)
    kind = type(estimator)
    settings = {
        "model": f"{kind.__module__}.{kind.__qualname__}" if model is None else model,
        "version": version,
        "id": id,
        "task": _task_of(estimator) if task is None else task,
        "attributes": attributes,
        "monitor": monitoring.monitor if monitor is None else monitor,
    }
    return WatchedEstimator(estimator, settings)


def _check_positive(estimator: Any, task: Task | None) -> None:
    """Refuse a positive class that is not the one an estimator's scores speak of: its second."""
    classes = [canonical_class(value) for value in getattr(estimator, "classes_", ())]
    if isinstance(task, Binary) and len(classes) == 2 and task.positive != classes[1]:  # noqa: PLR2004
        msg = (
            f"this estimator scores {classes[1]!r}, the second of its classes_: declare Binary(positive={classes[1]!r})"
        )
        raise ConfigurationError(msg)


class WatchedEstimator(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """Stand in for an estimator; made by ``watch``."""

    def __init__(self, estimator: Any, settings: dict[str, Any]) -> None:
        """Watch those of the methods that the estimator has."""
        super().__init__(estimator)
        self._self_settings = settings
        options = {name: value for name, value in settings.items() if name != "monitor"}
        turns = _Turns(options.pop("id"))
        self._self_methods = {}
        for rank, name in enumerate(name for name in WATCHED if hasattr(estimator, name)):
            decorate = settings["monitor"](**options, id=turns.identify(rank), output=turns.output(rank))
            self._self_methods[name] = decorate(getattr(estimator, name))

    def __getattr__(self, name: str) -> Any:
        """Return a watched method where the estimator has that method now, else what the estimator has."""
        found = super().__getattr__(name)
        return self._self_methods.get(name, found) if name in WATCHED else found

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        """Pickle the estimator and what was asked for."""
        return WatchedEstimator, (self.__wrapped__, self._self_settings)

    def __copy__(self) -> WatchedEstimator:
        """Copy the estimator and watch the copy alike."""
        return WatchedEstimator(copy.copy(self.__wrapped__), self._self_settings)

    def __deepcopy__(self, memo: dict[int, Any]) -> WatchedEstimator:
        """Copy the estimator and watch the copy alike."""
        return WatchedEstimator(copy.deepcopy(self.__wrapped__, memo), self._self_settings)


class _Turns:
    """Decide which of several methods called under the same ids gives the predictions.

    A method further down the order hands out its prediction with a string attached: until the record is drained, a
    call of a method before it takes it back, and then that call was only timed.
    """

    def __init__(self, identify: str | Callable[[Mapping[str, Any]], Any] | None) -> None:
        self._identify = identify
        self._latest: dict[Any, tuple[int, _Loan | None]] = {}
        self._lent = threading.local()

    def output(self, rank: int) -> Callable[[Any], Any] | None:
        """Return what reads the prediction of the method of this rank."""
        if rank == 0 or self._identify is None:
            return None

        def lend(result: Any) -> Any:
            kept = copies.keep(result)
            if type(kept) is copies.Rejection or type(kept) in PLAIN:
                return kept
            loan = self._lent.loan = _Loan(kept)
            return loan.deferred()

        return lend

    def identify(self, rank: int) -> Callable[[Mapping[str, Any]], Any] | None:
        """Return what reads the ids of a call of the method of this rank."""
        if self._identify is None:
            return None

        def identify(arguments: Mapping[str, Any]) -> Any:
            wanted = self._identify
            ids = arguments[wanted] if isinstance(wanted, str) else wanted(arguments)  # type: ignore[misc]
            kept = copies.keep(ids)
            loan, self._lent.loan = getattr(self._lent, "loan", None), None
            self._settle(rank, loan, kept.tobytes() if hasattr(kept, "tobytes") else kept)
            return ids

        return identify

    def _settle(self, rank: int, loan: _Loan | None, ids: Any) -> None:
        try:
            before = self._latest.pop(ids, None)
        except TypeError:  # ids of no kind that could be compared
            return
        if before is not None and before[0] < rank:
            self._latest[ids] = before
            if loan is not None:
                loan.kept = None
            return
        if before is not None and before[0] > rank and before[1] is not None:
            before[1].kept = None
        self._latest[ids] = (rank, loan)
        while len(self._latest) > _REMEMBERED:
            self._latest.pop(next(iter(self._latest)), None)


class _Loan:
    """Hold a prediction that may be taken back."""

    __slots__ = ("kept",)

    def __init__(self, kept: Any) -> None:
        self.kept = kept

    def deferred(self) -> copies.Deferred:
        """Return a kept value that is read at the drain: the prediction, or None once it was taken back."""
        size = copies.kept_bytes(self.kept)
        shape = getattr(self.kept, "shape", (1,))
        return copies.Deferred(lambda: True, lambda: None, self._take, rows=int(shape[0]) if shape else 1, size=size)

    def _take(self) -> Any:
        kept, self.kept = self.kept, None
        return kept


def _task_of(estimator: Any) -> Task | None:
    if is_regressor(estimator):
        return Regression()
    try:
        classes = estimator.classes_.tolist()
    except AttributeError:  # clusterers, detectors, several outputs at once
        return None
    if len(classes) != 2:  # noqa: PLR2004
        return Multiclass(classes=tuple(classes))
    threshold = 0.5 if hasattr(estimator, "predict_proba") or not hasattr(estimator, "decision_function") else 0.0
    return Binary(positive=classes[1], negative=classes[0], threshold=threshold)
