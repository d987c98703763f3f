"""Watch a fitted scikit-learn estimator, or a whole pipeline, wherever it is used.

``predict_proba``, ``decision_function`` and ``predict`` are watched under one model; everything else passes through.
Of several of them called under one id, the first in that order gives the prediction and the others are only timed.
Margins rank as they are, zero divides them, and they never pass for probabilities.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import wrapt

from modelmon import copies
from modelmon.errors import ConfigurationError
from modelmon.identity import canonical_class
from modelmon.probes.signatures import signature_of
from modelmon.probes.sites import PLAIN
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
_OF_PROBABILITIES: Final = 0.5  # the threshold of a ``Binary`` that declares none
_DIGEST_BYTES: Final = 16
_COMPARED: Final = PLAIN | {str, bytes}


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
        task: how outputs are read; from ``classes_``, or regression, if left out. Zero divides the margins that
            ``decision_function`` returns, unless the task is a ``Binary`` with another threshold than 0.5.
        attributes: names of arguments, or a function of the bound arguments, that give the slice.
        monitor: the monitor that records; ``modelmon.monitor`` if left out.

    Raises:
        ConfigurationError: when a setting cannot work.
    """
    from modelmon import monitoring  # noqa: PLC0415  (the default monitor is made at the first need)

    _check_positive(estimator, task)
    _check_ids(estimator, id)
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


def _check_ids(estimator: Any, wanted: Any) -> None:
    """Refuse ids that no call could give: issued ones, which methods cannot share, and those of no parameter."""
    if wanted is None or callable(wanted):
        return
    if not isinstance(wanted, str) or wanted == "auto":
        msg = (
            f"id={wanted!r} must name the argument that holds the ids, or be a function of the bound arguments: "
            "several methods called for the same rows share their ids, so none are issued"
        )
        raise ConfigurationError(msg)
    for name in WATCHED:
        names = _parameters(getattr(estimator, name)) if hasattr(estimator, name) else [wanted]
        if wanted not in names:
            msg = f"id={wanted!r} is no parameter of {name}, which has {', '.join(names) or 'none'}"
            raise ConfigurationError(msg)


def _parameters(method: Any) -> list[str]:
    """Return the names by which the arguments of a watched method can be asked for."""
    function = getattr(method, "__func__", method)
    if type(function) is FunctionType:  # whose own parameters count, not those of what it wraps
        return list(signature_of(function.__code__).names)
    try:
        return list(inspect.signature(method).parameters)
    except (TypeError, ValueError):
        return []


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
            output = turns.output(rank, _reader(name, settings["task"]))
            decorate = settings["monitor"](**options, id=turns.identify(rank), output=output)
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
    There is no lock, which a forked child could inherit and a signal handler wait for: a call puts down its own offer
    before it looks at those of others, so of two calls at one time one at least sees both.
    """

    def __init__(self, identify: str | Callable[[Mapping[str, Any]], Any] | None) -> None:
        self._identify = identify
        self._latest: OrderedDict[bytes, list[_Loan | None]] = OrderedDict()
        self._lent = threading.local()

    def output(self, rank: int, read: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
        """Return what reads the prediction of the method of this rank, where ``read`` does so apart from turns."""
        if rank == 0 or self._identify is None:
            return read

        def lend(result: Any) -> Any:
            kept = copies.keep(result if read is None else read(result))
            if type(kept) is copies.Rejection:
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
            loan, self._lent.loan = getattr(self._lent, "loan", None), None
            digest = _digest(copies.keep(ids))
            if digest is not None:
                self._settle(rank, _Loan(None) if loan is None else loan, digest)
            return ids

        return identify

    def _settle(self, rank: int, loan: _Loan, ids: bytes) -> None:
        """Offer a prediction, and take back all but that of the first method."""
        offers = self._latest.setdefault(ids, [None] * len(WATCHED))
        offers[rank] = loan
        for beaten in [offer for offer in offers if offer is not None][1:]:
            beaten.kept = None
        with suppress(KeyError):  # another thread has just let go of these
            self._latest.move_to_end(ids)
        while len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)


def _digest(kept: Any) -> bytes | None:
    """Return 128 bits for kept ids; None for no ids, and for ids of no kind that can be compared."""
    if kept is None:
        return None
    if hasattr(kept, "tobytes"):
        form = kept.dtype.str, kept.tobytes()
    elif set(map(type, kept if type(kept) is tuple else (kept,))) <= _COMPARED:
        form = kept
    else:
        return None
    return blake2b(repr(form).encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


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


def _reader(method: str, task: Task | None) -> Callable[[Any], Any] | None:
    """Return what reads a method's prediction from its result; None where that is the prediction."""
    if method == "decision_function" and isinstance(task, Binary):
        return partial(_scores, threshold=task.threshold)
    return None


def _scores(margins: Any, *, threshold: float) -> Any:
    """Return scores that rank as margins do, none of them in [0, 1], where it would be taken for a probability.

    The threshold that stands unless another is declared is for probabilities: where it stands, zero divides margins.

    >>> _scores(np.array([-2.0, -0.25, 0.0, 0.25]), threshold=0.5).tolist()
    [-2.5, -0.75, 1.5, 1.75]
    """
    kept = copies.keep(margins)
    if type(kept) is not float and (type(kept) is not np.ndarray or kept.dtype.kind != "f"):
        return margins
    divide = 0.0 if threshold == _OF_PROBABILITIES else threshold
    beyond = np.asarray(kept, np.float64) - divide
    return beyond + np.where(beyond >= 0, max(threshold, 1.0) + 0.5, min(threshold, 0.0) - 0.5)


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
