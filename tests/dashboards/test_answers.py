"""Every query of every dashboard is run by a real Prometheus over a made-up day of real watched calls."""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asking import Asker, panels_of, serving
from history import write_blocks
from pictures import SHOWN, picture
from schema import complaints, prepare
from servers import needs
from traffic import NEW, OLD, Story

from modelmon.dashboards import DASHBOARDS, to_dict
from modelmon.dashboards.drift import PSI, SURPRISE
from modelmon.dashboards.quality import accuracy, coverage, joined, labelled, matrix, wilson, without_labels
from modelmon.dashboards.scopes import ALL, CHALLENGER, ONE
from modelmon.intervals import proportion

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, needs("prometheus")]
HOURS = 2.5
MODELS = ("fraud", "letters", "chat", "demand")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Asker, dict[str, Any]]]:
    """Let the day pass once for all workers of a test run, and give a server over its data to each."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = shared / "made-up-day"
    with suppress(FileExistsError):
        folder.mkdir()
    with folder.joinpath("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.joinpath("end").exists():
            end = time.time() // 60 * 60
            write_blocks(folder, Story(HOURS), end)
            folder.joinpath("end").write_text(repr(end))
    own = tmp_path_factory.mktemp("server")
    data = Path(shutil.copytree(folder / "data", own / "data"))
    known = json.loads(folder.joinpath("known.json").read_text())
    chosen = {"span": "15m", "reference": "40m", "champion": OLD, "challenger": NEW, "model": "fraud"}
    with serving(own, data) as port:
        yield Asker(port, float(folder.joinpath("end").read_text()), HOURS, chosen), known


def of(asker: Asker, model: str, **chosen: str) -> Asker:
    """Return an asker with another model chosen."""
    return replace(asker, chosen={**asker.chosen, "model": model, **chosen})


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_every_query_is_answered(day, name):
    """Each query of each panel returns data for at least one of the models."""
    asker, _ = day
    askers = [of(asker, model) for model in MODELS] if name != "overview" else [of(asker, ".*")]
    for panel in panels_of(to_dict(DASHBOARDS[name])):
        for target in panel["targets"]:
            assert any(one.ask(target) for one in askers), (panel["title"], target["expr"])


def test_no_panel_lies_without_labels(day):
    """When labels stop, quality ends in a gap, the count of labels falls to zero, and the overview counts the model."""
    asker, _ = day
    letters = of(asker, "letters")
    (line,) = letters.ask({"expr": accuracy(ONE), "instant": False})
    silent = asker.end - 3600 * (HOURS - Story(HOURS).silent)
    assert line.values[0][0] < silent - 3000
    assert silent < line.values[-1][0] < asker.end - 300
    assert not letters.now(accuracy(ONE))
    assert not letters.now(wilson(ONE, "-"))
    assert not letters.now(matrix(ONE))
    assert letters.number(joined(ONE)) == 0
    assert of(asker, ".*").number(without_labels(ALL)) == 1
    assert of(asker, "fraud").number(without_labels(ALL)) == 0
    assert not of(asker, "nobody").now(without_labels(ALL))


def test_what_has_no_classes_has_no_accuracy(day):
    """A stream without predictions and a model of numbers show no accuracy, no matrix and no drift, not even zero."""
    for model in ("chat", "demand"):
        asker = of(day[0], model)
        for expression in (accuracy(ONE), wilson(ONE, "+"), labelled(ONE), matrix(ONE), PSI, SURPRISE):
            assert not asker.now(expression), (model, expression)
    assert not of(day[0], "chat").now(coverage(ONE))


def test_coverage_is_exact(day):
    """The labelled share over both machines is what the machines counted, to the last digit."""
    asker, known = day
    found = {
        f"{series.labels['model']} {series.labels['version']}": series.last
        for series in of(asker, ".*").now(coverage(ALL, ("model", "version")))
    }
    expected = {key: sums["labelled"] / sums["accepted"] for key, sums in known.items() if sums["accepted"]}
    assert found == pytest.approx(expected, rel=1e-12)


def test_accuracy_over_the_whole_day_is_the_snapshots(day):
    """Accuracy by what counters gained over the day is that of the confusion matrices, but for the first minute."""
    asker, known = day
    whole = of(asker, "fraud", span="150m")
    for version in (OLD, NEW):
        sums = known[f"fraud {version}"]
        found = replace(whole, chosen={**whole.chosen, "challenger": version}).number(accuracy(CHALLENGER))
        assert found == pytest.approx(sums["right"] / sums["rows"], abs=0.01)


@pytest.mark.parametrize("model", ["fraud", "letters"])
def test_the_band_is_wilson_s(day, model):
    """Both ends of the band are Wilson's for the same counts, and the line lies between them."""
    asker = replace(of(day[0], model), end=day[0].end - 3600)
    n = asker.number(labelled(ONE))
    k = n * asker.number(accuracy(ONE))
    low, high = asker.number(wilson(ONE, "-")), asker.number(wilson(ONE, "+"))
    assert (low, high) == pytest.approx(tuple(proportion(k, n)), rel=1e-5)
    assert low < k / n < high


def test_drift_is_the_g_test(day):
    """The drift panels show the G-test of the classes predicted now and before, less its mean, and as a deviate."""
    asker = of(day[0], "letters", span="30m", reference="60m")
    counts = [
        Counter({series.labels["predicted"]: series.last for series in asker.now(expression)})
        for expression in (
            f"sum by (predicted) (increase({ONE.of('modelmon.predictions')}[30m]{ago}))" for ago in ("", " offset 60m")
        )
    ]
    now, before = (sum(side.values()) for side in counts)
    both = counts[0] + counts[1]

    def entropy(values: Any) -> float:
        return sum(value * math.log(value) for value in values if value > 0)

    g = 2 * (entropy(counts[0].values()) + entropy(counts[1].values()) - entropy(both.values()))
    g -= 2 * (entropy([now]) + entropy([before]) - entropy([now + before]))
    free = len(both) - 1
    assert asker.number(PSI) == pytest.approx((g - free) * (1 / now + 1 / before), rel=1e-6)
    deviate = ((g / free) ** (1 / 3) - (1 - 2 / (9 * free))) / math.sqrt(2 / (9 * free))
    assert asker.number(SURPRISE) == pytest.approx(deviate, rel=1e-6)


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.file)
def test_pictures_are_drawn(day, shown):
    """Each picture of the documentation is SVG that holds the titles of its panels."""
    dashboard = to_dict(DASHBOARDS[shown.dashboard])
    asker = of(day[0], shown.model or ".*")
    words = {element.text for element in ET.fromstring(picture(dashboard, asker, shown.rows)).iter()}  # noqa: S314
    assert dashboard["title"] in words
    assert set(shown.rows) <= {str(word).removeprefix("⌄  ") for word in words}


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_grafana_s_schema_agrees(tmp_path):
    """Grafana's published schema takes every dashboard, and would not take one with a wrong type."""
    try:
        prepare(tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm could not fetch the schema: {error.stderr[-200:]!r}")
    made = [to_dict(dashboard) for dashboard in DASHBOARDS.values()]
    assert not complaints(made, tmp_path)
    made[0]["panels"][1]["gridPos"]["h"] = "tall"
    made[0]["panels"][1]["options"]["colorMode"] = "loud"
    found = complaints(made, tmp_path)
    assert "'string' is not assignable to type 'number'" in found
    assert '"loud"' in found
