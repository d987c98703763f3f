"""A made-up day of a small company: four models on two machines, a bad release, a slow hour, a label feed that dies.

The models are real watched functions on a clock that is moved by hand; their labels come late, are corrected, or never
come. What is exported is what the library counted.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from modelmon import Binary, Monitor, Multiclass, Regression

if TYPE_CHECKING:
    from modelmon.testing import FakeClock

OLD, NEW = "2026.09", "2026.10"
CLASSES = ("ham", "spam", "invoice", "complaint")
NEVER, CORRECTED, TAKEN_BACK = 0.12, 0.04, 0.01
GONE = object()


@dataclass(frozen=True, slots=True)
class Story:
    """Say when things happen, in hours from the beginning.

    Attributes:
        hours: how long it all lasts.
        slow: from and until when the fraud model waits for a database.
        drift: when fraud changes so that the new version misses more of it.
        silent: when the labels of letters stop.
    """

    hours: float = 12.0

    @property
    def slow(self) -> tuple[float, float]:
        """From and until when the fraud model waits for a database."""
        return 0.42 * self.hours, 0.50 * self.hours

    @property
    def drift(self) -> float:
        """When fraud changes so that the new version misses more of it."""
        return 0.68 * self.hours

    @property
    def silent(self) -> float:
        """When the labels of letters stop."""
        return 0.80 * self.hours


@dataclass
class Machine:
    """One process with its models, its own store and its own requests."""

    clock: FakeClock
    story: Story
    seed: int
    start: float
    monitor: Monitor = field(init=False)
    waiting: list[tuple[float, int, str, str, Any]] = field(default_factory=list)
    rng: Random = field(init=False)
    served: int = 0
    letters: int = 0

    def __post_init__(self) -> None:
        """Watch the models."""
        self.monitor = Monitor(clock=self.clock, ttl="1d", window="1h")
        self.rng = Random(self.seed)
        watch = self.monitor
        task = Binary(positive="fraud", negative="ok")
        self.fraud = {
            version: watch(model="fraud", version=version, task=task, id="order")(self._fraud) for version in (OLD, NEW)
        }
        self.letter = watch(model="letters", version="3", task=Multiclass(classes=CLASSES), id="ids")(self._letters)
        self.demand = watch(model="demand", version="1.4", task=Regression(), id="day")(self._demand)
        self.chat = watch(model="chat", version="8b")(self._chat)

    @property
    def hour(self) -> float:
        """Hours since the beginning."""
        return (self.clock.time() - self.start) / 3600

    def _fraud(self, order: str, score: float, seconds: float) -> float:  # noqa: ARG002 - the watcher reads it
        self.clock.advance(seconds)
        if seconds > 2:
            message = "the database did not answer"
            raise TimeoutError(message)
        return score

    def _letters(self, ids: list[str], said: list[str]) -> list[str]:
        self.clock.advance(0.004 + 0.002 * len(ids) + self.rng.expovariate(300))
        return said

    def _demand(self, day: str, said: float) -> float:  # noqa: ARG002 - the watcher reads it
        self.clock.advance(self.rng.lognormvariate(-5.5, 0.4))
        return said

    def _chat(self, tokens: int) -> Any:
        self.clock.advance(self.rng.lognormvariate(-1.3, 0.5))
        for token in range(tokens):
            yield token
            self.clock.advance(self.rng.lognormvariate(-3.9, 0.3))

    def minute(self) -> None:
        """Serve a minute's requests and deliver what labels are due."""
        busy = 1 + 0.5 * math.sin(2 * math.pi * self.hour / self.story.hours * 1.5 - 1) + self.rng.gauss(0, 0.05)
        for _ in range(self._poisson(18 * busy)):
            self._ask_fraud()
        for _ in range(self._poisson(5 * busy)):
            self._ask_letters()
        for _ in range(self._poisson(2 * busy)):
            self._ask_demand()
        for _ in range(self._poisson(7 * busy)):
            for read, _ in enumerate(self.chat(self.rng.randrange(4, 24))):
                if self.rng.random() < 0.004 and read:
                    break
        self._deliver()

    def open_streams(self) -> list[Any]:
        """Return streams that have begun."""
        streams = [self.chat(3) for _ in range(self.rng.choice((0, 0, 0, 1, 1, 2)))]
        for stream in streams:
            next(stream)
        return streams

    def _poisson(self, mean: float) -> int:
        return max(0, round(self.rng.gauss(mean, math.sqrt(max(mean, 0.1)))))

    def _ask_fraud(self) -> None:
        hour, story, rng = self.hour, self.story, self.rng
        version = NEW if rng.random() < (0.15 if hour < 0.3 * story.hours else 0.5) else OLD
        bad = rng.random() < (0.16 if hour < story.drift else 0.22)
        apart = 2.1 if version == OLD else 2.7 if hour < story.drift else 1.2
        score = 1 / (1 + math.exp(-(rng.gauss(apart if bad else -apart, 1.3))))
        slow = story.slow[0] <= hour < story.slow[1]
        seconds = rng.lognormvariate(-3.6, 0.5) * (1 if version == OLD else 0.7)
        seconds = seconds * 12 if slow else seconds
        seconds = rng.uniform(2.1, 2.5) if rng.random() < (0.06 if slow else 0.003) else min(seconds, 1.9)
        self.served += 1
        order = f"{self.seed}-{self.served}"
        truth, other = ("fraud", "ok") if bad else ("ok", "fraud")
        if rng.random() < 0.004:
            self.fraud[version](f"{order}-broken", math.nan, seconds % 2)
        try:
            self.fraud[version](order, score, seconds)
        except TimeoutError:
            return
        self._plan(order, truth, other, median=1500)

    def _ask_letters(self) -> None:
        said, ids, truths = [], [], []
        for _ in range(self.rng.choice((1, 2, 4, 8))):
            self.letters += 1
            truth = self.rng.choices(CLASSES, (5, 2 + 2 * (self.hour > self.story.drift), 2, 1))[0]
            said.append(truth if self.rng.random() < 0.91 else self.rng.choice(CLASSES))
            ids.append(f"letter-{self.seed}-{self.letters}")
            truths.append(truth)
        self.letter(ids, said)
        for id_, truth in zip(ids, truths, strict=True):
            if self.hour < self.story.silent:
                self._plan(id_, truth, self.rng.choice(CLASSES), median=240)

    def _ask_demand(self) -> None:
        self.served += 1
        truth = 100 + 30 * math.sin(self.hour) + self.rng.gauss(0, 4)
        day = f"day-{self.seed}-{self.served}"
        self.demand(day, truth + self.rng.gauss(1.0, 6))
        self._plan(day, truth, truth, median=600)

    def _plan(self, id_: str, truth: Any, wrong: Any, *, median: float) -> None:
        fate, due = self.rng.random(), self.clock.time() + median * self.rng.lognormvariate(0, 0.8)
        if fate < NEVER:
            return
        if fate < NEVER + CORRECTED:
            heapq.heappush(self.waiting, (due, self.served, id_, "set", wrong))
            due += 300
        heapq.heappush(self.waiting, (due, self.served, id_, "set", truth))
        if fate > 1 - TAKEN_BACK:
            heapq.heappush(self.waiting, (due + 200, self.served, id_, "retract", None))

    def _deliver(self) -> None:
        due: dict[str, Any] = {}
        while self.waiting and self.waiting[0][0] <= self.clock.time():
            _, _, id_, what, truth = heapq.heappop(self.waiting)
            if id_.startswith("letter") and self.hour > self.story.silent:
                continue  # the feed is dead
            if what == "retract":
                self.monitor.retract([id_])
            else:
                due[id_] = truth
        if due:
            self.monitor.labels(list(due), list(due.values()))
