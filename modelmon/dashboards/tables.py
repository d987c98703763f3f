"""Tables: the answers of several queries merged into one line per series, and a matrix out of one query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from modelmon.dashboards.panels import Panel, Query

Json = dict[str, Any]

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def table_parts(panel: Panel) -> Json:
    """Return the transformations of a table and how its columns are shown."""
    return _matrix(panel) if panel.kind == "matrix" else _table(panel)


def _table(panel: Panel) -> Json:
    values = {_value(panel, letter): query for letter, query in zip(_LETTERS, panel.queries, strict=False)}
    names = {value: query.name for value, query in values.items() if query.name}
    dropped = ["Time", "__name__", "job", "instance", *(value for value, query in values.items() if not query.name)]
    organize = {"excludeByName": dict.fromkeys(dropped, True), "indexByName": {}, "renameByName": names}
    overrides = [_override(query.name, _column(query, panel)) for query in panel.queries if query.name]
    if panel.link:
        shown = {"title": "Open this model", "url": panel.link, "targetBlank": False}
        overrides.append(_override("model", [{"id": "links", "value": [shown]}]))
    return {
        "transformations": [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": overrides},
    }


def _value(panel: Panel, letter: str) -> str:
    """Return what Grafana calls the column of a query's numbers."""
    return f"Value #{letter}" if len(panel.queries) > 1 else "Value"


def _column(query: Query, panel: Panel) -> list[Json]:
    properties: list[Json] = [{"id": "unit", "value": query.unit or panel.unit}]
    if query.decimals is not None:
        properties.append({"id": "decimals", "value": query.decimals})
    return properties


def _matrix(panel: Panel) -> Json:
    """Return a table with a line for each true class and a column for each predicted one."""
    shape = {"rowField": "actual", "columnField": "predicted", "valueField": "Value", "emptyValue": "null"}
    shade = {"type": "color-background", "mode": "gradient"}
    overrides: list[Json] = [
        {
            "matcher": {"id": "byType", "options": "number"},
            "properties": [
                {"id": "custom.cellOptions", "value": shade},
                {"id": "color", "value": {"mode": "continuous-blues"}},
            ],
        }
    ]
    return {
        "transformations": [{"id": "groupingToMatrix", "options": shape}],
        "fieldConfig": {"defaults": _defaults(panel) | {"min": 0, "decimals": 0}, "overrides": overrides},
    }


def _defaults(panel: Panel) -> Json:
    return {
        "unit": panel.unit,
        "noValue": panel.empty if not panel.queries[1:] else "unknown",
        "color": {"mode": "thresholds"},
        "mappings": [],
        "thresholds": {"mode": "absolute", "steps": [{"color": "text", "value": None}]},
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": False},
    }


def _override(name: str, properties: list[Json]) -> Json:
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}
