"""What not every model has: streams, and numbers instead of classes."""

from __future__ import annotations

from typing import Final

from modelmon.dashboards.panels import Query, Row
from modelmon.dashboards.pieces import heat, lines
from modelmon.dashboards.promql import gained, quantile, rate, share
from modelmon.dashboards.scopes import ONE

_NONE: Final = "no streams"
_FIRST: Final = ONE.of("modelmon.stream.time_to_first_item", "_bucket")
_EACH: Final = ONE.of("modelmon.stream.time_per_item", "_bucket")
_ENDED: Final = ONE.of("modelmon.calls", outcome="abandoned")

STREAMS: Final = Row(
    "Streams",
    (
        heat(
            "Time to the first item",
            "Streams per bucket and step of time.",
            gained(_FIRST, ("le",), span="$__rate_interval"),
            empty=_NONE,
        ),
        lines(
            "Time to the first item",
            "From the first request of a stream to its first item.",
            *(Query(quantile(q, _FIRST), f"{q:.0%} within") for q in (0.5, 0.95, 0.99)),
            unit="s",
            minimum=0,
            width=12,
            empty=_NONE,
        ),
        lines(
            "Time per item",
            "The mean time between the items of one stream.",
            *(Query(quantile(q, _EACH), f"{q:.0%} within") for q in (0.5, 0.95)),
            unit="s",
            minimum=0,
            empty=_NONE,
        ),
        lines(
            "Items",
            "Items that streams delivered, per second.",
            Query(rate(ONE.of("modelmon.stream.items")), "items"),
            unit="ops",
            minimum=0,
            empty=_NONE,
        ),
        lines(
            "Streams nobody read to the end",
            "Streams that were closed before their end, as a share of the calls that ended.",
            Query(share(rate(_ENDED), rate(ONE.of("modelmon.calls"))), "abandoned"),
            unit="percentunit",
            minimum=0,
        ),
    ),
    folded=True,
)

_WORD: Final = {"mae": "mean absolute error", "rmse": "root of the mean square", "bias": "bias"}

REGRESSION: Final = Row(
    "Predicted numbers",
    (
        lines(
            "Errors",
            "Over all labels so far, in the unit of what is predicted; the bias says in which direction.",
            *(
                Query(ONE.of("modelmon.quality", metric=metric, window="total"), f"{word} {{{{version}}}}")
                for metric, word in _WORD.items()
            ),
            width=12,
            empty="not a model of numbers, or no labels",
        ),
        lines(
            "Explained share of the variance",
            "R² over all labels so far; 0 is as good as always saying the mean, less is worse.",
            Query(ONE.of("modelmon.quality", metric="r2", window="total"), "R² {{version}}"),
            unit="percentunit",
            maximum=1,
            width=12,
            empty="not a model of numbers, or no labels",
        ),
    ),
    folded=True,
)
