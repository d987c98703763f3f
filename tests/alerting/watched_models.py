"""A monitor on a clock that stands still, and rules that are evaluated when a test says so."""

from __future__ import annotations

from contextlib import suppress

from modelmon import Binary, Monitor
from modelmon.alerting import Evaluation
from modelmon.testing import FakeClock

START = 1_700_000_000.0 - 1_700_000_000.0 % 3600


class World:
    """One model whose calls, labels and time a test plays."""

    def __init__(self, *rules, **settings):
        """Evaluate these rules, a first time with nothing counted."""
        self.clock = FakeClock(START)
        self.monitor = Monitor(clock=self.clock, **settings)
        self.evaluation = Evaluation(rules)
        self.watched = self.watch("fraud", "1")
        self.changes = self.evaluation.evaluate(self.monitor.snapshot())
        self.ids = 0

    def watch(self, model, version):
        """Watch one more model."""

        @self.monitor(model=model, version=version, task=Binary(positive=1))
        def score(seconds, answer, error=None):
            self.clock.advance(seconds)
            if error is not None:
                raise error
            return answer

        return score

    def call(self, times=1, *, seconds=0.0, error=None, answer=1, watched=None):
        """Call the model."""
        for _ in range(times):
            with suppress(ValueError, KeyError):
                (watched or self.watched)(seconds, answer, error)

    def predict(self, answers, truths=None, model="fraud", version="1"):
        """Record predictions, and labels where there are truths; return the ids."""
        ids = list(range(self.ids, self.ids + len(answers)))
        self.ids += len(ids)
        self.monitor.predictions(ids, answers, model=model, version=version, task=Binary(positive=1))
        if truths is not None:
            self.monitor.labels(ids, truths)
        return ids

    def after(self, seconds=15.0):
        """Let time pass, evaluate, and return the names and states that changed."""
        self.clock.advance(seconds)
        self.changes = self.evaluation.evaluate(self.monitor.snapshot())
        return [(alert.name, alert.state) for alert in self.changes]

    def alert(self, name, model="fraud", version="1"):
        """Return where a rule stands for a model."""
        return next(a for a in self.evaluation.alerts if (a.name, a.model, a.version) == (name, model, version))
