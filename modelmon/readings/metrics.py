"""The table of metrics: everything about a model that has a name, a value and maybe an interval.

To add a metric: write the pure function in ``modelmon.quality``, the reading in the file of its subject beside this
one, and its row here. The interval is ``unknown`` unless a sound one can be had from what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from modelmon import intervals
from modelmon.readings import uncertainty

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.intervals import Interval
    from modelmon.quality.matrix import Ratio
    from modelmon.quality.ranking import Bins
    from modelmon.readings.combined import Readings
    from modelmon.readings.uncertainty import Uncertain

Subject: TypeAlias = Literal["join", "matrix", "several labels", "ranking", "probabilities", "ranks", "errors"]
Takes: TypeAlias = Literal["nothing", "class", "class or average", "count"]


@dataclass(frozen=True, slots=True)
class Metric:
    """Describe a metric.

    Attributes:
        name: its name, as an attribute or method of a model snapshot.
        subject: what it reads.
        takes: what narrows it.
        read: readings, class or count, and average to value; nan where undefined.
        interval: the same, and a confidence, to an interval.
    """

    name: str
    subject: Subject
    takes: Takes
    read: Callable[[Readings, Any, Any], float]
    interval: Uncertain


def _plain(name: str, subject: Subject, interval: Uncertain = uncertainty.unknown) -> Metric:
    def read(readings: Readings, _of: Any, _average: Any) -> float:
        return float(getattr(readings, name))

    return Metric(name, subject, "nothing", read, interval)


def _ratio(name: Ratio) -> Metric:
    def read(readings: Readings, of: Any, average: Any) -> float:
        return float(readings.ratio(name, of, average=average))

    return Metric(name, "matrix", "class or average", read, uncertainty.ratio(name))


def _ranking(name: str, of_bins: Callable[[Bins, float], Interval]) -> Metric:
    def read(readings: Readings, of: Any, _average: Any) -> float:
        return float(getattr(readings, name) if of is None else getattr(readings, f"{name}_of")(of))

    return Metric(name, "ranking", "class", read, uncertainty.ranking(of_bins))


def _top_k(readings: Readings, of: Any, _average: Any) -> float:
    return readings.top_k(of)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _plain("coverage", "join", uncertainty.coverage),
        _plain("accuracy", "matrix", uncertainty.accuracy),
        _plain("balanced_accuracy", "matrix", uncertainty.balanced_accuracy),
        _ratio("precision"),
        _ratio("recall"),
        _ratio("f1"),
        _ratio("specificity"),
        _ratio("negative_predictive_value"),
        _ratio("jaccard"),
        _plain("mcc", "matrix", uncertainty.matthews),
        _plain("kappa", "matrix", uncertainty.kappa),
        _plain("hamming_loss", "several labels"),
        _ranking("auc", intervals.area),
        _ranking("average_precision", intervals.average_precision),
        _plain("log_loss", "probabilities"),
        _plain("brier", "probabilities"),
        _plain("calibration_error", "probabilities"),
        Metric("top_k", "ranks", "count", _top_k, uncertainty.top_k),
        _plain("mae", "errors", uncertainty.mae),
        _plain("mse", "errors"),
        _plain("rmse", "errors"),
        _plain("r2", "errors"),
        _plain("explained_variance", "errors"),
        _plain("bias", "errors", uncertainty.bias),
        _plain("mape", "errors"),
    )
}


def metric_named(name: str, of: Any = None, average: Any = "default") -> Metric:
    """Return a metric that can be narrowed in this way.

    Raises:
        KeyError: when there is no such metric; the message names those there are.
        ValueError: when the metric does not take what was given, or lacks what it needs.
    """
    metric = METRICS.get(name)
    if metric is None:
        msg = f"no metric is called {name!r}; metrics: {', '.join(METRICS)}"
        raise KeyError(msg)
    if metric.takes == "count" and (not isinstance(of, int) or isinstance(of, bool) or of < 1):
        msg = f"{name} needs of=, how many of the best to look at, 1 or more"
        raise ValueError(msg)
    if metric.takes == "nothing" and of is not None:
        msg = f"{name} is of the whole model: of={of!r} does not apply"
        raise ValueError(msg)
    if metric.takes != "class or average" and average != "default":
        msg = f"{name} is not averaged over classes in different ways: average={average!r} does not apply"
        raise ValueError(msg)
    return metric
