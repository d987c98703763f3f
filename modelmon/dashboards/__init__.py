"""Dashboards for Grafana, generated from the catalogue of points."""

from __future__ import annotations

from typing import Final

from modelmon.dashboards.fleet import FLEET_WHOLE
from modelmon.dashboards.grafana import to_dict, to_json
from modelmon.dashboards.model import MODEL_IN_DEPTH
from modelmon.dashboards.overview import OVERVIEW
from modelmon.dashboards.panels import Dashboard, Panel, Query, Row, Variable
from modelmon.dashboards.versions import VERSIONS_COMPARED

__all__ = ["DASHBOARDS", "Dashboard", "Panel", "Query", "Row", "Variable", "to_dict", "to_json"]

DASHBOARDS: Final = {made.name: made for made in (OVERVIEW, MODEL_IN_DEPTH, VERSIONS_COMPARED, FLEET_WHOLE)}
