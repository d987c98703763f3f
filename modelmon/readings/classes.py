"""Readings of the confusion matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np

from modelmon.accumulators.confusion import Confusion
from modelmon.accumulators.multilabel import LabelMatrix
from modelmon.identity import OTHER, Missing, canonical_class
from modelmon.memos import memo
from modelmon.quality import matrix as quality
from modelmon.quality import multilabel
from modelmon.readings.calls import SeriesReadings
from modelmon.stores.series import MOST_CLASSES
from modelmon.tasks import Binary, Multiclass, Multilabel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.parts import ClassValue

Average: TypeAlias = Literal["micro", "macro", "weighted", "samples"]
Unset: TypeAlias = Literal["default"]
AVERAGES = ("micro", "macro", "weighted", "samples")


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionMatrix:
    """Hold a confusion matrix of labelled predictions.

    Attributes:
        classes: what the ``k`` rows and columns are.
        matrix: int64 ``(k, k)``, rows true, columns predicted; for several labels per row ``(L, 2, 2)``, one matrix per
            label with its absence first.
    """

    classes: tuple[ClassValue, ...]
    matrix: NDArray[np.int64]

    def __eq__(self, other: object) -> bool:
        """Compare classes and counts."""
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        return self.classes == other.classes and np.array_equal(self.matrix, other.matrix)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show classes and counts."""
        return f"ConfusionMatrix(classes={self.classes!r}, matrix={self.matrix.tolist()!r})"


class ByClass:
    """A ratio to be asked for one class, for an average over classes, or for all classes.

    ``fraud.recall("fraud")``, ``fraud.recall(average="macro")``, ``fraud.recall(average=None)``.
    """

    __slots__ = ("_name", "_readings")

    def __init__(self, readings: ClassReadings, name: quality.Ratio) -> None:
        """Ask these readings."""
        self._readings = readings
        self._name = name

    @overload
    def __call__(self, of: Any = None, *, average: Average | Unset = "default") -> float: ...

    @overload
    def __call__(self, of: None = None, *, average: None) -> dict[ClassValue, float]: ...

    def __call__(self, of: Any = None, *, average: Average | Unset | None = "default") -> Any:
        """Return the ratio; see ``ModelSnapshot.ratio`` for what may be asked."""
        return self._readings.ratio(self._name, of, average=average)

    def __repr__(self) -> str:
        """Show what is to be called."""
        return f"<{self._name}: call it with a class, or with average='micro', 'macro', 'weighted' or None>"


class ClassReadings(SeriesReadings):
    """Read how predicted classes met true ones."""

    @property
    def confusion(self) -> ConfusionMatrix:
        """The confusion matrix; its size is the square of the number of classes, so mind thousands of them.

        Raises:
            ValueError: when so many classes met that only their margins are kept.
        """
        size = len(self.classes)
        if isinstance(self.task, Multilabel):
            matrix = np.zeros((size, 2, 2), dtype=np.int64)
            counted = self._labels.matrix()
            matrix[: len(counted)] = counted
            return ConfusionMatrix(self.classes, matrix)
        return ConfusionMatrix(self.classes, self._cells.matrix(size))

    @memo
    def margins(self) -> quality.Margins:
        """Diagonal and margins of the confusion matrix, which stay small whatever the number of classes."""
        if isinstance(self.task, Multilabel):
            return quality.label_margins(self.confusion.matrix)
        hits, support, predicted = self._cells.marginals(len(self.classes))
        return quality.Margins(hits, support, predicted, np.full(len(hits), support.sum()))

    @memo
    def shared_place(self) -> int | None:
        """The place of the class that stands for all undeclared ones past the bound; None where none are."""
        if not isinstance(self.task, Multiclass) or self.task.classes is not None:
            return None
        known = [source.part.classes for source in self.selection.sources]
        spent = any(len(classes) >= MOST_CLASSES and OTHER in classes for classes in known)
        return self.classes.index(OTHER) if spent else None

    @property
    def merged(self) -> int | None:
        """The place of the class that stands for many, where rows of it count here; else None."""
        place = self.shared_place
        return None if place is None or not self.margins.present[place] else place

    def tells(self, place: int | None, average: Average | Unset | None = None) -> bool:
        """Tell whether it is known what is right, of the class at a place or in an average over classes.

        A row that was predicted as one class past the bound, and is of one, may be right or wrong; and an average that
        weighs class by class cannot weigh many as one.
        """
        if self.merged is None or place not in {None, self.merged}:
            return True
        return (place is not None or average == "micro") and not self.margins.hits[self.merged]

    @property
    def support(self) -> dict[ClassValue, int]:
        """Labelled predictions by true class."""
        return dict(zip(self.classes, self.margins.support.tolist(), strict=True))

    @property
    def accuracy(self) -> float:
        """The share of labelled predictions that are right; for several labels per row, right in every label."""
        if isinstance(self.task, Multilabel):
            return multilabel.subset_accuracy(self._labels.hits, self._labels.complete)
        return quality.accuracy(self.margins) if self.tells(None, "micro") else math.nan

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have rows."""
        return self._of_single(quality.balanced_accuracy)

    @property
    def mcc(self) -> float:
        """Matthews' correlation coefficient, of any number of classes."""
        return self._of_single(quality.matthews)

    @property
    def kappa(self) -> float:
        """Cohen's kappa."""
        return self._of_single(quality.kappa)

    @property
    def hamming_loss(self) -> float:
        """The share of single labels that are wrong, for several labels per row."""
        return multilabel.hamming_loss(self.confusion.matrix) if isinstance(self.task, Multilabel) else math.nan

    @property
    def precision(self) -> ByClass:
        """How much of what was predicted as a class is of it."""
        return ByClass(self, "precision")

    @property
    def recall(self) -> ByClass:
        """How much of a class was predicted as it."""
        return ByClass(self, "recall")

    @property
    def f1(self) -> ByClass:
        """The harmonic mean of precision and recall."""
        return ByClass(self, "f1")

    @property
    def specificity(self) -> ByClass:
        """How much of what is not of a class was not predicted as it."""
        return ByClass(self, "specificity")

    @property
    def negative_predictive_value(self) -> ByClass:
        """How much of what was not predicted as a class is not of it."""
        return ByClass(self, "negative_predictive_value")

    @property
    def jaccard(self) -> ByClass:
        """How much of what is of a class or predicted as it is both."""
        return ByClass(self, "jaccard")

    def ratio(self, name: quality.Ratio, of: Any = None, *, average: Average | Unset | None = "default") -> Any:
        """Return a ratio of one class, or averaged over classes.

        Args:
            name: which ratio.
            of: the class; without it and without ``average`` it is the positive class of a binary task, else the macro
                average.
            average: ``"micro"``, ``"macro"``, ``"weighted"``, for several labels per row also ``"samples"``; None gives
                a dict of all classes.

        Raises:
            KeyError: when there is no such class.
            ValueError: when both a class and an average are asked for, or the average has no such name.
        """
        place, how = self.resolve(of, average)
        if how == "samples":
            return self._samples(name)
        if place is not None or how is None:
            found = quality.by_class(name, self.margins)
            if self.merged is not None and not self.tells(self.merged):
                found[self.merged] = math.nan
            return dict(zip(self.classes, found.tolist(), strict=True)) if place is None else float(found[place])
        return quality.averaged(name, self.margins, how) if self.tells(None, how) else math.nan

    def resolve(self, of: Any, average: Average | Unset | None) -> tuple[int | None, Average | None]:
        """Return the class's place or the average that is meant.

        Raises:
            KeyError: when there is no such class.
            ValueError: when both are given, or the average has no such name.
        """
        if of is not None:
            if average != "default":
                msg = f"give a class ({of!r}) or an average ({average!r}), not both"
                raise ValueError(msg)
            return self.place(of), None
        if average == "default":
            return (1, None) if isinstance(self.task, Binary) else (None, "macro")
        if average is not None and average not in AVERAGES:
            msg = f"average={average!r}: there are {', '.join(AVERAGES)} and None"
            raise ValueError(msg)
        return None, average

    def place(self, of: Any) -> int:
        """Return a class's place in ``classes``.

        Raises:
            KeyError: when there is no such class; the message names those there are.
        """
        value = canonical_class(of)
        if isinstance(value, Missing) or value not in self.classes:
            known = ", ".join(map(repr, self.classes[:20])) or "none"
            msg = f"{self.model!r} has no class {of!r}; classes: {known}"
            raise KeyError(msg)
        return self.classes.index(value)

    def _of_single(self, function: Any) -> float:
        known = not isinstance(self.task, Multilabel) and self.tells(None)
        return float(function(self.margins)) if known else math.nan

    @property
    def _cells(self) -> Confusion:
        return self.selection.gather("confusion", Confusion) or Confusion()

    @property
    def _labels(self) -> LabelMatrix:
        return self.selection.gather("multilabel", LabelMatrix) or LabelMatrix(len(self.classes))

    def _samples(self, name: quality.Ratio) -> float:
        sums = {
            "precision": (self._labels.precision, self._labels.precision_rows),
            "recall": (self._labels.recall, self._labels.recall_rows),
            "f1": (self._labels.f1, self._labels.f1_rows),
        }
        if name not in sums or not isinstance(self.task, Multilabel):
            return math.nan
        total, rows = sums[name]
        return float(total.fraction() / rows) if rows else math.nan
