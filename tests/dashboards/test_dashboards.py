"""Try the dashboards as text: their names, their grid, what they ask for, and the command that writes them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from asking import Asker, panels_of
from pictures import SHOWN
from servers import needs

from modelmon.cli import main
from modelmon.dashboards import DASHBOARDS, to_dict, to_json
from modelmon.dashboards.panels import Panel
from modelmon.dashboards.pieces import lines
from modelmon.dashboards.promql import share, total
from modelmon.dashboards.scopes import ALL, FLEET, ONE
from modelmon.dashboards.selectors import Scope
from modelmon.points.catalogue import CATALOGUE
from modelmon.points.families import describe

ROOT = Path(__file__).parent.parent.parent
ALL_OF_THEM = pytest.mark.parametrize("name", sorted(DASHBOARDS))
OTHERS = {"ALERTS", "up", "scrape_duration_seconds"}  # what the server itself knows


def expressions(name: str) -> list[str]:
    """Return what a dashboard asks, with its variables replaced."""
    asker = Asker(0, 0.0, 6.0, {"span": "1h", "reference": "1d", "model": "m", "champion": "1", "challenger": "2"})
    return [asker.text(target["expr"]) for panel in panels_of(to_dict(DASHBOARDS[name])) for target in panel["targets"]]


@ALL_OF_THEM
def test_panels_stand_side_by_side(name):
    """No panel overlaps another, none stands beyond the 24 columns, and each has a number of its own."""
    shown = to_dict(DASHBOARDS[name])
    numbers = [panel["id"] for row in shown["panels"] for panel in (row, *row.get("panels", ()))]
    assert len(numbers) == len(set(numbers))
    taken: set[tuple[int, int, int]] = set()
    for panel in panels_of(shown):
        place = panel["gridPos"]
        folded = next((row["id"] for row in shown["panels"] if panel in row.get("panels", ())), 0)
        columns = range(place["x"], place["x"] + place["w"])
        assert columns[-1] < 24
        own = {(folded, x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert not own & taken, panel["title"]
        taken |= own


@ALL_OF_THEM
def test_the_catalogue_knows_all_that_is_asked_for(name):
    """Every series that a query reads is one that the catalogue exports, or one of the server's own."""
    known = {describe(row).sample for row in CATALOGUE.values()} | OTHERS
    for expression in expressions(name):
        for found in re.findall(r"([a-zA-Z_:]+)\{", expression):
            assert found in known or re.sub("_(bucket|sum|count)$", "", found) in known


@ALL_OF_THEM
def test_every_panel_explains_itself(name):
    """Each panel has a title, a description, a word for emptiness, and a name for every line."""
    for panel in DASHBOARDS[name].panels:
        assert panel.title
        assert panel.help.endswith(".")
        assert panel.empty
        if panel.kind == "timeseries":
            assert all(query.legend for query in panel.queries), panel.title


@ALL_OF_THEM
def test_every_choice_is_offered(name):
    """A query or a text uses only variables that the dashboard has, or that Grafana sets."""
    shown = to_dict(DASHBOARDS[name])
    offered = {variable["name"] for variable in shown["templating"]["list"]} | {"__rate_interval"}
    for panel in panels_of(shown):
        for text in (panel["title"], panel["description"], *(target["expr"] for target in panel["targets"])):
            assert set(re.findall(r"\$([a-z_]\w*)", text)) <= offered, panel["title"]


@ALL_OF_THEM
def test_text_is_json_and_always_the_same(name):
    """The text is JSON, as Grafana imports it, and does not change from one time to the next."""
    text = to_json(DASHBOARDS[name])
    assert text == to_json(DASHBOARDS[name])
    read = json.loads(text)
    assert read["uid"] == f"modelmon-{name}"
    assert read["schemaVersion"] == 39


@needs("promtool")
def test_every_query_is_promql(tmp_path):
    """``promtool`` can read every query of every dashboard."""
    rules = [
        {"record": f"modelmon:query:{name}:{place}", "expr": expression}
        for name in DASHBOARDS
        for place, expression in enumerate(expressions(name))
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    tool = shutil.which("promtool") or ""
    checked = subprocess.run([tool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert len(rules) > 120


def test_a_gap_stays_a_gap():
    """No line is drawn across a gap, no legend shows an old value, and one number is asked for now, not before."""
    for made in DASHBOARDS.values():
        for panel in panels_of(to_dict(made)):
            if panel["type"] == "timeseries":
                assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
                assert panel["options"]["legend"]["calcs"] == []
            if panel["type"] == "stat":
                assert all(target["instant"] for target in panel["targets"])


def test_selectors_are_checked():
    """A selector with an attribute that the instrument lacks, or a part that it has not, is refused."""
    assert ONE.of("modelmon.calls", outcome="ok").startswith('modelmon_calls_total{job=~"$job",model="$model",')
    assert Scope().of("modelmon.call.active") == "modelmon_call_active"
    with pytest.raises(ValueError, match="no attribute outcom"):
        ALL.of("modelmon.calls", outcom="ok")
    with pytest.raises(ValueError, match="no part"):
        ALL.of("modelmon.calls", "_bucket")
    with pytest.raises(ValueError, match="no part ''"):
        ALL.of("modelmon.call.duration")
    assert "model" not in FLEET.of("hw.power")


def test_promql_pieces():
    """Sums keep the labels asked for, and a share of nothing is absent."""
    assert total("x", ("model", "version")) == "sum by (model, version) (x)"
    assert share("a", "b") == "(a) / ((b) > 0)"


def test_a_text_panel_asks_nothing():
    """A panel of text has its text, and neither queries nor fields."""
    made = Panel("text", "Note", "A note.", text="**Read me.**")
    shown = to_dict(
        DASHBOARDS["fleet"].__class__("x", "x", "x.", (), (DASHBOARDS["fleet"].rows[0].__class__("r", (made,)),))
    )
    (panel,) = (panel for panel in shown["panels"] if panel["type"] == "text")
    assert panel["options"]["content"] == "**Read me.**"
    assert "targets" not in panel
    assert lines("t", "h.").kind == "timeseries"


def test_the_command_writes_one(tmp_path, capsys):
    """``modelmon dashboard`` writes one dashboard to a file or to standard output."""
    file = tmp_path / "grafana.json"
    assert main(["dashboard", "-o", str(file)]) == 0
    assert json.loads(file.read_text("utf-8"))["uid"] == "modelmon-overview"
    capsys.readouterr()
    assert main(["dashboard", "fleet"]) == 0
    assert json.loads(capsys.readouterr().out)["uid"] == "modelmon-fleet"


def test_the_command_writes_all(tmp_path, capsys):
    """``modelmon dashboard --all`` writes every dashboard into a folder that it makes."""
    assert main(["dashboard", "--all", str(tmp_path / "deep" / "folder")]) == 0
    written = sorted(path.name for path in (tmp_path / "deep" / "folder").iterdir())
    assert written == sorted(f"modelmon-{name}.json" for name in DASHBOARDS)
    assert len(capsys.readouterr().out.splitlines()) == len(DASHBOARDS)


def test_the_command_says_what_went_wrong(tmp_path, capsys):
    """A file that cannot be written ends the command with one line and status 1."""
    assert main(["dashboard", "-o", str(tmp_path / "no" / "such" / "folder.json")]) == 1
    assert capsys.readouterr().err.startswith("modelmon: ")


def test_pictures_are_on_the_page():
    """Every picture that is drawn is there, and shown on the page about Grafana."""
    page = (ROOT / "docs" / "grafana.md").read_text("utf-8")
    for picture in SHOWN:
        assert (ROOT / "docs" / "dashboards" / f"{picture.file}.svg").exists()
        assert f"(dashboards/{picture.file}.svg)" in page


def test_one_dashboard_and_all_of_them_are_not_asked_for_together(tmp_path, capsys):
    """A name beside --all would be ignored in silence; it is refused."""
    assert main(["dashboard", "model", "--all", str(tmp_path)]) == 2
    assert "--all writes every dashboard" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
