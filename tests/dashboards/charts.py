"""Panels with time from left to right: lines, stacks, bands, heat maps."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ink import FAINT, GRID, NAMED, PALETTE, TEXT, blend, fitted, path, tag, text, ticks, width_of, written

if TYPE_CHECKING:
    from asking import Asker, Series

Json = dict[str, Any]
Pairs = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Box:
    """Say where something is drawn, in pixels."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True, slots=True)
class Line:
    """Hold a series with its name and looks."""

    name: str
    values: Pairs
    color: str
    style: Json


@dataclass(frozen=True, slots=True)
class Frame:
    """Turn times and values into pixels."""

    box: Box
    begin: float
    end: float
    low: float
    high: float

    def x(self, at: float) -> float:
        """Return where a time is."""
        return self.box.x + self.box.w * (at - self.begin) / (self.end - self.begin)

    def y(self, value: float) -> float:
        """Return where a value is."""
        share = (value - self.low) / ((self.high - self.low) or 1)
        return self.box.y + self.box.h * (1 - min(max(share, -0.02), 1.02))


def lines_of(panel: Json, answers: list[tuple[Json, list[Series]]], asker: Asker) -> list[Line]:
    """Return the lines of a panel with their names and colours; a name keeps its colour."""
    styles = {
        override["matcher"]["options"]: {entry["id"]: entry["value"] for entry in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }
    found = [
        (_name(target, series, asker), series.values, styles.get(target["refId"], {}))
        for target, many in answers
        for series in many
    ]
    names = sorted({name for name, _, style in found if "color" not in style})
    colors = dict(zip(names, (PALETTE * (1 + len(names) // len(PALETTE)))[: len(names)], strict=True))
    return [
        Line(name, values, NAMED[style["color"]["fixedColor"]] if "color" in style else colors[name], style)
        for name, values, style in found
    ]


def _name(target: Json, series: Series, asker: Asker) -> str:
    name = asker.text(target["legendFormat"])
    if name == "__auto":
        return " ".join(series.labels.values())
    for label in set(_between(name)):
        name = name.replace("{{" + label + "}}", series.labels.get(label, ""))
    return name.strip()


def _between(template: str) -> list[str]:
    return [part.partition("}}")[0] for part in template.split("{{")[1:]]


def chart(panel: Json, box: Box, answers: list[tuple[Json, list[Series]]], asker: Asker) -> str:
    """Draw lines over time."""
    lines = lines_of(panel, answers, asker)
    legend, height = _legend([line for line in lines if line.style.get("custom.lineWidth") != 0 or _is_high(line)], box)
    plot = Box(box.x + 58, box.y + 6, box.w - 70, box.h - 30 - height)
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    drawn = _stack(lines) if stacked else lines
    limit = next((step["value"] for step in defaults["thresholds"]["steps"] if step["value"] is not None), None)
    frame, marks = _framed(plot, drawn, defaults, asker, limit)
    parts = [axes(frame, marks, defaults["unit"])]
    if limit is not None and frame.low <= limit <= frame.high:
        y = frame.y(limit)
        parts.append(
            tag("path", d=f"M{plot.x:.0f},{y:.1f}H{plot.x + plot.w:.0f}", stroke=NAMED["red"], stroke_dasharray="6 5")
        )
    parts += _stacked(drawn, frame, asker.step) if stacked else _plain(drawn, frame, asker.step)
    return "".join(parts) + legend


def _is_high(line: Line) -> bool:
    return "custom.fillBelowTo" in line.style


def _framed(
    plot: Box, lines: list[Line], defaults: Json, asker: Asker, limit: float | None
) -> tuple[Frame, list[float]]:
    values = [value for line in lines for _, value in line.values]
    if limit is not None and values:
        values.append(limit * 1.1)
    low = defaults.get("min", min(values, default=0.0))
    high = max(values, default=1.0)
    if "max" in defaults and high <= defaults["max"]:
        high = min(high + 0.1 * (high - low), defaults["max"])
    if high <= low:
        high = low + (abs(low) or 1.0)
    marks = ticks(low, high, 5 if plot.h > 120 else 3, defaults["unit"])
    return Frame(plot, asker.end - asker.hours * 3600, asker.end, marks[0], marks[-1]), marks


def axes(frame: Frame, marks: list[float], unit: str) -> str:
    """Draw the grid, and what it says."""
    box, parts = frame.box, []
    steps = {abs(b - a) for a, b in itertools.pairwise(marks)} or {1.0}
    for mark in marks:
        y = frame.y(mark)
        parts.append(tag("path", d=f"M{box.x:.0f},{y:.1f}H{box.x + box.w:.0f}", stroke=GRID))
        parts.append(text(box.x - 6, y + 4, _mark(mark, unit, min(steps)), 11, FAINT, text_anchor="end"))
    return "".join(parts) + times(frame)


def _mark(mark: float, unit: str, step: float) -> str:
    decimals = None
    if unit == "percentunit":
        decimals = next((digits for digits in range(4) if _whole(step * 10 ** (2 + digits))), 4)
    return written(mark, unit, decimals).replace(" req/s", "/s").replace(" ops/s", "/s")


def _whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-6


def times(frame: Frame) -> str:
    """Draw the hours under a panel."""
    hours = (frame.end - frame.begin) / 3600
    step = next(
        size
        for size in (600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
        if hours * 3600 / size <= max(3, frame.box.w / 75)
    )
    at, parts = math.ceil(frame.begin / step) * step, []
    while at < frame.end:
        words = time.strftime("%H:%M", time.gmtime(at))
        parts.append(text(frame.x(at), frame.box.y + frame.box.h + 16, words, 11, FAINT, text_anchor="middle"))
        at += step
    return "".join(parts)


def _runs(values: Pairs, step: float) -> list[list[tuple[float, float]]]:
    """Return values without gaps, run by run."""
    runs: list[list[tuple[float, float]]] = []
    before = -math.inf
    for at, value in values:
        if at - before > 1.5 * step:
            runs.append([])
        runs[-1].append((at, value))
        before = at
    return runs


def _plain(lines: list[Line], frame: Frame, step: float) -> list[str]:
    lows = {line.name: line for line in lines}
    parts = []
    for line in lines:
        if _is_high(line):
            parts += _band(lows[line.style["custom.fillBelowTo"]], line, frame, step)
    for line in lines:
        width = line.style.get("custom.lineWidth", 2)
        if not width:
            continue
        dash = {"stroke_dasharray": "5 5"} if "custom.lineStyle" in line.style else {}
        for run in _runs(line.values, step):
            points = [(frame.x(at), frame.y(value)) for at, value in run]
            points = points if len(points) > 1 else [points[0], (points[0][0] + 1, points[0][1])]
            parts.append(
                path(points, fill="none", stroke=line.color, stroke_width=width * 0.8, stroke_linejoin="round", **dash)
            )
    return parts


def _band(low: Line, high: Line, frame: Frame, step: float) -> list[str]:
    floor = dict(low.values)
    parts = []
    for run in _runs(tuple(pair for pair in high.values if pair[0] in floor), step):
        upper = [(frame.x(at), frame.y(value)) for at, value in run]
        lower = [(frame.x(at), frame.y(floor[at])) for at, _ in reversed(run)]
        parts.append(path([*upper, *lower], fill=high.color, fill_opacity=0.22))
    return parts


def _stack(lines: list[Line]) -> list[Line]:
    """Return lines one upon the other; the last one comes first, so that it is drawn behind."""
    base: dict[float, float] = {}
    made = []
    for line in sorted(lines, key=lambda line: line.name):
        values = []
        for at, value in line.values:
            base[at] = base.get(at, 0.0) + value
            values.append((at, base[at]))
        made.append(Line(line.name, tuple(values), line.color, line.style))
    return made


def _stacked(lines: list[Line], frame: Frame, step: float) -> list[str]:
    parts = []
    bottom = frame.y(max(frame.low, 0.0))
    for line in reversed(lines):
        for run in _runs(line.values, step):
            points = [(frame.x(at), frame.y(value)) for at, value in run]
            closed = [*points, (points[-1][0], bottom), (points[0][0], bottom)]
            parts.append(path(closed, fill=blend(0.45, ("#181b1f", line.color)), stroke=line.color, stroke_width=1))
    return parts


def _legend(lines: list[Line], box: Box) -> tuple[str, float]:
    """Return the legend at the foot of a panel and its height: as many names as two rows take."""
    parts, x, row = [], box.x + 10, 0
    seen = []
    for line in sorted({line.name: line for line in lines}.values(), key=lambda line: line.name):
        name = "95 % interval" if _is_high(line) and line.name == "to" else line.name
        if _is_high(line) and name != "95 % interval":
            name = f"{line.style['custom.fillBelowTo'].rsplit(' ', 1)[0]}, 95 %"
        seen.append((fitted(name or "(none)", box.w - 50, 11), line))
    rows: list[list[tuple[str, Line]]] = [[]]
    for name, line in seen:
        wide = 30 + width_of(name, 11)
        if x + wide > box.x + box.w - 6 and rows[-1]:
            rows.append([])
            x = box.x + 10
        rows[-1].append((name, line))
        x += wide
    shown = rows[:2]
    for row, entries in enumerate(shown):
        x, y = box.x + 10, box.y + box.h - 8 - 17 * (len(shown) - 1 - row)
        for name, line in entries:
            thick = 9 if _is_high(line) else 3
            opacity = 0.35 if _is_high(line) else 1
            parts.append(
                tag(
                    "rect",
                    x=x,
                    y=y - 4 - thick / 2,
                    width=13,
                    height=thick,
                    rx=1.5,
                    fill=line.color,
                    fill_opacity=opacity,
                )
            )
            parts.append(text(x + 18, y, name, 11, TEXT))
            x += 30 + width_of(name, 11)
    return "".join(parts), 17.0 * len(shown)
