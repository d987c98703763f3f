"""The main figures of a model as a table, in text and in HTML."""

from __future__ import annotations

import html as escaping
import math
from typing import TYPE_CHECKING

from modelmon.readings.metrics import metric_named
from modelmon.tasks import Multilabel, Regression

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelmon.readings.combined import Readings
    from modelmon.readings.distributions import Distribution

MOST_CLASSES = 10
_USELESS = ("late", "closed", "evicted", "stale", "invalid")
_HEADINGS = ("class", "precision", "recall", "f1", "support", "predicted")


def text(readings: Readings) -> str:
    """Return the table as text.

    Lines of names and values, then one line per class, at most ten.
    """
    head, *lines = [title(readings), *(f"  {name:<20} {value}" for name, value in figures(readings))]
    rows = classes(readings)
    if rows:
        cells = [_HEADINGS, *rows]
        widths = [max(len(row[place]) for row in cells) for place in range(len(_HEADINGS))]
        for row in cells:
            first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(["", row[0].ljust(len(first)), *others]).rstrip())
    return "\n".join([head, *lines])


def html(readings: Readings) -> str:
    """Return the table as HTML, every text escaped."""
    pairs = "".join(
        f"<tr><th style='text-align:left'>{name}</th><td>{escaping.escape(value)}</td></tr>"
        for name, value in figures(readings)
    )
    rows = classes(readings)
    head = "".join(f"<th>{name}</th>" for name in _HEADINGS)
    body = "".join(f"<tr>{''.join(f'<td>{escaping.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    second = f"<table><tr>{head}</tr>{body}</table>" if rows else ""
    return f"<div><b>{escaping.escape(title(readings))}</b><table>{pairs}</table>{second}</div>"


def title(readings: Readings) -> str:
    """Return model, version and task in one line."""
    version = f" {shown(readings.version)}" if readings.version else ""
    return f"{shown(readings.model)}{version} ({type(readings.task).__name__ if readings.task else 'no task'})"


def figures(readings: Readings) -> list[tuple[str, str]]:
    """Return names and values of the main figures, without those that do not apply."""
    here = readings.calls or readings.predictions or not readings.accepted  # else they were other processes'
    outcomes = ", ".join(f"{n:,} {name}" for name, n in readings.outcomes.items() if n and name != "ok")
    pairs = [
        ("calls", f"{readings.calls:,}" + (f" ({outcomes})" if outcomes else "") if here else ""),
        ("in flight", f"{readings.in_flight:,}" if readings.in_flight else ""),
        ("duration", spread(readings.duration)),
        ("predictions", f"{readings.predictions:,}" if here else ""),
        ("rejected", told(readings.rejected)),
        ("labelled", joined(readings)),
        ("labels assumed", f"{readings.assumed:,}" if readings.assumed else ""),
        ("labels not joined", told({name: readings.label_events[name] for name in _USELESS})),
        ("label delay", spread(readings.label_delay)),
    ]
    pairs += [(name.replace("_", " "), measured(readings, name)) for name in _metrics(readings)]
    return [(name, value) for name, value in pairs if value]


def classes(readings: Readings) -> list[tuple[str, ...]]:
    """Return one row per class, the ten with most support; none where nothing is labelled."""
    if isinstance(readings.task, Regression) or not (readings.labelled or readings.assumed):
        return []
    margins = readings.margins
    order = sorted(range(len(readings.classes)), key=lambda place: -int(margins.support[place]))[:MOST_CLASSES]
    columns = [readings.ratio(name, average=None) for name in ("precision", "recall", "f1")]
    rows = []
    for place in sorted(order):
        value = readings.classes[place]
        counts = (f"{int(margins.support[place]):,}", f"{int(margins.predicted[place]):,}")
        rows.append((shown(repr(value)), *(number(column[value]) or "nan" for column in columns), *counts))
    left_out = len(readings.classes) - len(rows)
    return [*rows, (f"and {left_out:,} more", "", "", "", "", "")] if left_out else rows


def joined(readings: Readings) -> str:
    """Return how far labels have come."""
    if not readings.accepted:
        return ""
    rest = [("awaiting", readings.awaiting), ("expired", readings.expired), ("evicted", readings.evicted)]
    told = "".join(f", {n:,} {name}" for name, n in rest if n)
    return f"{readings.labelled:,} of {readings.accepted:,} ({readings.coverage:.1%}){told}"


def measured(readings: Readings, name: str) -> str:
    """Return a metric with its 95 % interval where there is a sound one."""
    value = number(getattr(readings, name))
    metric = metric_named(name)
    low, high = metric.interval(readings, None, None, 0.95)
    return value if not value or math.isnan(low) else f"{value}  ({number(low)} to {number(high)})"


def told(counts: Mapping[str, int]) -> str:
    """Return counts by name, most first, without zeros; nothing where all are.

    >>> told({"nan": 2, "type": 0, "hook": 1000})
    '1,000 hook, 2 nan'
    """
    return ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items(), key=lambda pair: -pair[1]) if n)


def spread(distribution: Distribution) -> str:
    """Return median and 99th percentile of a distribution in seconds."""
    if not distribution.count:
        return ""
    return f"median {period(distribution.quantile(0.5))}, 99 % within {period(distribution.quantile(0.99))}"


def period(seconds: float) -> str:
    """Return a number of seconds for reading.

    >>> period(0.0000123), period(0.25), period(90), period(7200)
    ('12.3 µs', '250 ms', '1.5 min', '2 h')
    """
    for least, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms")):
        if seconds >= least:
            return f"{seconds / least:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def number(value: float) -> str:
    """Return a value to four digits after the point, nothing for nan."""
    return "" if math.isnan(value) else f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"  # noqa: PLR2004


def shown(name: str) -> str:
    """Return a name in one line without control characters."""
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")


def _metrics(readings: Readings) -> tuple[str, ...]:
    if isinstance(readings.task, Regression):
        return ("mae", "rmse", "r2", "bias", "mape")
    if isinstance(readings.task, Multilabel):
        return ("accuracy", "hamming_loss")
    return (
        "accuracy",
        "balanced_accuracy",
        "mcc",
        "auc",
        "average_precision",
        "log_loss",
        "brier",
        "calibration_error",
    )
