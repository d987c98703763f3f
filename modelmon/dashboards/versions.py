"""The dashboard of two versions side by side: is the challenger better than the champion, and is that certain?"""

from __future__ import annotations

from typing import Final

from modelmon.dashboards.panels import Dashboard, Panel, Query, Row, Variable
from modelmon.dashboards.pieces import JOB, MODEL, NO_LABELS, SPAN, lines, stat
from modelmon.dashboards.promql import failed_share, gained, quantile, rate, share
from modelmon.dashboards.quality import accuracy, coverage, joined, of_class, wilson
from modelmon.dashboards.scopes import CHALLENGER, CHAMPION, EACH
from modelmon.dashboards.selectors import bare

_BY: Final = ("version",)
_OLD, _NEW = "blue", "orange"
_KNOWN: Final = f'label_values({bare("modelmon.calls")}{{job=~"$job",model="$model"}}, version)'
_CHOICES: Final = (
    Variable("champion", "Champion", _KNOWN),
    Variable("challenger", "Challenger", _KNOWN),
)
_BUCKETS: Final = EACH.of("modelmon.call.duration", "_bucket", outcome="ok")
_DIFFERENCE: Final = f"({accuracy(CHALLENGER)} - {accuracy(CHAMPION)})"


def _newcombe(end: str) -> str:
    """Return an end of Newcombe's interval of the difference: how far each version's own interval reaches."""
    ours, theirs = (wilson(CHALLENGER, end), wilson(CHAMPION, "+" if end == "-" else "-"))
    reach = f"sqrt(({accuracy(CHALLENGER)} - {ours}) ^ 2 + ({theirs} - {accuracy(CHAMPION)}) ^ 2)"
    return f"{_DIFFERENCE} {end} {reach}"


def _both(metric: str) -> tuple[Query, ...]:
    """Return one line per version of a quantile of the duration."""
    return (Query(quantile(float(metric), _BUCKETS, _BY), "{{version}}"),)


_NOW: Final = Row(
    "Challenger less champion",
    (
        stat(
            "Difference in accuracy, points",
            "Challenger less champion, of the labels that came within $span.",
            _DIFFERENCE,
            "percentunit",
            width=6,
            decimals=2,
            empty=NO_LABELS,
        ),
        stat("95 % from", "By Newcombe's method.", _newcombe("-"), "percentunit", width=3, decimals=2, empty="unknown"),
        stat("to", "By Newcombe's method.", _newcombe("+"), "percentunit", width=3, decimals=2, empty="unknown"),
        stat(
            "Champion's accuracy",
            "Of version $champion.",
            accuracy(CHAMPION),
            "percentunit",
            decimals=1,
            empty=NO_LABELS,
        ),
        stat(
            "Challenger's accuracy",
            "Of version $challenger.",
            accuracy(CHALLENGER),
            "percentunit",
            decimals=1,
            empty=NO_LABELS,
        ),
        stat(
            "Challenger's share of calls",
            "Of all versions of this model.",
            share(rate(CHALLENGER.of("modelmon.calls")), rate(EACH.of("modelmon.calls"))),
            "percentunit",
            decimals=1,
        ),
    ),
)

_TABLE: Final = Panel(
    "table",
    "Every version",
    "Accuracy and its interval are of the labels that came within $span. A field without a number is unknown.",
    (
        Query(rate(EACH.of("modelmon.calls"), _BY), name="calls/s", unit="reqps", decimals=2),
        Query(failed_share(EACH, _BY), name="failed", unit="percentunit", decimals=2),
        Query(quantile(0.5, _BUCKETS, _BY), name="p50", unit="s"),
        Query(quantile(0.99, _BUCKETS, _BY), name="p99", unit="s"),
        Query(coverage(EACH, _BY), name="labelled", unit="percentunit", decimals=1),
        Query(joined(EACH, _BY), name="labels in span", unit="locale", decimals=0),
        Query(accuracy(EACH, _BY), name="accuracy", unit="percentunit", decimals=1),
        Query(wilson(EACH, "-", _BY), name="from", unit="percentunit", decimals=1),
        Query(wilson(EACH, "+", _BY), name="to", unit="percentunit", decimals=1),
        Query(
            share(gained(EACH.of("modelmon.gpu.energy"), _BY), gained(EACH.of("modelmon.predictions"), _BY)),
            name="J/prediction",
            unit="joule",
        ),
    ),
    width=24,
    height=6,
)

_QUALITY: Final = Row(
    "Quality",
    (
        lines(
            "Accuracy of both",
            "With Wilson's 95 % intervals, of the labels that came within the $span before. A gap means: none came.",
            Query(wilson(CHAMPION, "-"), "champion from", "low", _OLD),
            Query(wilson(CHAMPION, "+"), "champion to", "high", _OLD),
            Query(wilson(CHALLENGER, "-"), "challenger from", "low", _NEW),
            Query(wilson(CHALLENGER, "+"), "challenger to", "high", _NEW),
            Query(accuracy(CHAMPION), "champion", color=_OLD),
            Query(accuracy(CHALLENGER), "challenger", color=_NEW),
            unit="percentunit",
            maximum=1,
            width=12,
            height=9,
            empty=NO_LABELS,
        ),
        lines(
            "Challenger less champion",
            "The difference in accuracy with Newcombe's 95 % interval, for versions that serve different requests. "
            "Looked at all day it excludes zero by chance far more often than once in twenty: decide by a test that "
            "was planned, not by the first moment at which the band leaves zero.",
            Query(_newcombe("-"), "95 % from", "low", _NEW),
            Query(_newcombe("+"), "to", "high", _NEW),
            Query(_DIFFERENCE, "difference", color=_NEW),
            Query(f"0 * {_DIFFERENCE}", "no difference", "dashed", "text"),
            unit="percentunit",
            width=12,
            height=9,
            empty=NO_LABELS,
        ),
        lines(
            "Recall by class, challenger less champion",
            "Above zero the challenger finds more of the class.",
            Query(f"{of_class(CHALLENGER, 'recall')} - {of_class(CHAMPION, 'recall')}", "{{class}}"),
            unit="percentunit",
            empty=NO_LABELS,
        ),
        lines(
            "Labels",
            "First labels within the $span before: fewer labels, wider bands.",
            Query(joined(EACH, _BY), "{{version}}"),
            minimum=0,
            empty=NO_LABELS,
        ),
        lines(
            "Labelled share",
            "Compare versions only where they are labelled alike.",
            Query(coverage(EACH, _BY), "{{version}}"),
            unit="percentunit",
            minimum=0,
            maximum=1,
            empty="no predictions with ids",
        ),
    ),
)

_COST: Final = Row(
    "Load and speed",
    (
        lines(
            "Calls",
            "Calls that ended, per second.",
            Query(rate(EACH.of("modelmon.calls"), _BY), "{{version}}"),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "Calls that failed",
            "As a share of the version's own calls.",
            Query(failed_share(EACH, _BY), "{{version}}"),
            unit="percentunit",
            minimum=0,
        ),
        lines("Median duration", "Of successful calls.", *_both("0.5"), unit="s", minimum=0),
        lines("99 of 100 within", "Of successful calls.", *_both("0.99"), unit="s", minimum=0),
        lines(
            "Time to the first item",
            "95 of 100 streams were faster.",
            Query(quantile(0.95, EACH.of("modelmon.stream.time_to_first_item", "_bucket"), _BY), "{{version}}"),
            unit="s",
            minimum=0,
            empty="no streams",
        ),
        lines(
            "Energy per prediction",
            "What devices drew for this version, over the $span before.",
            Query(
                share(gained(EACH.of("modelmon.gpu.energy"), _BY), gained(EACH.of("modelmon.predictions"), _BY)),
                "{{version}}",
            ),
            unit="joule",
            minimum=0,
            empty="no device seen",
        ),
    ),
)

VERSIONS_COMPARED: Final = Dashboard(
    "versions",
    "modelmon · Two versions",
    "Champion and challenger side by side: quality with intervals, load, speed, energy.",
    (JOB, MODEL, *_CHOICES, SPAN),
    (_NOW, Row("Versions", (_TABLE,)), _QUALITY, _COST),
)
