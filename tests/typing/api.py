"""Static API tests: read by mypy, never run; an expected error is an ignore, and an ignore too many fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from typing_extensions import assert_type

from modelmon import (
    Alert,
    Alerts,
    Binary,
    JoinReport,
    ModelSnapshot,
    Monitor,
    Multiclass,
    Objective,
    Regression,
    Rule,
    Snapshot,
    monitor,
)
from modelmon.rules import prometheus, windows


@monitor
def bare(number: int, *, text: str = "") -> float:
    return float(number)


@monitor(model="fraud", version="1", task=Binary(positive="fraud"), id="order_id", attributes=("country",))
def configured(order_id: str, country: str) -> str:
    return "ok"


@monitor(id=lambda arguments: arguments["number"])
async def coroutine(number: int) -> int:
    return number


@monitor(task=Regression())
def stream(count: int) -> Iterator[float]:
    yield from map(float, range(count))


@monitor(output=lambda item: item)
async def async_stream(count: int) -> AsyncIterator[str]:
    for number in range(count):
        yield str(number)


class Model:
    @monitor
    def method(self, number: int) -> str:
        return str(number)

    @classmethod
    @monitor
    def of_class(cls, number: int) -> str:
        return str(number)

    @staticmethod
    @monitor
    def static(number: int) -> str:
        return str(number)


def calls_keep_their_types() -> None:
    assert_type(bare(1, text="x"), float)
    assert_type(configured("order-1", "DE"), str)
    assert_type(list(stream(3)), list[float])
    assert_type(Model().method(1), str)
    assert_type(Model.of_class(1), str)
    assert_type(Model.static(1), str)
    same: Callable[[str, str], str] = configured
    same("order-1", "DE")
    bare("one")  # type: ignore[arg-type]
    bare(1, txt="x")  # type: ignore[call-arg]
    configured("order-1")  # type: ignore[call-arg]
    Model().method("one")  # type: ignore[arg-type]


async def coroutines_keep_their_types() -> None:
    assert_type(await coroutine(1), int)
    assert_type([item async for item in async_stream(3)], list[str])
    await coroutine("one")  # type: ignore[arg-type]


def declarations_are_checked() -> None:
    monitor(model=1)  # type: ignore[call-overload]
    monitor(unknown="x")  # type: ignore[call-overload]
    Binary(threshold="high")  # type: ignore[arg-type]
    Multiclass(labels=("a",))  # type: ignore[call-arg]


def contexts_have_types() -> None:
    with monitor.call(model="ranker", version="1", task=Multiclass()) as call:
        call.predictions(["a"], ["x"])
        call.prediction("a", "x")
    monitor.call(version="1")  # type: ignore[call-arg]


async def labels_have_types() -> None:
    assert_type(monitor.label("a", 1, at=1.0, rev=2), JoinReport)
    assert_type(monitor.labels(["a"], [1]), JoinReport)
    assert_type(monitor.retract(["a"]), JoinReport)
    assert_type(await monitor.alabel("a", 1), JoinReport)
    assert_type(await monitor.alabels(["a"], [1]), JoinReport)
    assert_type(monitor.label("a", 1)["joined"], int)
    assert_type(monitor.label("a", 1).total, int)
    monitor.label("a")  # type: ignore[call-arg]


def readings_have_types(own: Monitor) -> None:
    assert_type(own.snapshot(), Snapshot)
    seen = own.snapshot()["fraud", "1"]
    assert_type(seen, ModelSnapshot)
    assert_type(own.snapshot()["fraud"], ModelSnapshot)
    assert_type(seen.calls, int)
    assert_type(seen.accuracy, float)
    assert_type(seen.recall("fraud"), float)
    assert_type(seen.f1(average="weighted"), float)
    assert_type(seen.precision(average=None), dict[int | float | str, float])
    assert_type(seen.interval("accuracy"), tuple[float, float])
    assert_type(seen.window("1h"), ModelSnapshot)
    assert_type(seen.window("1h", mature=True), ModelSnapshot)
    assert_type(seen.estimated("f1", method="poststratified"), float)
    assert_type(seen.label_delay_estimate.quantile(0.5), float)
    assert_type(seen.coverage_by_class, dict[int | float | str, float])
    assert_type(seen.maturity, float)
    seen.estimated("f1", method="guess")  # type: ignore[arg-type]
    assert_type(seen.slice(country="DE"), ModelSnapshot)
    assert_type(own.snapshot().merge(own.snapshot()), Snapshot)
    assert_type(own.snapshot().to_json(), str)
    seen.accuracy = 1.0  # type: ignore[misc]
    seen.accurracy  # type: ignore[attr-defined]


def settings_are_checked(own: Monitor) -> None:
    own.configure(ttl="1d", window=300, strict=True, max_awaiting=10)
    own.configure(tll="1d")  # type: ignore[call-arg]
    Monitor(on_conflict="neither")  # type: ignore[arg-type]


def page(alert: Alert) -> None:
    assert_type(alert.value, float)
    assert_type(alert.interval, tuple[float, float])
    assert_type(alert.support, int | None)


def rules_are_typed() -> None:
    rule = Rule("slow", "duration", quantile=0.99, above=0.25, hold="1m")
    assert_type(rule.hold, float)
    assert_type(rule.threshold, float)
    assert_type(
        monitor.add(Alerts(rule, Objective("fast", within=0.25, target=0.99), notify=page)).firing, tuple[Alert, ...]
    )
    assert_type(prometheus([rule], arrivals=("1h", 86400), keep=["namespace"]), str)
    assert_type(windows([rule]), tuple[str, ...])
    Rule("slow", "duration", 0.25)  # type: ignore[call-arg]
    Objective("fast")  # type: ignore[call-arg]


@monitor(model="benchmark", sync="device")
def waited(number: int) -> int:
    return number


def waiting_has_one_word() -> None:
    assert_type(waited(3), int)
    with monitor.call(model="benchmark", sync="device") as call:
        assert_type(call.ids, list[Any])
    monitor(sync="host")  # type: ignore[call-overload]
