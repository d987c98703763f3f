"""What is going to happen in a soak: every prediction, and when which label comes, drawn beforehand from a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CALLS = 5_000  # a second, by all threads together
THREADS = 2
EVERY = 5  # one call in so many is a prediction that has an id
PREDICTIONS = CALLS // EVERY
BAD = 100  # one call in so many has another beside it, that is bad
CLASSES = (0, 1, 2, 3)
LONGEST_DELAY = 60.0
MISSING, TWICE, CONFLICTING, EARLY = 0.05, 0.05, 0.02, 0.01
SLACK = 1.25  # predictions drawn, for each that is planned


class Program(NamedTuple):
    """All predictions, and all deliveries of labels in their order.

    Attributes:
        predicted: the class that is predicted, by number.
        truth: the class that holds in the end, by number; -1 where no label ever comes.
        due: seconds since the start at which a label is delivered, ascending.
        number: whose label it is.
        label: the class it names.
    """

    predicted: np.ndarray
    truth: np.ndarray
    due: np.ndarray
    number: np.ndarray
    label: np.ndarray


def draw(seconds: float, seed: int) -> Program:
    """Draw what happens in so many seconds."""
    chance = np.random.default_rng(seed)
    n = int(PREDICTIONS * seconds * SLACK) + 1
    longest = min(LONGEST_DELAY, seconds / 4)
    truth = chance.integers(0, len(CLASSES), n)
    predicted = np.where(chance.random(n) < 0.8, truth, chance.integers(0, len(CLASSES), n))
    made = np.arange(n) / PREDICTIONS
    come = made + chance.uniform(0, longest, n)
    early = chance.random(n) < EARLY
    come[early] = np.maximum(0, made[early] - chance.uniform(0, longest / 4, early.sum()))
    labelled = np.flatnonzero(chance.random(n) >= MISSING)
    twice = labelled[chance.random(len(labelled)) < TWICE]
    conflicting = labelled[chance.random(len(labelled)) < CONFLICTING]
    other = (truth[conflicting] + chance.integers(1, len(CLASSES), len(conflicting))) % len(CLASSES)
    again = [come[some] + chance.uniform(0, longest / 4, len(some)) for some in (twice, conflicting)]
    due = np.concatenate([come[labelled], *again])
    order = np.argsort(due, kind="stable")
    number = np.concatenate([labelled, twice, conflicting])[order]
    label = np.concatenate([truth[labelled], truth[twice], other])[order]
    final = np.full(n, -1)
    final[labelled] = truth[labelled]
    final[conflicting] = other
    return Program(predicted.astype(np.int8), final.astype(np.int8), due[order], number, label.astype(np.int8))


def name(number: int) -> str:
    """Return the id of a prediction."""
    return f"order-{number:09d}"
