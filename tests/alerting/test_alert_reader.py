"""The reader: from decorated calls to whoever is told, whatever fails on the way."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from fake_sources import FakeSource

from modelmon import Alert, Alerts, Monitor, Rule
from modelmon.alerting import Alertmanager, Webhook
from modelmon.alerting.reader import Alerts as Reader
from modelmon.errors import ConfigurationError
from modelmon.testing import FakeClock


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


def test_threads_that_ended_unasked_come_back_with_all_states():
    """At the next call after something struck them, as those of other readers do; nothing is told twice."""
    told = []
    program = Program(Rule("errors", "errors", per="calls", above=0.1, window=60), notify=told.append)
    assert program.run(good=5, bad=5)
    assert [one.state for one in told] == ["firing"]
    outbox = program.alerts._outboxes[0]
    for ticker in (program.alerts._ticker, outbox._ticker):
        assert ticker.stop(5)
        assert not ticker.running
    program.monitor.home.rouse()
    program.work(False)
    assert program.alerts._ticker.running
    assert outbox._ticker.running
    assert [one.state for one in program.alerts.firing] == ["firing"]
    assert program.run(good=5, bad=5)
    assert [one.state for one in told] == ["firing"]
    program.monitor.close()


def test_other_changes_are_told_on_request():
    """Pending and inactive are told to those who ask for them."""
    told = []
    rule = Rule("errors", "errors", above=0, window=15, hold=60)
    program = Program(rule, notify=[told.append], states=("pending", "inactive"))
    program.run(bad=1)
    program.run()
    assert [one.state for one in told] == ["pending", "inactive"]
    program.monitor.close()


async def page(alert, severity="page"):
    """Do nothing."""


class Pager:
    """A notifier whose second method would have to be awaited."""

    every = 60

    def __call__(self, alert):
        """Do nothing."""

    async def refresh(self, firing):
        """Do nothing."""


@pytest.mark.parametrize(
    "notify",
    [page, [print, page], partial(page, severity="x"), Pager()],
    ids=["function", "among others", "partial", "refresh"],
)
def test_notifiers_that_would_have_to_be_awaited_are_refused(notify):
    """They would never run, and what they were told would count as delivered."""
    with pytest.raises(ConfigurationError, match=r"^notify=: \w+ is async.*run_coroutine_threadsafe"):
        Alerts(Rule("errors", "errors", above=0, window=15), notify=notify)


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
    deadline = time.monotonic() + 60
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
        assert alerts.flush(60)
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
    assert alerts.flush(60)
    alerts.close(5)
    alerts.close(5)
    assert alerts.flush(60), "there is nothing to do any more"


def test_a_forked_child_begins_anew():
    """It has no state of its parent, and reads on its own thread, since a call must not wait for it."""
    source = FakeSource(Monitor().snapshot)
    alerts = Reader(Rule("r", "in_flight", above=1), every=3600)
    alerts.renew()
    alerts.attach(source)
    deadline = time.monotonic() + 60
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
        (
            (Rule("r", "calls", above=1),),
            {"every": "5m", "notify": Alertmanager("http://a.example")},
            r"every=300: <Alertmanager .*> forgets what fires after 300 s.* give keep=600 .* every=240 or",
        ),
    ],
)
def test_alerts_that_cannot_work_are_refused(rules, given, said):
    """At the line that makes them."""
    with pytest.raises(ConfigurationError, match=said):
        Alerts(*rules, **given)


def test_what_fires_is_told_again_before_it_is_forgotten():
    """Four fifths of the time that an Alertmanager remembers are the longest period of evaluations."""
    notify = Alertmanager("http://a.example", keep=10)
    assert Alerts(Rule("r", "calls", above=1), notify=notify, every=8).alerts == ()
    with pytest.raises(ConfigurationError, match="give keep="):
        Alerts(Rule("r", "calls", above=1), notify=[print, notify], every=8.1)
