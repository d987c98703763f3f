"""PromQL of quality: from counters that add up over replicas and slices, over the labels that came within ``$span``.

What corrections took back is subtracted after ``increase``, so restarts of a process do no harm.
Without labels in the span there is no series, and a panel shows a gap: quality of yesterday is not shown as today's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.dashboards.promql import SPAN, gained, share, total

if TYPE_CHECKING:
    from modelmon.dashboards.promql import By
    from modelmon.dashboards.selectors import Scope

Z: Final = 1.959964  # of 95 %
_GROSS: Final = "modelmon.confusion"


def _net(scope: Scope, name: str, by: By, **matchers: str) -> str:
    """Return what a counter with a counterpart for retractions gained within the span, retractions taken off."""
    added = gained(scope.of(name, **matchers), by)
    return f"({added} - {gained(scope.of(f'{name}.retracted', **matchers), by)})"


def labelled(scope: Scope, by: By = ()) -> str:
    """Return how many labels of tasks with one class per row came within the span."""
    return _rows(scope, "actual", by)


def accuracy(scope: Scope, by: By = ()) -> str:
    """Return the share of right answers; with several labels per row, F1 over all labels.

    Both are one formula: where a row has one class, micro F1 is accuracy.
    """
    hits, true, said = (_rows(scope, side, by) for side in _SUMS)
    return f"clamp({share(f'2 * {hits}', f'{true} + {said}')}, 0, 1)"


def wilson(scope: Scope, end: str, by: By = ()) -> str:
    """Return the lower (``-``) or upper (``+``) end of Wilson's 95 % interval of accuracy.

    With several labels per row there is none: the labels of a row are not independent of each other.
    """
    n = f"({_rows(scope, 'actual', by)} > 0)"
    k = _rows(scope, "correct", by)
    half = f"{Z:g} * sqrt(clamp_min({k} * ({n} - {k}) / {n}, 0) + {Z**2 / 4:.6g})"
    several = f"last_over_time({scope.of('modelmon.quality', metric='hamming_loss')}[{SPAN}])"
    band = f"clamp(({k} + {Z**2 / 2:.6g} {end} {half}) / ({n} + {Z**2:.6g}), 0, 1)"
    return f"({band} unless on ({', '.join(by)}) {several})"


def of_class(scope: Scope, metric: str, by: By = ()) -> str:
    """Return precision, recall or F1 of each class, under the label ``class``."""
    hits, true, said = (_marginal(scope, side, by) for side in ("correct", "actual", "predicted"))
    whole = {"precision": said, "recall": true, "f1": f"({true} + {said})"}[metric]
    factor = 2 if metric == "f1" else 1
    return f"clamp({share(f'{factor} * {hits}', whole)}, 0, 1)"


_SUMS: Final = {"correct": "true_positives", "actual": "support", "predicted": "predicted"}


def _marginal(scope: Scope, side: str, by: By) -> str:
    """Return cells added up to one class each, and the sums of classes where there are too many for cells."""
    label = "predicted" if side == "predicted" else "actual"
    only = {"correct": "true"} if side == "correct" else {}
    cells = f'label_replace({_net(scope, _GROSS, (*by, label), **only)}, "class", "$1", "{label}", "(?s:(.*))")'
    sums = _net(scope, f"modelmon.class.{_SUMS[side]}", (*by, "class"))
    return total(f"{cells} or {sums}", (*by, "class"))


def _rows(scope: Scope, side: str, by: By) -> str:
    """Return all cells, or those on the diagonal, and the like sums of classes where there are too many for cells.

    Each has a label that the other has not, so that ``or`` puts them side by side.
    """
    only = {"correct": "true"} if side == "correct" else {}
    cells = _net(scope, _GROSS, (*by, "correct"), **only)
    return total(f"{cells} or {_net(scope, f'modelmon.class.{_SUMS[side]}', (*by, 'class'))}", by)


def matrix(scope: Scope) -> str:
    """Return the confusion matrix of the labels within the span; corrections of older labels may leave less than 0."""
    return f"round({_net(scope, _GROSS, ('actual', 'predicted'))}) and on () ({_net(scope, _GROSS, ())} > 0)"


def joined(scope: Scope, by: By = (), span: str = SPAN) -> str:
    """Return how many predictions met their first label within the span, whatever the task.

    What was assumed is no label; a label that comes after it is.
    """
    met = scope.of("modelmon.join.transitions", **{"from": "~none|pending", "to": "joined"})
    assumed, labels = (scope.of("modelmon.label.assumed", event=event) for event in ("made", "~confirmed|corrected"))
    addends = (
        gained(met, (*by, "from"), span=span),
        "-" + gained(assumed, (*by, "event"), span=span),
        gained(labels, (*by, "event"), span=span),
    )
    return total(" or ".join(addends), by)


def accepted(scope: Scope, by: By = (), span: str = SPAN) -> str:
    """Return how many predictions with an id came within the span."""
    return gained(scope.of("modelmon.prediction.events", outcome="~pending|joined_early"), by, span=span)


def coverage(scope: Scope, by: By = ()) -> str:
    """Return labelled predictions as a share of those accepted with an id, since counting began.

    The addends have different labels, so that ``or`` puts them side by side; what was assumed is no label.
    """
    addends = (
        scope.of("modelmon.join.occupancy", state="~joined|closed"),
        scope.of("modelmon.join.transitions", **{"from": "~joined|closed", "to": "forgotten"}),
        "-" + scope.of("modelmon.label.assumed", event="~made|restored"),
        scope.of("modelmon.label.assumed", event="~confirmed|corrected"),
    )
    whole = total(scope.of("modelmon.join.transitions", **{"from": "none"}), by)
    return share(total(" or ".join(addends), by), whole)


def without_labels(scope: Scope) -> str:
    """Return how many models took predictions with ids within the span but no label."""
    by = ("model", "version")
    expecting = f"({accepted(scope, by)} > 0)"
    blind = f"count({expecting} unless ({joined(scope, by)} > 0.5))"  # a server may be a hair off zero
    return f"{blind} or 0 * count({expecting})"
