"""Mistakes: which predictions labels just showed to be wrong, for whoever asked to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.events import Mistake
from modelmon.identity import class_texts
from modelmon.stores.holdings import KEY_SEED
from modelmon.stores.states import JOINED, LABEL_OUTCOMES
from modelmon.tasks import Binary, Multiclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from modelmon.events import Labels
    from modelmon.stores.holdings import Holdings

_TELLING = [LABEL_OUTCOMES.index("joined"), LABEL_OUTCOMES.index("corrected")]


def tell(holdings: Holdings, labels: Labels, outcome: NDArray[np.uint8]) -> None:
    """Tell the labels' witness which predictions of classes they showed to be wrong.

    Args:
        holdings: where the labels were applied.
        labels: as they were delivered.
        outcome: what became of each.
    """
    if labels.witness is not None:
        for mistake in _mistakes(holdings, labels, np.flatnonzero(np.isin(outcome, _TELLING))):
            labels.witness(mistake)


def _mistakes(holdings: Holdings, labels: Labels, told: NDArray[Any]) -> Iterator[Mistake]:
    ids = labels.ids.take(told)
    low, high = ids.hashes(KEY_SEED)
    _, first = np.unique(np.stack([low, high]), axis=1, return_index=True)  # what is looked for at once differs
    ids = ids.take(first)
    rows, _ = holdings.find(low[first], high[first]).split()
    joined = rows.take(rows.state == JOINED)
    truth = holdings.records.truth(joined.record, joined.state)
    predicted = holdings.records.records["predicted"][joined.record]
    series = holdings.groups.series_of(joined.group)
    wrong = np.flatnonzero((predicted >= 0) & (truth != predicted) & ~np.isnan(truth))
    texts = ids.take(joined.event[wrong]).texts() if len(wrong) else []
    for place, text in zip(wrong.tolist(), texts, strict=True):
        page = holdings.groups.series[series[place]]
        if isinstance(page.task, (Binary, Multiclass)):
            names = class_texts(page.classes)
            model, version = page.key
            yield Mistake(model, version, text, names[int(predicted[place])], names[int(truth[place])])
