"""A batch that a signal's exception breaks off in the memory store is said and counted, for nothing undoes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelmon import Monitor, Multiclass, notices
from modelmon.stores import labelling, predicting

if TYPE_CHECKING:
    from types import ModuleType


@pytest.mark.fault("E7")
@pytest.mark.parametrize(("room", "act"), [(predicting, "predict"), (labelling, "label")])
def test_a_broken_batch_is_told(
    room: ModuleType, act: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The exception passes; the log and a counter say that numbers may be wrong, and a whole batch says nothing."""
    notices.forget()
    own = Monitor()
    own.predictions(["a"], ["x"], model="m", task=Multiclass())
    own.labels(["a"], ["x"])
    assert "broke off" not in caplog.text

    def strike(*_: object) -> None:
        raise KeyboardInterrupt

    def both() -> None:
        own.predictions(["b"], ["x"], model="m", task=Multiclass())
        own.labels(["b"], ["x"])

    with monkeypatch.context() as patch:
        patch.setattr(room, act, strike)
        with pytest.raises(KeyboardInterrupt):
            both()
    assert "KeyboardInterrupt broke off a batch" in caplog.text
    errors = [point for point in own.snapshot().points() if point.name == "modelmon.self.internal_errors"]
    assert ["store:KeyboardInterrupt" in dict(point.attributes).values() for point in errors].count(True) == 1
