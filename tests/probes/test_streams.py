"""Generators and async generators: one record for each stream that began, whatever way it ended."""

# Odd generators are the subject here.
# ruff: noqa: ARG005, PERF203, SIM105, B904, TRY301, C901

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import itertools
import sys
import types

import pytest
from probe_desk import Desk, outcomes

from modelmon.probes.auto_ids import current_prediction_ids
from modelmon.probes.seats import STREAM_FIELDS

SETTINGS = [{}, {"output": lambda item: item}, {"tokens": lambda item: 1}]
each_way = pytest.mark.parametrize("settings", SETTINGS, ids=["counted", "read", "tokens"])


def streams(site):
    """Return the streams that ended, as mappings by column."""
    flat = site.seat.streams
    return [dict(zip(STREAM_FIELDS, flat[i : i + 8], strict=True)) for i in range(0, len(flat), 8)]


def upto(n, log=None):
    """Yield numbers, log what is sent and thrown, and return how many there were."""
    log = [] if log is None else log
    try:
        for i in range(n):
            try:
                log.append((yield i))
            except ValueError as error:
                log.append(error)
                yield "caught"
    finally:
        log.append("closed")
    return n


async def aupto(n, log=None):
    """Yield numbers, and log what is sent and thrown."""
    log = [] if log is None else log
    try:
        for i in range(n):
            await asyncio.sleep(0)
            try:
                log.append((yield i))
            except ValueError as error:
                log.append(error)
                yield "caught"
    finally:
        log.append("closed")


@pytest.mark.fault("C3")
@each_way
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 64, 65, 1000])
def test_exhausted_stream(desk, settings, n):
    """All items pass, the return value arrives, and the items are counted exactly."""
    watched, site = desk.watch(upto, **settings)

    def consume():
        assert (yield from watched(n)) == n

    assert list(consume()) == list(range(n))
    assert outcomes(site) == [("ok", "")]
    (stream,) = streams(site)
    assert stream["items"] == n
    if n:
        assert stream["start"] <= stream["first"] <= stream["last"] <= stream["end"]
    else:
        assert (stream["first"], stream["last"]) == (None, None)


@pytest.mark.fault("C3")
@each_way
def test_stream_that_never_started_is_no_call(desk, settings):
    """A generator nobody asked for an item is no call."""
    watched, site = desk.watch(upto, **settings)
    stream = watched(3)
    stream.close()
    del stream
    assert outcomes(site) == []
    with pytest.raises(TypeError, match="missing 1 required"):
        watched()


@pytest.mark.fault("C3")
@each_way
@pytest.mark.parametrize("way", ["close", "collect", "break"])
def test_stream_left_early_is_abandoned(desk, settings, way):
    """Closing, collecting and breaking out end a stream once, and its own cleanup runs."""
    log = []
    watched, site = desk.watch(upto, **settings)
    stream = watched(10, log)
    for _ in range(3):
        next(stream)
    if way == "close":
        stream.close()
        stream.close()
    del stream
    gc.collect()
    assert log[-1] == "closed"
    assert outcomes(site) == [("abandoned", "GeneratorExit")]
    assert streams(site)[0]["items"] == 3


@pytest.mark.fault("C3")
@each_way
def test_sent_values_arrive(desk, settings):
    """What is sent reaches the generator, as without us."""
    log, plain = [], []
    watched, site = desk.watch(upto, **settings)
    for function, seen in ((watched, log), (upto, plain)):
        stream = function(4, seen)
        with pytest.raises(TypeError, match="just-started"):
            stream.send("early")
        assert [next(stream), stream.send("a"), stream.send(None), stream.send("b")] == [0, 1, 2, 3]
        with pytest.raises(StopIteration) as stop:
            stream.send("c")
        assert stop.value.value == 4
    assert log == plain == ["a", None, "b", "c", "closed"]
    assert outcomes(site) == [("ok", "")]


@pytest.mark.fault("C3")
@each_way
def test_thrown_exceptions_arrive(desk, settings):
    """What is thrown in reaches the generator, which may go on, and leaves no context of ours behind."""
    log = []
    watched, site = desk.watch(upto, **settings)
    stream = watched(4, log)
    next(stream)
    boom = ValueError("thrown")
    assert stream.throw(boom) == "caught"
    assert next(stream) == 1
    assert log == [
        boom,
    ]
    error = KeyError("through")
    with pytest.raises(KeyError) as caught:
        stream.throw(error)
    assert caught.value is error
    assert error.__context__ is None
    assert outcomes(site) == [("error", "KeyError")]
    assert streams(site)[0]["items"] == 3


@pytest.mark.fault("C2")
@each_way
@pytest.mark.parametrize("kind", [StopIteration, GeneratorExit, AttributeError, asyncio.CancelledError])
def test_special_exceptions_thrown_in(desk, settings, kind):
    """Throwing what ends iterations does the same watched and unwatched."""

    def run(function):
        stream = function(4)
        next(stream)
        try:
            stream.throw(kind("x"))
        except BaseException as error:
            return type(error)

    watched, site = desk.watch(upto, **settings)
    assert run(watched) == run(upto)
    assert len(outcomes(site)) == 1


@each_way
def test_stream_that_raises(desk, settings):
    """An exception of the generator's own passes with its context, and is an error after the items so far."""
    error = LookupError("late")

    def failing():
        yield 1
        try:
            raise OSError
        except OSError:
            raise error

    watched, site = desk.watch(failing, **settings)
    with pytest.raises(LookupError) as caught:
        list(watched())
    assert caught.value is error
    assert isinstance(error.__context__, OSError)
    assert outcomes(site) == [("error", "LookupError")]
    assert streams(site)[0]["items"] == 1


def test_error_raised_after_a_thrown_one_has_no_context_of_ours(desk):
    """A generator that swallows what is thrown in and fails later shows only its own failure."""

    def swallowing():
        try:
            yield 1
        except ValueError:
            pass
        raise LookupError

    watched, _ = desk.watch(swallowing)
    stream = watched()
    next(stream)
    with pytest.raises(LookupError) as caught:
        stream.throw(ValueError("swallowed"))
    assert caught.value.__context__ is None


def test_generator_that_ignores_its_close(desk):
    """A generator that yields when closed fails as Python has it fail."""

    def stubborn():
        try:
            yield 1
        finally:
            yield 2

    watched, site = desk.watch(stubborn)
    stream = watched()
    next(stream)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        stream.close()
    assert outcomes(site) == [("error", "RuntimeError")]


def test_times_of_items_are_exact_where_items_are_slow(ticking):
    """First and last item are stamped when they were made."""
    watched, site = ticking.watch(upto)
    assert list(watched(5)) == [0, 1, 2, 3, 4]
    (stream,) = streams(site)
    second = 1_000_000_000
    assert [stream[name] // second for name in ("start", "first", "last", "end")] == [0, 1, 5, 6]


def test_fast_items_are_stamped_more_rarely():
    """Items that come at once cost few clock readings, and the count stays exact."""
    readings = itertools.count()
    desk = Desk(lambda: next(readings) * 10)
    watched, site = desk.watch(upto)
    assert sum(1 for _ in watched(10_000)) == 10_000
    assert streams(site)[0]["items"] == 10_000
    assert next(readings) < 200


def test_output_reads_items_as_predictions(desk):
    """With ``output=`` every item is a prediction with its own id."""
    watched, site = desk.watch(
        lambda ids: (yield from ({"p": i / 10} for i in range(3))), id="ids", output=lambda item: item["p"]
    )
    assert len(list(watched(["a", "b"]))) == 3
    given = site.seat.given
    assert (given[1::4], given[2::4]) == ([0.0, 0.1, 0.2], ["a", "b", None])


def test_issued_ids_of_items(desk):
    """With ``id="auto"`` items have ids in order."""
    watched, site = desk.watch(upto, id="auto", output=lambda item: item)
    list(watched(3))
    assert current_prediction_ids() == site.seat.given[2::4]
    assert len(set(current_prediction_ids())) == 3


def test_tokens_are_added_up(desk):
    """An item may stand for several tokens; a hook that fails counts one and is reported."""
    watched, site = desk.watch(upto, tokens=lambda item: item if item < 3 else 1 / 0)
    list(watched(4))
    assert streams(site)[0]["items"] == 0 + 1 + 2 + 1
    assert site.seat.rejections == [("hook", 1)]


def test_slice_of_a_stream(desk):
    """Streams have slices as calls do."""
    watched, site = desk.watch(lambda country: (yield 1), attributes=("country",))
    list(watched("DE"))
    next(watched("FR"))
    assert [stream["slice"] for stream in streams(site)] == [(("country", "DE"),), (("country", "FR"),)]


@pytest.mark.parametrize("settings", SETTINGS)
def test_partial_of_a_generator(desk, settings):
    """A stream behind a proxy is a stream."""
    watched, site = desk.watch(functools.partial(upto, 3), **settings)
    assert list(watched()) == [0, 1, 2]
    assert outcomes(site) == [("ok", "")]


def test_iterable_coroutine_is_a_call(desk):
    """A generator-based coroutine can be awaited, and is one call."""

    @types.coroutine
    def old_style(x):
        yield
        return x

    watched, site = desk.watch(old_style)
    coroutine = watched(3)
    assert inspect.isawaitable(coroutine)

    async def main():
        return await coroutine

    assert asyncio.run(main()) == 3
    assert outcomes(site) == [("ok", "")]


@each_way
def test_asynchronous_stream(desk, settings):
    """All items pass and are counted."""
    watched, site = desk.watch(aupto, **settings)

    async def main():
        return [item async for item in watched(5)]

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]
    assert outcomes(site) == [("ok", "")]
    assert streams(site)[0]["items"] == 5


@pytest.mark.fault("C3")
@each_way
@pytest.mark.parametrize("way", ["aclose", "other task", "break", "collect", "athrow", "cancel", "timeout"])
def test_asynchronous_stream_left_early(desk, settings, way):
    """Every way out of an async generator ends it once and runs its cleanup."""
    log = []

    async def slow(n):
        try:
            for i in range(n):
                yield i
                await asyncio.sleep(0 if way not in ("cancel", "timeout") else 10)
        finally:
            log.append("closed")

    watched, site = desk.watch(slow, **settings)

    async def consume(stream):
        async for _ in stream:
            pass

    async def main():
        stream = watched(10)
        await stream.__anext__()
        if way == "aclose":
            await stream.aclose()
        elif way == "other task":
            await asyncio.create_task(stream.aclose())
        elif way == "athrow":
            with pytest.raises(KeyError):
                await stream.athrow(KeyError("x"))
        elif way == "cancel":
            task = asyncio.create_task(consume(stream))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif way == "timeout":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(consume(stream), 0.01)
        del stream
        gc.collect()
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert log == ["closed"]
    expected = {"athrow": "error", "cancel": "cancelled", "timeout": "cancelled"}.get(way, "abandoned")
    assert [outcome for outcome, _ in outcomes(site)] == [expected]


@pytest.mark.fault("C3")
@each_way
def test_asend_and_athrow_arrive(desk, settings):
    """What is sent and thrown into an async generator arrives."""
    log = []
    watched, site = desk.watch(aupto, **settings)
    boom = ValueError("thrown")

    async def main():
        stream = watched(3, log)
        got = [await stream.__anext__(), await stream.asend("a"), await stream.athrow(boom)]
        return got + [item async for item in stream]

    assert asyncio.run(main()) == [0, 1, "caught", 2]
    assert log == ["a", boom, None, "closed"]
    assert outcomes(site) == [("ok", "")]


@pytest.mark.fault("C10")
def test_ten_thousand_tasks_half_cancelled(desk):
    """Of ten thousand tasks half are cancelled; every call ends and none stays active."""

    async def predict(x):
        await asyncio.sleep(0)
        if x % 2:
            await asyncio.sleep(60)
        return x

    watched, site = desk.watch(predict)

    async def main():
        tasks = [asyncio.create_task(watched(x)) for x in range(10_000)]
        await asyncio.gather(*tasks[::2])
        for task in tasks[1::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    ended = outcomes(site)
    assert ended.count(("ok", "")) == ended.count(("cancelled", "CancelledError")) == 5000


@pytest.mark.fault("C2")
def test_coroutine_that_is_closed_is_abandoned(desk):
    """A coroutine closed before its end is abandoned; one never awaited is no call."""

    @types.coroutine
    def forever():
        yield

    async def predict():
        await forever()

    watched, site = desk.watch(predict)
    coroutine = watched()
    coroutine.send(None)
    coroutine.close()
    watched().close()
    assert outcomes(site) == [("abandoned", "GeneratorExit")]


def clean_run(main):
    """Run a coroutine function in a loop of its own, and return what the loop's exception handler was told."""
    told = []

    async def wrapped():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        await main()

    asyncio.run(wrapped())
    return told


@pytest.mark.fault("C3", "E18")
@each_way
@pytest.mark.parametrize("way", ["open", "break", "collect", "aclose", "many"])
def test_loop_closes_an_open_stream_once(desk, settings, way):
    """A stream left open when its loop shuts down is closed once, cleanup awaited, without complaint."""
    log, streams_left = [], []

    async def slow():
        try:
            for i in range(10):
                yield i
        finally:
            await asyncio.sleep(0.001)
            log.append("closed")

    watched, site = desk.watch(slow, **settings)

    async def main():
        for _ in range(5 if way == "many" else 1):
            stream = watched()
            await stream.__anext__()
            if way in ("open", "many"):
                streams_left.append(stream)
            elif way == "break":
                async for _ in stream:
                    break
            elif way == "aclose":
                await stream.aclose()
        del stream
        gc.collect()
        for _ in range(500 if way in ("break", "collect") else 1):  # a cleanup that the loop's end cancels never ends
            await asyncio.sleep(0 if log else 0.01)

    assert clean_run(main) == []
    assert log == ["closed"] * len(outcomes(site))
    assert {outcome for outcome, _ in outcomes(site)} == {"abandoned"}


@each_way
def test_hooks_of_the_loop_are_left_as_they_were(desk, settings):
    """The loop's hooks see the watching generator alone, and stay in place."""
    seen = []

    async def quick():
        yield 1

    watched, _ = desk.watch(quick, **settings)
    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(seen.append, seen.remove)
    try:
        stream = watched()
        with pytest.raises(StopIteration):
            stream.__anext__().send(None)
        assert sys.get_asyncgen_hooks() == (seen.append, seen.remove)
    finally:
        sys.set_asyncgen_hooks(*before)
    assert seen == [stream]


@each_way
def test_close_returns_what_it_would_unwatched(desk, settings):
    """A generator that returns a value when it is closed gives it to whoever closes it, where Python does so."""

    def closing():
        try:
            yield 1
        except GeneratorExit:
            return 5

    def closed(function):
        stream = function()
        next(stream)
        return stream.close()

    watched, site = desk.watch(closing, **settings)
    assert closed(watched) == closed(closing)
    assert closed(closing) == (5 if sys.version_info >= (3, 13) else None)
    assert outcomes(site) == [("abandoned", "GeneratorExit")]
