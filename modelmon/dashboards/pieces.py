"""Panels of the usual shapes, and the variables that dashboards share."""

from __future__ import annotations

from typing import Any, Final

from modelmon.dashboards.panels import Panel, Query, Variable
from modelmon.dashboards.selectors import bare

_CALLS: Final = bare("modelmon.calls")

JOB: Final = Variable("job", "Job", f"label_values({_CALLS}, job)", several=True)
MODELS: Final = Variable("model", "Model", f'label_values({_CALLS}{{job=~"$job"}}, model)', several=True)
MODEL: Final = Variable("model", "Model", f'label_values({_CALLS}{{job=~"$job"}}, model)')
VERSIONS: Final = Variable(
    "version", "Version", f'label_values({_CALLS}{{job=~"$job",model="$model"}}, version)', several=True
)
INSTANCES: Final = Variable("instance", "Instance", f'label_values({_CALLS}{{job=~"$job"}}, instance)', several=True)
SPAN: Final = Variable("span", "Quality over", options=("1h", "15m", "6h", "1d", "7d"))
REFERENCE: Final = Variable("reference", "Drift against", options=("1d", "1h", "6h", "7d"))

BAND: Final = "blue"
NO_LABELS: Final = "no labels in this time"


def stat(title: str, text: str, expr: str, unit: str = "short", **more: Any) -> Panel:
    """Return one number."""
    return Panel("stat", title, text, (Query(expr),), unit, **{"width": 4, "height": 4, **more})


def lines(title: str, text: str, *queries: Query, unit: str = "short", **more: Any) -> Panel:
    """Return lines over time."""
    return Panel("timeseries", title, text, queries, unit, **more)


def heat(title: str, text: str, expr: str, unit: str = "s", **more: Any) -> Panel:
    """Return a heat map of a histogram's buckets over time."""
    return Panel("heatmap", title, text, (Query(expr, "{{le}}"),), unit, **{"width": 12, **more})


def band(low: str, high: str) -> tuple[Query, Query]:
    """Return both ends of an interval, drawn as a band."""
    return Query(low, "95 % from", "low", BAND), Query(high, "to", "high", BAND)
