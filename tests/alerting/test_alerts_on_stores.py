"""Rules on what a store counts, in a process that shows the store only now and then."""

from __future__ import annotations

from modelmon import Monitor, Multiclass, Rule
from modelmon.alerting.evaluation import Evaluation
from modelmon.monitoring import Source
from modelmon.snapshot import Snapshot
from modelmon.testing import FakeClock

RULES = (
    Rule("flood", "label_events", above=50, window="1h"),
    Rule("idle", "awaiting", below=1),
    Rule("joins", "modelmon.confusion", above=50, window="1h"),
    Rule("blind", "coverage", below=0.01, mature=False),
    Rule("calls", "predictions", above=1000),
)


def states(evaluation: Evaluation) -> dict[str, str]:
    """Return where each rule stands."""
    return {alert.name: alert.state for alert in evaluation.alerts}


def test_taking_over_a_store_is_no_flood_of_labels() -> None:
    """What others counted before this process shows the store is no growth, and what cannot be read is not nothing."""
    clock = FakeClock(1_800_000_000)
    monitor = Monitor(clock=clock)
    monitor.predictions(range(300), [0] * 300, model="m", task=Multiclass(classes=(0, 1)))
    evaluation = Evaluation(RULES)

    def seen(*, stored: bool) -> dict[str, str]:
        clock.advance(15)
        whole = Source(monitor).snapshot()
        kept = whole.parts if stored else [part for part in whole.parts if part.kind == "process"]
        evaluation.evaluate(Snapshot(tuple(kept)))
        return states(evaluation)

    assert set(seen(stored=False).values()) == {"inactive"}
    monitor.labels(range(200), [0] * 200)
    seen(stored=False)
    reasons = {alert.name: alert.reason for alert in evaluation.alerts}
    assert all("another process shows it" in reasons[name] for name in reasons if name != "calls")
    assert set(seen(stored=True).values()) == {"inactive"}
    monitor.labels(range(200, 220), [0] * 20)
    assert set(seen(stored=True).values()) == {"inactive"}
    seen(stored=False)
    monitor.labels(range(220, 300), [0] * 80)
    assert seen(stored=True)["flood"] == "inactive"
    monitor.predictions(range(300, 400), [0] * 100, model="m", task=Multiclass(classes=(0, 1)))
    monitor.labels(range(300, 360), [0] * 60)
    found = seen(stored=True)
    assert (found["flood"], found["joins"], found["idle"]) == ("firing", "firing", "resolved")
    monitor.close()
