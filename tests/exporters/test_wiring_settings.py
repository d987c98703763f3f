"""What is said of settings in the environment that cannot work."""

from __future__ import annotations

import pytest

from modelmon import wiring


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [
        ("prometheus", "MODELMON_PROMETHEUS_HOST", "0.0.0.0"),  # noqa: S104 - what asks for a token
        ("prometheus", "MODELMON_PROMETHEUS_PORT", "many"),
        ("log", "MODELMON_LOG_EVERY", "often"),
        ("log", "MODELMON_LOG_FORM", "xml"),
        ("log", "MODELMON_LOG_TO", "paper"),
        ("pushgateway", "MODELMON_PUSHGATEWAY_URL", "nowhere"),
    ],
)
def test_variables_are_named(name: str, variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set a variable is told of variables, not of arguments alone."""
    monkeypatch.setenv(wiring.VARIABLE, name)
    monkeypatch.setenv(variable, value)
    (wire,) = wiring.make_all()
    assert wire.reader is None
    assert f"MODELMON_{name.upper()}_" in wire.detail
