"""The customers of the demo: they send cases at a changing pace, and remember what they were answered."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.demo.service import BENIGN, MALIGNANT

if TYPE_CHECKING:
    from random import Random

    from modelmon.demo.post import Post
    from modelmon.demo.service import Service

IMAGES = 0.5  # share of calls that go to the reader of digits
BROKEN = 0.01  # share of scans that lack a measurement, which the model answers by ValueError
SWING_S = 5.0  # seconds between two peaks of traffic


@dataclass(slots=True)
class Traffic:
    """Send cases to the service.

    Attributes:
        service: who answers.
        post: who will say what was right.
        rng: what decides which case comes next.
        rate: calls per second, on average, to both models together.
        answers: what the customer was answered, by id: probabilities (10,) or a score; the plain record.
        failed: calls that raised.
    """

    service: Service
    post: Post
    rng: Random
    rate: float = 260.0
    answers: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=lambda: {"digits": 0, "tumours": 0})
    failed: int = 0
    _owed: float = 0.0

    def send(self, now: float, elapsed: float) -> None:
        """Send what customers send within ``elapsed`` seconds until ``now``."""
        self._owed += self.rate * elapsed * (1.0 + 0.6 * math.sin(2 * math.pi * now / SWING_S))
        while self._owed >= 1.0:
            self._owed -= 1.0
            if self.rng.random() < IMAGES:
                self._send_images(now)
            else:
                self._send_scan(now)

    def _send_images(self, now: float) -> None:
        cases = [self.rng.randrange(len(self.service.digits)) for _ in range(self.rng.choice((1, 1, 2, 4, 8)))]
        self.calls["digits"] += 1
        ids = [f"image-{self.calls['digits']}-{place}" for place in range(len(cases))]
        truths = [int(self.service.digits[case]) for case in cases]
        self._answer_before(ids, truths)
        rows = self.service.read_digits(ids, self.service.images[cases])
        for id_, truth, row in zip(ids, truths, rows, strict=True):
            self.answers[id_] = row
            if id_ not in self.post.truths:
                self.post.plan(id_, truth, (truth + 1) % 10, now)

    def _send_scan(self, now: float) -> None:
        case = self.rng.randrange(len(self.service.findings))
        self.calls["tumours"] += 1
        id_, truth = f"scan-{self.calls['tumours']}", self.service.findings[case]
        measurements = self.service.scans[case]
        if self.rng.random() < BROKEN:
            measurements = np.where(np.arange(len(measurements)) == 0, np.nan, measurements)
        else:
            self._answer_before([id_], [truth])
        try:
            self.answers[id_] = self.service.screen(id_, measurements)
        except ValueError:
            self.failed += 1
            return
        if id_ not in self.post.truths:
            self.post.plan(id_, truth, BENIGN if truth == MALIGNANT else MALIGNANT, now)

    def _answer_before(self, ids: list[str], truths: list[Any]) -> None:
        """Hand in some labels before their predictions, as happens where two queues race."""
        for id_, truth in zip(ids, truths, strict=True):
            if self.post.comes_early():
                self.service.monitor.label(id_, truth)
                self.post.truths[id_] = truth
