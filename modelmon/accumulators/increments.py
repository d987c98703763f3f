"""Increments: what was counted between two moments of one histogram that only grows."""

from __future__ import annotations

from modelmon.accumulators.durations import Histogram, bound_of


def grown(newer: Histogram, older: Histogram | None) -> Histogram:
    """Return what ``newer`` counts beyond ``older``; all of it where it counts less, since it began anew then.

    Count, sum and mean are exact; the least and the greatest value are known within their bins.

    >>> import numpy as np
    >>> before = Histogram()
    >>> before.update(np.array([1, 2]))
    >>> after = before.copy()
    >>> after.update(np.array([2, 900]))
    >>> grown(after, before).counts.tolist(), grown(after, before).mean, grown(before, after).count
    ([1, 1], 451.0, 2)
    """
    if older is None or older.is_empty or older.scale != newer.scale:
        return newer
    new, old = newer.to_state(), older.to_state()
    left = dict(zip(new["bins"], new["counts"], strict=True))
    for place, n in zip(old["bins"], old["counts"], strict=True):
        left[place] = left.get(place, 0) - n
    total = newer.sum - older.sum
    if total < 0 or min(left.values(), default=0) < 0:
        return newer
    kept = {place: n for place, n in sorted(left.items()) if n}
    if not kept:
        return Histogram(newer.scale)
    places = list(kept)
    state = {"scale": newer.scale, "bins": places, "counts": list(kept.values()), "sum": total}
    lowest = bound_of(places[0] - 1) + 1 if places[0] else 0
    state["minimum"] = max(lowest, newer.minimum)
    state["maximum"] = min(bound_of(places[-1]), newer.maximum)
    return Histogram.from_state(state)
