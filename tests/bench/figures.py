"""Figures: what was measured, beside a peer and a goal; printed as a table, written as JSON or Markdown."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PEERS = (
    "numpy",
    "wrapt",
    "prometheus_client",
    "opentelemetry-sdk",
    "river",
    "scikit-learn",
    "pandas",
    "duckdb",
    "redis",
    "psycopg",
)
MARKS = ("<!-- figures -->", "<!-- /figures -->")
_HEADS = ("figure", "ours", "median", "peer", "peer's", "ratio", "goal", "met")


@dataclass(frozen=True, slots=True)
class Goal:
    """Say what a figure should be: at most (or at least) ``bound``, as a ratio to the peer or in our own unit."""

    bound: float
    of: str = "ours"
    least: bool = False

    def is_met(self, figure: Figure) -> bool | None:
        """Tell whether a figure meets it; None where it cannot be told."""
        value = figure.ratio if self.of == "ratio" else figure.ours
        if value is None or math.isnan(value):
            return None
        return value >= self.bound if self.least else value <= self.bound

    def show(self, unit: str) -> str:
        """Return it as text."""
        sign = "≥" if self.least else "≤"
        return f"{sign} {number(self.bound)} x" if self.of == "ratio" else f"{sign} {number(self.bound)} {unit}"


@dataclass(frozen=True, slots=True)
class Figure:
    """Hold one measured number.

    Attributes:
        name: what was measured.
        ours: our minimum, in ``unit``; None where it could not be measured.
        unit: such as ``"ns"``.
        median: our median, or None.
        peer: what it is compared with, or empty.
        peers: the peer's minimum in the same unit, or None.
        goal: what it should be, or None.
        note: why there is no number, or what to know about it.
    """

    name: str
    ours: float | None
    unit: str = "ns"
    median: float | None = None
    peer: str = ""
    peers: float | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by the peer's."""
        if self.ours is None or not self.peers:
            return None
        return self.ours / self.peers

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none or nothing was measured."""
        return None if self.goal is None else self.goal.is_met(self)

    def row(self) -> tuple[str, ...]:
        """Return the cells of its line."""
        unit = f" {self.unit}" if self.unit else ""
        ours = "-" if self.ours is None else number(self.ours) + unit
        met = {True: "yes", False: "NO", None: "" if self.goal is None else "?"}[self.met]
        return (
            self.name,
            ours,
            "" if self.median is None else number(self.median),
            self.peer,
            "" if self.peers is None else number(self.peers) + unit,
            "" if self.ratio is None else f"{number(self.ratio)} x",
            "" if self.goal is None else self.goal.show(self.unit),
            met,
        )

    def state(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Figure:
        """Rebuild what ``state`` gave."""
        fields = {name: value for name, value in state.items() if name not in ("ratio", "met")}
        goal = fields.pop("goal")
        return cls(**fields, goal=None if goal is None else Goal(**goal))


def missing(name: str, peer: str) -> Figure:
    """Return the line of a peer that is not installed."""
    return Figure(name, None, peer=peer, note=f"{peer} is not installed")


def number(value: float) -> str:
    """Return a number with three significant digits.

    >>> number(0.0123456), number(123456.7), number(0)
    ('0.0123', '123,457', '0')
    """
    if value == 0 or math.isnan(value):
        return "0" if value == 0 else "nan"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.3g}"


def machine() -> dict[str, Any]:
    """Describe where the figures were taken."""
    held = {item.metadata["Name"].lower().replace("-", "_"): item.version for item in distributions()}
    found = {peer: held.get(peer.replace("-", "_"), "missing") for peer in PEERS}
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else ""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores {model}".strip(),
        "packages": found,
    }


def table(groups: Mapping[str, Sequence[Figure]]) -> str:
    """Return all figures as text in columns."""
    rows = {name: [figure.row() for figure in figures] for name, figures in groups.items()}
    every = [_HEADS, *(row for found in rows.values() for row in found)]
    widths = [max(len(row[column]) for row in every) for column in range(len(_HEADS))]
    lines = [_line(_HEADS, widths), "─" * (sum(widths) + 2 * len(widths))]
    for name, found in rows.items():
        lines += [f"[{name}]", *(_line(row, widths) for row in found)]
        lines += [f"    {note}" for note in notes(groups[name])]
    return "\n".join(lines)


def notes(figures: Iterable[Figure]) -> list[str]:
    """Return what there is to know about some figures, one line each."""
    return [f"{figure.name}: {figure.note}" for figure in figures if figure.note]


def verdict(figures: Iterable[Figure]) -> str:
    """Return one line that counts the goals met."""
    goals = [figure for figure in figures if figure.goal is not None]
    failed = [figure.name for figure in goals if figure.met is False]
    text = f"{sum(figure.met is True for figure in goals)} of {len(goals)} goals met"
    return text + (f"; not met: {', '.join(failed)}" if failed else "")


def write_json(path: Path, groups: Mapping[str, Sequence[Figure]], mode: str) -> None:
    """Write all figures with the machine's description."""
    state = {"mode": mode, **machine(), "groups": {name: [f.state() for f in found] for name, found in groups.items()}}
    path.write_text(json.dumps(state, indent=1, ensure_ascii=False) + "\n", "utf-8")


def write_markdown(path: Path, groups: Mapping[str, Sequence[Figure]], mode: str) -> None:
    """Put the tables between the marks of a page.

    Raises:
        ValueError: when the page has no marks.
    """
    page = path.read_text("utf-8")
    before, mark, rest = page.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not mark or not end:
        message = f"{path} has no {MARKS[0]} … {MARKS[1]}"
        raise ValueError(message)
    where = machine()
    packages = ", ".join(f"{name} {held}" for name, held in where["packages"].items())
    lines = [f"Taken on {where['date']} with {where['python']} on {where['system']}; {mode}.", f"{packages}.", ""]
    for name, found in groups.items():
        lines += [f"### {name}", "", "| " + " | ".join(_HEADS) + " |", "|" + "---|" * len(_HEADS)]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in figure.row()) + " |" for figure in found]
        lines += ["", *(f"{note}." for note in notes(found)), ""]
    lines.append(verdict(figure for found in groups.values() for figure in found) + ".")
    path.write_text(f"{before}{MARKS[0]}\n\n" + "\n".join(lines) + f"\n\n{MARKS[1]}{after}", "utf-8")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]).rstrip()
