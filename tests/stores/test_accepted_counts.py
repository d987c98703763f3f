"""Accepted predictions by class, and binary rows by bin of score, equal a count of single rows."""

from __future__ import annotations

import numpy as np
import pytest

from modelmon import Binary, Monitor
from modelmon.accumulators.strata import Strata
from modelmon.testing import FakeClock

RETRACTED = None


def program(seed, conflict):
    """Return (monitor, predictions by id, truths by id) after random predictions, labels, corrections, retractions."""
    rng = np.random.default_rng(seed)
    clock = FakeClock(1e9)
    monitor = Monitor(clock=clock, on_conflict=conflict, window=600.0)
    scores: dict[int, float] = {}
    truths: dict[int, int | None] = {}
    for step in range(40):
        clock.advance(float(rng.integers(1, 400)))
        ids = rng.integers(0, 120, int(rng.integers(1, 30)))
        if rng.random() < 0.5:
            given = np.round(rng.random(len(ids)), 2)
            monitor.predictions(ids, given, model="m", task=Binary())
            for key, score in zip(ids.tolist(), given.tolist(), strict=True):
                if conflict == "last" or key not in scores:
                    scores[key] = score
        elif rng.random() < 0.2:
            ids = np.unique(ids)
            monitor.retract(ids, rev=step)
            truths |= dict.fromkeys(ids.tolist(), RETRACTED)
        else:
            ids = np.unique(ids)
            given = rng.integers(0, 2, len(ids))
            monitor.labels(ids, given, revs=[step] * len(ids))
            truths |= dict(zip(ids.tolist(), given.tolist(), strict=True))
    return monitor, scores, truths


@pytest.mark.fault("L3")
@pytest.mark.parametrize("conflict", ["first", "last"])
@pytest.mark.parametrize("seed", range(12))
def test_counts_are_those_of_single_rows(seed, conflict):
    """Whatever came in which order, twice, corrected, retracted or replaced, the counts are those of what stands."""
    monitor, scores, truths = program(seed, conflict)
    monitor.check_invariants()
    model = monitor.snapshot()["m"]
    values = np.array(list(scores.values()))
    predicted = values >= 0.5
    assert model.accepted_by_class == {0: int((~predicted).sum()), 1: int(predicted.sum())}
    known = np.array([truths.get(key) is not None for key in scores])
    truth = np.array([truths.get(key) == 1 for key in scores])
    expected = Strata()
    expected.accept(values, predicted)
    expected.label(values[known], predicted[known], truth[known])
    assert model.selection.gather_shared("strata", Strata) == expected
    if known.any():
        shares = [float(known[predicted == side].mean()) for side in (False, True)]
        assert list(model.coverage_by_class.values()) == pytest.approx(shares, nan_ok=True)
    windows = model.windows().values()
    assert sum(window.accepted_by_class[1] for window in windows) == model.accepted_by_class[1]
