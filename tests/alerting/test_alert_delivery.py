"""Delivery: each change told once, in order, retried, and never lost without a word."""

from __future__ import annotations

import threading
import time

import pytest
from alert_receivers import alert, server
from alert_receivers import http as answered
from fake_sources import FakeSource

from modelmon import Alert, Alerts, Monitor, Rule
from modelmon.alerting import Alertmanager, LogNotifier, Refused, Webhook, outbox
from modelmon.alerting.outbox import Outbox
from modelmon.alerting.reader import Alerts as Reader
from modelmon.errors import ConfigurationError
from modelmon.testing import FakeClock


@pytest.fixture
def source():
    """What counts failures."""
    return FakeSource()


def boxed(notifier, source):
    """Return an attached outbox."""
    box = Outbox(notifier)
    box.attach(source)
    return box


def test_alerts_are_delivered_in_order(source):
    """Each once, on a thread of ours, and closing leaves none behind."""
    told, threads = [], set()

    def page(one):
        told.append(one.at)
        threads.add(threading.current_thread().name)

    box = boxed(page, source)
    for at in range(20):
        box.put(alert(at=float(at)))
    box.close(5)
    assert told == [float(at) for at in range(20)]
    assert threads == {"modelmon-alerts:page"}
    assert not source.failures
    assert len(box) == 0


def test_what_failed_is_tried_again_before_what_came_later(source):
    """A failure holds the later ones back, so that their order stays; each failure is counted."""
    told, left = [], [1, 2]

    def page(one):
        if left:
            left.pop()
            raise ValueError
        told.append(one.at)

    box = boxed(page, source)
    box.put(alert(at=1.0))
    box.put(alert(at=2.0))
    deadline = time.monotonic() + 5
    while len(told) < 2 and time.monotonic() < deadline:
        box.ask().wait(5)
    assert told == [1.0, 2.0]
    assert source.failures == {("alerts:page", "ValueError"): 2}
    box.close(5)


def test_what_always_fails_is_given_up(source, caplog):
    """After five attempts of a function the next one has its turn, and that is counted and said."""
    told = []

    def page(one):
        if one.at == 1.0:
            raise SystemExit
        told.append(one.at)

    box = boxed(page, source)
    with caplog.at_level("WARNING", "modelmon"):
        box.put(alert(at=1.0))
        box.put(alert(at=2.0))
        deadline = time.monotonic() + 5
        while not told and time.monotonic() < deadline:
            box.ask().wait(5)
        box.close(5)
    assert told == [2.0]
    assert source.failures == {("alerts:page", "SystemExit"): 5, ("alerts:page", "given_up"): 1}
    assert any("given up" in message for message in caplog.messages)


def test_what_is_refused_is_not_tried_again(source):
    """It is counted by its reason, and the next one has its turn."""
    told, reason = [], "404"

    class Picky:
        name = "picky"
        attempts = None

        def __call__(self, one):
            told.append(one.at)
            if one.at == 1.0:
                raise Refused(reason)

    box = boxed(Picky(), source)
    box.put(alert(at=1.0))
    box.put(alert(at=2.0))
    box.close(5)
    assert told == [1.0, 2.0]
    assert source.failures == {("alerts:picky", "refused:404"): 1}


def test_a_notifier_that_hangs_loses_nothing_in_silence(source, monkeypatch):
    """It keeps at most so many waiting, counts those that go, and closing does not wait for it."""
    monkeypatch.setattr(outbox, "MOST", 5)
    go, began = threading.Event(), threading.Event()

    def page(one):
        began.set()
        go.wait(10)

    box = boxed(page, source)
    box.put(alert())
    assert began.wait(5)
    for _ in range(7):
        box.put(alert())
    begun = time.monotonic()
    box.close(0.05)
    assert time.monotonic() - begun < 5
    assert source.failures == {("alerts:page", "queue_full"): 3, ("alerts:page", "undelivered"): 5}
    go.set()


def test_a_forked_child_delivers_nothing_of_its_parent(source):
    """What waits is the parent's to deliver."""
    box = Outbox(print)
    box.put(alert())
    box.renew()
    assert len(box) == 0


def test_a_receiver_that_is_away_gets_all_when_it_is_back(source):
    """A webhook is tried for as long as it takes, and gets each change once with one id."""
    with server(answered(503), answered(503), answered(200)) as received:
        box = boxed(Webhook(f"http://127.0.0.1:{received.port}/"), source)
        box.put(alert("firing"))
        box.put(alert("resolved"))
        for turn in range(1, 5):
            box.ask().wait(5)
            received.until(min(turn, 4))
        box.close(5)
    states = [document["state"] for document in received.documents]
    assert states == ["firing", "firing", "firing", "resolved"]
    assert len({document["id"] for document in received.documents}) == 2
    assert source.failures == {("alerts:webhook", "Unanswered"): 2}


def test_alertmanager_is_told_again_of_what_fires(source):
    """Once per period of its own, and only while something fires."""
    with server(answered(200)) as received:
        manager = Alertmanager(f"http://127.0.0.1:{received.port}", keep=3600)
        box = boxed(manager, source)
        box.refresh([])
        box.refresh([alert()])
        box.refresh([alert()])
        manager.every = 0.0
        box.refresh([alert(), alert(model="other")])
        received.until(1)
        manager.every = 3600
        box.refresh([alert()])
        box.close(5)
    assert [len(document) for document in received.documents] == [2]


def test_a_refresh_that_fails_is_counted(source):
    """The next one comes soon enough."""
    with server(answered(500), answered(404)) as received:
        manager = Alertmanager(f"http://127.0.0.1:{received.port}")
        manager.every = 0.0
        box = boxed(manager, source)
        for turn in (1, 2):
            box.refresh([alert()])
            box.ask().wait(5)
            received.until(turn)
        box.close(5)
    assert source.failures == {("alerts:alertmanager", "Unanswered"): 1, ("alerts:alertmanager", "refused:404"): 1}


def test_the_log_tells_of_changes(caplog):
    """What fires is a warning, what ended is information; the record carries the facts."""
    with caplog.at_level("INFO", "alarms"):
        notify = LogNotifier("alarms")
        notify(alert("firing"))
        notify(alert("resolved", model="a\nb\x1b[31m"))
    firing, resolved = caplog.records
    assert (firing.levelname, resolved.levelname) == ("WARNING", "INFO")
    assert firing.getMessage() == (
        "firing: misses for fraud 1: recall of 'fraud' is 0.75, below 0.8 fires; interval 0.7 to 0.79"
    )
    assert "\n" not in resolved.getMessage()
    assert "\x1b" not in resolved.getMessage()
    assert firing.modelmon == alert("firing").to_dict()


class Program:
    """A monitor with alerts, on a clock that stands still."""

    def __init__(self, *rules, notify, **given):
        """Watch one model."""
        self.clock = FakeClock(1_000_000.0)
        self.monitor = Monitor(clock=self.clock)
        self.alerts = self.monitor.add(Alerts(*rules, notify=notify, every=3600, **given))

        @self.monitor(model="m")
        def work(bad):
            if bad:
                raise ZeroDivisionError
            return 1

        self.work = work

    def run(self, good=0, bad=0, seconds=15):
        """Make calls, let time pass, and have the rules evaluated."""
        for _ in range(good):
            self.work(False)
        for _ in range(bad):
            with pytest.raises(ZeroDivisionError):
                self.work(True)
        self.clock.advance(seconds)
        return self.monitor.flush(5)


def test_a_program_is_told_once_per_change():
    """From the decorated call to the function that pages somebody, and back to silence."""
    told = []
    program = Program(Rule("errors", "errors", per="calls", above=0.1, window=60, hold=15), notify=told.append)
    assert repr(program.alerts) == "no rule is about any model yet"
    for _ in range(3):
        assert program.run(good=5, bad=5)
    assert [(one.name, one.state, one.model) for one in told] == [("errors", "firing", "m")]
    assert [one.state for one in program.alerts.firing] == ["firing"]
    for _ in range(6):
        assert program.run(good=10)
    assert [one.state for one in told] == ["firing", "resolved"]
    assert not program.alerts.firing
    assert "resolved" in repr(program.alerts)
    program.monitor.close()
    assert all(isinstance(one, Alert) for one in told)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("modelmon-alerts")]


def test_other_changes_are_told_on_request():
    """Pending and inactive are told to those who ask for them."""
    told = []
    rule = Rule("errors", "errors", above=0, window=15, hold=60)
    program = Program(rule, notify=[told.append], states=("pending", "inactive"))
    program.run(bad=1)
    program.run()
    assert [one.state for one in told] == ["pending", "inactive"]
    program.monitor.close()


def test_one_notifier_that_hangs_holds_up_no_other_and_no_evaluation():
    """The others are told in time, and so is the next evaluation made."""
    told, go = [], threading.Event()
    program = Program(
        Rule("errors", "errors", above=0, window=15),
        notify=[lambda _: go.wait(10), told.append],
    )
    for _ in range(2):
        program.clock.advance(15)
        with pytest.raises(ZeroDivisionError):
            program.work(True)
        program.monitor.flush(0.2)
    deadline = time.monotonic() + 5
    while not told and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [one.state for one in told] == ["firing"]
    go.set()
    program.monitor.close()


def test_a_rule_that_cannot_be_evaluated_is_counted_and_said(caplog):
    """Once per rule and cause; the program goes on."""
    source = FakeSource(Monitor().snapshot())
    alerts = Reader(Rule("broken", "in_flight", above=1), notify=print)
    object.__setattr__(alerts._evaluation._tracks[0].condition.measure, "rule", None)
    alerts.attach(source)
    with caplog.at_level("WARNING", "modelmon"):
        assert alerts.flush(5)
    assert source.failures["alerts", "rule:AttributeError"] >= 1
    assert any("rule 'broken' could not be evaluated" in message for message in caplog.messages)
    alerts.close(5)


def test_a_source_that_fails_at_first_stops_nothing():
    """The first reading comes again with the next period."""

    def fail():
        raise RuntimeError

    source = FakeSource(fail)
    alerts = Reader(Rule("r", "in_flight", above=1), every=3600)
    alerts.attach(source)
    assert source.failures["alerts", "RuntimeError"] == 1
    source.make = Monitor().snapshot
    assert alerts.flush(5)
    alerts.close(5)
    alerts.close(5)
    assert alerts.flush(5), "there is nothing to do any more"


def test_a_forked_child_begins_anew():
    """It has no state of its parent, and reads on its own thread, since a call must not wait for it."""
    source = FakeSource(Monitor().snapshot)
    alerts = Reader(Rule("r", "in_flight", above=1), every=3600)
    alerts.renew()
    alerts.attach(source)
    deadline = time.monotonic() + 5
    while not source.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    assert source.asked == 1
    alerts.close(5)


@pytest.mark.parametrize(
    ("rules", "given", "said"),
    [
        ((), {}, "one rule or more"),
        (("slow",), {}, "is no rule"),
        ((Rule("r", "calls", above=1), Rule("r", "errors", above=1)), {}, "two rules are called 'r'"),
        ((Rule("r", "calls", above=1),), {"states": ("on",)}, "'on' is none of"),
        ((Rule("r", "calls", above=1),), {"notify": ["page"]}, "cannot be called"),
        ((Rule("r", "calls", above=1),), {"notify": "http://page"}, "'http://page' cannot be called"),
        ((Rule("r", "calls", above=1),), {"notify": Webhook}, r"is a class: give one that is made, Webhook\("),
        (([Rule("r", "calls", above=1)],), {}, r"Alerts\(\*rules\)"),
        ((Rule("r", "calls", above=1),), {"every": 0}, "more than zero"),
    ],
)
def test_alerts_that_cannot_work_are_refused(rules, given, said):
    """At the line that makes them."""
    with pytest.raises(ConfigurationError, match=said):
        Alerts(*rules, **given)
