"""The metrics: confusion counts, score histograms, quantiles; and how far their answers are off."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from calls import against
from drains import alone
from figures import Figure, Goal, missing
from timing import Variant, race

from modelmon import Binary, Monitor
from modelmon.accumulators.confusion import Confusion
from modelmon.accumulators.durations import Histogram
from modelmon.accumulators.scores import ClassScores, ScoreHistogram
from modelmon.quality import ranking

if TYPE_CHECKING:
    from collections.abc import Callable

    from budget import Budget

ROWS = 16_384
ONE_BY_ONE = 512  # rows for peers that take them one at a time
MEGABYTE = 1 << 20


def confusion(budget: Budget) -> list[Figure]:
    """Time the counting of rows into a confusion matrix."""
    rng = np.random.default_rng(11)
    few, many = Confusion(10), Confusion(10_000)
    small, large = outcomes(rng, 10), outcomes(rng, 10_000)
    variants = {
        "k=10": Variant(lambda: few.update(*small), ROWS),
        "k=10,000": Variant(feeding(many.update, [outcomes(rng, 10_000) for _ in range(8)]), ROWS),
    }
    absent = []
    try:
        from sklearn.metrics import confusion_matrix  # noqa: PLC0415  (a peer)

        variants["scikit-learn"] = Variant(lambda: confusion_matrix(*small, labels=range(10)), ROWS)
        variants["scikit-learn, k=10,000"] = Variant(sklearn_sparse(large), ROWS, every=5)
    except ImportError:
        absent.append(missing("confusion", "scikit-learn"))
    try:
        variants["river"] = Variant(river_updates(small), ONE_BY_ONE)
    except ImportError:
        absent.append(missing("confusion", "river"))
    found = race(variants, rounds=budget.rounds(41))
    return [
        against(found, "k=10", "scikit-learn", "confusion per row, k = 10, batches of 16,384", Goal(6)),
        against(found, "k=10", "river", "the same beside rows one at a time"),
        against(
            found,
            "k=10,000",
            "scikit-learn, k=10,000",
            "confusion per row, k = 10,000",
            Goal(25),
            shown="precision, recall, F1 of scikit-learn",
        ),
        Figure("bytes of a confusion, k = 10,000", many.nbytes / MEGABYTE, "MiB", goal=Goal(1)),
        *absent,
    ]


def scores(budget: Budget) -> list[Figure]:
    """Time score histograms, and tell how far areas and quantiles are off."""
    rng = np.random.default_rng(13)
    streams = [drawn(rng) for _ in range(8)]
    coarse, removing = ScoreHistogram(2048), ScoreHistogram(2048)
    removing.update(*streams[0])
    small = ScoreHistogram(2048)
    rows = [(one[:32], two[:32]) for one, two in streams]
    classes, wide = ClassScores(512), rng.dirichlet(np.ones(10), ROWS)
    actual = rng.integers(0, 10, ROWS)
    durations, spent = Histogram(1e-9), rng.lognormal(np.log(2e6), 1.0, ROWS).astype(np.int64)
    variants = {
        "update": Variant(feeding(coarse.update, streams), ROWS),
        "small": Variant(feeding(small.update, rows, times=64), 32 * 64),
        "remove": Variant(lambda: removing.update(*streams[0], -1), ROWS, prepare=lambda: removing.update(*streams[0])),
        "classes": Variant(lambda: classes.update(wide, actual), ROWS),
        "read": Variant(lambda: ranking.roc_area(bins_of(coarse)), 1),
        "durations": Variant(lambda: durations.update(spent), ROWS),
    }
    found = race(variants, rounds=budget.rounds(41))
    read = found["read"]
    return [
        alone(found, "update", "score histogram: update per row, batches of 16,384", Goal(400)),
        alone(found, "small", "score histogram: update per row, batches of 32", Goal(400)),
        alone(found, "remove", "score histogram: removal per row"),
        alone(found, "classes", "score histograms of 10 classes: update per row"),
        Figure("area with bounds: read", read.minimum / 1e3, "µs", median=read.median / 1e3, goal=Goal(100)),
        alone(found, "durations", "duration histogram: update per value"),
        *area_errors(budget.rows(1_000_000, 200_000)),
        quantile_error(rng),
    ]


def area_errors(rows: int) -> list[Figure]:
    """Compare the area under the ROC curve, read through the public door, with scikit-learn's on the same rows."""
    rng = np.random.default_rng(17)
    given, positive = drawn(rng, rows)
    monitor = Monitor(max_awaiting=2 * rows)
    for first in range(0, rows, ROWS):
        part = slice(first, first + ROWS)
        ids = np.arange(rows)[part]
        monitor.predictions(ids, given[part], model="m", task=Binary())
        monitor.labels(ids, positive[part].astype(np.int64))
    seen = monitor.snapshot()["m"]
    low, high = seen.auc_bounds
    width = Figure(f"width of the bounds of the area, {rows:,} rows", high - low, "", goal=Goal(2e-3))
    try:
        from sklearn.metrics import roc_auc_score  # noqa: PLC0415  (a peer)
    except ImportError:
        return [width, missing("area error", "scikit-learn")]
    truth = float(roc_auc_score(positive, given))
    inside = low - 1e-12 <= truth <= high + 1e-12
    error = abs(seen.auc - truth)
    text = "inside its bounds" if inside else "OUTSIDE its bounds"
    return [width, Figure("error of the area against scikit-learn", error, "", goal=Goal(1e-3), note=text)]


def quantile_error(rng: np.random.Generator) -> Figure:
    """Compare duration quantiles with numpy's."""
    histogram, spent = Histogram(1e-9), rng.lognormal(np.log(2e6), 1.5, 1_000_000).astype(np.int64)
    histogram.update(spent)
    wanted = np.array([0.01, 0.25, 0.5, 0.9, 0.99, 0.999])
    exact = np.quantile(spent, wanted, method="inverted_cdf") * 1e-9
    found = np.array([histogram.quantile(float(q)) for q in wanted])
    worst = float(np.abs(found / exact - 1).max())
    return Figure("duration quantiles: worst relative error", 100 * worst, "%", goal=Goal(0.5))


def drawn(rng: np.random.Generator, rows: int = ROWS) -> tuple[Any, Any]:
    """Return probabilities and outcomes such as a fair classifier gives."""
    logits = rng.normal(-1.0, 1.5, rows)
    probability = 1 / (1 + np.exp(-logits))
    return probability, rng.random(rows) < probability


def outcomes(rng: np.random.Generator, classes: int) -> tuple[Any, Any]:
    """Return true and predicted codes, nine of ten alike."""
    actual = rng.integers(0, classes, ROWS)
    return actual, np.where(rng.random(ROWS) < 0.9, actual, rng.integers(0, classes, ROWS))


def feeding(update: Callable[..., object], streams: list[tuple[Any, Any]], *, times: int = 1) -> Callable[[], None]:
    """Return what feeds one stream after the other, ``times`` at a run."""
    numbers = count()

    def run() -> None:
        for _ in range(times):
            update(*streams[next(numbers) % len(streams)])

    return run


def bins_of(histogram: ScoreHistogram) -> ranking.Bins:
    """Return a histogram as the bins that areas are read from."""
    return ranking.Bins(
        histogram.negatives.astype(np.float64), histogram.positives.astype(np.float64), histogram.single
    )


def sklearn_sparse(rows: tuple[Any, Any]) -> Callable[[], object]:
    """Return precision, recall and F1 of every class by scikit-learn, which needs no dense matrix for them."""
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415  (a peer)

    return lambda: precision_recall_fscore_support(*rows, zero_division=0)


def river_updates(rows: tuple[Any, Any]) -> Callable[[], None]:
    """Return a confusion matrix of river, fed one row at a time."""
    from river.metrics import ConfusionMatrix  # noqa: PLC0415  (a peer)

    matrix = ConfusionMatrix()
    pairs = list(zip(rows[0][:ONE_BY_ONE].tolist(), rows[1][:ONE_BY_ONE].tolist(), strict=True))

    def run() -> None:
        for actual, predicted in pairs:
            matrix.update(actual, predicted)

    return run
