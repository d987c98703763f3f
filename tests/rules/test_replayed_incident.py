"""An incident, replayed: the same verdict at every step in the process and in a real Prometheus."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import promtool
from servers import needs

from modelmon import Binary, Burn, Monitor, Objective, Rule
from modelmon.alerting.evaluation import Evaluation
from modelmon.points.families import family_of
from modelmon.points.reading import points
from modelmon.rules import prometheus, windows
from modelmon.testing import FakeClock

MINUTE, STEPS = 60.0, 54
BURNS = (Burn("fast", 5, "10m", "2m"), Burn("slow", 2, "20m", "5m", "ticket"))
RULES = (
    Rule("slow", "duration", quantile=0.9, above=0.25, hold="3m", min_support=20),
    Rule("slow on average", "duration", of="ok", above=0.15),
    Rule("fails", "errors", per="calls", above=0.1, min_support=40, confidence=0.9, model="fraud", version="1"),
    Rule("fails oddly", "errors", of="KeyError", above=1.5, window="3m"),
    Rule("too quiet", "calls", of="ok", below=90, window="4m"),
    Rule("few fail", "errors", per="calls", below=0.05, window="3m"),
    Rule("misses", "recall", of="fraud", below=0.8, window="10m", mature=False, hold="2m"),
    Rule("surely misses", "recall", of="fraud", below=0.8, window="10m", confidence=0.95, min_support=20),
    Rule("misses, 99 %", "recall", of="fraud", below=0.85, window="10m", confidence=0.99, mature="4m"),
    Rule("inexact", "f1", average="macro", below=0.85, window="10m", min_coverage=0.75, mature=False),
    Rule("ranks badly", "auc", below=0.9, window="10m", mature="4m"),
    Rule("blind", "coverage", below=0.7, window="10m", mature="4m", confidence=0.95, min_support=50),
    Rule("waits", "awaiting", above=130),
    Rule("unlabelled", "label_events", of="joined", below=20, window="5m"),
    Rule("late", "label_delay", quantile=0.5, above=300),
    Objective("fast", "duration", within=0.25, target=0.9, burns=BURNS, min_support=50),
    Objective("good", "calls", target=0.95, burns=BURNS),
)


@dataclass
class Service:
    """A service that is slow and failing from minute 6 and wrong from minute 14, with late labels."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(1_000_000_020.0))
    labels: dict[int, tuple[list[str], list[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Declare the model; nothing was called yet."""
        spans = {"ttl": "30m", "correction_horizon": "30m", "history": "3h", "window": "1m", "forget_after": "1h"}
        self.monitor = Monitor(clock=self.clock, **spans)
        task = Binary(positive="fraud", negative="ok")
        self.score = self.monitor(self._score, model="fraud", version="1", task=task, id="order")

    def _score(self, order: str, seconds: float, score: float) -> float:
        self.clock.advance(seconds)
        if score < 0:
            raise KeyError(order) if score < -1 else ValueError(order)
        return score

    def minute(self, step: int) -> None:
        """Live through one minute, and end at its end."""
        end = self.clock.time() + MINUTE
        ids, truths = [], []
        for call in range(5 if 38 <= step < 45 else 30):
            order, slow, wrong = f"{step}-{call}", 6 <= step < 18, 14 <= step < 26
            failing = slow and call % 5 == 0
            truth = "fraud" if call % 3 == 0 else "ok"
            right = 0.5 + 0.4 * (call % 7) / 7 if truth == "fraud" else 0.1 + 0.3 * (call % 5) / 5
            score = 1 - right if wrong and call % 2 else right
            try:
                self.score(order, 0.4 if slow and call % 2 else 0.1, (-2 if call == 5 else -1) if failing else score)
            except (KeyError, ValueError):
                continue
            if not (30 <= step < 37 and call % 2):  # half of the labels of these minutes never come
                ids.append(order)
                truths.append(truth)
        self.labels[step + (7 if step >= 44 else 2)] = ids, truths
        self._deliver(step)
        self.clock.set(end)

    def _deliver(self, step: int) -> None:
        ids, truths = self.labels.get(step, ([], []))
        self.monitor.labels(ids, truths)
        if step == 25:  # some of what looked wrong was not
            for past in range(17, 23):
                ids, truths = self.labels[past]
                flipped = ["ok" if truth == "fraud" and n % 2 else truth for n, truth in enumerate(truths)]
                self.monitor.labels(ids, flipped, revs=[1] * len(ids))


def verdicts(evaluation: Evaluation) -> list[dict]:
    """Return what stands now as Prometheus says it."""
    found = []
    for alert in evaluation.alerts:
        if alert.state in {"pending", "firing"}:
            labels = {"alertname": alert.name, "alertstate": alert.state, "burn": alert.burn.name if alert.burn else ""}
            labels |= {"model": alert.model, "version": alert.version}
            found.append({"labels": promtool.selector("", sorted(labels.items())), "value": 1})
    return found


@needs("promtool")
def test_same_verdict_at_every_step(tmp_path):
    """Rules and objectives of every kind are pending and firing at the same steps here and there."""
    service, evaluation = Service(), Evaluation(RULES)
    text = prometheus(RULES, arrivals=None)
    read, asked, seen = [], [], Counter()
    for step in range(STEPS):
        if step:
            service.minute(step)
        snapshot = service.monitor.snapshot()
        evaluation.evaluate(snapshot)
        assert not evaluation.troubles
        shown = (point for point in points(snapshot, windows=windows(RULES)) if family_of(point.name).name in text)
        own = promtool.read(shown, instance="a:1", job="shop")
        read.append({**own, ("up", (("instance", "a:1"), ("job", "shop"))): 1})
        here = verdicts(evaluation)
        expr = "group by (alertname, alertstate, burn, model, version) (ALERTS)"
        asked.append({"expr": expr, "eval_time": f"{step}m", "exp_samples": here})
        seen.update({(alert.name, alert.state) for alert in evaluation.alerts})
    fired = {name for name, state in seen if state == "firing"}
    assert fired == {rule.name for rule in RULES}
    assert all(seen[rule.name, "resolved"] + seen[rule.name, "inactive"] > 3 for rule in RULES), "some never rest"
    promtool.verify(tmp_path, text, read, promql_expr_test=asked)
