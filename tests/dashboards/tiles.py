"""Panels that show this moment: one number, a table, a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ink import BRIGHT, EDGE, FAINT, GRID, NAMED, TEXT, blend, fitted, tag, text, width_of, written

if TYPE_CHECKING:
    from asking import Series
    from charts import Box

Json = dict[str, Any]
_BLUES = ("#181b1f", "#1f3a68", "#2d5fae", "#5794f2")


def number(panel: Json, box: Box, series: Series) -> str:
    """Draw one number, as large as it fits."""
    defaults = panel["fieldConfig"]["defaults"]
    words = written(series.last, defaults["unit"], defaults.get("decimals"))
    color = "text"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or series.last >= step["value"]:
            color = step["color"]
    size = min(44.0, box.h * 0.56, 0.86 * box.w / max(width_of(words, 1), 1))
    shade = BRIGHT if color == "text" else NAMED[color]
    return text(
        box.x + box.w / 2, box.y + box.h / 2 + size * 0.28, words, size, shade, text_anchor="middle", font_weight=500
    )


def table(panel: Json, box: Box, answers: list[tuple[Json, list[Series]]]) -> str:
    """Draw the answers of all queries side by side, one line for each set of labels."""
    organize = next(entry["options"] for entry in panel["transformations"] if entry["id"] == "organize")
    several = len(panel["targets"]) > 1
    rows: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for target, many in answers:
        for series in many:
            rows.setdefault(tuple(sorted(series.labels.items())), {})[
                f"Value #{target['refId']}" if several else "Value"
            ] = series.last
    labels = list(dict.fromkeys(name for key in rows for name, _ in key if not organize["excludeByName"].get(name)))
    columns = [*labels, *(value for value in organize["renameByName"])]
    looks = {
        entry["matcher"]["options"]: {p["id"]: p["value"] for p in entry["properties"]}
        for entry in panel["fieldConfig"]["overrides"]
    }
    lines = [[organize["renameByName"].get(column, column) for column in columns]]
    for key, values in sorted(rows.items()):
        own = dict(key)
        line = []
        for column in columns:
            look = looks.get(organize["renameByName"].get(column, column), {})
            if column in labels:
                line.append(own.get(column, ""))
            elif column in values:
                line.append(written(values[column], look.get("unit", "short"), look.get("decimals")))
            else:
                line.append(panel["fieldConfig"]["defaults"]["noValue"])
        lines.append(line)
    return grid(box, lines, len(labels))


def grid(box: Box, lines: list[list[str]], names: int) -> str:
    """Draw lines of text in columns; names stand left, numbers right."""
    wide = (box.w - 24) / len(lines[0])
    parts = []
    for row, line in enumerate(lines):
        y = box.y + 20 + 29 * row
        if y > box.y + box.h - 4:
            break
        parts.append(tag("path", d=f"M{box.x + 12:.0f},{y + 9:.0f}H{box.x + box.w - 12:.0f}", stroke=GRID))
        for column, words in enumerate(line):
            left = column < names
            x = box.x + 12 + wide * (column if left else column + 1) - (0 if left else 8)
            color = NAMED["blue"] if not row else FAINT if words == "unknown" else TEXT
            parts.append(
                text(
                    x,
                    y,
                    fitted(words, wide - 10),
                    12.5,
                    color,
                    text_anchor="start" if left else "end",
                    font_weight=400 if row else 500,
                )
            )
    return "".join(parts)


def matrix(box: Box, series: list[Series]) -> str:
    """Draw true classes by predicted ones."""
    cells = {(one.labels["actual"], one.labels["predicted"]): one.last for one in series}
    actual, predicted = (sorted({key[side] for key in cells}) for side in (0, 1))
    most = max(cells.values()) or 1.0
    left = 30 + max(width_of(name) for name in actual)
    wide, tall = (box.w - left - 14) / len(predicted), min(72.0, (box.h - 46) / len(actual))
    parts = (
        [text(box.x + left - 14, box.y + 18, "true \\ predicted", 10.5, FAINT, text_anchor="end")] if left > 96 else []
    )
    for column, name in enumerate(predicted):
        parts.append(
            text(
                box.x + left + wide * (column + 0.5),
                box.y + 18,
                fitted(name, wide - 4),
                12,
                NAMED["blue"],
                text_anchor="middle",
            )
        )
    for row, true in enumerate(actual):
        y = box.y + 28 + tall * row
        parts.append(text(box.x + left - 14, y + tall / 2 + 4, true, 12, NAMED["blue"], text_anchor="end"))
        for column, name in enumerate(predicted):
            value = cells.get((true, name))
            if value is None:
                continue
            shade = blend((max(value, 0) / most) ** 0.5, _BLUES)
            x = box.x + left + wide * column
            parts.append(tag("rect", x=x + 1, y=y + 1, width=wide - 2, height=tall - 2, rx=2, fill=shade, stroke=EDGE))
            parts.append(
                text(x + wide / 2, y + tall / 2 + 4, written(value, "locale", 0), 12.5, BRIGHT, text_anchor="middle")
            )
    return "".join(parts)
