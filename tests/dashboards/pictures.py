"""Pictures of whole dashboards: the JSON that ships, its queries answered by a real Prometheus, drawn as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charts import Box, chart
from heatmaps import heat
from ink import EDGE, FAINT, FONT, PAGE, PANEL, TEXT, fitted, tag, text, width_of
from tiles import matrix, number, table

if TYPE_CHECKING:
    from asking import Asker

Json = dict[str, Any]
WIDTH, GAP, UNIT = 1560, 8, 38
COLUMN = (WIDTH - 2 * GAP) / 24


def picture(dashboard: Json, asker: Asker, rows: tuple[str, ...] = ()) -> str:
    """Return a dashboard, or some of its rows, as SVG."""
    parts, top = [_head(dashboard, asker)], 56.0
    for title, panels in unfolded(dashboard):
        if rows and title not in rows:
            continue
        parts.append(text(GAP + 6, top + 22, f"⌄  {title}", 15, TEXT, font_weight=600))
        top += 34
        first = min(panel["gridPos"]["y"] for panel in panels)
        last = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
        for panel in panels:
            place = panel["gridPos"]
            box = Box(
                GAP + COLUMN * place["x"] + GAP / 2,
                top + UNIT * (place["y"] - first),
                COLUMN * place["w"] - GAP,
                UNIT * place["h"] - GAP,
            )
            parts.append(draw(panel, box, asker))
        top += UNIT * (last - first) + 6
    height = round(top + 6)
    back = tag("rect", width=WIDTH, height=height, fill=PAGE)
    return tag(
        "svg",
        back + "".join(parts),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        height=height,
        font_family=FONT,
    )


def unfolded(dashboard: Json) -> list[tuple[str, list[Json]]]:
    """Return the panels under each heading, those of folded rows too."""
    found: list[tuple[str, list[Json]]] = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            found.append((panel["title"], list(panel["panels"])))
        else:
            found[-1][1].append(panel)
    return found


def _head(dashboard: Json, asker: Asker) -> str:
    """Draw the title and what is chosen."""
    parts = [text(GAP + 6, 34, dashboard["title"], 19, TEXT, font_weight=600)]
    x = GAP + 40 + width_of(dashboard["title"], 19)
    for variable in dashboard["templating"]["list"][1:]:
        value = asker.chosen.get(variable["name"], "All")
        label, wide = variable["label"], 22 + width_of(variable["label"]) + width_of(value)
        parts.append(tag("rect", x=x, y=16, width=wide + 10, height=26, rx=3, fill=PANEL, stroke=EDGE))
        parts.append(text(x + 9, 33, label, 12, FAINT))
        parts.append(text(x + 19 + width_of(label), 33, value, 12, TEXT, font_weight=500))
        x += wide + 18
    words = f"last {asker.hours:g} hours"
    return "".join(parts) + text(WIDTH - GAP - 10, 34, words, 12.5, FAINT, text_anchor="end")


def draw(panel: Json, box: Box, asker: Asker) -> str:
    """Return one panel with its frame and title, or what stands there when nothing was answered."""
    parts = [tag("rect", x=box.x, y=box.y, width=box.w, height=box.h, rx=3, fill=PANEL, stroke=EDGE)]
    title = fitted(asker.text(panel["title"]), box.w - 20, 13)
    parts.append(text(box.x + 10, box.y + 21, title, 13, TEXT, font_weight=500))
    inner = Box(box.x, box.y + 30, box.w, box.h - 34)
    answers = [(target, asker.ask(target)) for target in panel["targets"]]
    if not any(many for _, many in answers):
        words = panel["fieldConfig"]["defaults"]["noValue"]
        size = 14 if box.h > 120 else 13
        shown = fitted(words, box.w - 12, size)
        parts.append(text(box.x + box.w / 2, inner.y + inner.h / 2, shown, size, FAINT, text_anchor="middle"))
    elif panel["type"] == "stat":
        parts.append(number(panel, inner, answers[0][1][0]))
    elif panel["type"] == "heatmap":
        parts.append(heat(panel, inner, answers, asker))
    elif panel["type"] == "table" and panel["transformations"][0]["id"] == "groupingToMatrix":
        parts.append(matrix(inner, answers[0][1]))
    elif panel["type"] == "table":
        parts.append(table(panel, inner, answers))
    else:
        parts.append(chart(panel, inner, answers, asker))
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class Shown:
    """Say what a picture of the documentation shows.

    Attributes:
        file: its name, without ``.svg``.
        dashboard: which one.
        model: the model that is chosen.
        rows: the headings of the rows, all of them if none are named.
    """

    file: str
    dashboard: str
    model: str = ""
    rows: tuple[str, ...] = ()


SHOWN = (
    Shown("overview", "overview"),
    Shown("quality", "model", "fraud", ("Now", "Quality of the labelled predictions")),
    Shown("blind", "model", "letters", ("Now", "Quality of the labelled predictions")),
    Shown("speed", "model", "fraud", ("Speed", "Labels")),
    Shown("drift", "model", "letters", ("Predictions, and their drift",)),
    Shown("streams", "model", "chat", ("Streams", "Devices")),
    Shown("versions", "versions", "fraud"),
    Shown("fleet", "fleet"),
)
