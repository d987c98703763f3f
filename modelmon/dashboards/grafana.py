"""Grafana's JSON: dashboards laid out on its grid of 24 columns and spelled as its schema asks, version 39.

The text is the same for the same dashboard, whatever the machine or the time: it can be kept under version control.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from modelmon.dashboards.fields import field_config
from modelmon.dashboards.panels import COLUMNS
from modelmon.dashboards.tables import table_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.dashboards.panels import Dashboard, Panel, Query, Row, Variable

Json = dict[str, Any]

SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
TAG: Final = "modelmon"
_SCHEMA: Final = 39
_TABLES: Final = frozenset({"table", "matrix"})


def to_json(dashboard: Dashboard) -> str:
    """Return a dashboard as Grafana imports it."""
    return json.dumps(to_dict(dashboard), indent=2, ensure_ascii=False) + "\n"


def to_dict(dashboard: Dashboard) -> Json:
    """Return a dashboard as Grafana's JSON model."""
    return {
        "uid": uid(dashboard.name),
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": [TAG],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": dashboard.since, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "links": [_LINK],
        "annotations": {"list": [_ALERTS]},
        "templating": {"list": [_SOURCES, *map(_variable, dashboard.variables)]},
        "panels": list(_panels(dashboard.rows)),
    }


def uid(name: str) -> str:
    """Return the identifier that links use."""
    return f"{TAG}-{name}"


_LINK: Final[Json] = {
    "title": "modelmon",
    "type": "dashboards",
    "tags": [TAG],
    "asDropdown": False,
    "includeVars": True,
    "keepTime": True,
    "targetBlank": False,
    "icon": "external link",
    "tooltip": "",
    "url": "",
}
_ALERTS: Final[Json] = {
    "name": "Alerts",
    "datasource": SOURCE,
    "enable": True,
    "hide": False,
    "iconColor": "red",
    "expr": 'ALERTS{alertstate="firing",model!=""}',
    "titleFormat": "{{alertname}}",
    "textFormat": "{{model}} {{version}}",
}
_SOURCES: Final[Json] = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "refresh": 1,
    "hide": 0,
    "includeAll": False,
    "multi": False,
    "regex": "",
    "skipUrlSync": False,
}


def _variable(variable: Variable) -> Json:
    made: Json = {"name": variable.name, "label": variable.label, "hide": 0, "skipUrlSync": False, "multi": False}
    if variable.options:
        chosen = variable.options[0]
        options = [{"text": text, "value": text, "selected": text == chosen} for text in variable.options]
        query = ",".join(variable.options)
        current = {"text": chosen, "value": chosen, "selected": True}
        return {**made, "type": "custom", "query": query, "options": options, "current": current, "includeAll": False}
    made |= {"type": "query", "datasource": SOURCE, "definition": variable.query, "refresh": 2, "sort": 1, "regex": ""}
    made |= {"query": {"query": variable.query, "refId": variable.name}, "includeAll": variable.several}
    if variable.several:  # all, and not only those with the label: a version may be the empty text
        made |= {"multi": True, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"], "selected": True}}
    return made


def _panels(rows: tuple[Row, ...]) -> Iterator[Json]:
    """Yield rows and panels at their places; the panels of a folded row stand inside it."""
    number, top = 0, 0
    for row in rows:
        number += 1
        head: Json = {"id": number, "type": "row", "title": row.title, "collapsed": row.folded, "panels": []}
        head["gridPos"] = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        placed, bottom = _place(row.panels, top + 1)
        made = []
        for panel, place in zip(row.panels, placed, strict=True):
            number += 1
            made.append({"id": number, **_panel(panel), "gridPos": place})
        if row.folded:
            yield head | {"panels": made}
            top += 1
        else:
            yield head
            yield from made
            top = bottom


def _place(panels: tuple[Panel, ...], top: int) -> tuple[list[dict[str, int]], int]:
    """Return where each panel stands, and where the next row begins."""
    places, left, tallest = [], 0, 0
    for panel in panels:
        if left + panel.width > COLUMNS:
            top, left, tallest = top + tallest, 0, 0
        places.append({"x": left, "y": top, "w": panel.width, "h": panel.height})
        left, tallest = left + panel.width, max(tallest, panel.height)
    return places, top + tallest


def _panel(panel: Panel) -> Json:
    kind = "table" if panel.kind in _TABLES else panel.kind
    made: Json = {"type": kind, "title": panel.title, "description": panel.help}
    if panel.kind == "text":
        return made | {"options": {"mode": "markdown", "content": panel.text}, "transparent": True}
    made |= {"datasource": SOURCE, "fieldConfig": field_config(panel), "options": _options(panel)}
    made["targets"] = [_target(panel, query, letter) for query, letter in zip(panel.queries, _LETTERS, strict=False)]
    return made | (table_parts(panel) if panel.kind in _TABLES else {})


_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _target(panel: Panel, query: Query, letter: str) -> Json:
    instant = panel.kind in _TABLES or panel.kind == "stat"
    made: Json = {"refId": letter, "datasource": SOURCE, "editorMode": "code", "expr": query.expr}
    made |= {"instant": instant, "range": not instant}
    made["format"] = "table" if panel.kind in _TABLES else "heatmap" if panel.kind == "heatmap" else "time_series"
    return made | {"legendFormat": query.legend or "__auto"}


def _options(panel: Panel) -> Json:
    return _OPTIONS[panel.kind] | (
        {"yAxis": {"axisPlacement": "left", "unit": panel.unit}} if panel.kind == "heatmap" else {}
    )


_REDUCE: Final[Json] = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: Final[dict[str, Json]] = {
    "timeseries": {
        # no last value in the legend: for a series that has ended it would be an old one
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": _REDUCE,
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {},
        "color": {
            "mode": "scheme",
            "scheme": "Viridis",
            "exponent": 0.5,
            "fill": "dark-blue",
            "reverse": False,
            "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "le"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
    },
    "table": {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"},
    "matrix": {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"},
}
