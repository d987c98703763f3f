"""What a model predicts, and whether that is what it used to predict; needs no labels.

The classes predicted within ``$span`` are compared with those ``$reference`` before, by the G-test: with counts ``P``
and ``Q`` of each class, ``G = 2 Σ x ln x`` over ``P`` and ``Q``, less the same over ``P + Q``, and all that
once more with the opposite sign for the three sums.
It needs no smoothing, since a count of zero adds nothing.
Under equal distributions ``G`` follows chi-square with one degree of freedom less than there are classes, whose mean is
just that: so PSI less its mean is ``(G - df) (1/n + 1/m)`` to first order, and the cube root makes ``G`` normal.
"""

from __future__ import annotations

from typing import Final

from modelmon.dashboards.panels import Query, Row
from modelmon.dashboards.pieces import lines
from modelmon.dashboards.promql import gained, rate, total
from modelmon.dashboards.scopes import ONE

_CLASS: Final = ("predicted",)
_SEEN: Final = ONE.of("modelmon.predictions")
_CLASSES: Final = ONE.of("modelmon.predictions", predicted="!")  # of numbers there is no class
_RECENT: Final = gained(_CLASSES, _CLASS)
_BEFORE: Final = gained(_CLASSES, _CLASS, ago="$reference")
_P: Final = f"({_RECENT} or 0 * {_BEFORE})"
_Q: Final = f"({_BEFORE} or 0 * {_RECENT})"
_BOTH: Final = f"({_P} + {_Q})"


def _entropy(counts: str) -> str:
    """Return the sum of ``x ln x`` over what is not zero."""
    return f"sum(({counts} > 0) * ln({counts}))"


def _whole(counts: str) -> str:
    return f"(sum({counts}) * ln(sum({counts})))"


_FREE: Final = f"(count({_BOTH} > 0) - 1)"
_G: Final = f"2 * ({_entropy(_P)} + {_entropy(_Q)} - {_entropy(_BOTH)} - {_whole(_P)} - {_whole(_Q)} + {_whole(_BOTH)})"
_COMPARABLE: Final = f"(sum({_RECENT}) > 0) and (sum({_BEFORE}) > 0) and ({_FREE} > 0)"
PSI: Final = f"(({_G}) - {_FREE}) * (1 / sum({_P}) + 1 / sum({_Q})) and {_COMPARABLE}"
SURPRISE: Final = (
    f"((clamp_min({_G}, 0) / {_FREE}) ^ (1 / 3) - (1 - 2 / (9 * {_FREE}))) / sqrt(2 / (9 * {_FREE})) and {_COMPARABLE}"
)

PREDICTED: Final = Row(
    "Predictions, and their drift",
    (
        lines(
            "Predicted classes",
            "The share of each class among the predictions of the $span before.",
            Query(f"{_RECENT} / on () group_left () (sum({_RECENT}) > 0)", "{{predicted}}"),
            unit="percentunit",
            stacked=True,
            minimum=0,
            maximum=1,
            empty="no classes predicted",
        ),
        lines(
            "Drift of the predicted classes",
            "The population stability index of the classes within $span against those $reference before, less what "
            "chance alone gives. It is about 0 without drift, also of few predictions; more than 0.05 matters if it is "
            "beyond chance.",
            Query(PSI, "PSI beyond chance"),
            limit=0.05,
            empty="nothing to compare with",
        ),
        lines(
            "Is it beyond chance?",
            "The G-test of the same classes as a normal deviate: above 3.1, chance gives this once in a thousand. With "
            "many predictions the smallest change is beyond chance: look at its size too.",
            Query(SURPRISE, "standard deviations"),
            limit=3.1,
            empty="nothing to compare with",
        ),
        lines(
            "Predictions",
            "Predicted rows per second.",
            Query(total(f"rate({_SEEN}[$__rate_interval])", ("version",)), "{{version}}"),
            unit="ops",
            minimum=0,
            width=12,
            height=7,
        ),
        lines(
            "Outputs that could not be read",
            "Rows per second that could not be read as predictions, by reason.",
            Query(rate(ONE.of("modelmon.predictions.rejected"), ("reason",)), "{{reason}}"),
            unit="ops",
            minimum=0,
            width=12,
            height=7,
            empty="none",
        ),
    ),
)
