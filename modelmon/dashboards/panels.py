"""What a dashboard is made of, as facts: queries, panels, rows, variables; how Grafana spells them is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Look = Literal["line", "dashed", "edge", "low", "high"]
Kind = Literal["timeseries", "stat", "heatmap", "table", "matrix", "text"]

COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Query:
    """Ask Prometheus for one or many series.

    Attributes:
        expr: PromQL; may hold Grafana's variables.
        legend: what a series is called; ``{{label}}`` stands for a label's value.
        look: how lines are drawn; ``low`` and ``high`` are the ends of a band, one series each; ``edge`` is an end of
            an interval where there are many series: named like the line that it belongs to, it has its colour.
        color: a fixed colour of all its series, or nothing for Grafana's choice.
        unit: of these series alone, where a panel holds several.
        name: the column's heading in a table.
        decimals: digits after the point, in a table.
    """

    expr: str
    legend: str = ""
    look: Look = "line"
    color: str = ""
    unit: str = ""
    name: str = ""
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Show the answers of some queries.

    Attributes:
        kind: how they are shown.
        title: what they are.
        help: what the numbers mean, and what they do not mean; one or a few sentences.
        queries: what is asked, in the order of drawing.
        unit: in Grafana's spelling.
        empty: what stands there while there is nothing to show; never a zero.
        width: columns of 24.
        height: rows of about 30 pixels.
        minimum: the lower end of the axis.
        maximum: the upper end of the axis.
        stacked: whether lines are stacked, for parts of a whole.
        decimals: digits after the point.
        limit: a value from which on the panel turns red.
        alarm: whether any value but zero turns it red.
        link: the address of a dashboard to open for a row of a table.
        text: Markdown of a text panel.
    """

    kind: Kind
    title: str
    help: str
    queries: tuple[Query, ...] = ()
    unit: str = "short"
    empty: str = "nothing in this time"
    width: int = 8
    height: int = 8
    minimum: float | None = None
    maximum: float | None = None
    stacked: bool = False
    decimals: int | None = None
    limit: float | None = None
    alarm: bool = False
    link: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Hold panels under a heading, left to right, line by line.

    Attributes:
        title: the heading.
        panels: what stands under it.
        folded: whether it is folded at first: for what not every model has.
    """

    title: str
    panels: tuple[Panel, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """Let the reader choose.

    Attributes:
        name: what queries call it.
        label: what the reader sees.
        query: PromQL's ``label_values`` to choose from, or nothing.
        options: fixed values to choose from, the first is the default.
        several: whether several, and all, can be chosen.
    """

    name: str
    label: str
    query: str = ""
    options: tuple[str, ...] = ()
    several: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Hold a whole dashboard.

    Attributes:
        name: what the command line and files call it.
        title: what Grafana shows.
        about: one sentence.
        variables: what the reader chooses, before the source of data.
        rows: what is shown.
        since: how far back it looks at first.
    """

    name: str
    title: str
    about: str
    variables: tuple[Variable, ...] = ()
    rows: tuple[Row, ...] = field(default=())
    since: str = "now-6h"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)
