"""Try the demo: its charts by eye-checked strings, its plain record by hand, the whole show at a quick pace."""

from __future__ import annotations

import io
import math
from random import Random
from urllib.request import urlopen

import numpy as np
import pytest

pytest.importorskip("rich")
pytest.importorskip("sklearn")

from rich.console import Console

from modelmon import Monitor, Multiclass
from modelmon.cli import main
from modelmon.demo import charts, play, stage
from modelmon.demo.post import RETRACTED, Post
from modelmon.demo.verdict import Line


def drawn(renderable) -> str:
    """Return what a renderable looks like without its colours."""
    console = Console(width=120, file=io.StringIO(), color_system=None)
    console.print(renderable)
    return console.file.getvalue().rstrip("\n")


def test_sparkline_fills_with_its_highest_value() -> None:
    """Bars are relative to the highest value shown, and stand at the right."""
    assert charts.sparkline([0, 1, 2, 4], 6).plain == "  ▁▃▅█"
    assert charts.sparkline([], 3).plain == "   "


def test_stacked_bar_keeps_its_length() -> None:
    """Parts take their share of the bar, and an empty whole leaves it empty."""
    assert charts.stacked([(3, "green"), (1, "red")], 8).plain == "━" * 8
    assert charts.stacked([(0, "green"), (0, "red")], 8).plain == "─" * 8


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (0.5, (0.25, 0.75), "··├─●─┤··"),
        (0.5, (math.nan, math.nan), "····●····"),
        (math.nan, (math.nan, math.nan), "·········"),
        (0.0, (-1.0, 2.0), "●───────┤"),
    ],
)
def test_whisker(value: float, interval: tuple[float, float], text: str) -> None:
    """A value and its interval stand at their places on the axis; what is undefined or outside does not break it."""
    assert charts.whisker(value, interval, axis=(0.0, 1.0), width=9).plain == text


def test_heat_shows_every_cell() -> None:
    """Counts stand in rows of the true class, and an empty cell is a dot."""
    table = charts.heat(np.array([[3, 0], [1, 12]]), ["a", "b"], 4)
    assert [line.split() for line in drawn(table).splitlines()] == [["a", "b"], ["a", "3", "·"], ["b", "1", "12"]]


def test_post_remembers_what_was_last_said() -> None:
    """However labels are delivered, the plain record and the monitor end with the same truths."""
    monitor = Monitor()
    post = Post(Random(1), traffic_s=1.0, end_s=2.0)
    ids = [f"id-{number}" for number in range(2_000)]
    monitor.predictions(ids, ["a"] * len(ids), model="m", task=Multiclass(classes=("a", "b")))
    for id_ in ids:
        post.plan(id_, "a", "b", 0.0)
    for now in np.linspace(0.0, 2.0, 21):
        post.deliver(monitor, float(now))
    seen = monitor.snapshot()["m"]
    assert post.waiting == 0
    assert seen.labelled == len(post.known()) > 1_000
    assert seen.accuracy == 1.0
    assert RETRACTED in post.truths.values()
    assert min(seen.label_events[name] for name in ("joined", "duplicate", "corrected", "retracted", "stale")) > 0


def test_line_of_the_verdict_agrees_within_its_tolerance() -> None:
    """Equal is equal, near is near, and what is undefined agrees with nothing."""
    assert Line("m", "AUC", 0.5, 0.5001, 0.001).agrees
    assert not Line("m", "accuracy", 0.5, 0.5001).agrees
    assert not Line("m", "accuracy", math.nan, 0.5).agrees


@pytest.mark.parametrize("terminal", [True, False])
def test_show_ends_in_agreement(terminal: bool) -> None:
    """The whole demo, hurried, judges itself equal to scikit-learn, on a terminal and in a pipe."""
    console = Console(width=110, height=50, file=io.StringIO(), force_terminal=terminal)
    assert play(seconds=2.0, console=console) == 0
    text = console.file.getvalue()
    assert "numbers agree: quality with scikit-learn" in text
    assert "✗" not in text


def test_show_serves_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a port the endpoint is up at the end and shows what the demo has counted."""
    pages = []

    def look(_console: Console, port: int) -> None:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            pages.append(answer.read().decode())

    monkeypatch.setattr(stage, "_stay", look)
    assert play(seconds=1.0, port=0, console=Console(file=io.StringIO())) == 0
    assert 'modelmon_confusion_total{actual="benign"' in pages[0]


def test_taken_port_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is taken ends the demo with a line that says so."""

    def refuse(_monitor: Monitor, port: int) -> int:
        message = f"port {port} is taken"
        raise OSError(message)

    monkeypatch.setattr(stage, "_serve", refuse)
    assert main(["demo", "--serve", "--port", "80"]) == 1
    assert capsys.readouterr().err == "modelmon: port 80 is taken\n"
