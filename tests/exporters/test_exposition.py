"""Text for Prometheus, read back by the parsers of prometheus_client and by promtool."""

from __future__ import annotations

import math
import shutil
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
from servers import needs
from small_worlds import WORLDS

from modelmon.exporters.exposition import Exposition
from modelmon.points.attributes import safe_text
from modelmon.points.catalogue import CATALOGUE, HistogramValue, Point
from modelmon.points.families import describe, number
from modelmon.points.instruments import DELAY_BOUNDS, DURATION_BOUNDS
from modelmon.points.reading import points


def point(name: str, value: float | HistogramValue, **attributes: str) -> Point:
    """Return a point of the catalogue."""
    row = CATALOGUE[name]
    return Point(name, row.kind, row.unit, row.help, tuple(attributes.items()), value)


def parsed(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample of a text by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(text.decode("utf-8"))
        for sample in family.samples
    }


def test_text():
    """Families stand together under one header, in either order of points."""
    text = Exposition().render(
        [
            point("modelmon.calls", 3, model="m", version="", outcome="ok"),
            point("modelmon.call.active", 1, model="m", version=""),
            point("modelmon.calls", 1, model="n", version="", outcome="ok"),
        ]
    )
    assert text.decode() == (
        "# HELP modelmon_calls_total Calls that ended, by how they ended.\n"
        "# TYPE modelmon_calls_total counter\n"
        'modelmon_calls_total{error_type="",model="m",outcome="ok",version=""} 3\n'
        'modelmon_calls_total{error_type="",model="n",outcome="ok",version=""} 1\n'
        "# HELP modelmon_call_active Calls that run at this moment.\n"
        "# TYPE modelmon_call_active gauge\n"
        'modelmon_call_active{model="m",version=""} 1\n'
    )


def test_nothing():
    """No points give an empty text, or the end mark that OpenMetrics asks for."""
    assert Exposition().render([]) == b""
    assert Exposition().render([], "openmetrics") == b"# EOF\n"


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("times", [1, 2])
def test_both_formats_say_the_same(world, times):
    """The Prometheus text and OpenMetrics hold the same samples, at the first rendering and from the cache."""
    exposition = Exposition()
    for _ in range(times):
        plain = exposition.render(points(WORLDS[world]))
        other = exposition.render(points(WORLDS[world]), "openmetrics").decode()
    families = list(openmetrics.text_string_to_metric_families(other))
    samples = {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}
    assert samples == parsed(plain)


@needs("promtool")
@pytest.mark.parametrize("world", WORLDS)
def test_promtool_finds_nothing(world):
    """``promtool check metrics`` has no complaint, not even about style."""
    text = Exposition().render(points(WORLDS[world]))
    tool = shutil.which("promtool") or ""
    checked = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("name", CATALOGUE)
def test_names_follow_practice(name):
    """Counters end in _total, units are spelled out, and nothing else is added."""
    row, family = CATALOGUE[name], describe(CATALOGUE[name])
    assert family.sample.endswith("_total") == (row.kind == "counter")
    assert family.name.replace("_total", "").endswith({"s": "_seconds", "1": "_ratio"}.get(row.unit, ""))
    assert family.name.startswith(name.replace(".", "_"))


@pytest.mark.fault("Z16", "X13")
@given(st.text(max_size=30), st.text(max_size=200), st.integers(0, 2**70), st.floats(allow_nan=False))
@settings(max_examples=150, deadline=None)
def test_any_text_and_number_survives(model, version, count, quality):
    """Z16, X13: whatever stands in a label, a parser reads the same text back, and the numbers."""
    safe = {"model": safe_text(model), "version": safe_text(version)}
    text = Exposition().render(
        [point("modelmon.call.active", count, **safe), point("modelmon.quality", quality, metric="mae", **safe)]
    )
    assert text.count(b"\n") == 6
    samples = {name: (dict(labels), value) for (name, labels), value in parsed(text).items()}
    assert samples["modelmon_call_active"] in [(safe, count), (safe, float(count))]  # older parsers read floats
    labels, value = samples["modelmon_quality"]
    assert (labels["model"], labels["version"], value) == (safe["model"], safe["version"], quality)


@pytest.mark.fault("Z16", "X13")
@pytest.mark.parametrize(
    "hostile",
    [
        'x"} 1\nevil_total{a="b',
        "a\\",
        'a\\"',
        "\n# HELP x\n",
        "\udc80\ud800",
        "nul\x00nul",
        "a" * 10_000_000,
        "<script>alert(1)</script>",
        "${jndi:ldap://x}",
        "{{ template }}",
        "\x1b[31mred",
        "\r\n",
        "\u2028",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_labels_stay_labels(hostile):
    """Z16, X13: no text can end its label, its line or its family, or blow up a scrape."""
    safe = safe_text(hostile)
    text = Exposition().render([point("modelmon.calls", 1, model=safe, version="", outcome="ok")])
    assert text.count(b"\n") == 3
    assert len(text) < 2000
    ((_, labels),) = parsed(text)
    assert dict(labels)["model"] == safe


def test_numbers():
    """Whole numbers are exact whatever their size; words are those of Prometheus."""
    assert number(2**64 + 1) == "18446744073709551617"
    assert [number(x) for x in (0, 0.0, 1e-5, 1e22, math.inf, -math.inf)] == [
        "0",
        "0.0",
        "1e-05",
        "1e+22",
        "+Inf",
        "-Inf",
    ]


def test_bounds_have_three_digits():
    """Every bound can be an exact edge of the histograms, and durations run from 0.1 ms to 100 s."""
    for bound in (*DURATION_BOUNDS, *DELAY_BOUNDS):
        assert float(f"{bound:.3g}") == bound
    assert (DURATION_BOUNDS[0], DURATION_BOUNDS[-1]) == (0.0001, 100.0)
    assert list(DURATION_BOUNDS) == sorted(DURATION_BOUNDS)


def test_the_cache_follows_what_is_rendered():
    """Series that come and go do not pile up in the cache."""
    exposition = Exposition()
    for turn in range(30):
        exposition.render([point("modelmon.calls", 1, model=f"m{turn}-{n}", version="") for n in range(200)])
    assert exposition._cached <= 1600


def test_a_line_is_cheap():
    """Rendering 1,000 known series costs far less than building them anew."""
    many = [point("modelmon.calls", n, model=f"m{n}", version="", outcome="ok") for n in range(1000)]
    exposition = Exposition()
    begin = time.perf_counter()
    exposition.render(many)
    fresh = time.perf_counter() - begin
    known = []
    for _ in range(5):
        begin = time.perf_counter()
        exposition.render(many)
        known.append(time.perf_counter() - begin)
    assert min(known) < fresh
