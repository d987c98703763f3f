"""Tests of settings and spans of time."""

from __future__ import annotations

import pickle

import pytest

from modelmon import ConfigurationError, MemoryStore, Monitor, monitor
from modelmon.timespans import seconds


@pytest.mark.parametrize(
    ("span", "expected"),
    [("90s", 90), ("5m", 300), ("1h", 3600), ("30d", 2592000), ("250ms", 0.25), (1.5, 1.5)],
)
def test_spans_are_read(span: object, expected: float) -> None:
    """Numbers are seconds; text has a unit."""
    assert seconds(span) == expected  # type: ignore[arg-type]


@pytest.mark.fault("X10")
@pytest.mark.parametrize("span", ["", "1", "1 fortnight", "-1s", -1, float("nan"), float("inf"), True, None, "1h 5m"])
def test_what_is_no_span_is_refused_by_name(span: object) -> None:
    """The error names the setting and shows what would work."""
    with pytest.raises(ConfigurationError, match="ttl"):
        seconds(span, "ttl")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"ttl": 0}, {"window": 0}, {"history": "1d"}, {"max_awaiting": 0}, {"max_awaiting": 1.5}, {"clock": object()},
        {"max_awaiting_bytes": -1}, {"sample_rate": 0}, {"sample_rate": 1.5}, {"sample_rate": "all"}, {"store": 5},
        {"on_conflict": "error"}, {"store": "sqlite://x.db"}, {"store": "mysql://h/x"}, {"nonsense": 1},
    ],
)  # fmt: skip
def test_a_setting_that_cannot_work_is_refused(settings: dict[str, object]) -> None:
    """Set-up is the one place that raises, and it names the setting."""
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        Monitor(**settings)


def test_history_must_cover_ttl_and_corrections() -> None:
    """A label that may still come must find its window."""
    with pytest.raises(ConfigurationError, match="correction_horizon"):
        Monitor(ttl="80d")
    Monitor(ttl="80d", history="110d")


def test_configure_keeps_what_it_is_not_given() -> None:
    """Settings add up over calls."""
    own = Monitor(ttl="1d")
    own.configure(window="5m")
    assert (own.settings.ttl, own.settings.window) == (86400.0, 300.0)


def test_configure_after_a_record_is_refused() -> None:
    """Counts that exist already cannot change their meaning."""
    own = Monitor()

    @own
    def one() -> int:
        return 1

    own.configure(window="5m")
    one()
    with pytest.raises(ConfigurationError, match="before the first"):
        own.configure(window="1m")


def test_configure_after_a_label_is_refused() -> None:
    """A parked label is something recorded too."""
    own = Monitor()
    own.label("a", 1)
    with pytest.raises(ConfigurationError, match="before the first"):
        own.configure(window="1m")


def test_stores_may_be_given() -> None:
    """None, the name and an object all mean the memory store."""
    for store in (None, "memory", MemoryStore()):
        assert Monitor(store=store).label("a", 1)["early"] == 1


def test_the_default_monitor_pickles_by_name_and_a_private_one_by_settings() -> None:
    """A worker process finds its own monitor, not a copy of the counts."""
    assert pickle.loads(pickle.dumps(monitor)) is monitor  # noqa: S301
    own = Monitor(window="5m")
    own.label("a", 1)
    copy = pickle.loads(pickle.dumps(own))  # noqa: S301
    assert copy.settings.window == 300.0
    assert copy.snapshot().label_events == {}
