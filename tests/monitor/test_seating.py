"""Calls of functions that are gone, of their copies, and of those that arrived by value: none is lost, none stays."""

# What is unpickled here was pickled here.
# ruff: noqa: S301

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import pickle
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from modelmon import Monitor, Multiclass, monitor, seating
from modelmon.testing import capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator


async def predict(order: str) -> str:
    """Give an answer."""
    return order


async def wait(order: str) -> str:
    """Let others run before the answer."""
    await asyncio.sleep(0)
    return order


def stream(n: int = 2) -> Generator[int]:
    """Yield numbers."""
    yield from range(n)


async def astream() -> AsyncIterator[int]:
    """Yield a number twice."""
    for _ in range(2):
        await asyncio.sleep(0)
        yield 1


class Service:
    """Hold a method that is watched where it is needed."""

    async def predict(self, order: str) -> str:
        """Give an answer."""
        await asyncio.sleep(0)
        return order


class Scorer:
    """Be callable."""

    def __call__(self, order: str) -> str:
        """Give an answer."""
        return order


@pytest.mark.parametrize("function", [predict, wait, Service().predict, functools.partial(wait)])
@pytest.mark.parametrize("begun", [True, False])
def test_a_call_outlives_what_was_watched(function: Callable[[str], Any], begun: bool) -> None:
    """A coroutine whose watched function was a temporary is counted though a scrape comes while it runs, or before."""
    own = Monitor()

    async def main() -> None:
        running = own(model="m", task=Multiclass(), id="order")(function)("o1")
        if begun:
            task = asyncio.ensure_future(running)
            await asyncio.sleep(0)
            own.snapshot()
            await task
        else:
            gc.collect()
            own.snapshot()
            await running

    asyncio.run(main())
    assert own.label("o1", "o1")["joined"] == 1
    seen = own.snapshot()["m"]
    assert (seen.calls, seen.outcomes["ok"], seen.predictions, seen.in_flight) == (1, 1, 1, 0)
    gc.collect()
    own.snapshot()
    assert own.home.seats == []


def close(rest: Generator[int]) -> None:
    """Leave a stream."""
    rest.close()


def fail(rest: Generator[int]) -> None:
    """Let a stream fail."""
    with pytest.raises(KeyError):
        rest.throw(KeyError())


@pytest.mark.parametrize("items", [0, 1])
def test_a_stream_outlives_what_was_watched(items: int) -> None:
    """A stream that was made or begun before a scrape is counted when it ends after it, in every way it may end."""
    own = Monitor()
    for end in (list, close, fail):
        rest = own(model="s")(stream)()
        for _ in range(items):
            next(rest)
        own.snapshot()
        end(rest)
        own.snapshot()
    seen = own.snapshot()["s"]
    ends = {"ok": 1} if not items else {"ok": 1, "abandoned": 1, "error": 1}  # what never began was no call
    assert (dict(seen.outcomes), seen.in_flight, seen.items) == (ends, 0, 2 if not items else 4)
    assert own.home.seats == []


def test_an_asynchronous_stream_outlives_what_was_watched() -> None:
    """The same for an async generator, of which each item is a prediction."""
    own = Monitor()

    async def main() -> list[int]:
        items = own(model="s", output=lambda item: item)(astream)()
        own.snapshot()
        found = []
        async for item in items:
            found.append(item)
            own.snapshot()
        return found

    assert asyncio.run(main()) == [1, 1]
    seen = own.snapshot()["s"]
    assert (seen.calls, seen.items, seen.predictions, seen.in_flight) == (1, 2, 2, 0)


def test_a_seat_comes_back_as_often_as_it_is_needed() -> None:
    """What began in a seat before it was let go is not counted a second time when it comes back."""
    own = Monitor()
    watched = own(model="m")(predict)
    waiting = [watched(str(i)) for i in range(3)]
    del watched
    for n, running in enumerate(waiting):
        own.snapshot()
        assert own.home.seats == []
        asyncio.run(running)
        assert own.snapshot()["m"].calls == n + 1
    assert own.home.seating.started() == {("m", ""): 3}


def test_a_record_that_lands_while_its_seat_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ends amid the look brings its seat back once, and what it recorded is kept."""
    own = Monitor()
    watched = own(model="m")(predict)
    running = watched("o")
    seat = own.home.seats[0]
    del watched
    gc.collect()
    waits = seating.waiting

    def meanwhile(looked: Any) -> int:
        if seat.started == 0:
            asyncio.run(running)
        return waits(looked)

    monkeypatch.setattr(seating, "waiting", meanwhile)
    own.home.seating.prune()
    assert own.home.seats == [seat]
    assert own.snapshot()["m"].calls == 1
    assert own.home.seats == []


@pytest.mark.parametrize("first", ["copy", "original"])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("target", [Scorer(), functools.partial(Scorer.__call__, None)])
def test_a_watched_object_and_its_copy_count_each_for_itself(
    target: Callable[[str], str], copied: Callable[[Any], Any], first: str
) -> None:
    """Whichever of the two goes first, the other goes on counting, and is let go in its turn."""
    own = Monitor()
    things = {"original": own(model="m", task=Multiclass(), id="order")(target)}
    things["copy"] = copied(things["original"])
    assert len(own.home.seats) == 2
    del things[first]
    own.snapshot()
    assert len(own.home.seats) == 1
    (left,) = things.values()
    for i in range(3):
        left(f"o{i}")
    assert own.labels(["o0", "o1", "o2"], ["o0", "o1", "o2"])["joined"] == 3
    assert own.snapshot()["m"].calls == 3
    things.clear()
    del left
    own.snapshot()
    assert own.home.seats == []


class Net:
    """Have methods of several kinds."""

    def predict(self, order: str) -> str:
        """Give an answer."""
        return order


def test_a_copy_of_an_instance_outlives_the_original() -> None:
    """A watched method that was copied along with its instance goes on counting, where the monitor counts by then."""
    own = Monitor()
    net = Net()
    net.predict = own(model="n")(net.predict)  # type: ignore[method-assign]
    net = copy.deepcopy(net)
    gc.collect()
    with capture(monitor=own) as seen:
        net.predict("a")
        assert seen.snapshot()["n"].calls == 1
    del net
    gc.collect()
    own.snapshot()
    assert own.home.seats == []


def test_classes_that_are_gone_leave_no_seat() -> None:
    """The seats of class methods and static methods go with their class."""
    own = Monitor()

    class Local:
        @own(model="class")
        @classmethod
        def of_class(cls) -> int:
            return 1

        @staticmethod
        @own(model="static")
        def alone() -> int:
            return 1

        half = own(model="partial")(functools.partialmethod(Net.predict, "a"))

    assert (Local.of_class(), Local.alone(), Local().half()) == (1, 1, "a")
    own.snapshot()
    assert len(own.home.seats) == 3
    del Local
    gc.collect()
    own.snapshot()
    assert own.home.seats == []
    assert [own.snapshot()[model].calls for model in ("class", "static", "partial")] == [1, 1, 1]


def test_functions_that_arrive_by_value_are_let_go() -> None:
    """A function that is unpickled for every task, and maybe sent on, leaves its counts there and no seat."""
    with capture() as seen:

        @monitor(model="sent")
        def answer(n: int) -> int:
            return n

        for n in range(20):
            arrived = pickle.loads(cloudpickle.dumps(answer))
            sent_on = pickle.loads(cloudpickle.dumps(arrived))
            assert arrived(n) == sent_on(n) == n
            del arrived, sent_on
        gc.collect()
        assert seen.snapshot()["sent"].calls == 40
        seats = [seat for seat in monitor._recorder.seats if seat.site.model == "sent"]
        assert len(seats) == 1  # of the function that was sent, which is still there
        assert answer(1) == 1
    assert seen.snapshot()["sent"].calls == 41
