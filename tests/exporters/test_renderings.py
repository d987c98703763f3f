"""What many scrapes at once cost, and that they never see a counter step back, whatever formats they ask for."""

from __future__ import annotations

import gc
import itertools
import threading
import time
import weakref

import pytest
from prometheus_client.core import CollectorRegistry
from protobufs import fields, messages

from modelmon import Monitor
from modelmon.exporters.exposition import CONTENT_TYPES
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.exporters.renderings import Renderings
from modelmon.exporters.wire import Request, Response


def answer(facts, wanted):
    """Return an answer that says what was read."""
    return Response(200, wanted, str(facts).encode())


class Ticks:
    """A clock that is moved by hand."""

    def __init__(self):
        """Begin at zero."""
        self.now = 0.0

    def __call__(self):
        """Return the time."""
        return self.now


@pytest.mark.fault("X9")
@pytest.mark.fault("X9")
def test_few_scrapes_are_fresh_and_many_share():
    """X9: a handful of scrapes are each rendered; past that one a second is, and none is older than a second."""
    clock, made = Ticks(), []

    def read():
        made.append(clock.now)
        return clock.now

    renderings = Renderings(read, answer, clock=clock)
    for tick in range(1, 6):
        clock.now = tick / 100
        assert renderings.get("text").body == str(clock.now).encode()
    ages = []
    for tick in range(6, 1000):
        clock.now = tick / 100
        ages.append(clock.now - float(renderings.get("text").body))
    assert max(ages) <= 1.0
    assert 8 <= len(made) - 5 <= 12
    clock.now += 60
    assert renderings.get("text").body == str(clock.now).encode()


@pytest.mark.fault("X9")
@pytest.mark.fault("X9")
def test_waiting_scrapes_share_one_rendering():
    """X9: whoever waits while one is made and came before it was begun gets that one; it never steps back."""
    numbers, began, go = iter(range(100)), threading.Event(), threading.Event()

    def read():
        began.set()
        go.wait(5)
        time.sleep(0.01)
        return next(numbers)

    renderings, found = Renderings(read, answer), []

    def scrape():
        found.append(int(renderings.get("text").body))

    workers = [threading.Thread(target=scrape) for _ in range(10)]
    workers[0].start()
    assert began.wait(60)
    for worker in workers[1:]:
        worker.start()
    go.set()
    for worker in workers:
        worker.join(10)
    assert len(found) == 10
    assert found == sorted(found)
    assert next(numbers) <= 6


@pytest.mark.fault("X9")
@pytest.mark.parametrize("formats", [("text", "openmetrics"), ("openmetrics", "protobuf", "text")])
def test_whoever_changes_the_format_sees_nothing_step_back(formats):
    """X9: in a burst the formats share what was read, so the later of two answers is never the older one."""
    clock, read, rendered = Ticks(), [], []

    def count():
        read.append(clock.now)
        return clock.now

    def render(facts, wanted):
        rendered.append(wanted)
        return answer(facts, wanted)

    renderings, shown = Renderings(count, render, clock=clock), []
    for tick in range(1, 1000):
        clock.now = tick / 100
        shown.append(float(renderings.get(formats[tick % len(formats)]).body))
        assert clock.now - shown[-1] <= 1.0
    assert shown == sorted(shown)
    assert len(read) - 5 <= 12
    assert len(rendered) <= len(formats) * len(read)


def test_nothing_is_held_for_other_formats_at_the_pace_of_servers():
    """What was read is let go of with its answer where the next scrape will read anew, whatever its format."""

    class Facts:
        """What was read."""

    clock, held = Ticks(), []

    def read():
        facts = Facts()
        held.append(weakref.ref(facts))
        return facts

    renderings = Renderings(read, lambda _, wanted: Response(200, wanted, b""), clock=clock)
    for wanted in ("text", "openmetrics", "protobuf", "text"):
        clock.now += 15
        renderings.get(wanted)
        gc.collect()
        assert held[-1]() is None
    assert len(held) == 4


@pytest.mark.parametrize("formats", list(itertools.permutations(CONTENT_TYPES)))
def test_counters_of_a_real_monitor_never_step_back(formats):
    """One client that takes turns between formats, in a burst, while calls go on."""
    own = Monitor()

    @own(model="m")
    def work():
        return 1

    exporter = own.add(PrometheusExporter(registry=CollectorRegistry()))
    seen = []
    for turn in range(30):
        work()
        wanted = formats[turn % len(formats)]
        (response,) = exporter._respond([Request("/metrics", False, {"accept": CONTENT_TYPES[wanted]})])
        assert response.content_type == CONTENT_TYPES[wanted]
        seen.append(calls_in(response.body, wanted))
    assert seen == sorted(seen)
    assert seen[0] == 1
    own.close()


def calls_in(body, wanted):
    """Return how many calls an exposition shows, by the count of their durations."""
    if wanted != "protobuf":
        (line,) = (
            line for line in body.decode().splitlines() if line.startswith("modelmon_call_duration_seconds_count")
        )
        return float(line.rpartition(" ")[2])
    for message in messages(body):
        if message[1] == [b"modelmon_call_duration_seconds"]:
            return float(fields(fields(message[4][0])[7][0])[1][0])
    raise AssertionError(body)
