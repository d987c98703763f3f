"""Tests of how long names of models and versions may be, wherever labels and predictions come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from modelmon import ConfigurationError, LabelClient, MemoryStore, Monitor
from modelmon.cli import main
from modelmon.identity import MAXIMUM_NAME_BYTES
from modelmon.stores.states import LABEL_OUTCOMES
from modelmon.written.items import deliver_items

if TYPE_CHECKING:
    from pathlib import Path

FITS, LONG = "é" * (MAXIMUM_NAME_BYTES // 2), "é" * (MAXIMUM_NAME_BYTES // 2) + "x"
SCOPES: list[dict[str, Any]] = [{"model": LONG}, {"model": "m", "version": LONG}]


@pytest.mark.fault("X13")
@pytest.mark.parametrize("scope", SCOPES, ids=["model", "version"])
def test_labels_of_long_names_are_refused(scope: dict[str, Any]) -> None:
    """In process a name of more than 256 bytes is a ValueError before any effect; one of 256 is taken."""
    monitor, client = Monitor(), LabelClient(MemoryStore())
    targets: tuple[Any, ...] = (monitor, client)
    for target in targets:
        with pytest.raises(ValueError, match="at most 256 bytes"):
            target.label(1, 0, **scope)
        with pytest.raises(ValueError, match="at most 256 bytes"):
            target.retract([1], **scope)
        assert target.label(1, 0, model=FITS, version=FITS)["early"] == 1
        assert target.snapshot().label_events == {"early": 1}
    with pytest.raises(ValueError, match="at most 256 bytes"):
        LabelClient(MemoryStore(), **scope)
    with pytest.raises(ConfigurationError, match="at most 256 bytes"):
        monitor.assume_label(0, after="1d", **scope)


@pytest.mark.fault("X13")
@pytest.mark.parametrize("scope", SCOPES, ids=["model", "version"])
def test_models_of_long_names_cannot_be_watched(scope: dict[str, Any]) -> None:
    """Setting up a model says so at once, and never a call."""
    monitor = Monitor()
    setups = (
        lambda: monitor(**scope)(len),
        lambda: monitor.call(**scope),
        lambda: monitor.predictions([1], [0], **scope),
    )
    for setup in setups:
        with pytest.raises(ConfigurationError, match="256 bytes"):
            setup()
    monitor.predictions([1], [0], model=FITS, version=FITS)
    assert monitor.snapshot()[FITS].occupancy["pending"] == 1


@pytest.mark.fault("X13")
@pytest.mark.parametrize("scope", SCOPES, ids=["model", "version"])
def test_items_of_long_names_are_invalid(scope: dict[str, Any]) -> None:
    """Such an item of a request or file is invalid by itself, and says why without repeating it."""
    items = [{"id": 1, "label": 0, **scope}, {"id": 2, "label": 0, "model": FITS, "version": FITS}]
    delivered = deliver_items(LabelClient(MemoryStore()), items)
    assert [LABEL_OUTCOMES[outcome] for outcome in delivered.outcomes] == ["invalid", "early"]
    name = "version" if "version" in scope else "model"
    assert delivered.reasons == {0: f"{name} has more than 256 bytes"}


def test_the_command_refuses_long_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``modelmon label --model`` of such a name is wrong usage."""
    (tmp_path / "labels.csv").write_text("id,label\n1,0\n", "utf-8")
    line = ["label", str(tmp_path / "labels.csv"), "--store", f"sqlite://{tmp_path}/labels.db", "--model", LONG]
    assert main(line) == 2
    assert "at most 256 bytes" in capsys.readouterr().err
