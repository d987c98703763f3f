"""Tests of what stands between the recorder and a store that waits for input and output."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from waiting_store import WaitingStore, numbers, until

from modelmon import BusyError, ConfigurationError, Monitor, Multiclass, StoreError, delivering, leasing, notices
from modelmon.monitoring import STORE_VARIABLE, Source
from modelmon.monitoring import monitor as default_monitor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _notices_are_new(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    notices.forget()
    with caplog.at_level("ERROR", "modelmon"):
        yield


class World:
    """A monitor on a waiting store, and a watched function."""

    def __init__(self, store: WaitingStore, **settings: Any) -> None:
        """Watch a function whose prediction is the last digit of its id."""
        self.store = store
        self.monitor = Monitor(store=store, flush_interval=0.01, **settings)
        self.source = Source(self.monitor)

        @self.monitor(model="digit", id="key", task=Multiclass())
        def predict(key: str) -> int:
            return int(key[-1])

        self.predict = predict

    def call(self, start: int, n: int) -> None:
        """Predict some ids."""
        for key in numbers(start, n):
            self.predict(key)

    @property
    def counts(self) -> Any:
        """What this process counted by itself."""
        return self.monitor.home.hold(lambda held: held.part()).counts

    def own(self, name: str, *key: str) -> int:
        """Return one of this process's counts."""
        return self.counts[name].get(key) if name in self.counts else 0


@pytest.fixture
def world() -> Iterator[World]:
    """Return a world, and stop its thread afterwards."""
    made = World(WaitingStore())
    yield made
    made.store.trouble = None
    made.store.gate.set()
    made.monitor.close()


def test_predictions_reach_the_store_by_themselves(world: World) -> None:
    """The first watched call starts what writes, and nobody needs to read or label."""
    world.call(0, 20)
    assert until(lambda: sum(world.store.batches) == 20)
    assert world.monitor.snapshot()["digit"].awaiting == 20


def test_a_label_never_overtakes_its_prediction(world: World) -> None:
    """What was predicted in this process is in the store before a label of it is."""
    for start in range(0, 200, 10):
        world.call(start, 10)
        ids = list(numbers(start, 10))
        assert world.monitor.labels(ids, [int(key[-1]) for key in ids]) == {"joined": 10}
    assert world.monitor.snapshot()["digit"].accuracy == 1.0
    world.monitor.check_invariants()


@pytest.mark.fault("S4")
def test_calls_do_not_wait_for_the_store(world: World) -> None:
    """While the store does not answer, watched calls, counts of this process and further drains go on."""
    world.store.gate.clear()
    world.call(0, 3)
    assert world.store.entered.wait(60)
    took = []
    for start in range(10, 40_010, 1000):
        begun = time.perf_counter()
        world.call(start, 1000)
        took.append(time.perf_counter() - begun)
    assert max(took) < 4.0
    assert world.own("store_spooled") > 16_000
    world.store.gate.set()
    assert world.monitor.flush(60)
    assert world.monitor.snapshot()["digit"].awaiting == 40_003


@pytest.mark.fault("S1")
def test_labels_are_not_acknowledged_while_the_store_fails(world: World) -> None:
    """A label call raises, nothing is lost, and the same call works once the store is back."""
    world.store.fail("locked")
    world.call(0, 10)
    with pytest.raises(StoreError, match="away"):
        world.monitor.label("order-3", 3)
    with pytest.raises(StoreError, match="away"):
        world.monitor.snapshot()
    assert not world.monitor.flush(5)
    assert world.own("store_errors", "locked") >= 3
    assert world.own("store_spooled") == 10
    world.store.trouble = None
    assert world.monitor.label("order-3", 3) == {"joined": 1}
    assert world.own("store_spooled") == 0
    assert world.monitor.snapshot().store_errors["locked"] >= 3
    assert world.monitor.forget("order-4") == 1
    seen = world.monitor.snapshot()["digit"]
    assert (seen.prediction_events["pending"], seen.prediction_events["duplicate"]) == (10, 0)


def test_the_thread_steps_back_and_comes_back_by_itself(world: World) -> None:
    """It tries seldom while the store fails, and writes everything once it works."""
    world.store.fail()
    world.call(0, 50)
    assert until(lambda: world.own("store_errors", "down") >= 1)
    begun, before = time.monotonic(), world.own("store_errors", "down")
    time.sleep(0.3)
    tries = world.own("store_errors", "down") - before
    assert tries <= 5, f"{tries} tries in {time.monotonic() - begun:.1f} s"
    world.store.trouble = None
    assert until(lambda: sum(world.store.batches) == 50)


@pytest.mark.fault("S1")
def test_past_its_bound_the_oldest_go(world: World) -> None:
    """The spool keeps the newest rows, counts what it dropped, and every row is in one of both counts."""
    world.store.fail()
    world.call(0, 1)
    world.monitor.home.hold(lambda held: setattr(held.delivery.spool, "most", 100))
    for start in range(1, 250, 3):
        world.call(start, 3)
        assert world.own("store_spooled") <= 100
    dropped = world.own("self:dropped", "store_full")
    world.store.trouble = None
    assert world.monitor.flush(60)
    assert dropped == 150 == 250 - sum(world.store.batches)
    assert world.monitor.label("order-249", 9) == {"joined": 1}
    assert world.monitor.snapshot().label_events == {"joined": 1}


def test_a_batch_that_the_store_cannot_take_does_not_stop_the_rest(world: World) -> None:
    """A fault of the store itself is retried, and then its batch is dropped and counted."""
    world.store.trouble = ZeroDivisionError("a fault")
    world.call(0, 5)
    assert until(lambda: world.own("self:dropped", "internal_error") == 5)
    assert world.own("self:internal_errors", "store:ZeroDivisionError") == 3
    world.store.trouble = None
    world.call(5, 5)
    assert world.monitor.label("order-5", 5) == {"joined": 1}


def test_many_predictions_given_at_once_are_written_at_once(world: World) -> None:
    """A batch beyond the spool's bound is written by whoever gives it, and nothing of it is dropped."""
    ids = list(range(150_000))
    world.monitor.predictions(ids, [0] * len(ids), model="batch", task=Multiclass())
    assert sum(world.store.batches) == 150_000
    assert world.monitor.snapshot()["batch"].awaiting == 150_000
    assert max(world.store.batches) <= 8192


@pytest.mark.fault("E8")
def test_whoever_interrupts_a_call_of_the_store_is_told(world: World) -> None:
    """A signal handler that labels while its own thread talks to the store does not wait for itself."""
    told: list[object] = []

    def handler(*_: object) -> None:
        world.call(10, 1)
        for ask in (lambda: world.monitor.label("order-1", 1), world.monitor.snapshot, world.source.snapshot):
            with pytest.raises(BusyError):
                ask()
            told.append(BusyError)
        world.store.gate.set()

    world.call(0, 3)
    assert world.monitor.flush(60)
    world.store.gate.clear()
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert world.monitor.label("order-1", 1) == {"joined": 1}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert told == [BusyError] * 3


@pytest.mark.fault("S4")
def test_an_exporter_goes_on_without_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows this process, and what was last known of the store while that is young."""
    world.call(0, 10)
    assert world.source.snapshot()["digit"].awaiting == 10
    world.store.fail()
    world.call(10, 10)
    seen = world.source.snapshot()["digit"]
    assert (seen.calls, seen.awaiting) == (20, 10)
    monkeypatch.setattr(leasing, "LAST_KNOWN_S", 0.0)
    seen = world.source.snapshot()["digit"]
    assert (seen.calls, seen.awaiting) == (20, 0)


def test_an_exporter_does_not_wait_long_for_the_store(world: World) -> None:
    """Where the store hangs in somebody else's call, an exporter shows this process alone."""
    world.call(0, 10)
    world.store.gate.clear()
    world.store.entered.clear()
    thread = threading.Thread(target=lambda: world.monitor.label("order-1", 1))
    thread.start()
    assert world.store.entered.wait(60)
    begun = time.monotonic()
    assert world.source.snapshot()["digit"].calls == 10
    assert time.monotonic() - begun < 5
    world.store.gate.set()
    thread.join()


def test_one_process_shows_what_many_share() -> None:
    """Of two monitors on one store, one exports the store's part, and the other takes over when that one closes."""
    store = WaitingStore()
    first, second = World(store), World(store)
    first.call(0, 30)
    second.call(100, 20)
    assert first.monitor.flush(60)
    assert second.monitor.flush(60)
    for _ in range(3):
        assert [seen.source.snapshot()["digit"].awaiting for seen in (first, second)] == [50, 0]
    assert store.asked == 2
    assert second.monitor.snapshot()["digit"].awaiting == 50
    whole = first.source.snapshot().merge(second.source.snapshot())
    assert (whole["digit"].calls, whole["digit"].awaiting) == (50, 50)
    first.monitor.close()
    second.monitor.home.delivery._lease._ask_at = 0.0
    assert second.source.snapshot()["digit"].awaiting == 50
    second.monitor.close()


def test_a_lease_that_cannot_be_extended_is_not_used(world: World) -> None:
    """Another process may have it by then, so even what was last known is left out."""
    world.call(0, 10)
    assert world.source.snapshot()["digit"].awaiting == 10
    world.store.fail()
    world.monitor.home.delivery._lease._until = 0.0
    assert world.source.snapshot()["digit"].awaiting == 0


def test_the_lease_is_kept_between_scrapes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrapes may be further apart than a lease lasts: the thread extends it in between."""
    monkeypatch.setattr(leasing, "LEASE_S", 0.3)
    world.call(0, 10)
    assert world.source.snapshot()["digit"].awaiting == 10
    asked = world.store.asked
    assert until(lambda: world.store.asked > asked + 3, 5)
    assert world.monitor.home.delivery._lease.held


def test_closing_writes_and_calls_still_count_afterwards() -> None:
    """Closing writes the spool and ends the thread; the next call starts another."""
    others = set(threading.enumerate())
    world = World(WaitingStore())
    world.call(0, 10)
    world.monitor.close()
    assert sum(world.store.batches) == 10
    assert until(lambda: set(threading.enumerate()) <= others)
    world.call(10, 2000)
    assert until(lambda: sum(world.store.batches) >= 1000)
    assert world.monitor.label("order-11", 1) == {"joined": 1}
    world.monitor.close()
    assert sum(world.store.batches) == 2010


def test_a_store_that_is_not_shared_is_always_shown() -> None:
    """Nobody asks for a lease on what only this process has."""
    world = World(WaitingStore(shared=False))
    world.call(0, 10)
    assert world.source.snapshot()["digit"].awaiting == 10
    assert world.store.asked == 0
    world.monitor.close()


def test_streams_alone_start_what_writes(world: World) -> None:
    """A service that only streams has its predictions written too."""

    @world.monitor(model="stream", id="key", task=Multiclass(), output=int)
    def stream(key: str) -> Iterator[int]:
        yield int(key[-1])

    assert list(stream("order-7")) == [7]
    assert until(lambda: sum(world.store.batches) == 1)


def test_the_environment_names_the_store_of_the_default_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be made is told to whoever labels, while watched calls go on; private monitors ignore it."""
    monkeypatch.setenv(STORE_VARIABLE, "mysql://user:hunter2@host/db")
    monkeypatch.setattr(default_monitor, "_recorder", default_monitor._recorder)
    monkeypatch.setattr(default_monitor, "home", default_monitor.home)
    default_monitor.renew()

    @default_monitor(model="from the environment", id="key")
    def predict(key: str) -> int:
        return len(key)

    assert predict("abc") == 3
    with pytest.raises(ConfigurationError, match="postgresql") as caught:
        default_monitor.label("abc", 3)
    assert "hunter2" not in str(caught.value)
    seen = Source(default_monitor).snapshot()
    assert seen["from the environment"].calls == 1
    assert seen.store_errors["configuration"] >= 1
    default_monitor.close()
    assert Monitor().label("abc", 3) == {"early": 1}


def test_settings_do_not_show_secrets() -> None:
    """What a URL holds after its scheme is not shown."""
    pytest.importorskip("redis")
    shown = repr(Monitor(store="redis://user:hunter2@host").settings)
    assert "redis://" in shown
    assert "hunter2" not in shown


def test_a_store_that_is_away_is_told_of_an_assumption_later(world: World) -> None:
    """A service starts although its store is down, and what it assumes holds once the store is back."""
    world.store.fail()
    world.monitor.assume_label(1, after="1d", model="digit")
    world.call(0, 5)
    assert world.monitor.flush(timeout=2) is False
    world.store.trouble = None
    assert world.monitor.flush(timeout=5)
    assert world.monitor.snapshot()["digit"].awaiting == 5
    assert world.store.told == [("digit", None, 1)]


def test_an_assumption_that_the_store_refuses_later_holds_up_nothing(world: World) -> None:
    """What cannot be assumed is said, and predictions get through."""
    world.store.fail()
    world.monitor.assume_label(1, after="90d", model="digit")
    world.store.trouble = None
    world.call(0, 5)
    assert world.monitor.flush(timeout=5)
    assert world.monitor.snapshot()["digit"].awaiting == 5
    with pytest.raises(ConfigurationError, match="assumed"):
        world.monitor.assume_label(1, after="90d", model="digit")


def test_a_closed_monitor_has_nothing_to_do_at_the_end(world: World) -> None:
    """However long ago it was closed, its store is asked nothing: it might hang, and hold up everybody else's end."""
    world.call(0, 10)
    world.monitor.close()
    delivery = world.monitor.home.delivery
    assert until(lambda: not delivery._ticker.running)
    delivery.called_at -= 60
    world.store.entered.clear()
    assert delivery._end() is None
    assert not world.store.entered.is_set()


@pytest.mark.parametrize("left", ["prediction", "promise"])
def test_what_is_left_is_begun_at_the_end(world: World, monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    """Without a thread, what waits is written by whoever waits for it."""
    monkeypatch.setattr(delivering.Ticker, "start", lambda _: False)
    if left == "prediction":
        world.call(0, 1)
    else:
        world.store.fail()
        world.monitor.assume_label(0, after="1d", model="digit")
        world.store.trouble = None
    waiter = world.monitor.home.delivery._end()
    assert waiter is not None
    assert waiter(5)
    assert (world.store.batches, len(world.store.told)) == (([1], 0) if left == "prediction" else ([], 1))


def test_a_store_that_refuses_to_open_is_told_of_at_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded is not settled where it could not even be looked at."""
    delivery = world.monitor.home.delivery
    monkeypatch.setattr(world.store, "open", lambda *_: (_ for _ in ()).throw(ConfigurationError("no such store")))
    waiter = delivery._end()
    assert waiter is not None
    assert not waiter(1)


def test_nothing_is_due_once_the_program_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is written; to sweep and to extend a lease would only keep the program from ending."""
    world.source.snapshot()
    assert world.monitor.flush(60)
    delivery = world.monitor.home.delivery
    assert delivery._ticker.stop(5)
    delivery.called_at -= 60
    delivery._lease._ask_at = 0.0
    world.store.entered.clear()
    monkeypatch.setattr(delivering, "ending", lambda: True)
    assert delivery.begin()(5)
    assert not world.store.entered.is_set()


def test_who_holds_a_lease_has_a_thread_to_give_it_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that only labels and is scraped has one too; without one, the lease ends by itself."""
    delivery = world.monitor.home.delivery
    with monkeypatch.context() as patch:
        patch.setattr(delivering.Ticker, "start", lambda _: False)
        world.source.snapshot()
        world.store.entered.clear()
        delivery._leave(5)
        assert not world.store.entered.is_set()
    delivery._lease._left = False
    world.source.snapshot()
    assert delivery._ticker.running
    delivery._leave(5)
    assert until(lambda: not delivery._lease.held)


def test_closing_before_the_store_was_opened_is_no_failure(world: World) -> None:
    """There was no time to open it, so there is nothing to let go of."""
    world.monitor.home.delivery._step_down(let_go=True)
    assert not world.monitor.home.delivery.backoff.waiting
