"""Exposures: how much of each interval each model had, where calls that run at once share the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Calls(NamedTuple):
    """Hold calls as columns.

    Attributes:
        columns: which model each call is of.
        starts: in nanoseconds.
        ends: in nanoseconds.
        weights: how much of a moment a call takes, beside others.
    """

    columns: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: list[Calls]) -> Calls:
        """Return many as one."""
        if not parts:
            none = np.zeros(0, np.int64)
            return cls(none, none, none, np.zeros(0))
        columns, starts, ends, weights = zip(*parts, strict=True)
        return cls(np.concatenate(columns), np.concatenate(starts), np.concatenate(ends), np.concatenate(weights))

    def chosen(self, rows: NDArray[np.bool_]) -> Calls:
        """Return some of them."""
        return Calls(self.columns[rows], self.starts[rows], self.ends[rows], self.weights[rows])


def exposures(edges: NDArray[np.int64], calls: Calls, width: int) -> NDArray[np.float64]:
    """Return nanoseconds by interval and model; a row sums to the time in which at least one call ran.

    >>> two = Calls(np.array([0, 1]), np.array([0, 40]), np.array([80, 80]), np.ones(2))
    >>> exposures(np.array([0, 50, 100]), two, 2).tolist()
    [[45.0, 5.0], [15.0, 15.0]]

    Args:
        edges: ``n + 1`` ascending times, between which there are ``n`` intervals.
        calls: of models numbered from 0.
        width: how many models there are.
    """
    found = np.zeros((len(edges) - 1, width))
    calls = calls.chosen((calls.ends > np.maximum(calls.starts, edges[0])) & (calls.starts < edges[-1]))
    if not len(calls.starts):
        return found
    times = np.concatenate((np.maximum(calls.starts, edges[0]), np.minimum(calls.ends, edges[-1]), edges))
    order = np.argsort(times, kind="stable")
    times = times[order]
    lasting = np.diff(times)
    intervals = np.clip(np.searchsorted(edges, times[:-1], "right") - 1, 0, len(edges) - 2)
    nothing = np.zeros(len(edges))
    ones = np.ones(len(calls.starts))
    running = np.cumsum(np.concatenate((ones, -ones, nothing))[order])[:-1] > 0
    steps = np.concatenate((calls.weights, -calls.weights, nothing))[order]
    whole = np.cumsum(steps)[:-1]
    per_weight = np.divide(lasting, whole, out=np.zeros(len(whole)), where=running & (whole > 0))
    models = np.concatenate((calls.columns, calls.columns, np.full(len(edges), -1)))[order]
    for model in np.unique(calls.columns).tolist():
        share = np.maximum(np.cumsum(np.where(models == model, steps, 0.0))[:-1], 0.0) * per_weight
        found[:, model] = np.bincount(intervals, share, len(edges) - 1)
    return found
