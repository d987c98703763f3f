"""Facts that travel from the recorder to a store, as frozen columns: one object for many predictions or labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from modelmon.columns import Column, Ids, Truths
    from modelmon.tasks import Task


@dataclass(frozen=True, slots=True)
class Predictions:
    """Hold ``n`` predictions of one model and version that await labels.

    Attributes:
        model: the model's name.
        version: its version.
        task: how its outputs are read.
        ids: the ``n`` canonical ids.
        times: float64 ``(n,)``, when each was made, seconds since the epoch.
        slices: dictionary-encoded slices, ``n`` codes over tuples of (attribute, value) pairs.
        classes: dictionary-encoded predicted classes, or None where the task has none.
        scores: float64 ``(n,)`` (binary score of the positive class; predicted value of a regression) or ``(n, k)``
            (class probabilities, multilabel scores), or None.
        columns: what the ``k`` columns of ``scores`` or ``flags`` are, as canonical class values.
        flags: uint8 ``(n, L)``, predicted labels of a multilabel task, or None.
        best: int32 ``(n, 5)``, codes into ``columns`` of the five most probable classes, where ``k`` exceeds 32.
    """

    model: str
    version: str
    task: Task
    ids: Ids
    times: NDArray[np.float64]
    slices: Column
    classes: Column | None = None
    scores: NDArray[np.float64] | None = None
    columns: tuple[int | float | str, ...] = ()
    flags: NDArray[np.uint8] | None = None
    best: NDArray[np.int32] | None = None


class Mistake(NamedTuple):
    """Name one prediction that a label showed to be wrong.

    Attributes:
        model: the model's name.
        version: its version.
        id: the prediction's id, as text.
        predicted: the predicted class, as text.
        actual: the true class, as text.
    """

    model: str
    version: str
    id: str
    predicted: str
    actual: str


@dataclass(frozen=True, slots=True)
class Labels:
    """Hold ``n`` delivered labels.

    Attributes:
        ids: the ``n`` canonical ids.
        truths: the ``n`` canonical truths, retractions among them.
        at: float64 ``(n,)``, when each truth became known, seconds since the epoch; nan where not given.
        revs: float64 ``(n, 2)``, explicit revisions as exact pairs (high, low); nan where not given.
        model: the model the labels are for, or None for every prediction under the id.
        version: the version, only with a model.
        textual: the truths came as text (a file, HTTP) and match classes by text.
        witness: told of each prediction that these labels show to be wrong, maybe twice; None where nobody asked.
        age: tells how many seconds ago the call began that delivers them; None where they come just now.
    """

    ids: Ids
    truths: Truths
    at: NDArray[np.float64]
    revs: NDArray[np.float64]
    model: str | None = None
    version: str | None = None
    textual: bool = False
    witness: Callable[[Mistake], object] | None = None
    age: Callable[[], float] | None = None
