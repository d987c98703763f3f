"""Hold what performance rests on, as counts: collections, threads, files, records per drain, bytes per row."""

from __future__ import annotations

import gc
import sys
import threading
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from modelmon import Binary, Monitor, Multiclass
from modelmon.accumulators.confusion import Confusion
from modelmon.accumulators.scores import ScoreHistogram
from modelmon.copies import Deferred
from modelmon.recorder import HIGH_WATER

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 200_000


def collections_of(function: Callable[[int], object], calls: int) -> list[int]:
    """Return how many collections of each generation run during so many calls."""
    gc.collect()
    before = [stat["collections"] for stat in gc.get_stats()]
    for order in range(calls):
        function(order)
    return [stat["collections"] - known for stat, known in zip(gc.get_stats(), before, strict=True)]


@pytest.mark.parametrize("id_", [None, "order"])
def test_calls_that_return_scalars_cause_no_collection(id_: str | None) -> None:
    """Two hundred thousand watched calls, their drains included, make the collector run not once in any generation."""
    monitor = Monitor()
    watched = monitor(model="m", task=Binary(), id=id_)(lambda order: order % 2 / 2)
    collections_of(watched, 3 * HIGH_WATER)
    assert collections_of(watched, CALLS) == [0, 0, 0]


def test_watching_starts_no_thread_and_opens_no_file() -> None:
    """Calls, drains, labels and snapshots leave the process with the threads and open files that it had."""
    monitor = Monitor()
    watched = monitor(model="m", task=Multiclass(), id="order")(lambda order: order % 3)
    watched(-1)
    monitor.snapshot()
    threads, files = set(threading.enumerate()), open_files()
    for order in range(2 * HIGH_WATER):
        watched(order)
    monitor.labels(range(100), [order % 3 for order in range(100)])
    assert monitor.snapshot()["m"].accuracy == 1.0
    assert set(threading.enumerate()) <= threads
    assert open_files() <= files


def open_files() -> set[str]:
    """Return the files and sockets this process has open, where the system tells."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return set()
    return {str(link.readlink()) for link in folder.iterdir() if link.exists()}


def test_a_drain_in_the_caller_is_bounded() -> None:
    """However many calls are made, never more records wait than the high-water mark and the calls between two looks."""
    monitor = Monitor()
    watched = monitor(model="m", task=Binary(), id="order")(lambda order: order % 2 / 2)
    seat = monitor._recorder.seats[-1]
    most = 0
    for order in range(5 * HIGH_WATER):
        watched(order)
        if not order & 255:
            most = max(most, len(seat.buffer) // seat.stride)
    assert HIGH_WATER // 2 < most <= HIGH_WATER + seat.mask + 1


def test_big_outputs_are_drained_by_their_bytes() -> None:
    """Batch outputs are let go when they take much memory, long before there are many records."""
    monitor = Monitor()
    watched = monitor(model="m", task=Multiclass())(lambda output: output)
    seat = monitor._recorder.seats[-1]
    output = np.zeros((10_000, 10))
    most = 0
    for _ in range(100):
        watched(output)
        most = max(most, seat.kept_bytes)
    assert output.nbytes < most < 32 << 20
    assert monitor.snapshot()["m"].predictions == 1_000_000


def test_bytes_that_were_drained_are_let_go_beside_those_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seat holds what waits in it, and no more, also where a drain never finds it empty at its end."""
    begun, newest = count(1), [0]

    def keep(_value: object) -> Deferred:
        mine = next(begun)
        return Deferred(lambda: newest[0] > mine, lambda: None, lambda: np.zeros(10, int), rows=10, size=1 << 20)

    monkeypatch.setattr("modelmon.copies.keep", keep)
    monitor = Monitor()
    watched = monitor(model="m", task=Multiclass())(lambda: [0])
    seat = monitor._recorder.seats[-1]
    for newest[0] in range(1, 201):  # the newest result is still on its way
        watched()
        monitor._recorder.attempt(lambda: None, 1.0, drain=True)
        assert seat.kept_bytes == 1 << 20
    assert (monitor.snapshot()["m"].predictions, seat.lost, seat.kept_bytes) == (2000, 0, 0)


@pytest.mark.parametrize(("kind", "bound"), [("int", 48), ("text", 64)])
def test_an_awaiting_prediction_takes_few_bytes(kind: str, bound: int) -> None:
    """What the store's arrays hold for each awaiting prediction stays within bounds, index included."""
    rows = 100_000
    numbers = np.random.default_rng(1).integers(0, 1 << 62, rows)
    ids = numbers if kind == "int" else [f"{number:032x}" for number in numbers.tolist()]
    monitor = Monitor()
    monitor.predictions(ids, np.ones(rows, np.int64), model="m", task=Binary())
    assert monitor.snapshot()["m"].awaiting == rows
    assert monitor._recorder.store.part().gauges["bytes_per_row"] <= bound


def test_counts_of_many_classes_and_scores_take_bounded_bytes() -> None:
    """A confusion of ten thousand classes stays below a mebibyte, a score histogram below 100 kB, after many rows."""
    rng = np.random.default_rng(2)
    confusion, scores = Confusion(10_000), ScoreHistogram(2048)
    for _ in range(10):
        confusion.update(rng.integers(0, 10_000, 20_000), rng.integers(0, 10_000, 20_000))
        scores.update(rng.random(20_000), rng.random(20_000) < 0.5)
    assert confusion.total == scores.total == 200_000
    assert confusion.nbytes < 1 << 20
    assert scores.nbytes < 100_000


@pytest.mark.fault("C14")
@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="counts references")
def test_results_are_not_held() -> None:
    """Once recorded, a watched call holds no further reference to what it returned."""
    output = np.zeros(1000)
    watched = Monitor()(model="m", task=Binary())(lambda: output)
    before = sys.getrefcount(output)
    for _ in range(10):
        watched()
    assert sys.getrefcount(output) == before
