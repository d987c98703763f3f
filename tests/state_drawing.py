"""Draw the states of the join from the tables in code: ``python tests/state_drawing.py`` writes them into the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelmon.stores.states import ACTIONS, ASSUMED_NEXT, NEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parent.parent / "docs"
DRAWING = DOCS / "states.svg"
PAGE = DOCS / "labels.md"
MARKS = ("<!-- from the tables of modelmon/stores/states.py -->", "<!-- end -->")
Pair = tuple[str, str]


class Move(NamedTuple):
    """One way from a state to another: by what, and what a label call answers."""

    before: str
    after: str
    by: str
    outcome: str = ""


# What neither a label nor time does.
ARRIVALS = (
    Move("none", "pending", "a prediction"),
    Move("none", "joined", "a prediction whose label is there already"),
    Move("none", "early", "a label whose prediction has not come", "early"),
    Move("early", "consumed", "its prediction comes"),
)
DEPARTURES = (
    Move("pending", "evicted", "`max_awaiting` is reached, and its id is outside the sample that is kept"),
    Move("pending", "forgotten", "`forget(id)`"),
)
BY_LABEL = {
    "gains": "a label",
    "differs": "a label of another value",
    "loses": "the label is retracted",
    "loses_late": "the label is retracted after `ttl`",
    "confirms": "a label of the value that was assumed",
    "falls": "the label is retracted, and what was assumed holds again",
}
BY_TIME = {
    "pending": "`ttl` is over",
    "joined": "`correction_horizon` is over",
    "early": "`early_ttl` is over",
}
_TOMBSTONE = "`forget_after` is over"


def moves() -> Iterator[Move]:
    """Return every way from a state to another, as the tables have it."""
    yield from ARRIVALS
    for (state, change), (after, outcome) in ACTIONS.items():
        yield Move(state, after, BY_LABEL[change], outcome)
    for state, after in ASSUMED_NEXT.items():
        yield Move(state, after, "no label came in the time that `assume_label` gives")
    yield from DEPARTURES
    for state, after in NEXT.items():
        yield Move(state, after, BY_TIME.get(state, _TOMBSTONE))


def table() -> str:
    """Return the moves as a table of Markdown."""
    rows = [f"| {move.before} | {move.after} | {move.by} | {_code(move.outcome)} |" for move in moves()]
    return "\n".join(["| from | to | by | a label call answers |", "|---|---|---|---|", *rows])


def _code(outcome: str) -> str:
    return f"`{outcome}`" if outcome else ""


# -- the drawing -----------------------------------------------------------------------------------------------------

PLACES = {
    "none": (60, 170),
    "pending": (250, 170),
    "joined": (520, 170),
    "closed": (760, 170),
    "evicted": (250, 300),
    "expired": (520, 300),
    "forgotten": (760, 300),
    "early": (250, 55),
    "consumed": (520, 30),
    "orphaned": (520, 80),
}
"""Middle of each state's box."""

ARROWS = {
    ("none", "pending"): ("M105 170 H203", (154, 160), "prediction"),
    ("none", "joined"): ("M85 152 Q280 70 485 151", (268, 103), "prediction, its label came before"),
    ("none", "early"): ("M60 152 V67 Q60 55 72 55 H203", (132, 45), "label"),
    ("early", "consumed"): ("M297 50 L472 32", (385, 30), "prediction"),
    ("early", "orphaned"): ("M297 60 L472 78", (385, 84), "early_ttl"),
    ("pending", "joined"): ("M297 163 H472", (385, 157), "label, or assumed"),
    ("joined", "pending"): ("M472 178 H298", (385, 193), "retracted"),
    ("joined", "joined"): ("M535 152 C535 115 590 115 560 151", (620, 128), "corrected"),
    ("joined", "expired"): ("M520 188 V281", (590, 238), "retracted after ttl"),
    ("joined", "closed"): ("M567 170 H712", (640, 160), "correction_horizon"),
    ("pending", "expired"): ("M285 188 L478 282", (405, 232), "ttl"),
    ("pending", "evicted"): ("M250 188 V281", (212, 238), "no room"),
    ("pending", "forgotten"): ("M212 188 C130 240 130 385 300 385 H720 Q760 385 760 320", (640, 378), "forget()"),
    ("closed", "forgotten"): ("M760 188 V281", (812, 238), "forget_after"),
    ("expired", "forgotten"): ("M567 300 H712", (640, 292), "forget_after"),
    ("evicted", "forgotten"): ("M280 318 Q310 350 360 350 H690 Q720 350 733 320", (500, 343), "forget_after"),
}
"""Path of each arrow, and where its words stand."""


def pairs() -> set[Pair]:
    """Return every pair of states that one move joins."""
    return {(move.before, move.after) for move in moves()}


def drawing() -> str:
    """Return the moves as a picture."""
    arrows = [
        f'<path class="arrow" d="{path}"/><text x="{x}" y="{y}">{words}</text>'
        for pair, (path, (x, y), words) in ARROWS.items()
        if pair in pairs()
    ]
    boxes = [
        f'<rect x="{x - 46}" y="{y - 17}" width="92" height="34" rx="8"/>'
        f'<text class="state" x="{x}" y="{y + 5}">{name}</text>'
        for name, (x, y) in PLACES.items()
    ]
    return "\n".join([_HEAD, *arrows, *boxes, "</svg>", ""])


_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 870 400" role="img" aria-label="The states of the join">
<style>
text { font: 13px sans-serif; fill: #444; text-anchor: middle }
.state { font-weight: bold; fill: #111 }
rect { fill: #eef3fa; stroke: #456; stroke-width: 1.5 }
.ground { fill: #fff; stroke: none }
.arrow { fill: none; stroke: #456; stroke-width: 1.5; marker-end: url(#tip) }
</style>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0 L10 5 L0 10 z" fill="#456"/></marker></defs>
<rect class="ground" width="870" height="400"/>"""


def inserted(page: str) -> str:
    """Return a page with the table between its marks."""
    begin, end = MARKS
    between = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    return between.sub(lambda _: f"{begin}\n\n{table()}\n\n{end}", page)


if __name__ == "__main__":
    DRAWING.write_text(drawing(), "utf-8")
    PAGE.write_text(inserted(PAGE.read_text("utf-8")), "utf-8")
