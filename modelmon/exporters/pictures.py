"""Pictures for people: a confusion matrix, and how far scores can be taken for probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont

from modelmon.exporters.log import one_line
from modelmon.intervals import proportion

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_INK, _PALE, _LINE, _BLUE, _WHITE = (33, 37, 41), (108, 117, 125), (222, 226, 230), (31, 95, 168), (255, 255, 255)
_LARGE, _SMALL = ImageFont.load_default(15), ImageFont.load_default(12)
_CELL_PX: Final = 96
_LEAST_CELL_PX: Final = 14
_NAME_PX: Final = 96
_LEAST_PX: Final = 420
_SIDE_PX: Final = 380
_READABLE_PX: Final = 40


def confusion_picture(matrix: NDArray[np.int64], names: Sequence[str], title: str) -> Image.Image:
    """Return a confusion matrix as a picture: rows true, columns predicted, each row's shares by how dark they are.

    Args:
        matrix: int64 ``(k, k)``.
        names: of the ``k`` classes.
        title: what stands above.
    """
    k = len(names)
    cell = max(_LEAST_CELL_PX, min(_CELL_PX, 640 // max(k, 1)))
    left, top = _NAME_PX + 24, 92
    width = max(left + k * cell + 16, _LEAST_PX)
    picture = Image.new("RGB", (width, top + k * cell + 40), _WHITE)
    draw = ImageDraw.Draw(picture)
    draw.text((16, 12), _fitted(draw, title, picture.width - 32, _LARGE), _INK, _LARGE)
    draw.text((left, 40), "predicted", _PALE, _SMALL)
    draw.text((16, top - 20), "true", _PALE, _SMALL)
    for row in range(k):
        support = int(matrix[row].sum())
        y = top + row * cell
        draw.text((left - 8, y + cell / 2), _fitted(draw, names[row], _NAME_PX, _SMALL), _INK, _SMALL, anchor="rm")
        for column in range(k):
            _draw_cell(draw, (left + column * cell, y, cell), int(matrix[row, column]), support)
    for column in range(k):
        place = (left + (column + 0.5) * cell, top - 8)
        draw.text(place, _fitted(draw, names[column], cell - 4, _SMALL), _INK, _SMALL, anchor="mb")
    text = f"{int(matrix.sum()):,} labelled predictions; colour: share of the true class"
    draw.text((16, picture.height - 24), _fitted(draw, text, picture.width - 32, _SMALL), _PALE, _SMALL)
    return picture


def reliability_picture(bins: Sequence[tuple[int, float, float]], title: str) -> Image.Image:
    """Return forecasts against frequencies as a picture, with the 95 % interval of each frequency.

    Args:
        bins: rows, mean forecast and observed frequency of each bin.
        title: what stands above.
    """
    left, top, below = 64, 52, 96
    picture = Image.new("RGB", (left + _SIDE_PX + 24, top + _SIDE_PX + below), _WHITE)
    draw = ImageDraw.Draw(picture)
    draw.text((16, 14), _fitted(draw, title, picture.width - 32, _LARGE), _INK, _LARGE)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * _SIDE_PX, top + (1 - y) * _SIDE_PX

    for tenth in range(0, 11, 2):
        share = tenth / 10
        draw.line([at(share, 0), at(share, 1)], _LINE)
        draw.line([at(0, share), at(1, share)], _LINE)
        draw.text((at(share, 0)[0], at(0, 0)[1] + 6), f"{share:.1f}", _PALE, _SMALL, anchor="ma")
        draw.text((left - 8, at(0, share)[1]), f"{share:.1f}", _PALE, _SMALL, anchor="rm")
    draw.line([at(0, 0), at(1, 1)], _PALE, 1)
    rows = sum(n for n, _, _ in bins)
    for n, forecast, frequency in bins:
        if n:
            low, high = proportion(round(n * frequency), n)
            draw.line([at(forecast, low), at(forecast, high)], _BLUE, 2)
            x, y = at(forecast, frequency)
            radius = 3 + 7 * math.sqrt(n / rows)
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], _BLUE, _WHITE)
    draw.text((left + _SIDE_PX / 2, at(0, 0)[1] + 26), "mean score of a bin", _INK, _SMALL, anchor="ma")
    draw.text((left, top - 6), "share that were positive", _INK, _SMALL, anchor="ls")
    draw.text(
        (16, picture.height - 40), f"{rows:,} labelled scores in ten bins; a larger dot holds more", _PALE, _SMALL
    )
    draw.text((16, picture.height - 22), "bars: 95 % intervals; on the line, scores are probabilities", _PALE, _SMALL)
    return picture


def _draw_cell(draw: ImageDraw.ImageDraw, place: tuple[int, int, int], n: int, support: int) -> None:
    x, y, cell = place
    share = n / support if support else 0.0
    fill = tuple(round(white + (blue - white) * share) for white, blue in zip(_WHITE, _BLUE, strict=True))
    draw.rectangle([x, y, x + cell, y + cell], fill, _LINE)
    if cell >= _READABLE_PX and n:
        ink = _WHITE if share > 0.5 else _INK  # noqa: PLR2004  (the darker half)
        middle = (x + cell / 2, y + cell / 2)
        draw.text(middle, _fitted(draw, _short(n), cell - 4, _SMALL), ink, _SMALL, anchor="mm")


def _short(n: int) -> str:
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (100_000, "k")):
        if n >= size:
            return f"{n / (1000 if letter == 'k' else size):.3g}{letter}"
    return f"{n:,}"


def _fitted(
    draw: ImageDraw.ImageDraw, text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> str:
    """Return text cut to a width, in pixels, and on one line; the width of several could not be told."""
    text = one_line(text)
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(text + "…", font) > width:
        text = text[:-1]
    return text + "…"
