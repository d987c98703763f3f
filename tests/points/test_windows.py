"""Windows of quality and coverage: the last predictions, and the newest ones that are old enough."""

from __future__ import annotations

import pytest
from small_worlds import WORLDS

from modelmon import Monitor, Multiclass
from modelmon.errors import ConfigurationError
from modelmon.points.reading import points
from modelmon.points.windows import window_of
from modelmon.testing import FakeClock

HOUR = 3600.0
ASKED = ("1h", "1h:mature", "1h:2h")


def shown(monitor: Monitor, name: str, **wanted: str) -> dict[str, float]:
    """Return a point's value by window."""
    found = [point for point in points(monitor.snapshot(), windows=ASKED) if point.name == name]
    kept = [(dict(point.attributes), point.value) for point in found]
    return {own["window"]: value for own, value in kept if wanted.items() <= own.items()}


def test_windows_of_predictions_of_different_age():
    """A window is of the last slots, or of the newest old enough; coverage is of all while maturity is not known."""
    clock = FakeClock(1_000_000 * HOUR)
    monitor = Monitor(clock=clock, window="1h")
    for hour in range(4):  # labels come after 90 minutes; one more is wrong every hour
        ids = [f"{hour}-{n}" for n in range(100)]
        monitor.predictions(ids, ["a"] * 100, model="m", task=Multiclass())
        if hour == 0:
            # nobody knows yet what is mature, and nothing is two hours old
            young = dict.fromkeys(("total", "1h", "1h:mature"), 0.0)
            assert shown(monitor, "modelmon.label.coverage") == young
            rows = shown(monitor, "modelmon.quality.support", metric="coverage")
            assert rows == dict.fromkeys(young, 100) | {"1h:2h": 0}
        clock.advance(0.5 * HOUR)
        if hour:
            truths = ["b"] * hour + ["a"] * (100 - hour)
            monitor.labels([f"{hour - 1}-{n}" for n in range(100)], truths)
        clock.advance(0.5 * HOUR)
    assert monitor.snapshot()["m"].maturity == pytest.approx(1.5 * HOUR, rel=0.02)
    accuracy = shown(monitor, "modelmon.quality", metric="accuracy")
    assert accuracy == {"total": 0.98, "1h:mature": 0.98, "1h:2h": 0.98}
    assert shown(monitor, "modelmon.quality.support", metric="accuracy") == dict.fromkeys(accuracy, 100) | {
        "total": 300
    }
    assert shown(monitor, "modelmon.quality.support", metric="recall", **{"class": "b"})["1h:2h"] == 2
    assert shown(monitor, "modelmon.label.coverage") == {"total": 0.75, "1h": 0.0, "1h:mature": 1.0, "1h:2h": 1.0}


@pytest.mark.parametrize("text", ["", "1h:", "1h:soon", ":mature", "1h:3d:2d"])
def test_window_that_cannot_be_read_is_refused(text):
    """A window that is none is refused by name."""
    with pytest.raises(ConfigurationError, match="windows"):
        window_of(text)


@pytest.mark.parametrize("world", ["binary", "multiclass", "multilabel", "regression"])
def test_support_stands_beside_every_quality(world):
    """Every number of quality has its rows, and never more than are labelled, under the same attributes."""
    found = points(WORLDS[world])
    quality = {point.attributes for point in found if point.name == "modelmon.quality"}
    held = (point for point in found if point.name == "modelmon.quality.support")
    support = {point.attributes: point.value for point in held if ("metric", "coverage") not in point.attributes}
    assert support.keys() == quality
    assert all(0 < rows <= 400 for rows in support.values())
