"""Points about which labels are missing, and the notice that says so."""

from __future__ import annotations

import numpy as np
import pytest

from modelmon import Monitor, Multiclass, notices
from modelmon.testing import FakeClock

HOUR = 3600.0


@pytest.fixture(autouse=True)
def _speaking():
    """Let every site speak in every test."""
    notices.forget()
    yield
    notices.forget()


def lived(share_of_rare, rows=2000, *, delay_of_rare=0.0, hours=3):
    """Return a monitor hours after predictions of which one class got few labels, or got them late."""
    clock = FakeClock(1000 * HOUR)
    monitor = Monitor(clock=clock)
    values = np.arange(rows) % 2
    monitor.predictions(range(rows), values, model="m", version="7", task=Multiclass())
    rng = np.random.default_rng(1)
    chosen = (values == 0) | (rng.random(rows) < share_of_rare)
    clock.advance(1.0)
    late = chosen & (values == 1)
    for part, wait in ((chosen & ~late, 0.0), (late, delay_of_rare)):
        clock.advance(wait)
        monitor.labels(np.flatnonzero(part), values[part])
    clock.advance(hours * HOUR)
    return monitor


def said(caplog):
    """Return the notices about missing labels."""
    return [record.getMessage() for record in caplog.records if "have their label" in record.getMessage()]


def test_notice_once(caplog):
    """Whoever reads points is told once that labels are missing selectively, with model, classes and shares."""
    monitor = lived(0.2)
    for _ in range(3):
        monitor.snapshot().points()
    (message,) = said(caplog)
    assert "model 'm', version '7'" in message
    assert "100% of the predictions of 0" in message
    assert "of those of 1" in message


def test_notice_stays_said(caplog, monkeypatch):
    """Five minutes later, when other notices speak again, this one does not."""
    monitor = lived(0.2)
    monitor.snapshot().points()
    moved = notices.time.monotonic() + 3600
    monkeypatch.setattr(notices.time, "monotonic", lambda: moved)
    monitor.snapshot().points()
    assert len(said(caplog)) == 1


@pytest.mark.parametrize(
    "monitor",
    [
        pytest.param(lambda: lived(1.0), id="all labelled"),
        pytest.param(lambda: lived(0.2, rows=200), id="few rows"),
        pytest.param(lambda: lived(0.2, hours=0), id="not mature"),
        pytest.param(lambda: lived(0.95), id="small difference"),
    ],
)
def test_no_notice(monitor, caplog):
    """Nothing is said where coverage is the same, rows are few, nothing is mature, or the difference is small."""
    monitor().snapshot().points()
    assert not said(caplog)


def test_coverage_by_class():
    """Coverage is shown for each predicted class and window, and not at all above 32 classes."""
    monitor = Monitor()
    monitor.predictions(range(10), ["a"] * 5 + ["b"] * 5, model="m", task=Multiclass(("a", "b", "c")))
    monitor.labels(range(6), ["a"] * 6)
    monitor.predictions(range(40), range(40), model="wide", task=Multiclass())
    shares = {
        (dict(point.attributes)["model"], dict(point.attributes)["predicted"]): point.value
        for point in monitor.snapshot().points()
        if point.name == "modelmon.label.class_coverage"
    }
    assert shares == {("m", "a"): 1.0, ("m", "b"): 0.2}
