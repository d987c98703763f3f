"""Windows that quality and coverage are shown for beside the total, as exporters take them.

``"1d"`` is the predictions of the last day, whatever labels they have so far.
``"1d:mature"`` is the newest day of predictions that are as old as the model's ``maturity``, so that their labels are
there; ``"1d:3d"`` the newest day of predictions that are three days old.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelmon.points.sheets import TOTAL
from modelmon.readings.model import ModelSnapshot
from modelmon.timespans import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MATURE = "mature"


@dataclass(frozen=True, slots=True)
class Window:
    """Say which predictions are read.

    Attributes:
        span: how long a time of predictions, in seconds.
        mature: True for those as old as the model's ``maturity``, an age in seconds, or False for the last ones made.
    """

    span: float
    mature: bool | float = False


def window_of(text: str) -> Window:
    """Read a window.

    Raises:
        ConfigurationError: when it cannot be read.

    >>> window_of("1d"), window_of("1h:mature").mature, window_of("1h:3d").mature
    (Window(span=86400.0, mature=False), True, 259200.0)
    """
    span, colon, age = text.partition(":") if isinstance(text, str) else (text, "", "")
    if not colon:
        return Window(seconds(span, "windows"))
    return Window(seconds(span, "windows"), mature=age.strip() == _MATURE or seconds(age, f"windows={text!r}: the age"))


@dataclass(frozen=True, slots=True)
class View:
    """Show a model in one window.

    Attributes:
        window: what the window is called.
        model: the predictions of the window.
        coverage: the predictions whose coverage is shown: before the first label came nobody knows how late labels are,
            and then it is all there are, so that labels that never come are noticed.
    """

    window: str
    model: ModelSnapshot
    coverage: ModelSnapshot


def views(model: ModelSnapshot, windows: Sequence[str], whole: ModelSnapshot) -> Iterator[View]:
    """Yield a model in total and in each window; a slice is as mature as the ``whole`` model is."""
    yield View(TOTAL, model, model)
    for text in windows:
        window = window_of(text)
        if window.mature is False:
            seen = model.window(window.span)
            yield View(text, seen, seen)
            continue
        age = whole.maturity if window.mature is True else window.mature
        seen = ModelSnapshot(model.key, model.selection.maturing(window.span, age))
        yield View(text, seen, model if math.isnan(age) else seen)
