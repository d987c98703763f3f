"""The dashboard of all models: who serves what, how well, and who lacks labels."""

from __future__ import annotations

from typing import Final

from modelmon.dashboards.panels import Dashboard, Panel, Query, Row
from modelmon.dashboards.pieces import JOB, MODELS, NO_LABELS, SPAN, lines, stat
from modelmon.dashboards.promql import failed_share, quantile, rate, total
from modelmon.dashboards.quality import accuracy, coverage, joined, labelled, wilson, without_labels
from modelmon.dashboards.scopes import ALL

_BY: Final = ("model", "version")
_NAMED: Final = "{{model}} {{version}}"
_CALLS: Final = ALL.of("modelmon.calls")
_BUCKETS: Final = ALL.of("modelmon.call.duration", "_bucket", outcome="ok")
_WAITING: Final = ALL.of("modelmon.join.occupancy", state="pending")
_ALERTS: Final = 'ALERTS{alertstate=~"firing|pending",model=~"$model"}'

_NOW: Final = Row(
    "Now",
    (
        stat("Models", "Models that any process has watched.", f"count(count by (model) ({_CALLS}))", width=3),
        stat("Calls per second", "Calls that ended, of all models.", rate(_CALLS), "reqps", width=3, decimals=1),
        stat("Calls that failed", "Calls that raised, as a share.", failed_share(ALL), "percentunit", decimals=2),
        stat("Calls running", "Calls that run at this moment.", total(ALL.of("modelmon.call.active")), width=3),
        stat(
            "Labels", "Predictions that met their first label within $span.", joined(ALL), "locale", width=3, decimals=0
        ),
        stat(
            "Awaiting a label",
            "Predictions with an id whose label has not come.",
            total(_WAITING),
            "locale",
            decimals=0,
        ),
        stat(
            "Models without labels",
            "Models and versions that took predictions with ids within $span, but no label: nobody knows how good "
            "they are now.",
            without_labels(ALL),
            empty="no predictions with ids",
            alarm=True,
        ),
    ),
)

_TABLE: Final = Panel(
    "table",
    "Every model",
    "Accuracy and its 95 % interval are of the labels that came within $span; with several labels per row it is micro "
    "F1. A field without a number is not zero but unknown.",
    (
        Query(rate(_CALLS, _BY), name="calls/s", unit="reqps", decimals=2),
        Query(failed_share(ALL, _BY), name="failed", unit="percentunit", decimals=2),
        Query(quantile(0.5, _BUCKETS, _BY), name="p50", unit="s"),
        Query(quantile(0.95, _BUCKETS, _BY), name="p95", unit="s"),
        Query(quantile(0.99, _BUCKETS, _BY), name="p99", unit="s"),
        Query(total(_WAITING, _BY), name="awaiting", unit="locale", decimals=0),
        Query(coverage(ALL, _BY), name="labelled", unit="percentunit", decimals=1),
        Query(joined(ALL, _BY), name="labels in span", unit="locale", decimals=0),
        Query(accuracy(ALL, _BY), name="accuracy", unit="percentunit", decimals=1),
        Query(wilson(ALL, "-", _BY), name="from", unit="percentunit", decimals=1),
        Query(wilson(ALL, "+", _BY), name="to", unit="percentunit", decimals=1),
    ),
    width=24,
    height=8,
    link="/d/modelmon-model?var-model=${__data.fields.model}&${__url_time_range}&${datasource:queryparam}",
)

_TIME: Final = Row(
    "Over time",
    (
        lines("Calls", "Calls that ended, per second.", Query(rate(_CALLS, _BY), _NAMED), unit="reqps", stacked=True),
        lines(
            "Calls that failed",
            "Calls that raised, as a share of those that ended.",
            Query(failed_share(ALL, _BY), _NAMED),
            unit="percentunit",
            minimum=0,
        ),
        lines(
            "Duration, 95 of 100 calls",
            "95 of 100 successful calls were faster; read from buckets, so between two bounds it is a guess.",
            Query(quantile(0.95, _BUCKETS, _BY), _NAMED),
            unit="s",
            minimum=0,
        ),
        lines(
            "Accuracy",
            "Of the labels that came within the $span before; a gap means that none came.",
            Query(accuracy(ALL, _BY), _NAMED),
            unit="percentunit",
            maximum=1,
            empty=NO_LABELS,
        ),
        lines(
            "Labels",
            "Labels that came within the $span before, of tasks with classes, and what was assumed for want of one; "
            "few labels make quality uncertain.",
            Query(labelled(ALL, _BY), _NAMED),
            minimum=0,
            empty=NO_LABELS,
        ),
        lines(
            "Labelled share",
            "Labelled predictions as a share of all accepted with an id since counting began.",
            Query(coverage(ALL, _BY), _NAMED),
            unit="percentunit",
            minimum=0,
            maximum=1,
            empty="no predictions with ids",
        ),
    ),
)

_ALARMS: Final = Row(
    "Alerts",
    (
        Panel(
            "table",
            "Alerts that are pending or fire",
            "From the rules that Prometheus evaluates; this is empty too where no rules are loaded.",
            (Query(f"max by (alertname, alertstate, severity, model, version) ({_ALERTS})"),),
            empty="none, or no rules are loaded",
            width=24,
            height=6,
        ),
    ),
)

OVERVIEW: Final = Dashboard(
    "overview",
    "modelmon · All models",
    "Every watched model at a glance: load, failures, speed, labels, accuracy.",
    (JOB, MODELS, SPAN),
    (_NOW, Row("Models", (_TABLE,)), _TIME, _ALARMS),
)
