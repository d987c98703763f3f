"""Exposures: how much of each interval each model had, where calls that run at once share the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

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


FEW: Final = 64
"""So many calls are gone through one by one sooner than in columns."""


def swept(edges: list[int], calls: list[tuple[int, int, int, float]], width: int) -> list[list[float]]:
    """Return the same as ``exposures``, for few calls: (column, start, end, weight).

    >>> swept([0, 50, 100], [(0, 0, 80, 1.0), (1, 40, 80, 1.0)], 2)
    [[45.0, 5.0], [15.0, 15.0]]
    """
    found = [[0.0] * width for _ in edges[1:]]
    steps = [(max(start, edges[0]), 1, column, weight) for column, start, end, weight in calls if start < edges[-1]]
    steps += [(end, -1, column, -weight) for column, start, end, weight in calls if start < edges[-1]]
    steps += [(edge, 0, 0, 0.0) for edge in edges]
    steps.sort()
    active: dict[int, float] = {}
    whole, running, place, before = 0.0, 0, 0, edges[0]
    for time, step, column, weight in steps:
        if time > edges[-1]:
            break
        if time > before:
            while before >= edges[place + 1]:
                place += 1
            if running:
                for model, part in active.items():
                    found[place][model] += max(part, 0.0) / whole * (time - before)
            before = time
        running += step
        if step:
            whole = whole + weight if running else 0.0
            active[column] = active.get(column, 0.0) + weight
            if not running:
                active.clear()
    return found


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
