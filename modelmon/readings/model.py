"""The snapshot of one model and version."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modelmon.identity import attribute_text
from modelmon.readings import estimated, table
from modelmon.readings.combined import Readings
from modelmon.readings.metrics import metric_named
from modelmon.readings.reasons import reason
from modelmon.timespans import seconds

if TYPE_CHECKING:
    from modelmon.intervals import Interval
    from modelmon.parts import Slice
    from modelmon.readings.classes import Average
    from modelmon.readings.estimated import Method


class ModelSnapshot(Readings):
    """Read one model and version as it stood when the snapshot was taken.

    Nothing is computed before it is asked for. Undefined is nan, and ``why`` says why.
    """

    def value(self, metric: str, *, of: Any = None, average: Average | None = None) -> float:
        """Return a metric by its name; nan where it is undefined.

        Args:
            metric: its name, such as ``"recall"`` or ``"auc"``.
            of: the class it is about; for ``"top_k"`` how many of the best to look at.
            average: ``"micro"``, ``"macro"`` or ``"weighted"``.

        Raises:
            KeyError: when there is no such metric or no such class.
            ValueError: when the metric does not take what was given.
        """
        how = average or "default"
        return metric_named(metric, of, how).read(self, of, how)

    def interval(
        self, metric: str, *, of: Any = None, average: Average | None = None, confidence: float = 0.95
    ) -> Interval:
        """Return (low, high) of a metric, which holds the true value in a share ``confidence`` of cases.

        Rows are taken as independent; where no sound interval is known both ends are nan.

        Raises:
            KeyError: when there is no such metric or no such class.
            ValueError: when the metric does not take what was given, or the confidence is not between 0 and 1.
        """
        how = average or "default"
        return metric_named(metric, of, how).interval(self, of, how, confidence)

    def why(self, metric: str, *, of: Any = None, average: Average | None = None, method: Method | None = None) -> str:
        """Return why a metric is nan, in words; nothing when it is not.

        With ``method`` it is about what ``estimated`` returns.

        Raises:
            KeyError: when there is no such metric or no such class.
            ValueError: when the metric does not take what was given.
        """
        how = average or "default"
        found = metric_named(metric, of, how)
        if method is None:
            return reason(self, found, of, how)
        value = estimated.estimate(self, found, of, how, method)
        return (estimated.reason(self, found) or reason(self, found, of, how)) if math.isnan(value) else ""

    def estimated(
        self, metric: str, *, of: Any = None, average: Average | None = None, method: Method = "poststratified"
    ) -> float:
        """Return a metric of the confusion matrix for all accepted predictions, estimated from the labelled ones.

        ``"poststratified"`` weighs each labelled prediction by how many accepted ones it stands for: those of the same
        predicted class and, of a binary task with scores, of like score (not in slices, for which no scores are kept).
        That is right where labels are missing at random among like predictions, and wrong where they are missing by the
        very truth that they would tell.

        Returns:
            The estimate; nan where there is none, and ``why(metric, method="poststratified")`` says why.

        Raises:
            KeyError: when there is no such metric or no such class.
            ValueError: when the metric does not take what was given, or there is no such method.
        """
        how = average or "default"
        return estimated.estimate(self, metric_named(metric, of, how), of, how, method)

    def window(self, span: float | str, *, mature: bool | float | str = False) -> ModelSnapshot:
        """Return what concerns predictions and calls of the last ``span``, whenever their labels came.

        Whole slots are read: every slot that ends after ``span`` before the snapshot, at least the current one.

        Args:
            span: seconds, or text such as ``"1h"``.
            mature: read the newest ``span`` of slots that ended at least so long ago instead: True for ``maturity``, or
                seconds or text such as ``"3d"``. Before anything is mature the window is empty.
        """
        length = seconds(span, "window")
        if mature is False:
            return ModelSnapshot(self.key, self.selection.during(length))
        age = self.maturity if mature is True else seconds(mature, "mature")
        return ModelSnapshot(self.key, self.selection.maturing(length, age))

    def windows(self) -> dict[float, ModelSnapshot]:
        """Return what concerns each slot by its start in seconds since the epoch, oldest first."""
        return {start: ModelSnapshot(self.key, chosen) for start, chosen in self.selection.by_slot().items()}

    def slice(self, /, **attributes: Any) -> ModelSnapshot:
        """Return what concerns the rows that have these attributes.

        Raises:
            KeyError: when no row has them; the message names the slices there are.
        """
        wanted = {(name, attribute_text(value)) for name, value in attributes.items()}
        pages = [page for page in self.selection.slices if wanted <= set(page)]
        if not pages:
            known = "; ".join(", ".join(f"{n}={v}" for n, v in page) for page in self.selection.slices[:20] if page)
            msg = f"{self.model!r} has no slice {attributes!r}; slices: {known or 'none'}"
            raise KeyError(msg)
        return ModelSnapshot(self.key, self.selection.of_pages(pages))

    def slices(self) -> dict[Slice, ModelSnapshot]:
        """Return what concerns each slice alone; ``()`` is the rows without attributes."""
        return {page: ModelSnapshot(self.key, self.selection.of_pages([page])) for page in self.selection.slices}

    def __repr__(self) -> str:
        """Show the main figures as a table."""
        return table.text(self)

    def _repr_html_(self) -> str:
        """Show the main figures as an HTML table."""
        return table.html(self)
