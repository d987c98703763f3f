"""Heat maps: how a distribution moves with time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from charts import Box, Frame, times
from ink import FAINT, blend, tag, text, written

if TYPE_CHECKING:
    from asking import Asker, Series

Json = dict[str, Any]


def heat(panel: Json, box: Box, answers: list[tuple[Json, list[Series]]], asker: Asker) -> str:
    """Draw a heat map of cumulative buckets, without the empty ones above and below."""
    buckets = sorted(
        ((float(series.labels["le"]), dict(series.values)) for series in answers[0][1]), key=lambda pair: pair[0]
    )
    moments = sorted({at for _, values in buckets for at in values})
    rows = []
    for place, (bound, values) in enumerate(buckets):
        below = buckets[place - 1][1] if place else {}
        rows.append((bound, {at: max(0.0, values.get(at, 0.0) - below.get(at, 0.0)) for at in moments}))
    full = [place for place, (_, values) in enumerate(rows) if max(values.values(), default=0) > 0.01]
    rows = rows[max(0, full[0] - 1) : full[-1] + 2]
    plot = Box(box.x + 58, box.y + 6, box.w - 70, box.h - 48)
    frame = Frame(plot, asker.end - asker.hours * 3600, asker.end, 0, len(rows))
    most = max(value for _, values in rows for value in values.values())
    parts = [_cells(frame, rows, most, asker.step), times(frame)]
    every = max(1, math.ceil(len(rows) / (plot.h / 16)))
    for place, (bound, _) in enumerate(rows):
        if place % every == 0:
            words = "more" if math.isinf(bound) else written(bound, panel["options"]["yAxis"]["unit"])
            parts.append(text(plot.x - 6, frame.y(place + 1) + 4, words, 11, FAINT, text_anchor="end"))
    return "".join(parts) + _scale(box, most)


def _cells(frame: Frame, rows: list[tuple[float, dict[float, float]]], most: float, step: float) -> str:
    wide = frame.box.w * step / (frame.end - frame.begin)
    tall = frame.box.h / len(rows)
    shape = f"h{wide - 0.4:.1f}v{tall - 1:.1f}h-{wide - 0.4:.1f}z"
    by_color: dict[str, list[str]] = {}
    for place, (_, values) in enumerate(rows):
        top = frame.y(place + 1)
        for at, value in values.items():
            if value > 1e-9 and frame.x(at) - wide >= frame.box.x - 1:
                color = blend(round(32 * math.sqrt(value / most)) / 32)
                by_color.setdefault(color, []).append(f"M{frame.x(at) - wide:.1f},{top + 0.5:.1f}{shape}")
    return "".join(tag("path", d="".join(cells), fill=color) for color, cells in by_color.items())


def _scale(box: Box, most: float) -> str:
    """Draw what the colours mean."""
    left, y = box.x + 58, box.y + box.h - 14
    parts = [
        tag("rect", x=left + 3.0 * step, y=y, width=3.2, height=7, fill=blend(math.sqrt(step / 39)))
        for step in range(40)
    ]
    parts.append(text(left - 6, y + 8, "0", 11, FAINT, text_anchor="end"))
    parts.append(text(left + 126, y + 8, written(round(most)), 11, FAINT))
    return "".join(parts)
