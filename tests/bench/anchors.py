"""What others would put around the same function: the anchors, and the peers of a watched call."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from itertools import count
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry


def two_clocks(function: Callable[..., Any]) -> Callable[..., Any]:
    """Read the clock before and after: the anchor of all call figures."""
    clock = perf_counter_ns

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            return function(*args, **kwargs)
        finally:
            clock() - start

    return timed


def two_clocks_awaiting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Read the clock before and after a coroutine."""
    clock = perf_counter_ns

    @functools.wraps(function)
    async def timed(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            return await function(*args, **kwargs)
        finally:
            clock() - start

    return timed


def wrapt_noop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Forward and do nothing else."""
    import wrapt  # noqa: PLC0415  (a peer)

    @wrapt.decorator
    def forward(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    return forward(function)


def wrapt_recording(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do what ours does (count, two clocks, error path, bounded flat buffer, result) inside a wrapt decorator."""
    import wrapt  # noqa: PLC0415  (a peer)

    clock, begin, buffer, failures = perf_counter_ns, count().__next__, [], []
    extend = buffer.extend

    @wrapt.decorator
    def record(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        number = begin()
        start = clock()
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            failures.append((start, clock(), type(error).__name__))
            raise
        extend((start, clock(), result))
        if not number & 4095:
            buffer.clear()
        return result

    return record(function)


def wrapt_recording_awaiting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do the same around a coroutine."""
    import wrapt  # noqa: PLC0415  (a peer)

    clock, begin, buffer, failures = perf_counter_ns, count().__next__, [], []
    extend = buffer.extend

    @wrapt.decorator
    async def record(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        number = begin()
        start = clock()
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            failures.append((start, clock(), type(error).__name__))
            raise
        extend((start, clock(), result))
        if not number & 4095:
            buffer.clear()
        return result

    return record(function)


def prometheus(function: Callable[..., Any], registry: CollectorRegistry | None = None) -> Callable[..., Any]:
    """Count and time by prometheus_client, with the children bound ahead."""
    from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: PLC0415  (a peer)

    registry = registry or CollectorRegistry()
    calls = Counter("calls", "Calls.", ["model"], registry=registry).labels("m")
    durations = Histogram("duration_seconds", "Durations.", ["model"], registry=registry).labels("m")
    clock = perf_counter

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            return function(*args, **kwargs)
        finally:
            calls.inc()
            durations.observe(clock() - start)

    return timed


def opentelemetry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Count and time by the OpenTelemetry SDK."""
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415  (a peer)
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415

    meter = MeterProvider([InMemoryMetricReader()]).get_meter("bench")
    calls, durations = meter.create_counter("calls"), meter.create_histogram("duration", "s")
    attributes = {"model": "m"}
    clock = perf_counter

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            return function(*args, **kwargs)
        finally:
            calls.add(1, attributes)
            durations.record(clock() - start, attributes)

    return timed


@contextmanager
def clocked_block() -> Iterator[None]:
    """Read the clock before and after a block, as most libraries' context managers are written."""
    start = perf_counter_ns()
    try:
        yield
    finally:
        perf_counter_ns() - start


def forwarding(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a generator function by a bare ``yield from``."""

    @functools.wraps(function)
    def forward(*args: Any, **kwargs: Any) -> Any:
        return (yield from function(*args, **kwargs))

    return forward
