"""The first call of a process starts what writes and exports, whatever becomes of that call."""

from __future__ import annotations

import asyncio
import functools
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from modelmon import Binary, Monitor
from modelmon.probes.seats import SELDOM
from modelmon.probes.wrappers import watch
from modelmon.recorder import Recorder
from modelmon.settings import Settings
from modelmon.stores.memory import MemoryStore
from modelmon.testing import FakeClock, FakeGpu, fake_nvml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITERS = {"modelmon-store", "modelmon-directory"}


class Stopped(BaseException):
    """What ends a call that did not return."""


@contextmanager
def newly() -> Iterator[Callable[[], set[str]]]:
    """Give what tells the names of the threads that began meanwhile."""
    before = set(threading.enumerate())
    yield lambda: {thread.name for thread in threading.enumerate() if thread not in before}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Monitor]:
    """Give a monitor with two things to start."""
    monitor = Monitor(store=tmp_path / "labels.db", directory=tmp_path / "machine", flush_interval=0.01)
    yield monitor
    monitor.close()


def plain(own: Monitor, see: Callable[[], object]) -> None:
    """Call a function that raises."""

    @own(model="m", id="i")
    def predict(i: int) -> int:
        see()
        raise Stopped

    predict(0)


def coroutine(own: Monitor, see: Callable[[], object]) -> None:
    """Cancel a coroutine."""

    @own(model="m")
    async def predict() -> None:
        see()
        await asyncio.sleep(60)

    async def serve() -> None:
        task = asyncio.ensure_future(predict())
        await asyncio.sleep(0)
        task.cancel()
        await task

    asyncio.run(serve())


def closed_generator(own: Monitor, see: Callable[[], object]) -> None:
    """Close a generator that gives no predictions."""

    @own(model="m")
    def speak() -> Iterator[str]:
        see()
        yield "word"

    stream = speak()
    next(stream)
    stream.close()


def read_generator(own: Monitor, see: Callable[[], object]) -> None:
    """Exhaust a generator whose items are counted, and which has none."""

    @own(model="m", tokens=len)
    def speak() -> Iterator[str]:
        see()
        yield from ()

    list(speak())


def async_generator(own: Monitor, see: Callable[[], object]) -> None:
    """Have an async generator raise."""

    @own(model="m")
    async def speak() -> Any:
        see()
        yield "word"
        raise Stopped

    async def serve() -> None:
        async for _ in speak():
            pass

    asyncio.run(serve())


def block(own: Monitor, see: Callable[[], object]) -> None:
    """Leave a block by an exception."""
    with own.call(model="m"):
        see()
        raise Stopped


def streamed_block(own: Monitor, see: Callable[[], object]) -> None:
    """Leave a block that streamed."""
    with own.call(model="m") as call:
        see()
        call.item()


def callable_object(own: Monitor, see: Callable[[], object]) -> None:
    """Call an object that raises."""

    class Model:
        def __call__(self) -> None:
            see()
            raise Stopped

    own(model="m")(Model())()


SHAPES = [
    plain,
    coroutine,
    closed_generator,
    read_generator,
    async_generator,
    block,
    streamed_block,
    callable_object,
]


@pytest.mark.parametrize("first", SHAPES, ids=[shape.__name__ for shape in SHAPES])
def test_a_first_call_starts_before_it_runs(first: Callable[..., None], own: Monitor) -> None:
    """While the first call runs everything is started already, whatever its shape and its end."""
    with newly() as names:
        seen: list[set[str]] = []
        with suppress(Stopped, asyncio.CancelledError):
            first(own, lambda: seen.append(names()))
        assert [found & WRITERS for found in seen] == [WRITERS]


@pytest.mark.parametrize("first", SHAPES, ids=[shape.__name__ for shape in SHAPES])
def test_the_first_call_after_close_starts_again(first: Callable[..., None], own: Monitor) -> None:
    """A closed monitor that is called again writes again, at once."""
    own(lambda: 1, model="before")()
    own.close()
    with newly() as names:
        seen: list[set[str]] = []
        with suppress(Stopped, asyncio.CancelledError):
            first(own, lambda: seen.append(names()))
        assert [found & WRITERS for found in seen] == [WRITERS]


@pytest.mark.parametrize("first", SHAPES, ids=[shape.__name__ for shape in SHAPES])
def test_a_call_under_way_while_the_monitor_is_closed_starts_again(first: Callable[..., None], own: Monitor) -> None:
    """Where no other call comes, the end of one that began before does it."""
    own(lambda: 1, model="before")()
    with newly() as names:
        with suppress(Stopped, asyncio.CancelledError):
            first(own, own.close)
        assert names() & WRITERS == WRITERS


def test_calls_beside_one_that_lasts_are_written(own: Monitor) -> None:
    """A slow first call holds nothing up, and neither do those that follow a call that raised."""
    begun, over = threading.Event(), threading.Event()

    @own(model="m", task=Binary("bad"), id="i")
    def score(i: str) -> float:
        if i == "slow":
            begun.set()
            assert over.wait(60)
        return 0.9

    with newly() as names:
        slow = threading.Thread(target=score, args=("slow",))
        slow.start()
        assert begun.wait(60)
        assert names() >= WRITERS
        score("fast")
        over.set()
        slow.join()


def test_graphics_processors_are_read_from_a_first_call_that_raises() -> None:
    """The thread that reads them runs before the call does."""
    seen: list[set[str]] = []
    with fake_nvml(FakeGpu(idle_watts=50)):
        own = Monitor(gpu=20)
        with newly() as names:
            with pytest.raises(Stopped):
                plain(own, lambda: seen.append(names()))
            own.close()
    assert seen == [{"modelmon-gpu"}]


def test_a_reader_that_cannot_come_back_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """In a forked child, for which ``renew`` stands here, it costs the call nothing, and the others have theirs."""
    attached = []

    class Reader:
        def __init__(self, *, works: bool) -> None:
            self.works = works

        def attach(self, _source: object) -> None:
            attached.append(self.works)
            if attached.count(self.works) > 1 and not self.works:
                int("a secret")

        def close(self, timeout: float) -> None:
            """Leave all as it is."""

    own = Monitor()
    function = own(lambda: 1, model="m")
    for works in (False, True):
        own.add(Reader(works=works))
    own.renew()
    assert [function() for _ in range(3)] == [1] * 3
    assert attached == [False, True] * 2
    assert own.home.troubles.failures == {("Reader", "ValueError"): 1}
    assert "attaching Reader again failed with ValueError" in caplog.text
    assert "secret" not in caplog.text


# -- what is not to happen --------------------------------------------------------------------------------------------


def armed(clock: FakeClock | None = None, **settings: Any) -> tuple[Recorder, list[str]]:
    """Return a recorder with something to start, and what tells how often it was."""
    recorder = Recorder(Settings(clock=clock, **settings), MemoryStore)
    starts: list[str] = []
    recorder.starter = functools.partial(starts.append, "started")
    recorder.rouse()
    return recorder, starts


def watched(recorder: Recorder, function: Any) -> Any:
    """Watch a function by a recorder."""
    from modelmon.probes.sites import Site  # noqa: PLC0415

    site = Site("m", home=recorder)
    return watch(function, site), site


def failing() -> None:
    """Raise."""
    raise Stopped


def test_roused_readers_come_back_with_a_call_that_raises() -> None:
    """Each rousing starts once, at the next call of whichever function, and no call after it."""
    recorder, starts = armed()
    functions = [watched(recorder, failing)[0] for _ in range(3)]
    for n in (1, 2, 3):
        for function in functions * 2:
            with pytest.raises(Stopped):
                function()
            assert len(starts) == n
        recorder.rouse()


def test_a_started_seat_costs_what_it_did() -> None:
    """After the first call a seat reads the plain clock, and asks for relief every 1,024 calls alone."""
    clock = FakeClock()
    recorder, starts = armed(clock)
    function, site = watched(recorder, lambda x: 1 // x)
    function(1)
    assert (starts, site.seat.mask, site.seat.clock) == (["started"], SELDOM, clock.monotonic_ns)
    recorder.rouse()
    with pytest.raises(ZeroDivisionError):
        function(0)
    assert (len(starts), site.seat.mask, site.seat.clock) == (2, SELDOM, clock.monotonic_ns)


def test_durations_hold_nothing_of_the_start() -> None:
    """What starts takes five seconds; the call that waited for it took none."""
    clock = FakeClock()
    recorder, _ = armed(clock)
    recorder.starter = lambda: clock.advance(5)
    recorder.rouse()
    function, site = watched(recorder, lambda: 1)
    function()
    start, end = site.seat.buffer[:2]
    assert (end - start, clock.monotonic_ns() - start) == (0, 0)


def test_a_drain_starts_nothing() -> None:
    """Whoever reads the clock with the lock held leaves the start to the next call."""
    recorder, starts = armed()
    function, site = watched(recorder, lambda: 1)
    site.seat.reject("nan")
    recorder.hold(lambda _: None)
    recorder.locked(function)
    assert starts == []
    function()
    assert starts == ["started"]


def test_a_signal_amid_the_start_leaves_it_to_the_next_call() -> None:
    """Ctrl-C gets through before the call began, and what was interrupted is done with the next one."""
    recorder, starts = armed()

    def struck() -> None:
        starts.append("struck")
        raise Stopped

    recorder.starter = struck
    recorder.rouse()
    function, site = watched(recorder, lambda: 1)
    other = watched(recorder, lambda: 2)[0]
    with pytest.raises(Stopped):
        function()
    assert site.seat.started == 0
    with pytest.raises(Stopped):
        other()
    recorder.wake = functools.partial(starts.append, "started")
    assert (function(), other(), starts) == (1, 2, ["struck", "struck", "started"])


def test_without_stack_the_next_call_starts() -> None:
    """A call that finds no room for the start is made and recorded all the same."""
    recorder, starts = armed()

    def deep() -> None:
        starts.append("tried")
        if len(starts) < 2:
            raise RecursionError

    recorder.starter = deep
    recorder.rouse()
    function, site = watched(recorder, failing)
    with pytest.raises(Stopped):
        function()
    assert (site.seat.started, len(site.seat.failures)) == (1, 5)
    assert len(starts) == 2


def test_what_cannot_be_started_is_told_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """It costs the call nothing, is counted and said once, and is tried again with the next thousand calls."""
    recorder, starts = armed()

    def broken() -> None:
        starts.append("tried")
        msg = "a foreign fault"
        raise OSError(msg)

    recorder.starter = broken
    recorder.rouse()
    function = watched(recorder, lambda: 1)[0]
    assert [function() for _ in range(1000)] == [1] * 1000
    assert len(starts) == 2
    assert recorder.hold(lambda held: held.troubles.counts(0, 0, 0))["internal_errors", "start:OSError"] == 2
    assert "could not be started, which is tried again later: OSError" in caplog.text
    assert [function() for _ in range(1000)] == [1] * 1000
    assert len(starts) == 3


def test_what_cannot_be_loaded_costs_the_call_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """To count a failed start nothing is loaded, since that may be what failed."""
    recorder, _ = armed()
    recorder.starter = functools.partial(int, "no number")
    recorder.rouse()
    monkeypatch.setattr("modelmon.recorder.load_counting", failing)
    function = watched(recorder, lambda: 1)[0]
    assert function() == 1
    monkeypatch.undo()
    assert recorder.hold(lambda held: held.troubles.counts(0, 0, 0))["internal_errors", "start:ValueError"] == 2


def test_with_strict_what_cannot_be_started_raises() -> None:
    """So a test of the user's sees it."""
    recorder, _ = armed(strict=True)
    recorder.starter = functools.partial(int, "no number")
    recorder.rouse()
    with pytest.raises(ValueError, match="no number"):
        watched(recorder, lambda: 1)[0]()
