"""How Grafana draws the fields of a panel: units, axes, colours, bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from modelmon.dashboards.panels import Panel, Query

Json = dict[str, Any]

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def field_config(panel: Panel) -> Json:
    """Return the defaults of a panel's fields, and what differs for some of its queries."""
    defaults: Json = {"unit": panel.unit, "noValue": panel.empty, "color": _color(panel), "mappings": []}
    defaults |= {
        name: value
        for name, value in (("min", panel.minimum), ("max", panel.maximum), ("decimals", panel.decimals))
        if value is not None
    }
    defaults["thresholds"] = {"mode": "absolute", "steps": _steps(panel)}
    defaults["custom"] = _custom(panel)
    overrides = [
        _override(letter, properties)
        for letter, query in zip(_LETTERS, panel.queries, strict=False)
        if (properties := _properties(panel, query))
    ]
    return {"defaults": defaults, "overrides": overrides}


def _color(panel: Panel) -> Json:
    """Return how colours are chosen: by name, so that a series keeps its colour when another one goes."""
    if panel.kind == "timeseries":
        return {"mode": "palette-classic-by-name"}
    return {"mode": "thresholds"}


def _steps(panel: Panel) -> list[Json]:
    """Return from which value on which colour counts; quality has no colour, since its target is the reader's."""
    steps: list[Json] = [{"color": "text", "value": None}]
    if panel.alarm:
        return [{"color": "green", "value": None}, {"color": "red", "value": 1e-9}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    return steps


def _custom(panel: Panel) -> Json:
    if panel.kind == "heatmap":
        return {"hideFrom": _HIDE_NOWHERE, "scaleDistribution": {"type": "linear"}}
    if panel.kind != "timeseries":
        return {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False} if panel.kind != "stat" else {}
    return {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 2 if not panel.stacked else 1,
        "fillOpacity": 60 if panel.stacked else 0,
        "gradientMode": "none",
        "showPoints": "never",
        "spanNulls": False,  # a gap is a gap
        "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
        "axisPlacement": "auto",
        "axisLabel": "",
        "scaleDistribution": {"type": "linear"},
        "thresholdsStyle": {"mode": "dashed" if panel.limit is not None else "off"},
        "hideFrom": _HIDE_NOWHERE,
    }


_HIDE_NOWHERE: Final[Json] = {"legend": False, "tooltip": False, "viz": False}
_LOOKS: Final[dict[str, tuple[tuple[str, Any], ...]]] = {
    "line": (),
    "dashed": (("custom.lineStyle", {"fill": "dash", "dash": [6, 6]}), ("custom.lineWidth", 1)),
    "edge": (
        ("custom.lineStyle", {"fill": "dash", "dash": [3, 5]}),
        ("custom.lineWidth", 1),
        ("custom.hideFrom", {"legend": True, "tooltip": False, "viz": False}),
    ),
    "low": (("custom.lineWidth", 0),),
    "high": (("custom.lineWidth", 0), ("custom.fillOpacity", 18)),
}


def _properties(panel: Panel, query: Query) -> list[Json]:
    if panel.kind not in {"timeseries", "stat"}:
        return []
    chosen = list(_LOOKS[query.look])
    if query.look == "high":
        chosen.append(("custom.fillBelowTo", _low_of(panel, query).legend))
    if query.color:
        chosen.append(("color", {"mode": "fixed", "fixedColor": query.color}))
    if query.unit:
        chosen.append(("unit", query.unit))
    return [{"id": name, "value": value} for name, value in chosen]


def _low_of(panel: Panel, high: Query) -> Query:
    """Return the lower end of the band whose upper end this is: the one before it."""
    return panel.queries[panel.queries.index(high) - 1]


def _override(letter: str, properties: list[Json]) -> Json:
    return {"matcher": {"id": "byFrameRefID", "options": letter}, "properties": properties}
