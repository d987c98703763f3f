"""Readers that export on a clock of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest
from fake_sources import FakeSource

from modelmon import notices
from modelmon.errors import ConfigurationError
from modelmon.readers import Periodic, every
from modelmon.ticking import Ticker, following


@pytest.fixture(autouse=True)
def _quiet(caplog):
    notices.forget()
    with caplog.at_level("ERROR", "modelmon"):
        yield


def test_exports_what_the_source_knows_then():
    """Each tick asks anew, and gives the function what it got."""
    answers = iter(range(100))
    source, seen, enough = FakeSource(lambda: next(answers)), [], threading.Event()

    def export(snapshot):
        seen.append(snapshot)
        if len(seen) >= 3:
            enough.set()

    reader = every(0.01, export)
    reader.attach(source)
    assert enough.wait(60)
    reader.close(2)
    assert seen == list(range(len(seen)))
    assert not source.failures


def test_a_nudge_runs_the_action_soon_and_waits_for_nothing():
    """It costs no waiter its turn, however many come while the action runs."""
    ran, go = [], threading.Event()
    ticker = Ticker(3600, lambda: (ran.append(1), go.wait(5)))
    ticker.nudge()
    assert ticker.start()
    waiters = [threading.Thread(target=lambda: ran.append(ticker.run_now(5))) for _ in range(2)]
    for waiter in waiters:
        waiter.start()
    for _ in range(5):
        ticker.nudge()
    go.set()
    for waiter in waiters:
        waiter.join(5)
    assert ran.count(True) == len(ran)
    assert ticker.stop(5)


def test_what_a_thread_was_to_end_with_does_not_end_the_next_one():
    """A stop that ran out of time while the action hung ends that thread, and not the one that was started since."""
    begun, go, threads = threading.Event(), threading.Event(), []

    def act():
        threads.append(threading.current_thread())
        begun.set()
        go.wait(5)

    ticker = Ticker(3600, act)
    assert ticker.start()
    ticker.nudge()
    assert begun.wait(60)
    first = ticker._thread
    assert not ticker.stop(0)
    assert ticker.start()
    second = ticker._thread
    go.set()
    assert all(ticker.run_now(5) for _ in range(3))
    assert second.is_alive()
    assert set(threads) == {first, second}
    first.join(5)
    assert not first.is_alive()
    assert ticker.stop(5)
    assert not ticker.running


def test_a_thread_in_whose_place_another_came_ends_without_taking_its_work():
    """Told to end while it looks at the clock, it finds its last run taken over, and waits for nothing more."""
    looking, go, threads = threading.Event(), threading.Event(), []

    def clock():
        if threading.current_thread() is first:
            looking.set()
            go.wait(5)
        return 0.0

    first = None
    ticker = Ticker(3600, lambda: threads.append(threading.current_thread()), clock=clock)
    assert ticker.start()
    first = ticker._thread
    ticker._rouse()
    assert looking.wait(60)
    assert not ticker.stop(0)
    assert ticker.start()
    second = ticker._thread
    assert ticker.run_now(60)
    go.set()
    first.join(5)
    assert not first.is_alive()
    assert set(threads) == {second}
    assert ticker.stop(5)


class Asynchronous:
    """Objects and methods that would have to be awaited."""

    async def __call__(self, seen, more=None):
        """Do nothing."""

    async def export(self, seen):
        """Do nothing."""

    async def items(self, seen):
        """Yield once."""
        yield seen


async def fetch(seen, more=None):
    """Do nothing."""


ASYNC = {
    "function": fetch,
    "generator": Asynchronous().items,
    "method": Asynchronous().export,
    "object": Asynchronous(),
    "partial": partial(fetch, more=1),
    "partial of an object": partial(partial(Asynchronous(), more=1)),
    "mock": AsyncMock(),
}


@pytest.mark.parametrize("function", ASYNC.values(), ids=ASYNC)
def test_what_would_have_to_be_awaited_is_refused(function):
    """It would never run and count as a success; the message says what to give instead."""
    with pytest.raises(ConfigurationError, match=r"is async.*give a plain function.*run_coroutine_threadsafe"):
        every("1h", function)


def test_an_exporter_whose_export_is_async_is_refused():
    """A class of somebody's own is refused when it is made."""

    class Lines(Periodic):
        def __init__(self):
            super().__init__(60, self.export, name="lines")

        async def export(self, snapshot):
            """Do nothing."""

    with pytest.raises(ConfigurationError, match=r"^export is async"):
        Lines()


def test_plain_functions_of_every_form_are_taken():
    """Nothing but what would have to be awaited is refused: objects, methods, mocks, classes and built-in functions."""
    for function in (print, [].append, partial(print, end=""), Mock(), str, lambda _: None):
        every("1h", function)


def test_no_thread_before_attaching():
    """Making a reader starts nothing; closing one that was never attached does nothing."""
    before = set(threading.enumerate())
    reader = every("1h", print)
    reader.close(1)
    assert set(threading.enumerate()) <= before


def test_closing_exports_a_last_time():
    """What was counted since the last tick is sent at the end, and the thread is gone."""
    source, seen = FakeSource("state"), []
    reader = every("1h", seen.append)
    reader.attach(source)
    reader.close(2)
    reader.close(2)
    assert seen == ["state"]
    assert not [thread for thread in threading.enumerate() if thread.name == "modelmon-append"]


def test_flush_exports_now():
    """A flush waits for one export of the state at that time."""
    source, seen = FakeSource("state"), []
    reader = every("1h", seen.append)
    reader.attach(source)
    assert reader.flush(60)
    assert seen == ["state"]
    reader.close(2)


@pytest.mark.fault("X1")
@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("x"), OSError(28, "full"), MemoryError(), RecursionError(), SystemExit(3), KeyboardInterrupt()),
        *(GeneratorExit(), BaseException("x"), UnicodeError("x")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_an_export_raises_is_counted(error):
    """X1: whatever an exporter raises stays inside, its thread goes on, and others are not disturbed."""

    def export(_snapshot):
        raise error

    source, seen = FakeSource("state"), []
    bad, good = every("1h", export), every("1h", seen.append)
    bad.attach(source)
    good.attach(source)
    for _ in range(3):
        assert bad.flush(60)
        assert good.flush(60)
    assert source.failures == {("export", type(error).__name__): 3}
    assert seen == ["state"] * 3
    bad.close(2)
    good.close(2)


@pytest.mark.fault("X1")
def test_one_log_line_per_cause(caplog):
    """A failing exporter says so once, and then only counts."""

    def export(_snapshot):
        raise OSError

    reader, source = every("1h", export), FakeSource()
    reader.attach(source)
    with caplog.at_level("WARNING", "modelmon"):
        for _ in range(3):
            reader.flush(2)
        reader.close(2)
    assert len(caplog.records) == 1
    assert source.failures["export", "OSError"] == 4


@pytest.mark.fault("X2")
def test_a_hanging_export_holds_nobody_up():
    """E3, X2: a hang costs the caller its timeout at most, and other readers nothing."""
    release, source, seen = threading.Event(), FakeSource("state"), []
    hanging, good = every("1h", lambda _snapshot: release.wait(30)), every("1h", seen.append)
    hanging.attach(source)
    good.attach(source)
    begin = time.monotonic()
    assert not hanging.flush(0.05)
    assert good.flush(60)
    hanging.close(0.05)
    good.close(10)
    assert time.monotonic() - begin < 15
    assert source.failures == {("<lambda>", "close_timeout"): 1}
    assert seen == ["state", "state"]
    release.set()


@pytest.mark.fault("X6")
def test_an_export_that_flushes_itself_does_not_recurse():
    """A flush from within the export returns at once instead of exporting again."""
    source, depth = FakeSource("state"), []

    def export(_snapshot):
        depth.append(reader.flush(1))

    reader = every("1h", export)
    reader.attach(source)
    assert reader.flush(60)
    assert depth == [False]
    reader.close(2)


@pytest.mark.fault("E16")
def test_deadlines_keep_phase_without_bursts():
    """E16: after a pause of many periods there is one export, and the next comes in phase."""
    assert following(100.0, 100.2, 10.0) == 110.0
    assert following(100.0, 477.0, 10.0) == 480.0
    assert following(100.0, 90.0, 10.0) == 100.0
    now, ticks = [0.0], []
    ticker = Ticker(10.0, lambda: ticks.append(now[0]), clock=lambda: now[0])
    ticker.start()
    assert ticker.run_now(60)
    time.sleep(0.05)  # let the thread wait for its deadline at 10
    now[0] = 1000.0
    assert ticker.run_now(60)
    time.sleep(0.05)
    assert ticks == [0.0, 1000.0]
    ticker.stop(2)


@pytest.mark.fault("E11", "E13")
def test_without_threads_it_exports_on_flush_and_close(monkeypatch):
    """E11, E13: where no thread can be started, flush and close export in the caller, and that is counted."""
    monkeypatch.setattr(threading.Thread, "start", _cannot)
    source, seen = FakeSource("state"), []
    reader = every(1, seen.append)
    reader.attach(source)
    assert reader.flush(60)
    reader.close(1)
    assert seen == ["state", "state"]
    assert source.failures == {("append", "no_thread"): 1}


def _cannot(_thread):
    msg = "can't start new thread"
    raise RuntimeError(msg)


@pytest.mark.fault("F1")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_can_start_again():
    """A child has no ticking thread, may close without harm, and may attach again."""
    script = """
        import os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        sys.path.insert(0, sys.argv[1])
        from fake_sources import FakeSource
        from modelmon.readers import Periodic, every
        seen = []
        reader = every("1h", seen.append)
        reader.attach(FakeSource("parent"))
        child = os.fork()
        if child == 0:
            reader.attach(FakeSource("child"))
            fine = reader.flush(2) and seen == ["child"]
            reader.close(2)
            os._exit(0 if fine else 1)
        _, status = os.waitpid(child, 0)
        assert reader.flush(60) and seen == ["parent"]
        reader.close(2)
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(Path(__file__).parent)], check=False, timeout=30
    )
    assert ended.returncode == 0


@pytest.mark.parametrize("period", [0, -1, "soon", float("nan"), True])
def test_a_period_is_a_positive_span(period):
    """A period that cannot work is an error at the line that made it."""
    with pytest.raises(ConfigurationError):
        every(period, print)


def test_attaching_again_keeps_the_thread():
    """A second attach changes what is read and starts no second thread."""
    first, second, seen = FakeSource("first"), FakeSource("second"), []
    reader = every("1h", seen.append)
    reader.attach(first)
    threads = set(threading.enumerate())
    reader.attach(second)
    assert set(threading.enumerate()) <= threads
    assert reader.flush(60)
    assert seen == ["second"]
    reader.close(2)
    assert "every 3600 s" in repr(reader)


def test_closing_from_within_the_export_does_not_wait_for_itself():
    """An export that closes its own reader ends it instead of waiting for ever."""
    source, seen = FakeSource("state"), []

    def export(snapshot):
        seen.append(snapshot)
        reader.close(60)

    reader = every("1h", export)
    reader.attach(source)
    begin = time.monotonic()
    assert reader.flush(30)
    assert time.monotonic() - begin < 30
    assert seen == ["state"]


def test_a_complaint_that_fails_ends_nothing():
    """Where even counting the failure raises, the thread goes on."""

    class Broken(FakeSource):
        def count_failure(self, exporter, reason):
            raise MemoryError(exporter, reason)

    seen = []

    def export(snapshot):
        seen.append(snapshot)
        raise ValueError

    reader = every("1h", export)
    reader.attach(Broken("state"))
    assert reader.flush(60)
    assert reader.flush(60)
    assert seen == ["state", "state"]
    reader.close(2)
