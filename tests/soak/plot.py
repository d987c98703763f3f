"""A drawing of a soak as SVG: what the process held, how fast it called and how long scrapes took, by time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from figures import warm

if TYPE_CHECKING:
    from figures import Slope

_WIDTH, _HEIGHT, _LEFT, _GAP = 760, 130, 70, 40
_INK, _LINE, _FIT = "#334155", "#2563eb", "#dc2626"


class Panel(NamedTuple):
    """One curve.

    Attributes:
        title: what it shows, with its unit.
        at: seconds.
        values: by time.
        fit: a second curve over the same times, or None.
    """

    title: str
    at: np.ndarray
    values: np.ndarray
    fit: np.ndarray | None = None


def panels(samples: np.ndarray, at: list[float], took: list[float], line: Slope) -> list[Panel]:
    """Return what is drawn."""
    seconds, kib, threads, descriptors, made = samples
    after = warm(seconds)
    fit = np.where(after, kib[after].mean() + line.kib * (seconds - seconds[after].mean()) / 60, np.nan)
    rate = np.diff(made) / np.diff(seconds)
    memory = f"resident memory, MiB ({line.kib:+.1f} ± {line.half:.1f} KiB/min)"
    return [
        Panel(memory, seconds, kib / 1024, fit / 1024),
        Panel("calls a second", seconds[1:], rate),
        Panel("scrape, ms", np.asarray(at), np.asarray(took) * 1e3),
        Panel("threads", seconds, threads),
        Panel("descriptors", seconds, descriptors),
    ]


def draw(drawn: list[Panel]) -> str:
    """Return panels, one below the other, as an SVG document."""
    end = max(float(panel.at.max()) for panel in drawn)
    height = len(drawn) * (_HEIGHT + _GAP) + 20
    box = f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{_INK}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {box}>']
    parts.append(f'<rect width="{_WIDTH}" height="{height}" fill="white"/>')
    for place, panel in enumerate(drawn):
        parts += _panel(panel, 30 + place * (_HEIGHT + _GAP), end)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, top: int, end: float) -> list[str]:
    low, high = float(panel.values.min()), float(panel.values.max())
    margin = max(0.1 * (high - low), 0.02 * abs(high), 0.5)
    low, high = max(0.0, low - margin), high + margin
    width, bottom = _WIDTH - _LEFT - 20, top + _HEIGHT - 20
    parts = [
        f'<text x="{_LEFT}" y="{top - 8}" font-weight="bold">{panel.title}</text>',
        f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{bottom - top}" fill="none" stroke="#cbd5e1"/>',
    ]
    for value, y in ((high, top + 10), (low, bottom)):
        parts.append(f'<text x="{_LEFT - 6}" y="{y}" text-anchor="end">{value:.4g}</text>')
    for share in (0.0, 0.5, 1.0):
        x = _LEFT + share * width
        parts.append(f'<text x="{x:.0f}" y="{bottom + 14}" text-anchor="middle">{share * end:.0f} s</text>')
    for values, colour in ((panel.values, _LINE), (panel.fit, _FIT)):
        if values is not None:
            shown = np.isfinite(values)
            xs = _LEFT + panel.at[shown] / end * width
            ys = bottom - (values[shown] - low) / (high - low) * (bottom - top)
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
    return parts
