"""SVG by hand: shapes, text, colours, and numbers as Grafana writes them."""

from __future__ import annotations

import math
from html import escape
from typing import Any

PAGE, PANEL, EDGE, GRID = "#111217", "#181b1f", "#2a2d33", "#2c3036"
TEXT, FAINT, BRIGHT = "#ccccdc", "#8e8e9b", "#f0f1f4"
FONT = "Inter, 'Helvetica Neue', Arial, sans-serif"
PALETTE = (
    *("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#37872d", "#fade2a"),
    *("#447ebc", "#ff9830", "#96d98d", "#e02f44", "#c0d8ff", "#8f3bb8", "#ffcb7d"),
)
NAMED = {
    "blue": "#5794f2",
    "orange": "#ff9830",
    "red": "#f2495c",
    "green": "#73bf69",
    "yellow": "#f2cc0c",
    "purple": "#b877d9",
    "text": TEXT,
}
VIRIDIS = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")


def tag(name: str, inner: str = "", **attributes: Any) -> str:
    """Return an element; underscores in names of attributes become hyphens."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{_short(value)}"' for key, value in attributes.items())
    return f"<{name}{given}>{inner}</{name}>" if inner else f"<{name}{given}/>"


def _short(value: Any) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(x: float, y: float, words: str, size: float = 12, color: str = TEXT, **more: Any) -> str:
    """Return a line of text whose foot stands at ``y``."""
    return tag("text", escape(words, quote=False), x=x, y=y, font_size=size, fill=color, **more)


def width_of(words: str, size: float = 12) -> float:
    """Return about how wide a text is."""
    narrow = sum(char in "iljtf.,:;|'!() 1" for char in words)
    broad = sum(char.isupper() or char in "mw%—" for char in words)
    return size * (0.575 * len(words) - 0.22 * narrow + 0.12 * broad)


def fitted(words: str, room: float, size: float = 12) -> str:
    """Return a text cut to the room there is."""
    if width_of(words, size) <= room:
        return words
    while words and width_of(words + "…", size) > room:
        words = words[:-1]
    return words + "…"


def path(points: list[tuple[float, float]], **more: Any) -> str:
    """Return a line through points."""
    steps = "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("path", d=f"M{steps}", **more)


def blend(share: float, colors: tuple[str, ...] = VIRIDIS) -> str:
    """Return the colour at a share of a scale."""
    place = min(max(share, 0.0), 1.0) * (len(colors) - 1)
    left, part = int(place), place - int(place)
    low, high = colors[left], colors[min(left + 1, len(colors) - 1)]
    mixed = (round(int(low[n : n + 2], 16) * (1 - part) + int(high[n : n + 2], 16) * part) for n in (1, 3, 5))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


_SCALES = {
    "short": ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"), (1, "")),
    "locale": ((1, ""),),
    "s": ((86400, " d"), (3600, " h"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs")),
    "watt": ((1e3, " kW"), (1, " W"), (1e-3, " mW")),
    "joule": ((1e3, " kJ"), (1, " J"), (1e-3, " mJ"), (1e-6, " µJ")),
    "bytes": ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B")),
    "reqps": ((1e3, "K req/s"), (1, " req/s")),
    "ops": ((1e3, "K ops/s"), (1, " ops/s"), (1e-3, "m ops/s")),
    "celsius": ((1, " °C"),),
    "percentunit": ((0.01, "%"),),
}


def written(value: float, unit: str = "short", decimals: int | None = None) -> str:
    """Return a number with its unit.

    >>> written(0.0234, "s"), written(0.8712, "percentunit", 1), written(12.0)
    ('23.4 ms', '87.1%', '12')
    """
    scale, suffix = _scale(value, unit)
    number = value / scale
    if decimals is None:
        size = abs(number)
        decimals = 0 if size >= 100 or number == round(number) else 1 if size >= 10 else 2
    shown = f"{number:,.{decimals}f}" if unit == "locale" else f"{number:.{decimals}f}"
    return ("0" if shown == "-0" else shown) + suffix


def _scale(value: float, unit: str) -> tuple[float, str]:
    scales = _SCALES.get(unit, _SCALES["short"])
    if value == 0:
        return (
            (1.0, next(suffix for scale, suffix in scales if scale in {1, 0.01}))
            if unit != "percentunit"
            else scales[0]
        )
    return next(((scale, suffix) for scale, suffix in scales if abs(value) >= scale * 0.9999), scales[-1])


def ticks(low: float, high: float, wanted: int = 4, unit: str = "short") -> list[float]:
    """Return round numbers that cover a range."""
    span = (high - low) or abs(high) or 1.0
    if unit == "s" and high >= 90:
        steps = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400]
        step = next(
            (float(size) for size in steps if span / size <= wanted), 86400.0 * math.ceil(span / 86400 / wanted)
        )
    elif unit == "bytes":
        step = 2.0 ** math.ceil(math.log2(span / wanted))
    else:
        rough = span / wanted
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * size for size in (1, 2, 2.5, 5, 10) if power * size >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    return [n * step for n in range(first, math.ceil(high / step - 1e-9) + 1)]
