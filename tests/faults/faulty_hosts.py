"""A user's program whose store fails: what its calls return, what they wait for, and what is counted in the end."""

from __future__ import annotations

import contextlib
import gc
import selectors  # noqa: F401  (on Python 3.10 its first import opens and closes a selector)
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from modelmon import Monitor, Multiclass
from modelmon.errors import StoreError
from modelmon.monitoring import Source

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = ["cat", "dog", "eel"]
SLOW_S = 0.05
_WAITING = {"sqlite3", "_sqlite3", "_socket", "socket", "select", "redis", "psycopg", "psycopg_binary"}


def until(condition: Callable[[], bool], what: str, patience: float = 30.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"waited {patience:g} s for this: {what}"
        time.sleep(0.01)


def patiently(read: Callable[[], Any]) -> Any:
    """Return what reading gives, however often a busy machine lets the short timeout pass first."""
    for _ in range(100):
        with contextlib.suppress(StoreError):
            return read()
    return read()


def predicted(number: int) -> str:
    """Return what a host predicts."""
    return CLASSES[number % 3]


def actual(number: int) -> str:
    """Return what it turns out to be."""
    return CLASSES[number % 2]


class Host:
    """A program with a watched function, called in a loop, that labels some of what it predicted.

    Attributes:
        called: how many predictions it made.
        labelled: numbers whose labels were acknowledged.
        calls: how often the host called.
        slow: calls that took longer than 50 ms.
        touched: what calls asked of databases and sockets on their own thread.
    """

    def __init__(self, store: Any, **settings: Any) -> None:
        """Watch a function; nothing is opened yet."""
        self.store = store
        self.called, self.calls, self.slow = 0, 0, 0
        self.labelled: set[int] = set()
        self.touched: Counter[str] = Counter()
        self.monitor = Monitor(store=store, flush_interval=0.05, **settings)
        self.source = Source(self.monitor)

        @self.monitor(model="pet", version="1", id="ids", task=Multiclass())
        def predict(ids: list[str]) -> list[str]:
            return [predicted(int(text[1:])) for text in ids]

        self._predict = predict

    def call(self, n: int, each: int = 1) -> None:
        """Predict the next numbers, some in each call, and check every answer."""
        gc.collect()  # what others left, as clients whose end closes a socket, is no doing of these calls
        sys.setprofile(self._profile)
        try:
            for _ in range(n):
                numbers = range(self.called, self.called + each)
                begun = time.perf_counter()
                found = self._predict([f"n{number}" for number in numbers])
                self.slow += time.perf_counter() - begun > SLOW_S
                self.called += each
                self.calls += 1
                if found != [predicted(number) for number in numbers]:
                    msg = f"the host got {found}"
                    raise AssertionError(msg)
        finally:
            sys.setprofile(None)

    def _profile(self, _frame: Any, event: str, argument: Any) -> None:
        if event == "c_call":
            owner = getattr(argument, "__self__", None)
            home = argument.__module__ or type(owner).__module__
            if home.partition(".")[0] in _WAITING:
                self.touched[f"{home}.{argument.__name__}"] += 1

    def label(self, start: int, stop: int) -> str:
        """Deliver the labels of some numbers; return "" where they were acknowledged, or how the store failed."""
        numbers = range(start, stop)
        try:
            self.monitor.labels([f"n{number}" for number in numbers], [actual(number) for number in numbers])
        except StoreError as error:
            return error.kind
        self.labelled.update(numbers)
        return ""

    def _refused(self, start: int, stop: int) -> str:
        """Deliver labels that cannot be acknowledged now; return how the store failed, which may be a delay first."""
        kind = self.label(start, stop)
        assert kind, "labels were acknowledged amid an outage"
        return kind

    def points(self) -> dict[Any, Any]:
        """Return what exporters are shown of the store and of this library."""
        found = {}
        for point in self.source.snapshot().points():
            if point.name in {"modelmon.store.errors", "modelmon.store.spooled", "modelmon.self.dropped"}:
                key = (point.name.removeprefix("modelmon."), *dict(point.attributes).values())
                found[key] = point.value
        return found

    @property
    def spooled(self) -> int:
        """How many predictions are on their way."""
        return int(self.monitor.home.hold(lambda held: held.delivery.spool.rows))

    def errors(self) -> set[str]:
        """Return how the store failed, as counters tell."""
        return {key[1] for key, n in self.points().items() if key[0] == "store.errors" and n}

    def unharmed(self) -> None:
        """Check that calls waited for nothing: not for files, servers or databases, nor noticeably for anything."""
        assert not self.touched, dict(self.touched)
        # a busy machine stops a process now and then, and a store that was waited for would slow every call
        assert self.slow <= max(5, self.calls // 4)

    def close(self) -> None:
        """End the program."""
        self.monitor.close()
        self.store.close()

    def recover(self) -> None:
        """Wait until everything is written, by nobody's doing but the library's."""
        until(lambda: self.spooled == 0, "what was spooled is written")

    def check(self, lost: int = 0) -> None:
        """Check that the store holds every prediction but the lost ones, and every acknowledged label, exactly."""
        self.unharmed()
        read = patiently(self.monitor.snapshot)["pet"]
        expected = [[0] * 3 for _ in CLASSES]
        for number in self.labelled:
            expected[CLASSES.index(actual(number))][CLASSES.index(predicted(number))] += 1
        order = [CLASSES.index(name) for name in read.confusion.classes]
        matrix = [[expected[row][column] for column in order] for row in order]
        assert read.confusion.matrix.tolist() == matrix, (read.label_events, read.prediction_events)
        accepted = read.prediction_events["pending"] + read.prediction_events["joined_early"]
        assert accepted == self.called - lost
        patiently(self.monitor.check_invariants)

    def endure(self, begin: Callable[[], object], end: Callable[[], object], kinds: set[str]) -> None:
        """Go through an outage: calls go on, labels are refused, exporters are told; afterwards nothing is missing.

        Args:
            begin: begins the outage.
            end: ends it.
            kinds: how the store may fail meanwhile.
        """
        first = self.called
        self.call(1500)
        until(lambda: self.label(first, first + 500) == "", "labels are taken")
        begin()
        self.call(1500)
        until(lambda: self._refused(first + 500, first + 1000) in kinds, f"a refusal that says {kinds}")
        self.call(1500)
        told = self.points()
        assert {key[1] for key in told if key[0] == "store.errors"} & kinds
        assert told["store.spooled",] > 0
        end()
        self.recover()
        self.call(500)
        until(lambda: self.label(first + 500, first + 2000) == "", "labels are taken again")
        self.check()
