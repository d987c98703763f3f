"""The charts of the demo: sparklines, bars, whiskers and heat, out of characters and colours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.style import Style
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

SPARKS = "▁▂▃▄▅▆▇█"
GREY, GOOD, WAIT, BAD, MARK = "grey50", "#4fb286", "#e0a83c", "#d8574f", "#7db7e8"
Colour = tuple[int, int, int]
NIGHT: Colour = (30, 34, 42)
RIGHT: Colour = (42, 157, 110)
WRONG: Colour = (214, 76, 66)


def sparkline(values: Sequence[float], width: int) -> Text:
    """Draw the last values as bars of one line, the highest filling it."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0) or 1.0
    bars = "".join(SPARKS[min(7, int(8 * value / top))] for value in shown)
    return Text(bars.rjust(width), style=MARK)


def stacked(parts: Sequence[tuple[float, str]], width: int) -> Text:
    """Draw parts of a whole as one bar; each part is a size and a colour."""
    whole = sum(size for size, _ in parts)
    text, drawn, reached = Text(), 0, 0.0
    for size, colour in parts:
        reached += size
        end = round(width * reached / whole) if whole else 0
        text.append("━" * (end - drawn), style=colour)
        drawn = end
    text.append("─" * (width - drawn), style="grey23")
    return text


def whisker(value: float, interval: tuple[float, float], axis: tuple[float, float], width: int) -> Text:
    """Draw a value and its interval on an axis; an undefined one leaves the axis empty."""
    cells = ["·"] * width
    left, right = (_place(end, axis, width) for end in interval)
    if left is not None and right is not None:
        cells[left : right + 1] = "─" * (right + 1 - left)
        cells[left], cells[right] = "├", "┤"
    here = _place(value, axis, width)
    if here is not None:
        cells[here] = "●"
    text = Text("".join(cells), style=GREY)
    if left is not None and right is not None:
        text.stylize(MARK, left, right + 1)
    if here is not None:
        text.stylize(f"bold {GOOD}", here, here + 1)
    return text


def heat(matrix: Any, names: Sequence[str], cell: int) -> Table:
    """Draw a confusion matrix, rows true and columns predicted; right is green, wrong is red, more is brighter."""
    table = Table.grid(padding=0)
    table.add_column(justify="right", style=GREY)
    table.add_column(width=1)
    for _ in names:
        table.add_column(justify="right", width=cell)
    table.add_row("", "", *(Text(name.rjust(cell), style=GREY) for name in names))
    for row, name in enumerate(names):
        support = max(1, int(matrix[row].sum()))
        boxes = [_box(int(matrix[row, column]), support, row == column, cell) for column in range(len(names))]
        table.add_row(name, "", *boxes)
    return table


def milliseconds(seconds: float) -> str:
    """Write a duration in milliseconds.

    >>> milliseconds(0.01234), milliseconds(float("nan"))
    ('12.3 ms', '-')
    """
    return "-" if math.isnan(seconds) else f"{seconds * 1e3:.3g} ms"


def ratio(value: float) -> str:
    """Write a ratio, or a dash where it is undefined.

    >>> ratio(0.98765), ratio(float("nan"))
    ('0.988', '-')
    """
    return "-" if math.isnan(value) else f"{value:.3f}"


def _place(value: float, axis: tuple[float, float], width: int) -> int | None:
    if math.isnan(value):
        return None
    share = (value - axis[0]) / (axis[1] - axis[0])
    return min(width - 1, max(0, round(share * (width - 1))))


def _box(count: int, support: int, right: bool, cell: int) -> Text:  # noqa: FBT001 - a cell is on the diagonal or not
    share = count / support if right else min(1.0, 4.0 * count / support) ** 0.6
    towards = RIGHT if right else WRONG
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(NIGHT, towards, strict=True))
    style = Style(bgcolor=f"rgb({red},{green},{blue})", color="white" if count else "grey35", bold=right)
    return Text(f"{count or '·':>{cell}}", style=style)
