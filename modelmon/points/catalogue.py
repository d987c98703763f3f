"""The catalogue: name, kind, unit, help and attributes of every number that leaves the process.

Rules:

1. A number is exported under a name that stands here, with these attributes, or not at all.
2. Names are OpenTelemetry-dotted, without units; an exporter derives its own spelling from name, kind and unit.
3. ``per_model`` instruments carry ``model``, ``version`` and the slice attributes of a sliced model before their own.
4. A row stands here only while something fills it.

To add a number: add its row here, the line that fills it in the room of its subject, and its row in ``docs/points.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "updown", "gauge", "histogram"]
Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """Hold a distribution as counts under bounds.

    Attributes:
        bounds: ``k`` upper bounds, ascending, in the point's unit; a bound belongs to its own bucket.
        counts: ``k + 1`` cumulative counts: at most each bound, then all.
        sum: the sum of all values, in the point's unit.
        count: how many values there are; equals ``counts[-1]``.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    count: int


@dataclass(frozen=True, slots=True)
class Instrument:
    """Describe one exported number.

    Attributes:
        name: the OpenTelemetry name, dotted, without unit.
        kind: ``counter`` never falls, ``updown`` adds up over processes, ``gauge`` does not, ``histogram`` distributes.
        unit: UCUM: ``s``, ``1`` for a ratio, an annotation such as ``{call}``, or nothing.
        help: one sentence.
        attributes: the names of its own attributes, in order.
        per_model: whether ``model``, ``version`` and the slice attributes come before them.
        bounds: upper bounds of a histogram, in its unit, each of at most three significant digits.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    attributes: tuple[str, ...] = ()
    per_model: bool = True
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """Hold one exported number: an instrument's value under one set of attributes.

    Attributes:
        name: the instrument's name.
        kind: the instrument's kind.
        unit: the instrument's unit.
        help: the instrument's help.
        attributes: (name, value) pairs of text, in the instrument's order; attributes without a value are left out.
        value: an integer for what is counted, a finite float for what is measured, or a distribution.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    attributes: Attributes
    value: float | HistogramValue


def _steps(steps: tuple[str, ...], exponents: range, last: float) -> tuple[float, ...]:
    """Return the steps of each decade and then the last bound; read from text, so that each is the nearest float."""
    return (*(float(f"{step}e{exponent}") for exponent in exponents for step in steps), last)


DURATION_BOUNDS = _steps(("1", "2.5", "5"), range(-4, 2), 100.0)
SIZE_BOUNDS = _steps(("1", "2", "5"), range(6), 1_000_000.0)
_DAYS = tuple(86_400.0 * days for days in (1, 2.5, 5, 10, 25, 50, 100))
DELAY_BOUNDS = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 7200.0, 21_600.0, 43_200.0, *_DAYS)

_CELL = ("actual", "predicted", "correct")
_QUALITY = ("metric", "average", "class", "window")

_ROWS = (
    Instrument(
        "modelmon.calls", "counter", "{call}", "Calls that ended, by how they ended.", ("outcome", "error.type")
    ),
    Instrument("modelmon.call.duration", "histogram", "s", "Time a call took.", ("outcome",), bounds=DURATION_BOUNDS),
    Instrument("modelmon.call.active", "updown", "{call}", "Calls that run at this moment."),
    Instrument("modelmon.call.batch_size", "histogram", "{row}", "Rows in one call.", bounds=SIZE_BOUNDS),
    Instrument(
        "modelmon.stream.time_to_first_item",
        "histogram",
        "s",
        "Time from the first request of a stream to its first item.",
        bounds=DURATION_BOUNDS,
    ),
    Instrument(
        "modelmon.stream.time_per_item",
        "histogram",
        "s",
        "Mean time between the items of one stream.",
        bounds=DURATION_BOUNDS,
    ),
    Instrument("modelmon.stream.items", "counter", "{item}", "Items that streams delivered."),
    Instrument("modelmon.predictions", "counter", "{prediction}", "Predicted values seen, by class.", ("predicted",)),
    Instrument(
        "modelmon.predictions.rejected",
        "counter",
        "{prediction}",
        "Outputs that could not be read as predictions.",
        ("reason",),
    ),
    Instrument(
        "modelmon.prediction.events",
        "counter",
        "{event}",
        "What became of predictions that came with an id.",
        ("outcome",),
    ),
    Instrument(
        "modelmon.label.events", "counter", "{event}", "What labels did to the predictions of this model.", ("outcome",)
    ),
    Instrument(
        "modelmon.join.transitions",
        "counter",
        "{row}",
        "Moves of predictions between the states of the join.",
        ("from", "to"),
    ),
    Instrument("modelmon.join.occupancy", "updown", "{row}", "Predictions in each state of the join.", ("state",)),
    Instrument(
        "modelmon.label.delay", "histogram", "s", "Time from a prediction to its first label.", bounds=DELAY_BOUNDS
    ),
    Instrument(
        "modelmon.label.assumed",
        "counter",
        "{event}",
        "Labels assumed because none came in time, and what became of them.",
        ("event",),
    ),
    Instrument(
        "modelmon.label.coverage",
        "gauge",
        "1",
        "Labelled predictions as a fraction of the predictions accepted with an id.",
        ("window",),
    ),
    Instrument(
        "modelmon.label.class_coverage",
        "gauge",
        "1",
        "Labelled predictions of a predicted class as a fraction of those accepted with an id.",
        ("predicted", "window"),
    ),
    Instrument(
        "modelmon.confusion",
        "counter",
        "{prediction}",
        "Labelled predictions by true and predicted class, corrections added.",
        _CELL,
    ),
    Instrument(
        "modelmon.confusion.retracted",
        "counter",
        "{prediction}",
        "What corrections and retractions took back from the confusion matrix; subtract it.",
        _CELL,
    ),
    *(
        Instrument(f"modelmon.class.{name}{suffix}", "counter", "{prediction}", text + tail, ("class",))
        for name, text in (
            ("true_positives", "Labelled predictions of the class that were right"),
            ("support", "Labelled predictions whose true class it is"),
            ("predicted", "Labelled predictions whose predicted class it is"),
        )
        for suffix, tail in (("", "."), (".retracted", ", taken back; subtract it."))
    ),
    Instrument(
        "modelmon.score.bins",
        "counter",
        "{prediction}",
        "Labelled scores in the bin up to le (not cumulative) by truth: 1 positive, 0 negative.",
        ("actual", "le"),
    ),
    Instrument(
        "modelmon.score.bins.retracted",
        "counter",
        "{prediction}",
        "Labelled scores that corrections and retractions took back; subtract it.",
        ("actual", "le"),
    ),
    Instrument("modelmon.quality", "gauge", "", "Quality over all labelled predictions of the window.", _QUALITY),
    Instrument("modelmon.quality.low", "gauge", "", "Lower end of the 95 % interval of the quality.", _QUALITY),
    Instrument("modelmon.quality.high", "gauge", "", "Upper end of the 95 % interval of the quality.", _QUALITY),
    Instrument(
        "modelmon.store.errors",
        "counter",
        "{error}",
        "Errors of a store that waits for input and output, by kind.",
        ("kind",),
        per_model=False,
    ),
    Instrument(
        "modelmon.store.spooled",
        "updown",
        "{row}",
        "Predictions on their way to such a store.",
        per_model=False,
    ),
    Instrument(
        "modelmon.store.latency",
        "histogram",
        "s",
        "Time such a store took to write predictions, join labels, be read or let rows expire.",
        ("kind",),
        per_model=False,
        bounds=DURATION_BOUNDS,
    ),
    Instrument(
        "modelmon.store.lag",
        "gauge",
        "s",
        "How long predictions have waited to be written to such a store, in the process where that is longest.",
        per_model=False,
    ),
    Instrument(
        "modelmon.self.overhead",
        "counter",
        "s",
        "CPU time that this library took of its processes, by what for.",
        ("part",),
        per_model=False,
    ),
    Instrument(
        "modelmon.self.restarts",
        "counter",
        "{thread}",
        "Threads of this library that ended unasked and were started again, by name.",
        ("thread",),
        per_model=False,
    ),
    Instrument(
        "modelmon.self.dropped",
        "counter",
        "{record}",
        "Records lost, by reason.",
        ("reason",),
        per_model=False,
    ),
    Instrument(
        "modelmon.self.internal_errors",
        "counter",
        "{record}",
        "Errors inside this library that were caught, by place.",
        ("site",),
        per_model=False,
    ),
    Instrument(
        "modelmon.self.sanitized",
        "counter",
        "{record}",
        "Values changed to be safe to keep, by kind.",
        ("kind",),
        per_model=False,
    ),
    Instrument(
        "modelmon.self.overflow",
        "counter",
        "{record}",
        "Records counted under __other__ because a budget was spent, by name of the budget.",
        ("name",),
        per_model=False,
    ),
    Instrument(
        "modelmon.intake.labels",
        "counter",
        "{label}",
        "Labels that came over HTTP, by the source whose token they carried and by what became of them.",
        ("source", "outcome"),
        per_model=False,
    ),
    Instrument(
        "modelmon.intake.refused",
        "counter",
        "{request}",
        "Requests over HTTP that were refused, by reason.",
        ("reason",),
        per_model=False,
    ),
    Instrument(
        "modelmon.receipts",
        "counter",
        "{receipt}",
        "Receipts issued and used here, and those refused, by reason.",
        ("event",),
        per_model=False,
    ),
    Instrument(
        "modelmon.exporter.failures",
        "counter",
        "{export}",
        "Exports that failed, by exporter and reason.",
        ("exporter", "reason"),
        per_model=False,
    ),
    Instrument(
        "modelmon.exporter.last_success_age",
        "gauge",
        "s",
        "Time since an exporter did its work, or was added, in the process where that is longest ago.",
        ("exporter",),
        per_model=False,
    ),
    Instrument(
        "modelmon.exporter.refused",
        "counter",
        "{connection}",
        "Connections to the metrics endpoint that got no metrics, by status or reason.",
        ("reason",),
        per_model=False,
    ),
)

CATALOGUE: dict[str, Instrument] = {row.name: row for row in _ROWS}
