"""Tests of what users hold: the monitor's calls beside recording, and what it does when something of ours fails."""

from __future__ import annotations

import asyncio
import copy

import pytest

from modelmon import (
    Binary,
    ConfigurationError,
    JoinReport,
    MemoryStore,
    Monitor,
    Multiclass,
    Snapshot,
    every,
    monitor,
    notices,
)
from modelmon.monitoring import Source
from modelmon.testing import FakeClock


def joined(count: int = 3) -> Monitor:
    """Return a monitor with so many joined predictions."""
    own = Monitor()
    own.predictions(range(count), [1] * count, model="m", task=Binary())
    own.labels(range(count), [1] * count)
    return own


def test_labels_are_retracted_and_forgotten() -> None:
    """A retraction takes cells back; forgetting erases what is kept and leaves the counts."""
    own = joined()
    assert own.retract(0) == {"retracted": 1}
    assert own.retract([0, "nowhere"], at=5.0)["early"] == 1
    assert own.snapshot()["m"].labelled == 2
    assert own.forget([1, 2]) >= 2
    assert own.snapshot()["m"].labelled == 2
    assert own.label(1, 1)["early"] == 1
    own.check_invariants()


class WaitingStore(MemoryStore):
    """A memory store that says it waits for input and output."""

    blocking = True


@pytest.mark.parametrize("store", [MemoryStore(), WaitingStore()])
def test_labels_from_coroutines(store: MemoryStore) -> None:
    """Alabel and alabels answer as label and labels do, aside of the loop where the store waits."""
    own = Monitor(store=store)
    own.predictions(["a", "b"], [1, 0], model="m", task=Binary())

    async def deliver() -> tuple[JoinReport, JoinReport]:
        return await own.alabel("a", 1), await own.alabels(["a", "b"], [1, 1])

    assert asyncio.run(deliver()) == ({"joined": 1}, {"joined": 1, "duplicate": 1})
    own.close()


def test_a_disabled_monitor_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call answers with emptiness, and no reader is attached."""
    own = joined()
    monkeypatch.setenv("MODELMON_DISABLED", "true")
    own.predictions(["a"], [1], model="m")
    assert own.labels([1], [1]).total == own.retract(1).total == own.forget(1) == 0
    assert own.flush()
    seen: list[Snapshot] = []
    own.add(every(60, seen.append))
    own.close()
    assert not seen
    monkeypatch.delenv("MODELMON_DISABLED")
    assert own.snapshot()["m"].predictions == 3


def test_readers_are_flushed_and_closed() -> None:
    """Flush exports now, close a last time; what is no reader is refused, and adding twice does nothing."""
    own = joined()
    seen: list[Snapshot] = []
    reader = own.add(every(3600, seen.append))
    assert own.add(reader) is reader
    assert own.flush(timeout=5)
    own.close(timeout=5)
    assert len(seen) == 2
    assert seen[0]["m"].labelled == 3
    with pytest.raises(ConfigurationError, match="no reader"):
        own.add(print)


def test_what_readers_read() -> None:
    """Readers see the monitor's own recorder, know whether it is strict, and count their failures."""
    source = Source(Monitor(strict=True))
    assert source.strict
    source.count_failure("mine", "TimeoutError")
    found = {(point.name, dict(point.attributes).get("exporter")): point.value for point in source.snapshot().points()}
    assert found["modelmon.exporter.failures", "mine"] == 1


def test_a_monitor_is_never_copied() -> None:
    """A copy would count the same calls twice."""
    own = joined()
    assert copy.copy(own) is own
    assert copy.deepcopy(own) is own
    assert copy.deepcopy(monitor) is monitor


def test_reports_read_as_mappings() -> None:
    """A report has its outcomes, reads 0 for others, and names a misspelt one."""
    report = JoinReport({"joined": 2, "late": 0})
    assert (dict(report), len(report), "joined" in report, "late" in report) == ({"joined": 2}, 1, True, False)
    assert repr(report) == "JoinReport(joined=2)"
    with pytest.raises(KeyError, match="joind"):
        report["joind"]


@pytest.mark.fault("X14")
def test_series_past_the_budget_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that changes with every call does not grow memory without end."""
    monkeypatch.setattr("modelmon.watching.SERIES_BUDGET", 3)
    own = Monitor()
    for number in range(6):
        with own.call(model=f"m{number}"):
            pass
    snapshot = own.snapshot()
    assert set(snapshot) == {("m0", ""), ("m1", ""), ("m2", ""), ("__other__", "")}
    assert snapshot["__other__"].calls == 3
    assert {point.value for point in snapshot.points() if point.name == "modelmon.self.overflow"} == {3}


class BrokenStore(MemoryStore):
    """A store that cannot take predictions."""

    def predict(self, predictions: object) -> dict[str, int]:
        """Fail."""
        raise RuntimeError(predictions)


@pytest.mark.fault("E24")
def test_a_fault_of_ours_is_counted_and_stays_ours(caplog: pytest.LogCaptureFixture) -> None:
    """A drain that fails loses what it took, says so, and leaves calls, counts of calls and readers alone."""
    notices.forget()
    own = Monitor(store=BrokenStore())

    @own(model="m", id="key", task=Multiclass())
    def predict(key: int) -> int:
        return key % 2

    for key in range(5):
        assert predict(key) == key % 2
    snapshot = own.snapshot()
    assert (snapshot["m"].calls, snapshot["m"].in_flight) == (5, 0)
    counted = {point.name for point in snapshot.points() if point.value}
    assert {"modelmon.self.internal_errors", "modelmon.self.dropped"} <= counted
    assert "could not count records" in caplog.text


def test_slices_and_times_that_cannot_be_read_are_refused() -> None:
    """Given predictions are checked before anything is recorded."""
    own = Monitor(clock=FakeClock(start=100.0))
    with pytest.raises(ValueError, match="attribute"):
        own.predictions(["a"], [1], model="m", attributes={"rows": [1]})
    with pytest.raises(ValueError, match="one id"):
        own.labels("a", [1])
    with pytest.raises(ValueError, match="only together"):
        own.label("a", 1, version="1")
    own.predictions(["b"], [object()], model="m", task=Binary())
    own.predictions([None], [1], model="m", task=Binary(), attributes={"country": "DE"})
    seen = own.snapshot()["m"]
    assert (seen.rejected["bad_id"], seen.rejected.total(), seen.predictions) == (1, 2, 1)


def test_a_store_serves_one_monitor() -> None:
    """A second monitor would begin with nothing in it, and lose what the first one keeps."""
    store = MemoryStore()
    first = Monitor(store=store)
    first.label("a", 1)
    with pytest.raises(ConfigurationError, match="of its own"):
        Monitor(store=store).label("a", 1)
    assert first.label("a", 1)["duplicate"] == 1
