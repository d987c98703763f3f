"""The dashboard of one model in depth: health, quality, speed, labels, what it predicts."""

from __future__ import annotations

from typing import Final

from modelmon.dashboards.drift import PREDICTED
from modelmon.dashboards.gpu import GPU
from modelmon.dashboards.panels import Dashboard, Panel, Query, Row
from modelmon.dashboards.pieces import JOB, MODEL, NO_LABELS, REFERENCE, SPAN, VERSIONS, band, heat, lines, stat
from modelmon.dashboards.promql import failed_share, gained, quantile, rate, share, total
from modelmon.dashboards.quality import accepted, accuracy, coverage, joined, matrix, of_class, wilson
from modelmon.dashboards.scopes import ONE
from modelmon.dashboards.streams import REGRESSION, STREAMS

_CALLS: Final = ONE.of("modelmon.calls")
_BUCKETS: Final = ONE.of("modelmon.call.duration", "_bucket", outcome="ok")
_OUTCOMES: Final = {"ok": "green", "error": "red", "cancelled": "yellow", "abandoned": "purple"}
_STATES: Final = {"pending": "yellow", "joined": "green", "closed": "blue", "expired": "red", "evicted": "purple"}
_DELAYS: Final = ONE.of("modelmon.label.delay", "_bucket")

_HEALTH: Final = Row(
    "Now",
    (
        stat("Calls per second", "Calls that ended.", rate(_CALLS), "reqps", width=3, decimals=2),
        stat(
            "Calls that failed", "Calls that raised, as a share.", failed_share(ONE), "percentunit", width=3, decimals=2
        ),
        stat("Median duration", "Of successful calls.", quantile(0.5, _BUCKETS), "s", width=3),
        stat("99 of 100 within", "Of successful calls.", quantile(0.99, _BUCKETS), "s", width=3),
        stat(
            "Accuracy",
            "Of the labels that came within $span; with several labels per row, micro F1.",
            accuracy(ONE),
            "percentunit",
            width=3,
            decimals=1,
            empty=NO_LABELS,
        ),
        stat("Labels", "First labels within $span.", joined(ONE), "locale", width=3, decimals=0, empty=NO_LABELS),
        stat(
            "Labelled share",
            "Labelled predictions as a share of all accepted with an id since counting began.",
            coverage(ONE),
            "percentunit",
            width=3,
            decimals=1,
            empty="no predictions with ids",
        ),
        stat(
            "Awaiting a label",
            "Predictions whose label has not come.",
            total(ONE.of("modelmon.join.occupancy", state="pending")),
            "locale",
            width=3,
            empty="no predictions with ids",
        ),
    ),
)


def _classes(metric: str, title: str, text: str) -> Panel:
    query = Query(of_class(ONE, metric), "{{class}}")
    return lines(title, text, query, unit="percentunit", minimum=0, maximum=1, empty=NO_LABELS)


_QUALITY: Final = Row(
    "Quality of the labelled predictions",
    (
        lines(
            "Accuracy and its 95 % interval",
            "Of the labels that came within the $span before, by Wilson's interval. A gap means that no label came. "
            "With several labels per row the line is micro F1 and has no interval.",
            *band(wilson(ONE, "-"), wilson(ONE, "+")),
            Query(accuracy(ONE), "accuracy", color="blue"),
            unit="percentunit",
            maximum=1,
            width=12,
            height=9,
            empty=NO_LABELS,
        ),
        lines(
            "How much of it is labelled",
            "Quality is that of the labelled part. The first line counts from the beginning; the second compares the "
            "labels with the predictions of the $span before, and falls at once when labels stop coming.",
            Query(coverage(ONE), "labelled, of all so far"),
            Query(share(joined(ONE), accepted(ONE)), "labels per prediction, last $span"),
            unit="percentunit",
            minimum=0,
            width=12,
            height=9,
            empty="no predictions with ids",
        ),
        _classes("recall", "Recall by class", "Of the rows that are of a class, the share that was predicted so."),
        _classes("precision", "Precision by class", "Of the rows predicted as a class, the share that is of it."),
        _classes("f1", "F1 by class", "The harmonic mean of precision and recall."),
        Panel(
            "matrix",
            "Confusion matrix",
            "Labels that came within $span: lines are true classes, columns predicted ones. Corrections of labels from "
            "before may leave less than 0. Above 32 classes there are no cells.",
            (Query(matrix(ONE)),),
            unit="locale",
            empty=NO_LABELS,
            height=9,
        ),
        lines(
            "Area under the ROC curve",
            "Over all labels so far, with its 95 % interval. It cannot be added up over processes, so each that shows "
            "one has its own lines.",
            Query(ONE.of("modelmon.quality", metric="auc", window="total"), "{{version}} {{instance}}"),
            Query(ONE.of("modelmon.quality.low", metric="auc", window="total"), "{{version}} {{instance}}", "edge"),
            Query(ONE.of("modelmon.quality.high", metric="auc", window="total"), "{{version}} {{instance}}", "edge"),
            unit="percentunit",
            height=9,
            empty="no scores with labels",
        ),
        lines(
            "How honest the scores are",
            "Over all labels so far; lower is better. The calibration error is the mean distance between scores and "
            "the share that came true.",
            Query(ONE.of("modelmon.quality", metric="brier", window="total"), "Brier score {{version}}"),
            Query(
                ONE.of("modelmon.quality", metric="calibration_error", window="total"), "calibration error {{version}}"
            ),
            Query(ONE.of("modelmon.quality", metric="log_loss", window="total"), "log loss {{version}}"),
            minimum=0,
            height=9,
            empty="no scores with labels",
        ),
    ),
)

_SPEED: Final = Row(
    "Speed",
    (
        heat(
            "Duration of successful calls",
            "Calls per bucket and step of time; brighter is more.",
            gained(_BUCKETS, ("le",), span="$__rate_interval"),
        ),
        lines(
            "Duration of successful calls",
            "Read from buckets, so between two bounds it is a guess; beyond 100 s it stays at 100 s.",
            *(Query(quantile(q, _BUCKETS), f"{q:.0%} within") for q in (0.5, 0.9, 0.95, 0.99)),
            unit="s",
            minimum=0,
            width=12,
        ),
        lines(
            "Calls by how they ended",
            "Calls per second.",
            *(
                Query(rate(ONE.of("modelmon.calls", outcome=outcome)), outcome, color=color)
                for outcome, color in _OUTCOMES.items()
            ),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "Failures by type",
            "Calls per second that raised, by the exception's class.",
            Query(rate(ONE.of("modelmon.calls", outcome="error"), ("error_type",)), "{{error_type}}"),
            unit="reqps",
            stacked=True,
            empty="no call has failed",
        ),
        lines(
            "Calls running, and rows per call",
            "How many calls run at one moment, and the mean number of rows in one.",
            Query(total(ONE.of("modelmon.call.active")), "calls running"),
            Query(
                share(
                    rate(ONE.of("modelmon.call.batch_size", "_sum")), rate(ONE.of("modelmon.call.batch_size", "_count"))
                ),
                "rows per call",
            ),
            minimum=0,
        ),
    ),
)

_LABELS: Final = Row(
    "Labels",
    (
        heat(
            "How late labels come",
            "Labels per delay and step of time. Labels that have not come are not in it.",
            gained(_DELAYS, ("le",), span="$__rate_interval"),
            empty=NO_LABELS,
        ),
        lines(
            "How late labels come",
            "Of the labels that came within the $span before; those still out are later.",
            *(Query(quantile(q, _DELAYS, span="$span"), f"{q:.0%} within") for q in (0.5, 0.9)),
            unit="s",
            minimum=0,
            width=12,
            empty=NO_LABELS,
        ),
        lines(
            "Where predictions are",
            "Predictions with an id: pending ones await a label, expired ones gave up, evicted ones made room.",
            *(
                Query(total(ONE.of("modelmon.join.occupancy", state=state)), state, color=color)
                for state, color in _STATES.items()
            ),
            stacked=True,
            empty="no predictions with ids",
        ),
        lines(
            "What labels did",
            "Labels per second by their effect.",
            Query(rate(ONE.of("modelmon.label.events"), ("outcome",)), "{{outcome}}"),
            unit="ops",
            empty=NO_LABELS,
        ),
        lines(
            "Labelled share by predicted class",
            "Where it differs between classes, labels are missing selectively. A plain mean over processes.",
            Query(
                f"avg by (version, predicted) ({ONE.of('modelmon.label.class_coverage', window='total')})",
                "{{predicted}} {{version}}",
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            empty="no predictions with ids",
        ),
    ),
)

MODEL_IN_DEPTH: Final = Dashboard(
    "model",
    "modelmon · One model",
    "One model in depth: quality with its uncertainty and label coverage, speed, labels, drift, streams, devices.",
    (JOB, MODEL, VERSIONS, SPAN, REFERENCE),
    (_HEALTH, _QUALITY, _SPEED, _LABELS, PREDICTED, STREAMS, GPU, REGRESSION),
)
