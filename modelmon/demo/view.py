"""The picture of the demo: one frame is a pure function of a snapshot and the pace so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from modelmon.demo.charts import (
    BAD,
    GOOD,
    GREY,
    MARK,
    WAIT,
    heat,
    milliseconds,
    ratio,
    sparkline,
    stacked,
    whisker,
)
from modelmon.demo.service import BENIGN, MALIGNANT, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from modelmon.demo.verdict import Line
    from modelmon.snapshot import ModelSnapshot, Snapshot

MODELS = ("digits", "tumours")
AXIS = (0.75, 1.0)
WIDE = 98  # columns from which the matrices stand beside the figures, else below them
TALL = 40  # rows from which there is room for them below
ROOMY = 108  # columns from which the cells of a matrix are four wide, else three
EVENTS = {"duplicate": "twice", "corrected": "corrected", "retracted": "retracted", "stale": "stale"}


def frame(
    snapshot: Snapshot, pace: Mapping[str, Sequence[float]], *, headline: str, size: tuple[int, int]
) -> RenderableType:
    """Draw everything that a terminal of this size (columns, rows) has room for.

    ``pace`` holds the calls per second of each model, oldest first.
    """
    width, height = size
    models = {name: snapshot[name, VERSION] for name in MODELS}
    figures = Group(
        _titled("calls", _calls(models, pace)),
        _titled("labels", _labels(models)),
        _titled(f"quality, with 95 % intervals, from {AXIS[0]} to {AXIS[1]:.0f}", _quality(models)),
    )
    body = Table.grid(padding=(0, 2))
    if width >= WIDE:
        body.add_row(figures, _matrices(models, 4 if width >= ROOMY else 3))
    else:
        body.add_row(figures)
        if height >= TALL:
            body.add_row(_matrices(models, 4))
    return Group(Text(headline, style=f"bold {MARK}"), body)


def line(snapshot: Snapshot, at: float) -> str:
    """Say the state in one line of plain text, for output that is no terminal."""
    parts = [f"{at:5.1f} s"]
    for name in MODELS:
        model = snapshot[name, VERSION]
        low, high = model.interval("accuracy")
        parts.append(
            f"{name}: {model.calls} calls, p99 {milliseconds(model.duration.quantile(0.99))}, "
            f"{model.labelled} of {model.predictions} labelled, "
            f"accuracy {ratio(model.accuracy)} [{ratio(low)}, {ratio(high)}]",
        )
    return "   ".join(parts)


def verdict(lines: Sequence[Line]) -> RenderableType:
    """Draw our numbers beside scikit-learn's."""
    table = Table(box=box.SIMPLE_HEAD, header_style=GREY, title_justify="left", pad_edge=False)
    for title, side in (
        ("model", "left"),
        ("", "left"),
        ("modelmon", "right"),
        ("expected", "right"),
        ("", "left"),
    ):
        table.add_column(title, justify=side)  # type: ignore[arg-type]
    for number, entry in enumerate(lines):
        first = number == 0 or lines[number - 1].model != entry.model
        mark = (
            Text("✓ equal", style=GOOD)
            if entry.agrees
            else Text(f"✗ off by {entry.ours - entry.theirs:.2g}", style=BAD)
        )
        if entry.agrees and entry.ours != entry.theirs:
            mark = Text(f"✓ within {entry.tolerance:.0e}", style=GOOD)
        table.add_row(entry.model if first else "", entry.metric, _figure(entry.ours), _figure(entry.theirs), mark)
    return table


def _titled(title: str, content: RenderableType) -> RenderableType:
    return Group(Text(f"\n{title}", style=GREY), content)


def _columns(*justified: str) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for side in justified:
        table.add_column(justify=side, no_wrap=True)  # type: ignore[arg-type]
    return table


def _calls(models: Mapping[str, ModelSnapshot], pace: Mapping[str, Sequence[float]]) -> Table:
    table = _columns("left", "right", "right", "right", "right", "right", "right")
    table.add_row(*(Text(title, style=GREY) for title in ("", "total", "", "per s", "p50", "p99", "errors")))
    for name, model in models.items():
        errors = model.outcomes["error"]
        table.add_row(
            Text(name, style="bold"),
            f"{model.calls:,}",
            sparkline(pace[name], 9),
            f"{pace[name][-1] if pace[name] else 0.0:.0f}",
            milliseconds(model.duration.quantile(0.5)),
            milliseconds(model.duration.quantile(0.99)),
            Text(f"{errors}", style=BAD if errors else GREY),
        )
    return table


def _labels(models: Mapping[str, ModelSnapshot]) -> Table:
    table = _columns("left", "left")
    for name, model in models.items():
        bar = stacked([(model.labelled, GOOD), (model.awaiting, WAIT)], 16)
        coverage = "-" if math.isnan(model.coverage) else f"{model.coverage:.0%}"
        bar.append(f" {coverage:>4}").append(f"  {model.labelled:,} labelled", style=GOOD)
        table.add_row(Text(name, style="bold"), bar.append(f"  {model.awaiting:,} awaiting", style=WAIT))
        counts = {title: model.label_events[event] for event, title in EVENTS.items()}
        counts = {"early": model.prediction_events["joined_early"], **counts}
        table.add_row("", Text("  ".join(f"{n:,} {title}" for title, n in counts.items()), style=GREY))
    return table


def _quality(models: Mapping[str, ModelSnapshot]) -> Table:
    table = _columns("left", "left", "right", "left")
    shown = None
    for name, metric, value, interval in _metrics(models):
        title = Text(name if name != shown else "", style="bold")
        table.add_row(title, metric, ratio(value), whisker(value, interval, axis=AXIS, width=32))
        shown = name
    return table


def _metrics(models: Mapping[str, ModelSnapshot]) -> Iterator[tuple[str, str, float, tuple[float, float]]]:
    for name, model in models.items():
        yield name, "accuracy", model.accuracy, model.interval("accuracy")
        yield name, "F1", model.f1(), model.interval("f1")
        yield name, "AUC", model.auc, model.interval("auc")


def _matrices(models: Mapping[str, ModelSnapshot], cell: int) -> RenderableType:
    digits = heat(models["digits"].confusion.matrix, [str(digit) for digit in range(10)], cell)
    tumours = heat(models["tumours"].confusion.matrix, [BENIGN, MALIGNANT], 11)
    title = Text("rows true, columns predicted", style=GREY)
    content = Group(title, Text(), digits, Text(), tumours)
    return Panel(content, box=box.ROUNDED, border_style="grey30", padding=(0, 1), expand=False)


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.12f}"
