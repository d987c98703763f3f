"""The call: what a caller waits for, beside what others would make it wait for."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import anchors
from figures import Figure, Goal, missing
from timing import Timing, Variant, loop, loop_awaiting, loop_over, loop_text, own_code, race

from modelmon import Binary, Monitor, Multiclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from budget import Budget

CALLS = 4000
DRAINED = 12_288  # calls per drain: below the high-water mark, so that each run is drained once, to the end


PEERS = {
    "ft_2clk": anchors.two_clocks,
    "wrapt no-op": anchors.wrapt_noop,
    "wrapt, same work": anchors.wrapt_recording,
    "prom": anchors.prometheus,
    "OTel SDK": anchors.opentelemetry,
}


def call(budget: Budget) -> list[Figure]:
    """Time a plain function: watched bare, and in full with task and id."""

    def predict(order, features):
        return 0.75

    monitor = Monitor()
    watched = monitor(model="bare")(own(predict))
    full = monitor(model="full", version="1", task=Binary(), id="order")(own(predict))
    issued = monitor(model="auto", version="1", task=Binary(), id="auto")(own(predict))
    variants = {"bare": Variant(loop(own(predict), "7, None", CALLS), CALLS)}
    for name, wrap in PEERS.items():
        function = wrapped(wrap, own(predict))
        if function is not None:
            variants[name] = timed(loop(function, "7, None", CALLS))
    for name, function in (("watched", watched), ("full", full), ("auto", issued)):
        variants[name] = timed(loop(function, "7, None", CALLS), finish=monitor.flush)
    found = race(variants, rounds=budget.rounds())
    ft, absolute = "ft_2clk", {name: Figure(f"anchor: {name}", t.minimum, median=t.median) for name, t in found.items()}
    return [
        against(found, "full", ft, "call with task and id", Goal(1.5, "ratio")),
        against(found, "watched", ft, "call, bare @monitor", Goal(1.5, "ratio")),
        against(found, "auto", ft, "call, ids issued by the library"),
        against(found, "full", "wrapt, same work", "call with task and id", Goal(0.5, "ratio")),
        against(found, "full", "prom", "call with task and id, before its drain"),
        against(found, "full", "OTel SDK", "call with task and id", Goal(1 / 40, "ratio")),
        *(absolute.get(name) or missing(f"anchor: {name}", name) for name in ("bare", *PEERS)),
    ]


def shapes(budget: Budget) -> list[Figure]:
    """Time generic signatures, methods and coroutines against wrapt doing the same work."""
    monitor = Monitor()

    def anything(*args, **kwargs):
        return 3

    async def awaited(order):
        return 3

    async def awaited_too(order):
        return 3

    plain_model, ours = model_of(lambda function: function), model_of(monitor(model="method", id="order"))
    theirs = model_of(anchors.wrapt_recording)
    generic = "7, None, key=3"
    variants = {
        "bare signature": Variant(loop(own(anything), generic, CALLS), CALLS),
        "bare method": Variant(loop_text("model.predict(7)", CALLS, model=plain_model), CALLS),
        "bare async": Variant(loop_awaiting(awaited, "7", CALLS), CALLS),
    }
    pairs = {
        "signature": (
            loop(monitor(model="generic")(own(anything)), generic, CALLS),
            loop(anchors.wrapt_recording(own(anything)), generic, CALLS),
        ),
        "method": (
            loop_text("model.predict(7)", CALLS, model=ours),
            loop_text("model.predict(7)", CALLS, model=theirs),
        ),
        "async": (
            loop_awaiting(monitor(model="async", id="order")(awaited_too), "7", CALLS),
            loop_awaiting(anchors.wrapt_recording_awaiting(awaited), "7", CALLS),
        ),
    }
    for name, (our_loop, their_loop) in pairs.items():
        variants[name] = timed(our_loop, bare=f"bare {name}", finish=monitor.flush)
        variants[f"wrapt {name}"] = timed(their_loop, bare=f"bare {name}")
    found = race(variants, rounds=budget.rounds())
    goal = Goal(0.5, "ratio")
    return [
        against(found, "signature", "wrapt signature", "call of (*args, **kwargs)", goal, shown="wrapt, same work"),
        against(found, "method", "wrapt method", "method with id", goal, shown="wrapt, same work"),
        against(found, "async", "wrapt async", "coroutine with id", goal, shown="wrapt, same work"),
    ]


def streams(budget: Budget) -> list[Figure]:
    """Time generators per item, and the context manager."""
    monitor = Monitor()
    items = 2000

    def bare_items():
        for item in range(items):  # noqa: UP028  (a generator that runs its own body for every item)
            yield item

    loops = {
        "bare": bare_items,
        "yield from": anchors.forwarding(bare_items),
        "watched": monitor(model="stream")(own(bare_items)),
        "watched output": monitor(model="outputs", output=int)(own(bare_items)),
    }
    variants = {
        name: Variant(
            loop_text("for _ in call(): pass", 5, call=function),
            5 * items,
            bare=None if name == "bare" else "bare",
            finish=monitor.flush,
        )
        for name, function in loops.items()
    }
    variants["empty block"] = Variant(loop_text("pass", CALLS), CALLS)
    begin = monitor.call
    block = loop_text("with begin(model='block'): pass", CALLS, begin=begin)
    variants["block"] = timed(block, bare="empty block", finish=monitor.flush)
    contextlib_block = loop_text("with begin(): pass", CALLS, begin=anchors.clocked_block)
    variants["contextlib"] = timed(contextlib_block, bare="empty block")
    found = race(variants, rounds=budget.rounds())
    whole = [found["bare"].minimum + found[name].minimum for name in ("watched", "yield from")]
    return [
        against(found, "watched", "yield from", "generator per item, items counted, send kept", Goal(2.5, "ratio")),
        Figure(
            "the same, the bare generator's own time in both",
            whole[0],
            peer="yield from",
            peers=whole[1],
            goal=Goal(2.5, "ratio"),
        ),
        against(found, "watched output", "yield from", "generator per item, items as predictions"),
        against(found, "block", "contextlib", "context manager", shown="contextlib, two clocks"),
    ]


def drained(budget: Budget) -> list[Figure]:
    """Time calls with the drain of what they recorded counted in, to the end."""

    def predict(order, features):
        return 1

    monitor = Monitor(max_awaiting=50_000_000)
    options = {"model": "m", "task": Multiclass()}
    functions = {
        "counted": monitor(**{**options, "version": "none"})(own(predict)),
        "text ids": monitor(**{**options, "version": "text"}, id="order")(own(predict)),
        "int ids": monitor(**{**options, "version": "int"}, id="order")(own(predict)),
        "auto ids": monitor(**{**options, "version": "auto"}, id="auto")(own(predict)),
    }
    texts: list[Any] = []
    numbers: list[Any] = []
    fresh = count()

    def renew() -> None:
        monitor.flush()
        first = DRAINED * next(fresh)
        texts[:] = [f"order-{number}" for number in range(first, first + DRAINED)]
        numbers[:] = range(first, first + DRAINED)

    variants = {"bare": Variant(loop_over(own(predict), "item, None", texts), DRAINED, prepare=renew)}
    peer = wrapped(anchors.prometheus, own(predict))
    if peer is not None:
        variants["prom"] = Variant(loop_over(peer, "item, None", texts), DRAINED, "bare", prepare=renew)
    for name, function in functions.items():
        timed_loop = loop_over(function, "item, None", numbers if name == "int ids" else texts)
        variants[name] = Variant(drain_after(timed_loop, monitor), DRAINED, "bare", prepare=renew)
    found = race(variants, rounds=budget.rounds(41))
    return [
        against(found, "counted", "prom", "call with prediction, its drain included", Goal(0.30, "ratio")),
        against(found, "text ids", "prom", "the same with text ids awaiting labels", Goal(0.60, "ratio")),
        against(found, "int ids", "prom", "the same with int ids", Goal(0.60, "ratio")),
        against(found, "auto ids", "prom", "the same with library ids", Goal(0.60, "ratio")),
    ]


def wrapped(wrap: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return a function wrapped by a peer, or None where the peer is not installed."""
    try:
        return wrap(function)
    except ImportError:
        return None


def drain_after(calls: Callable[[], None], monitor: Monitor) -> Callable[[], None]:
    """Return the calls followed by their drain."""

    def run() -> None:
        calls()
        monitor.flush()

    return run


def timed(run: Callable[[], None], *, bare: str = "bare", finish: Callable[[], Any] | None = None) -> Variant:
    """Return a contestant of so many calls."""
    return Variant(run, CALLS, bare, finish=finish)


def against(
    found: dict[str, Timing], ours: str, peer: str, name: str, goal: Goal | None = None, *, shown: str = ""
) -> Figure:
    """Return one figure beside one peer."""
    theirs = found.get(peer)
    return Figure(
        name,
        found[ours].minimum,
        median=found[ours].median,
        peer=shown or peer,
        peers=None if theirs is None else theirs.minimum,
        goal=goal,
    )


def own(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a copy of a function with a code object of its own."""
    twin = type(function)(function.__code__, function.__globals__, function.__name__, None, function.__closure__)
    return own_code(twin)


def model_of(decorate: Callable[[Any], Any]) -> Any:
    """Return an object with one decorated method."""

    class Model:
        @decorate
        def predict(self, order):  # noqa: ARG002
            return 3

    return Model()
