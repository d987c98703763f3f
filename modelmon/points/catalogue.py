"""The catalogue: name, kind, unit, help and attributes of every number that leaves the process.

Rules:

1. A number is exported under a name that stands here, with these attributes, or not at all.
2. Names are OpenTelemetry-dotted, without units; an exporter derives its own spelling from name, kind and unit.
3. ``per_model`` instruments carry ``model``, ``version`` and the slice attributes of a sliced model before their own.
4. A row stands here only while something fills it.

To add a number: add its row here, the line that fills it in the room of its subject, and its row in ``docs/points.md``.
"""

from __future__ import annotations

from modelmon.points import hardware, timings, upkeep
from modelmon.points.instruments import (
    DELAY_BOUNDS,
    DURATION_BOUNDS,
    SIZE_BOUNDS,
    Attributes,
    HistogramValue,
    Instrument,
    Kind,
    Point,
)

__all__ = ["CATALOGUE", "Attributes", "HistogramValue", "Instrument", "Kind", "Point"]

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
    *timings.ROWS,
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
        "modelmon.quality.support", "gauge", "{prediction}", "Rows that the quality rests on in this window.", _QUALITY
    ),
    *hardware.MODEL_ROWS,
    *upkeep.ROWS,
    *hardware.ROWS,
)

CATALOGUE: dict[str, Instrument] = {row.name: row for row in _ROWS}
