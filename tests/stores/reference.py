"""A reference model of the join: one event at a time, plain dictionaries, nothing clever."""
# ruff: noqa: C901, PLR0911  # one long list of cases reads as the rules do

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelmon.tasks import Binary, Multiclass, Regression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelmon.stores.contract import JoinSettings

PRECEDENCE = (
    "joined", "corrected", "retracted", "retract_noop", "duplicate", "stale", "closed", "late", "evicted", "invalid",
)  # fmt: skip
TOMBSTONES = {"closed": "closed", "expired": "late", "evicted": "evicted"}


class Retraction:
    """The label value that takes a truth back."""

    def __repr__(self) -> str:
        """Name it."""
        return "RETRACT"


RETRACT = Retraction()


@dataclass
class Row:
    """One prediction under (id, model, version)."""

    predicted: Any
    time: float
    state: str
    due: float
    truth: Any = None
    assumed: bool = False


@dataclass
class Register:
    """One label of an id in one scope."""

    value: Any
    order: tuple[bool, float, float]
    arrival: float
    state: str
    lost: list[Any] = field(default_factory=list)


@dataclass
class Series:
    """The counts of one model and version."""

    task: Any
    classes: list[Any]
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    predictions: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    added: Counter[Any] = field(default_factory=Counter)
    removed: Counter[Any] = field(default_factory=Counter)
    slots: Counter[Any] = field(default_factory=Counter)
    delays: Counter[float] = field(default_factory=Counter)
    assumed: Counter[str] = field(default_factory=Counter)

    def meaning(self, value: Any) -> Any:
        """Return what a label value means to the task, None where nothing."""
        if value is RETRACT or value is None:
            return None
        if isinstance(self.task, Regression):
            return None if isinstance(value, str) else float(value)
        if value in self.classes and not isinstance(value, bool):
            return self.classes[self.classes.index(value)]
        if str(value) in {str(known) for known in self.classes}:
            return None
        if isinstance(self.task, Binary):
            return None if self.task.negative is not None else self.task.shown_negative
        if isinstance(self.task, Multiclass) and self.task.classes is not None:
            return None
        self.classes.append(value)
        return value


class Reference:
    """The join, event by event."""

    def __init__(self, settings: JoinSettings, in_sample: Callable[[Any, float], bool]) -> None:
        """Start empty."""
        self.settings = settings
        self.in_sample = in_sample
        self.rate = settings.sample_rate
        self.now = 0.0
        self.rows: dict[tuple[Any, str, str], Row] = {}
        self.registers: dict[tuple[Any, str | None, str | None], Register] = {}
        self.series: dict[tuple[str, str], Series] = {}
        self.parked: Counter[tuple[str, str]] = Counter()
        self.delivered: Counter[str] = Counter()
        self.assumptions: dict[tuple[str, str | None], tuple[Any, float]] = {}

    def declare(self, model: str, version: str, task: Any) -> None:
        """Begin a series."""
        self.series.setdefault((model, version), Series(task, list(task.declared or ())))

    def assume(self, model: str, version: str | None, value: Any, after: float) -> bool:
        """Assume a truth (None: nothing any more) of a version or of a model; return whether it means anything."""
        covered = [self.series[key] for key in self.series if key[0] == model and version in (None, key[1])]
        if value is not None and any(series.meaning(value) is None for series in covered):
            return False
        self.assumptions[model, version] = (value, after)
        return True

    def _assumed(self, key: tuple[Any, str, str]) -> tuple[Any, float]:
        """Return what is assumed of a row, None where nothing, and until when it awaits a label."""
        assumption = self.assumptions.get(key[1:]) or self.assumptions.get((key[1], None)) or (None, 0.0)
        meaning = self.series[key[1:]].meaning(assumption[0])
        time = self.rows[key].time
        return meaning, time + (self.settings.ttl if meaning is None else min(assumption[1], self.settings.ttl))

    # -- counting ----------------------------------------------------------------------------------------------------

    def _move(self, key: tuple[Any, str, str], after: str) -> None:
        row, series = self.rows[key], self.series[key[1:]]
        series.transitions[row.state, after] += 1
        row.state = after

    def _count(self, key: tuple[Any, str, str], truth: Any, sign: int) -> None:
        row, series = self.rows[key], self.series[key[1:]]
        (series.added if sign > 0 else series.removed)[truth, row.predicted] += 1
        series.slots[math.floor(row.time / self.settings.window), truth, row.predicted] += sign

    def _join(self, key: tuple[Any, str, str], truth: Any) -> None:
        row, series = self.rows[key], self.series[key[1:]]
        self._move(key, "joined")
        row.truth, row.due = truth, self.now + self.settings.correction_horizon
        self._count(key, truth, 1)
        series.delays[max(0.0, self.now - row.time)] += 1

    def _park(self, register: Register, after: str) -> None:
        self.parked[register.state, after] += 1
        register.state = after

    # -- time --------------------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Let everything due before now expire, in order of deadlines."""
        self.now = max(self.now, now)
        following = {"pending": "expired", "joined": "closed"}
        for key, row in list(self.rows.items()):
            assumed, until = self._assumed(key)
            row.due = until if row.state == "pending" else row.due
            while row.due < self.now and row.state != "forgotten":
                if row.state == "pending" and assumed is not None:
                    self._move(key, "joined")
                    row.truth, row.assumed = assumed, True
                    self._count(key, assumed, 1)
                    self.series[key[1:]].assumed["made"] += 1
                    row.due += self.settings.correction_horizon
                    continue
                self._move(key, following.get(row.state, "forgotten"))
                row.due += self.settings.forget_after
        self._forget([key for key, row in self.rows.items() if row.state == "forgotten"])
        for scope, register in list(self.registers.items()):
            if register.state == "early" and register.arrival + self.settings.early_ttl < self.now:
                self._park(register, "orphaned")
                del self.registers[scope]

    def _forget(self, keys: list[tuple[Any, str, str]]) -> None:
        for key in keys:
            del self.rows[key]
        for scope, register in list(self.registers.items()):
            if register.state == "consumed" and not any(True for _ in self._covered(scope)):
                del self.registers[scope]

    def _covered(self, scope: tuple[Any, str | None, str | None]) -> Iterator[tuple[Any, str, str]]:
        for key in self.rows:
            if key[0] == scope[0] and scope[1] in (None, key[1]) and scope[2] in (None, key[2]):
                yield key

    def _awaiting(self) -> int:
        return sum(row.state == "pending" for row in self.rows.values())

    def begin(self) -> None:
        """Begin a batch, at a time already swept to."""
        if 4 * self._awaiting() <= self.settings.max_awaiting:
            self.rate = self.settings.sample_rate

    def _limit(self) -> None:
        while self._awaiting() > self.settings.max_awaiting:
            self.rate /= 2
            for key, row in self.rows.items():
                if row.state == "pending" and not self.in_sample(key[0], self.rate):
                    self._move(key, "evicted")
                    row.due = self.now + self.settings.forget_after

    # -- events ------------------------------------------------------------------------------------------------------

    def effective(self, key: tuple[Any, str, str]) -> Any:
        """Return the truth that a row's registers give it."""
        for scope in (key, (key[0], key[1], None), (key[0], None, None)):
            register = self.registers.get(scope)
            if register is not None:
                meaning = self.series[key[1:]].meaning(register.value)
                if meaning is not None:
                    return meaning
        return None

    def predict(self, key: tuple[Any, str, str], predicted: Any, time: float) -> str:
        """Take one prediction; call `begin` before the batch and `finish` after it."""
        series = self.series[key[1:]]
        if isinstance(series.task, Multiclass) and predicted not in series.classes:
            series.classes.append(predicted)
        outcome = self._predict(key, predicted, time)
        series.predictions[outcome] += 1
        return outcome

    def _predict(self, key: tuple[Any, str, str], predicted: Any, time: float) -> str:
        if time > self.now + 3600:
            return "invalid"
        if time + self.settings.ttl < self.now:
            return "too_old"
        row = self.rows.get(key)
        if row is not None:
            if row.predicted == predicted:
                return "duplicate"
            if self.settings.on_conflict == "last" and row.state in ("pending", "joined"):
                if row.state == "joined":
                    self._count(key, row.truth, -1)
                row.predicted = predicted
                if row.state == "joined":
                    self._count(key, row.truth, 1)
                    self._move(key, "joined")
            return "conflict"
        if not self.in_sample(key[0], self.rate):
            return "unsampled"
        self.rows[key] = Row(predicted, time, "none", time + self.settings.ttl)
        truth = self.effective(key)
        for scope, register in self.registers.items():
            if register.state == "early" and key in self._covered(scope):
                self._park(register, "consumed")
        if truth is None:
            self._move(key, "pending")
            return "pending"
        self._join(key, truth)
        return "joined_early"

    def finish(self) -> None:
        """End a batch."""
        self._limit()

    def label(self, scope: tuple[Any, str | None, str | None], value: Any, rev: float | None, at: float | None) -> str:
        """Take one label."""
        outcome = self._label(scope, value, rev, at)
        self.delivered[outcome] += 1
        return outcome

    def _label(self, scope: tuple[Any, str | None, str | None], value: Any, rev: float | None, at: float | None) -> str:
        covered = list(self._covered(scope))
        readable = [key for key in covered if value is RETRACT or self.series[key[1:]].meaning(value) is not None]
        if value is None or (covered and not readable):
            for key in covered:
                self.series[key[1:]].labels["invalid"] += 1
            return "invalid"
        arrival = self.now if rev is None else -1e300
        order = (rev is not None, rev or 0.0, arrival if at is None else at)
        explicit = rev is not None or at is not None
        register = self.registers.get(scope)
        if register is None and not covered and not self.in_sample(scope[0], self.rate):
            return "unsampled"
        relation = "taken" if register is None else self._relate(register, value, order, explicit=explicit)
        if register is None:
            register = Register(value, order, self.now, "consumed" if covered else "early")
            self.registers[scope] = register
            if not covered:
                self.parked["none", "early"] += 1
                return "early"
        elif relation == "taken":
            if register.value is not RETRACT:
                register.lost.append(register.value)
            register.value, register.order = value, order
        elif relation == "same":
            register.order = max(register.order, order)
        if not covered:
            return {"taken": "early_updated", "same": "duplicate", "stale": "stale"}[relation]
        outcomes = [self._meet(key, value, relation) for key in covered]
        for key, outcome in zip(covered, outcomes, strict=True):
            self.series[key[1:]].labels[outcome] += 1
        return min(outcomes, key=PRECEDENCE.index)

    def _relate(self, register: Register, value: Any, order: tuple[bool, float, float], *, explicit: bool) -> str:
        if register.value == value and type(register.value) is type(value):
            return "same"
        if order < register.order:
            return "stale"
        if order == register.order and explicit and _canonical(value) < _canonical(register.value):
            return "stale"
        if not explicit and value is not RETRACT and value in register.lost:
            return "stale"
        return "taken"

    def _meet(self, key: tuple[Any, str, str], value: Any, relation: str) -> str:
        row, series = self.rows[key], self.series[key[1:]]
        unchanged = {"same": "duplicate", "stale": "stale"}.get(relation)
        if value is not RETRACT and series.meaning(value) is None:
            unchanged = "invalid"
        truth = self.effective(key)
        if row.state == "joined" and row.assumed:
            if truth is not None:
                return self._replace_assumed(key, truth)
        elif row.state == "pending" and truth is not None:
            self._join(key, truth)
            return "joined"
        elif row.state == "joined" and truth != row.truth:
            return self._change(key, truth)
        if unchanged is None:
            unchanged = TOMBSTONES.get(row.state) or ("retract_noop" if value is RETRACT else "duplicate")
        return unchanged

    def _change(self, key: tuple[Any, str, str], truth: Any) -> str:
        row = self.rows[key]
        assumed, until = self._assumed(key)
        if truth is None and assumed is not None and self.now > until:
            if assumed != row.truth:
                self._swap(key, assumed)
            self.series[key[1:]].assumed["restored"] += 1
            row.assumed, row.due = True, self.now + self.settings.correction_horizon
            return "retracted"
        if truth is not None:
            self._swap(key, truth)
            return "corrected"
        self._count(key, row.truth, -1)
        row.truth = None
        in_time = self.now <= row.time + self.settings.ttl
        self._move(key, "pending" if in_time else "expired")
        row.due = until if in_time else self.now + self.settings.forget_after
        return "retracted"

    def _swap(self, key: tuple[Any, str, str], truth: Any) -> None:
        row = self.rows[key]
        self._count(key, row.truth, -1)
        row.truth = truth
        self._count(key, truth, 1)
        self._move(key, "joined")

    def _replace_assumed(self, key: tuple[Any, str, str], truth: Any) -> str:
        row, series = self.rows[key], self.series[key[1:]]
        confirms = truth == row.truth
        if not confirms:
            self._swap(key, truth)
        row.assumed, row.due = False, self.now + self.settings.correction_horizon
        series.assumed["confirmed" if confirms else "corrected"] += 1
        series.delays[max(0.0, self.now - row.time)] += 1
        return "joined" if confirms else "corrected"

    def forget(self, identity: Any) -> None:
        """Erase everything under an id."""
        keys = [key for key in self.rows if key[0] == identity]
        for key in keys:
            if self.rows[key].state == "joined":
                self._move(key, "closed")
            self._move(key, "forgotten")
        for scope, register in list(self.registers.items()):
            if scope[0] == identity:
                if register.state == "early":
                    self._park(register, "orphaned")
                del self.registers[scope]
        self._forget(keys)


def _canonical(value: Any) -> tuple[int, Any]:
    if value is RETRACT:
        return (0, 0)
    return (2, value) if isinstance(value, str) else (1, value)
