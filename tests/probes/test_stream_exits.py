"""Streams that are told to exit behave as they do unwatched, and end once; their last item has its time."""

# Odd generators are the subject here.
# ruff: noqa: SIM105, PERF203

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from probe_desk import Desk, outcomes
from test_streams import each_way, streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def swallow() -> Iterator[int]:
    """Swallow what is thrown in."""
    try:
        yield 1
    except GeneratorExit:
        pass


def answer() -> Iterator[Any]:
    """Answer what is thrown in, and go on."""
    try:
        yield 1
    except GeneratorExit:
        got = yield 2
    try:
        yield got
    except ValueError:
        yield 3
    return 4


def fail() -> Iterator[int]:
    """Fail at the end, after what was thrown in was handled."""
    try:
        yield 1
    except GeneratorExit:
        pass
    raise LookupError


def stubborn() -> Iterator[int]:
    """Never end."""
    while True:
        try:
            yield 1
        except GeneratorExit:
            pass


async def aswallow() -> AsyncIterator[int]:
    """Swallow what is thrown in."""
    try:
        yield 1
    except GeneratorExit:
        await asyncio.sleep(0)


async def aanswer() -> AsyncIterator[int]:
    """Answer what is thrown in."""
    try:
        yield 1
    except GeneratorExit:
        yield 2


async def afail() -> AsyncIterator[int]:
    """Fail once it is closed."""
    try:
        yield 1
    finally:
        raise LookupError


def told(steps: list[Callable[[], Any]]) -> list[Any]:
    """Return what came of each step, exceptions by type, value and type of context."""
    found = []
    for step in steps:
        try:
            found.append(step())
        except BaseException as error:
            value = error.value if isinstance(error, StopIteration) else None
            found.append((type(error), value, type(error.__context__)))
    return found


@each_way
@pytest.mark.parametrize(
    ("function", "ends"),
    [
        (swallow, ("abandoned", "GeneratorExit")),
        (answer, ("error", "RuntimeError")),
        (fail, ("error", "LookupError")),
    ],
)
@pytest.mark.parametrize("way", ["throw", "close"])
def test_what_is_told_to_exit_answers_as_unwatched(
    desk: Desk, settings: dict[str, Any], function: Callable[[], Any], ends: tuple[str, str], way: str
) -> None:
    """All that a generator does once it is told to exit reaches whoever told it, and all that is sent reaches it."""

    def run(made: Callable[[], Any]) -> list[Any]:
        items = made()
        leave = items.close if way == "close" else lambda: items.throw(GeneratorExit())
        rest = [lambda: items.send("sent"), lambda: items.throw(ValueError()), lambda: next(items), items.close]
        return told([lambda: next(items), leave, *rest])

    watched, site = desk.watch(function, **settings)
    assert run(watched) == run(function)
    assert outcomes(site) == [ends]
    assert streams(site)[0]["items"] == 1


@each_way
def test_a_block_goes_on_after_a_generator_that_swallows(desk: Desk, settings: dict[str, Any]) -> None:
    """A watched context manager that swallows ``GeneratorExit`` does so for the generator it is used in."""
    log = []

    def use(manager: Callable[[], Any]) -> Iterator[str]:
        with manager():
            yield "item"
        log.append("after the block")

    watched, site = desk.watch(swallow, **settings)
    items = use(contextmanager(watched))
    next(items)
    items.close()
    assert log == ["after the block"]
    assert outcomes(site) == [("abandoned", "GeneratorExit")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as Python does, unwatched
@each_way
def test_a_generator_that_never_ends_ends_as_a_call(desk: Desk, settings: dict[str, Any]) -> None:
    """However often a generator ignores that it is closed, its call ended at the first time."""
    watched, site = desk.watch(stubborn, **settings)
    items = watched()
    next(items)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        items.close()
    assert next(items) == 1
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        items.close()
    del items
    gc.collect()
    assert outcomes(site) == [("error", "RuntimeError")]


@each_way
@pytest.mark.parametrize(
    ("function", "way", "ends"),
    [
        (aswallow, "athrow", ("abandoned", "GeneratorExit")),
        (aswallow, "aclose", ("abandoned", "GeneratorExit")),
        (afail, "athrow", ("error", "LookupError")),
        (afail, "aclose", ("error", "LookupError")),
        (aanswer, "aclose", ("error", "RuntimeError")),
    ],
)
def test_asynchronous_streams_told_to_exit(
    desk: Desk, settings: dict[str, Any], function: Callable[[], Any], way: str, ends: tuple[str, str]
) -> None:
    """The same for async generators."""

    async def run(made: Callable[[], Any]) -> Any:
        items = made()
        await items.__anext__()
        try:
            return await (items.aclose() if way == "aclose" else items.athrow(GeneratorExit()))
        except BaseException as error:
            return type(error), str(error), type(error.__context__)

    watched, site = desk.watch(function, **settings)
    assert asyncio.run(run(watched)) == asyncio.run(run(function))
    assert outcomes(site) == [ends]


@each_way
def test_an_asynchronous_block_goes_on(desk: Desk, settings: dict[str, Any]) -> None:
    """A watched asynchronous context manager that swallows ``GeneratorExit`` does so where it is used."""
    log = []

    async def use(manager: Callable[[], Any]) -> AsyncIterator[str]:
        async with manager():
            yield "item"
        log.append("after the block")

    async def main(manager: Callable[[], Any]) -> None:
        items = use(manager)
        await items.__anext__()
        await items.aclose()

    watched, site = desk.watch(aswallow, **settings)
    asyncio.run(main(asynccontextmanager(watched)))
    assert log == ["after the block"]
    assert outcomes(site) == [("abandoned", "GeneratorExit")]


class Hours:
    """A clock that stands still until the test sets it."""

    now = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.now


@pytest.mark.parametrize("way", ["close", "throw", "raise", "exhaust"])
def test_the_last_item_after_a_burst_has_its_time(way: str) -> None:
    """Items that come slowly after many at once end when they end, in whatever way the stream does."""
    clock = Hours()
    watched, site = Desk(clock).watch(burst)
    items = watched(way)
    for _ in range(205):
        next(items)
    clock.now = 5_000
    if way == "close":
        items.close()
    elif way == "throw":
        with pytest.raises(KeyError):
            items.throw(KeyError())
    else:
        with pytest.raises(LookupError if way == "raise" else StopIteration):
            next(items)
    (stream,) = streams(site)
    assert (stream["first"], stream["last"], stream["items"]) == (0, 5_000, 205)


def burst(way: str) -> Iterator[int]:
    """Yield many numbers."""
    yield from range(205)
    if way == "raise":
        raise LookupError


def test_no_room_for_the_clock_as_a_stream_ends() -> None:
    """A stream is closed, and ends once, though the clock cannot be read for want of stack."""
    clock = Hours()
    desk = Desk(lambda: overflow() if clock.now else 0)
    watched, site = desk.watch(burst)
    items = watched("close")
    for _ in range(205):
        next(items)
    clock.now = 1
    items.close()
    assert streams(site)[0]["last"] == 0
    assert len(site.seat.streams) == 8


def overflow() -> int:
    """Find no stack left."""
    raise RecursionError
