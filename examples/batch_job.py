"""Two jobs: at night one scores a table, weeks later another brings the truth, some of it twice and some corrected."""

from __future__ import annotations

import numpy as np

from modelmon import Multiclass, monitor

CLASSES = ("stays", "leaves", "unsure")


@monitor(model="churn", version="7", task=Multiclass(classes=CLASSES), id="customers")
def score(customers: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return a row of class probabilities for each customer."""
    grown = np.exp(table)
    return grown / grown.sum(axis=1, keepdims=True)


def nightly_job(rng: np.random.Generator) -> np.ndarray:
    """Score all customers, a thousand at a time, and return what really became of them."""
    truths = rng.integers(0, len(CLASSES), 10_000)
    for first in range(0, len(truths), 1_000):
        chunk = np.arange(first, first + 1_000)
        table = rng.normal(size=(1_000, len(CLASSES)))
        table[np.arange(1_000), truths[chunk]] += 2.0  # the model is right more often than not
        score(chunk, table)
    return truths


def truth_job(truths: np.ndarray, rng: np.random.Generator) -> None:
    """Bring the truth about most customers, in any order, a part of it twice."""
    known = rng.permutation(len(truths))[:8_000]
    names = np.array(CLASSES)[truths[known]]
    print(monitor.labels(known, names))
    print(monitor.labels(known[:500], names[:500]))  # delivered again: nothing changes
    print(monitor.label(int(known[0]), CLASSES[(truths[known[0]] + 1) % 3]))  # someone looked again


if __name__ == "__main__":
    generator = np.random.default_rng(3)
    truth_job(nightly_job(generator), generator)
    print(monitor.snapshot()["churn", "7"])
