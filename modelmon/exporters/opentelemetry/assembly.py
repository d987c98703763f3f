"""Assembly: points as the metrics that exporters of the SDK take."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics import export
from opentelemetry.sdk.metrics.export import AggregationTemporality, NumberDataPoint
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from modelmon.errors import ConfigurationError
from modelmon.exporters.opentelemetry.exponential import BUCKETS, FINEST, exponential
from modelmon.points.catalogue import HistogramValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelmon.exporters.opentelemetry.streams import Step, Streams
    from modelmon.parts import Exemplar
    from modelmon.points.catalogue import Point

_EXEMPLAR: Final = getattr(sdk, "Exemplar", None)
_KNOWS_EXEMPLARS: Final = _EXEMPLAR is not None and "exemplars" in {field.name for field in fields(NumberDataPoint)}
_DELTA: Final = AggregationTemporality.DELTA
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE


@dataclass(frozen=True, slots=True)
class Preferences:
    """Say how an exporter wants its metrics.

    Attributes:
        counters: the temporality of counters.
        updowns: of what goes up and down.
        histograms: of distributions.
        exponential: whether distributions are exponential histograms.
        buckets: how many of these have at most.
        finest: the greatest scale of these.
    """

    counters: AggregationTemporality = _CUMULATIVE
    updowns: AggregationTemporality = _CUMULATIVE
    histograms: AggregationTemporality = _CUMULATIVE
    exponential: bool = False
    buckets: int = BUCKETS
    finest: int = FINEST


def preferences(
    temporality: Mapping[Any, Any] | None, aggregation: Mapping[Any, Any] | None, histograms: str | None
) -> Preferences:
    """Return how an exporter wants its metrics.

    Args:
        temporality: by class of instrument.
        aggregation: by class of instrument.
        histograms: ``"explicit"`` or ``"exponential"``, whatever it prefers; None for what it prefers.

    Raises:
        ConfigurationError: when it is neither.
    """
    if histograms not in {None, "explicit", "exponential"}:
        msg = f'histograms={histograms!r}: give "explicit", "exponential" or None'
        raise ConfigurationError(msg)
    wanted = _of(aggregation, sdk.Histogram)
    is_exponential = isinstance(wanted, ExponentialBucketHistogramAggregation)
    return Preferences(
        counters=_of(temporality, sdk.ObservableCounter) or _CUMULATIVE,
        updowns=_of(temporality, sdk.ObservableUpDownCounter) or _CUMULATIVE,
        histograms=_of(temporality, sdk.Histogram) or _CUMULATIVE,
        exponential=is_exponential if histograms is None else histograms == "exponential",
        buckets=max(2, getattr(wanted, "_max_size", BUCKETS)),
        finest=min(getattr(wanted, "_max_scale", FINEST), FINEST),
    )


def assemble(points: Iterable[Point], streams: Streams, wanted: Preferences, now: int) -> list[export.Metric]:
    """Return the metrics of points at ``now``, in nanoseconds since the epoch."""
    gathered: dict[str, list[Point]] = {}
    for point in points:
        gathered.setdefault(point.name, []).append(point)
    found = []
    for name, held in gathered.items():
        data = _data(held, streams, wanted, now)
        if data is not None:
            found.append(export.Metric(name=name, description=held[0].help, unit=held[0].unit, data=data))
    return found


def _data(held: list[Point], streams: Streams, wanted: Preferences, now: int) -> Any:
    kind = held[0].kind
    if kind == "gauge":
        return export.Gauge([_number(point, 0, point.value, now) for point in held])
    temporality = {"counter": wanted.counters, "updown": wanted.updowns, "histogram": wanted.histograms}[kind]
    delta = temporality is _DELTA
    made: list[Any] = []
    for point in held:
        step = streams.step(point, now, delta=delta)
        if isinstance(point.value, HistogramValue):
            made += _distribution(point, point.value, step, wanted, now)
        elif not isinstance(step.before, HistogramValue):
            value = point.value - (step.before or 0)
            if value or not delta:
                made.append(_number(point, step.start, value, now, step.seen))
    if not made:
        return None
    if kind != "histogram":
        return export.Sum(made, temporality, is_monotonic=kind == "counter")
    return (export.ExponentialHistogram if wanted.exponential else export.Histogram)(made, temporality)


def _number(point: Point, start: int, value: Any, now: int, seen: int = 0) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=dict(point.attributes),
        start_time_unix_nano=start,
        time_unix_nano=now,
        value=value,
        **_exemplars(point, seen),
    )


def _distribution(point: Point, value: HistogramValue, step: Step, wanted: Preferences, now: int) -> list[Any]:
    before = step.before if isinstance(step.before, HistogramValue) else None
    count = value.count - (before.count if before else 0)
    if before is not None and not count:
        return []
    whole = value.distribution if before is None else None  # the extremes of a difference are not known
    known: dict[str, Any] = {
        "attributes": dict(point.attributes),
        "start_time_unix_nano": step.start,
        "time_unix_nano": now,
        "count": count,
        "sum": value.sum - (before.sum if before else 0),
        "min": whole.minimum if whole and count else None,
        "max": whole.maximum if whole and count else None,
        **_exemplars(point, step.seen),
    }
    if wanted.exponential:
        found = exponential(_bins(value, before), buckets=wanted.buckets, finest=wanted.finest)
        return [
            export.ExponentialHistogramDataPoint(
                scale=found.scale,
                zero_count=found.zeros,
                positive=export.Buckets(found.offset, found.counts),
                negative=export.Buckets(0, ()),
                flags=0,
                **known,
            )
        ]
    counts = _apart(value) if before is None else [n - m for n, m in zip(_apart(value), _apart(before), strict=True)]
    return [export.HistogramDataPoint(bucket_counts=counts, explicit_bounds=value.bounds, **known)]


def _apart(value: HistogramValue) -> list[int]:
    """Return how many values are in each bucket alone."""
    return [n - m for n, m in zip(value.counts, (0, *value.counts), strict=False)]


def _bins(value: HistogramValue, before: HistogramValue | None) -> list[tuple[float, float, int]]:
    bins = [] if value.distribution is None else value.distribution.bins
    if before is None or before.distribution is None:
        return bins
    sent = {upto: n for _, upto, n in before.distribution.bins}
    return [(above, upto, n - sent.get(upto, 0)) for above, upto, n in bins if n > sent.get(upto, 0)]


def _exemplars(point: Point, seen: int) -> dict[str, Any]:
    """Return those that were not shown yet, as the keyword that holds them; older SDKs have none."""
    if not (_KNOWS_EXEMPLARS and point.exemplars):
        return {}
    return {"exemplars": [_exemplar(one) for one in point.exemplars if one.at * 1e9 > seen]}


def _exemplar(one: Exemplar) -> Any:
    if _EXEMPLAR is None:
        return None
    return _EXEMPLAR({}, one.value, round(one.at * 1e9), int(one.span_id, 16), int(one.trace_id, 16))


def _of(preferred: Mapping[Any, Any] | None, wanted: type) -> Any:
    """Return what is preferred for a class of instruments; SDKs name it by the class or by one below."""
    return next((value for kind, value in (preferred or {}).items() if issubclass(kind, wanted)), None)
