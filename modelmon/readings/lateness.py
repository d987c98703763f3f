"""Readings of what labels leave open: how late they come, how many there are of each class, which ones are missing."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelmon.accumulators.durations import Histogram
from modelmon.memos import memo
from modelmon.quality import missing, survival
from modelmon.readings.classes import ClassReadings
from modelmon.readings.joins import JoinReadings, moves, singles, standing
from modelmon.tasks import Binary, Multiclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.parts import ClassValue
    from modelmon.readings.selection import Selection

MATURE_SHARE = 0.95
"""A slot is mature at the age by which so large a share of its labels is there."""
SIGNIFICANT = 1e-3
NOTABLE = 0.1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LabelDelayEstimate:
    """Estimate how long a label takes, for all predictions and not only for those that have one already.

    Predictions that still wait are taken into account (Kaplan and Meier), so that the first days of a model do not look
    quicker than they are.

    Attributes:
        labelled: labels whose delay is known.
        waiting: predictions without a label, those that gave up waiting among them.
    """

    labelled: int
    waiting: int
    _curve: survival.Curve

    @property
    def horizon(self) -> float:
        """The greatest age in seconds at which predictions enough were seen; the estimate ends there."""
        return self._curve.horizon

    @property
    def unlabelled_share(self) -> float:
        """The share of predictions that get no label within the horizon; nan without predictions."""
        return float(self._curve.shares[-1]) if len(self._curve.shares) else math.nan

    def survival(self, age: float) -> float:
        """Return the share of predictions that have no label at this age in seconds; nan past the horizon."""
        return self._curve.at(age)

    def quantile(self, q: float, *, of_labelled: bool = False) -> float:
        """Return the delay in seconds within which a share ``q`` of all predictions gets its label.

        Args:
            q: 0 to 1.
            of_labelled: take the share of those predictions that get a label within the horizon at all.

        Returns:
            The delay; nan where so large a share was not reached within the horizon.

        Raises:
            ValueError: unless ``q`` lies in [0, 1].
        """
        if not 0 <= q <= 1:
            msg = f"quantile {q!r} must lie between 0 and 1"
            raise ValueError(msg)
        if not self.labelled:
            return math.nan
        return self._curve.reaches(1.0 - q * (1.0 - self.unlabelled_share) if of_labelled else 1.0 - q)

    def __repr__(self) -> str:
        """Show counts, median and what is never labelled."""
        return (
            f"LabelDelayEstimate(labelled={self.labelled}, waiting={self.waiting}, median={self.quantile(0.5):.4g}, "
            f"unlabelled_share={self.unlabelled_share:.4g})"
        )


@dataclass(frozen=True, slots=True)
class MissingLabels:
    """Tell whether labels are missing more from some predicted classes than from others.

    Attributes:
        coverage: labelled predictions as a share of those accepted, by predicted class.
        statistic: chi-square of the classes' coverage being the same; nan where it cannot be tested.
        degrees: its degrees of freedom.
        p_value: how probable a statistic as great is if coverage is the same.
        effect: Cramér's V: 0 where coverage is the same, 1 where the class alone decides.
        spread: the greatest coverage of a tested class less the least.
        rows: predictions tested.
    """

    coverage: dict[ClassValue, float]
    statistic: float
    degrees: int
    p_value: float
    effect: float
    spread: float
    rows: int

    @property
    def is_selective(self) -> bool:
        """Whether coverage differs by at least ten points, and by more than chance makes it (p below 0.001)."""
        return self.p_value < SIGNIFICANT and self.spread >= NOTABLE


class LatenessReadings(JoinReadings, ClassReadings):
    """Read how late labels come, and which ones are missing."""

    @memo
    def label_delay_estimate(self) -> LabelDelayEstimate:
        """How long labels take, judged with regard to the predictions that still wait for theirs."""
        histogram = self.selection.gather("label_delay", Histogram) or Histogram(1e-9)
        per_second = round(1 / histogram.scale)
        low, high = (np.array(edges, np.float64) / per_second for edges in (histogram.floors, histogram.bounds))
        waiting = _waiting(self.selection, self.transitions, self.assumed)
        found = survival.curve(survival.Delays(low, high, histogram.counts.astype(np.float64)), waiting)
        return LabelDelayEstimate(int(histogram.count), int(waiting.rows.sum()), found)

    @property
    def maturity(self) -> float:
        """The age in seconds at which predictions are old enough for their quality to be judged; nan without labels.

        That is when 95 % of all predictions have their label; where fewer ever get one, when 95 % of the labels that
        come at all are there.
        """
        delay = self.label_delay_estimate
        age = delay.quantile(MATURE_SHARE)
        return delay.quantile(MATURE_SHARE, of_labelled=True) if math.isnan(age) else age

    @property
    def accepted_by_class(self) -> dict[ClassValue, int]:
        """Predictions accepted with an id, by predicted class; empty for tasks without one class per prediction."""
        if not isinstance(self.task, (Binary, Multiclass)):
            return {}
        counts = self._counts("accepted")
        return {value: counts.get((value,)) for value in self.classes}

    @property
    def coverage_by_class(self) -> dict[ClassValue, float]:
        """Labelled predictions as a share of those accepted with an id, by predicted class; nan where there are none.

        Empty for tasks without one class per prediction.
        """
        accepted = self.accepted_by_class
        labelled = self.margins.predicted.tolist() if accepted else []
        return {
            value: have / rows if rows else math.nan
            for (value, rows), have in zip(accepted.items(), labelled, strict=True)
        }

    @property
    def missing(self) -> MissingLabels:
        """Whether labels are missing more from some predicted classes than from others.

        Ask it of mature windows: in younger ones the classes may just differ in how late their labels come.
        """
        accepted = self.accepted_by_class
        labelled = self.margins.predicted if accepted else np.zeros(0, np.int64)
        found = missing.association(labelled, np.array(list(accepted.values()), np.int64))
        return MissingLabels(self.coverage_by_class, *found)


def _waiting(selection: Selection, whole: dict[tuple[str, str], int], assumed: int) -> survival.Waiting:
    """Return the rows without a label by slot; those whose slots are folded away are older than all others."""
    found: defaultdict[tuple[float, float], NDArray[np.float64]] = defaultdict(lambda: np.zeros(2))
    for start, width, counts in selection.each_slot("transitions"):
        found[start, width] += _open(moves(counts))
    for start, width, counts in selection.each_slot("assumed"):
        found[start, width] += (standing(singles(counts)), 0)
    youngest = [max(0.0, selection.now - start - width) for start, width in found]
    oldest = [max(1e-9, selection.now - start) for start, _ in found]
    rows = np.array(list(found.values()), np.float64).reshape(-1, 2)
    folded = _open(whole) + np.array([assumed, 0]) - rows.sum(axis=0)
    youngest.append(max(oldest, default=0.0))
    oldest.append(math.inf)
    rows = np.maximum(np.vstack([rows, folded]), 0.0)
    return survival.Waiting(np.array(youngest), np.array(oldest), rows[:, 0], rows[:, 1])


def _open(moved: dict[tuple[str, str], int]) -> NDArray[np.float64]:
    """Return how many rows wait or gave up waiting in time, and how many left before, from transitions."""
    came = sum(n for (_, after), n in moved.items() if after == "pending")
    labelled = sum(n for (before, after), n in moved.items() if before == "pending" and after == "joined")
    gone = sum(n for (before, after), n in moved.items() if before == "pending" and after not in {"joined", "expired"})
    return np.array([came - labelled - gone, gone], np.float64)
