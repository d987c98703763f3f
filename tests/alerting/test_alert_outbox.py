"""The outbox: each change told once, in order, retried, and never lost without a word."""

from __future__ import annotations

import threading
import time

from alert_receivers import alert, boxed

from modelmon.alerting import Refused, outbox
from modelmon.alerting.outbox import Outbox


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
    deadline = time.monotonic() + 60
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
        deadline = time.monotonic() + 60
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
    assert began.wait(60)
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
