"""Calls near the end of the stack: each ends once, and nothing of ours replaces what the user's function did."""

# Odd functions are the subject here.
# ruff: noqa: ARG005

from __future__ import annotations

import contextlib
import functools
import sys

import pytest
from probe_desk import endings, outcomes

from modelmon.probes.contexts import CallContext

DEPTHS = range(61)


def fails(_x=0):
    """Fail."""
    raise ValueError


def streams(_x=0):
    """Yield three items."""
    yield from (1, 2, 3)


async def astreams(_x=0):
    """Yield three items, asynchronously."""
    for item in (1, 2, 3):
        yield item


async def waits(_x=0):
    """Return a list, asynchronously."""
    return [1, 2]


def drive(awaitable):
    """Run what never waits for anything."""
    try:
        while True:
            awaitable.send(None)
    except StopIteration as stop:
        return stop.value


def drain(stream):
    """Consume an async generator that never waits."""
    try:
        while True:
            with contextlib.suppress(StopIteration):
                stream.__anext__().send(None)
    except StopAsyncIteration:
        pass


def enter(call):
    """Run a block that is a call."""
    with call:
        call.predictions(None, [1, 2])


def left():
    """Return how many frames this thread has left below the caller's."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    return sys.getrecursionlimit() - depth


def at(frames, run):
    """Run with about so many frames left, and swallow what overflows."""
    with contextlib.suppress(RecursionError, ValueError):
        descend(left() - frames, run)


def descend(frames, run):
    """Run that many frames below."""
    return descend(frames - 1, run) if frames > 0 else run()


CASES = {
    "list": (lambda x=0: [1, 2], lambda f: f()),
    "scalar": (lambda x=0: 1, lambda f: f()),
    "error": (fails, lambda f: f()),
    "partial": (functools.partial(lambda x=0: [1, 2]), lambda f: f()),
    "failing partial": (functools.partial(fails), lambda f: f()),
    "generator": (streams, lambda f: list(f())),
    "async generator": (astreams, lambda f: drain(f())),
    "coroutine": (waits, lambda f: drive(f())),
}
SETTINGS = {
    "bare": {},
    "hooks": {"id": lambda a: [1, 2], "attributes": lambda a: {"a": 1}, "batch_size": lambda a: 2},
    "output": {"output": lambda r: r, "id": "auto"},
}


@pytest.mark.fault("C4")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")  # there was no frame to do it in
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(("function", "use"), CASES.values(), ids=CASES)
def test_calls_end_once_at_every_depth(desk, function, use, settings):
    """Whatever number of frames is left, each call that began ends with one outcome."""
    watched, site = desk.watch(function, **settings)
    for depth in DEPTHS:
        at(depth, lambda: use(watched))
    assert len(outcomes(site)) > 20


@pytest.mark.parametrize("function", [streams, astreams], ids=["generator", "async generator"])
@pytest.mark.parametrize("settings", [{}, {"output": lambda r: r}], ids=["counted", "read"])
def test_streams_go_on_at_every_depth(desk, function, settings):
    """A stream begun where there is room ends once wherever it is continued."""
    watched, site = desk.watch(function, **settings)

    def go_on(stream):
        return list(stream) if function is streams else drain(stream)

    for depth in DEPTHS:
        stream = watched()
        next(stream) if function is streams else drive(stream.__anext__())
        at(depth, functools.partial(go_on, stream))
        if function is streams:
            stream.close()
        else:
            drive(stream.aclose())
        del stream
    # At one depth Python cannot resume even our own frame: it drops a generator then without running anything of it.
    assert len(DEPTHS) - 1 <= len(endings(site)) <= len(DEPTHS) == site.seat.started


@pytest.mark.parametrize("attributes", [None, {"a": 1}])
def test_contexts_end_once_at_every_depth(desk, attributes):
    """Blocks end once too, those that return and those that fail."""
    site = desk.site(attributes=lambda: None, batch_size=lambda: None)

    def broken():
        with CallContext(site):
            raise ValueError

    def itemised():
        with CallContext(site) as call:
            call.item()

    for depth in DEPTHS:
        for use in (lambda: enter(CallContext(site, attributes=attributes)), broken, itemised):
            at(depth, use)
    assert len(outcomes(site)) > 60


@pytest.mark.fault("C4")
def test_endless_recursion_leaves_no_call_in_flight(desk):
    """Of a watched function that calls itself without end, every call is an error."""
    watched, site = desk.watch(lambda: watched() + 1)
    for _ in range(20):
        with pytest.raises(RecursionError):
            watched()
    assert set(outcomes(site)) == {("error", "RecursionError")}


def test_relief_that_overflows(desk, monkeypatch):
    """Relief that finds no stack is left for later."""
    from modelmon.probes import seats  # noqa: PLC0415

    monkeypatch.setattr(seats, "_BETWEEN_RELIEFS", 1)
    watched, site = desk.watch(fails)
    site.seat.relieve = lambda seat: site.seat.relieve(seat) + 1
    with contextlib.suppress(ValueError):
        watched()
    assert outcomes(site) == [("error", "ValueError")]
