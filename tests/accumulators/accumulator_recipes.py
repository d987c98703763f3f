"""Rows for the accumulator tests, and one recipe per accumulator: how to make it empty and how to feed it rows."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.accumulators.confusion import Confusion
from modelmon.accumulators.counts import Counts
from modelmon.accumulators.durations import Histogram
from modelmon.accumulators.exact import ExactSum
from modelmon.accumulators.losses import Losses
from modelmon.accumulators.multilabel import LabelMatrix
from modelmon.accumulators.residuals import Residuals
from modelmon.accumulators.scores import ClassScores, ScoreHistogram
from modelmon.accumulators.strata import Strata

if TYPE_CHECKING:
    from collections.abc import Callable

ODD_FLOATS = [0.0, -0.0, 5e-324, 1e-310, 2.0**-53, 0.5, 1.0 - 2.0**-53, 1.0, 3.0, 2.0**31, 2.0**53, 1e300, -7.25]
ODD_SCORES = [0.0, 5e-324, 1e-300, 1e-20, 0.1, 0.5, 0.5000001, 0.9, 1.0 - 2.0**-53, 1.0]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a law test needs to know of one accumulator."""

    name: str
    empty: Callable[[], Any]
    rows: Callable[[np.random.Generator, int], tuple[np.ndarray, ...]]
    feed: Callable[..., None]
    removes: bool = True

    def of(self, *batches: tuple[np.ndarray, ...]) -> Any:
        """Return a new accumulator fed with the batches."""
        accumulator = self.empty()
        for batch in batches:
            self.feed(accumulator, *batch)
        return accumulator


def _odd(generator: np.random.Generator, n: int, odd: list[float]) -> np.ndarray:
    usual = generator.normal(size=n) if odd is ODD_FLOATS else generator.random(n)
    return np.where(generator.random(n) < 0.5, usual, generator.choice(np.array(odd), n))


def _probabilities(generator: np.random.Generator, n: int) -> np.ndarray:
    rows = generator.dirichlet(np.ones(4), n)
    rows[generator.random(n) < 0.2] = [0.5, 0.5, 0.0, 0.0]
    rows[generator.random(n) < 0.1] = [1.5, -0.5, 0.0, 0.0]
    return rows


def _labels(generator: np.random.Generator, n: int) -> np.ndarray:
    return generator.choice(np.array([0, 1, 1, 255], np.uint8), (n, 3))


def _add_keys(counts: Counts, codes: np.ndarray, sign: int = 1) -> None:
    for code in codes.tolist():
        counts.add(("class", code), sign)


def _add_values(histogram: Histogram, values: np.ndarray) -> None:
    histogram.update(values)


def recipes() -> list[Recipe]:
    """Return the recipes of all accumulators, large confusions included."""
    return [
        Recipe("counts", Counts, lambda g, n: (g.integers(0, 5, n),), _add_keys),
        Recipe("exact", ExactSum, lambda g, n: (_odd(g, n, ODD_FLOATS),), ExactSum.add),
        Recipe(
            "durations",
            lambda: Histogram(1e-9),
            lambda g, n: (g.choice(np.array([0, 1, 999, 1000, 1001, 2**31, 2**53, 10**9]), n) + g.integers(0, 9, n),),
            _add_values,
            removes=False,
        ),
        Recipe("confusion", Confusion, lambda g, n: (g.integers(0, 6, n), g.integers(0, 6, n)), Confusion.update),
        Recipe(
            "confusion of 90", Confusion, lambda g, n: (g.integers(0, 90, n), g.integers(0, 90, n)), Confusion.update
        ),
        Recipe(
            "confusion of 900", Confusion, lambda g, n: (g.integers(0, 900, n), g.integers(0, 900, n)), Confusion.update
        ),
        Recipe(
            "scores",
            lambda: ScoreHistogram(4096),
            lambda g, n: (_odd(g, n, ODD_SCORES), g.random(n) < 0.3),
            ScoreHistogram.update,
        ),
        Recipe(
            "strata, accepted",
            Strata,
            lambda g, n: (_odd(g, n, [*ODD_SCORES, -7.5, 3.0]), g.random(n) < 0.4),
            Strata.accept,
        ),
        Recipe(
            "strata, labelled",
            Strata,
            lambda g, n: (_odd(g, n, ODD_SCORES), g.random(n) < 0.4, g.random(n) < 0.3),
            Strata.label,
        ),
        Recipe("class scores", lambda: ClassScores(4096), _scored, ClassScores.update),
        Recipe(
            "losses, binary",
            Losses,
            lambda g, n: (_odd(g, n, [*ODD_SCORES, 1.5, -2.0]), g.random(n) < 0.3),
            Losses.update_binary,
        ),
        Recipe("losses, multiclass", Losses, _scored, Losses.update_multiclass),
        Recipe("losses, ranks", Losses, lambda g, n: (g.integers(-1, 40, n),), Losses.update_ranks),
        Recipe(
            "residuals",
            Residuals,
            lambda g, n: (_odd(g, n, ODD_FLOATS), _odd(g, n, [*ODD_FLOATS, np.nan, np.inf])),
            Residuals.update,
        ),
        Recipe("labels", LabelMatrix, lambda g, n: (_labels(g, n), _labels(g, n) & 1), LabelMatrix.update),
    ]


def _scored(generator: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    return _probabilities(generator, n), generator.integers(-1, 5, n)


def shuffled(items: list[Any], seed: int) -> list[Any]:
    """Return the items in a random order."""
    return random.Random(seed).sample(items, len(items))
