"""The page about points says what the catalogue says."""

from __future__ import annotations

import re
from pathlib import Path

from modelmon.points.catalogue import CATALOGUE
from modelmon.points.families import describe

PAGE = Path(__file__).parent.parent.parent / "docs" / "points.md"
KINDS = {"updown": "up-down counter"}


def test_page_and_catalogue_agree():
    """Every row of the catalogue is on the page with its kind, unit, attributes, Prometheus name and help, in order."""
    rows = re.findall(r"^\| (`(?:modelmon|hw)\..*) \|$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    shown = {row.split(" | ")[0].strip("`"): row.split(" | ")[1:] for row in rows}
    assert shown.keys() == CATALOGUE.keys()
    for name, row in CATALOGUE.items():
        attributes = ", ".join(f"`{attribute}`" for attribute in row.attributes)
        unit = f"`{row.unit}`" if row.unit else ""
        assert shown[name] == [KINDS.get(row.kind, row.kind), unit, attributes, f"`{describe(row).sample}`", row.help]
