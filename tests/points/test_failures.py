"""A model whose points cannot be made silences no other, and is counted and told of."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from small_worlds import WORLDS

from modelmon import ConfigurationError, Monitor, notices
from modelmon.points import failures, reading

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    """Let notices speak, and count from zero before and after."""
    notices.forget()
    failures._failures.renew()
    yield
    notices.forget()
    failures._failures.renew()


def breaking(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Have the reading of the model named broken raise amid its points."""
    fill = reading.fill_predictions

    def raising(sheet, model, names):
        if model.model == "broken":
            raise error
        fill(sheet, model, names)

    monkeypatch.setattr(reading, "fill_predictions", raising)


def watched() -> Monitor:
    """Return a monitor that saw two models."""
    monitor = Monitor(gpu=False)
    for name in ("broken", "fine"):
        with monitor.call(model=name):
            pass
    return monitor


def test_other_models_are_exported(monkeypatch, caplog):
    """What one model raises leaves out that model, whole, and no other; it is counted each time and told once."""
    breaking(monkeypatch, ArithmeticError("of class secret"))
    monitor = watched()
    for _ in range(2):
        found = monitor.snapshot().points()
        assert {dict(point.attributes)["model"] for point in found if point.name == "modelmon.calls"} == {"fine"}
    (counted,) = (p for p in monitor.snapshot().points() if p.name == "modelmon.self.internal_errors")
    assert (dict(counted.attributes), counted.value) == ({"site": "points:ArithmeticError"}, 2)
    (said,) = (record.getMessage() for record in caplog.records if "not exported" in record.getMessage())
    assert "'broken'" in said
    assert "secret" not in said


def test_what_is_asked_wrongly_is_refused():
    """A window that cannot be read is the caller's mistake, and raised."""
    with pytest.raises(ConfigurationError, match="windows"):
        reading.points(WORLDS["binary"], windows=("soon",))
    assert not failures.failures()


def test_what_a_signal_raises_passes(monkeypatch):
    """The handler of a signal that strikes amid the points is no failure of a model."""

    def handler(*_):
        raise RuntimeError

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        monkeypatch.setattr(reading, "fill_calls", lambda *_: signal.raise_signal(signal.SIGUSR1))
        with pytest.raises(RuntimeError):
            watched().snapshot().points()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not failures.failures()
