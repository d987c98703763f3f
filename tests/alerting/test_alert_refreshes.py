"""Refreshes: who is told again of what fires is never told so of what has ended meanwhile."""

from __future__ import annotations

from alert_receivers import alert
from fake_sources import FakeSource

from modelmon.alerting.outbox import Outbox
from modelmon.alerting.posting import Unanswered


class Receiver:
    """A receiver that is away for a while, and wants to be told again at every evaluation."""

    name = "receiver"
    attempts = None
    every = 0.0

    def __init__(self):
        """Be away."""
        self.away, self.told, self.again = True, [], []

    def __call__(self, one):
        """Take a change."""
        if self.away:
            msg = "status 503"
            raise Unanswered(msg)
        self.told.append((one.model, one.state))

    def refresh(self, firing):
        """Take what fires."""
        self.again.append([one.model for one in firing])


def test_what_ended_while_nobody_listened_does_not_come_back(caplog):
    """What waits to be told again loses those that ended since, and keeps the others."""
    receiver, source = Receiver(), FakeSource()
    box = Outbox(receiver)
    box.attach(source)
    first, second = alert(model="first"), alert(model="second")
    for one in (first, second):
        box.put(one)
    box.refresh([first, second])
    box.refresh([first, second])
    box.ask().wait(5)
    receiver.every = 3600.0
    box.put(alert("resolved", model="first"))
    box.refresh([second])
    receiver.away = False
    box.ask().wait(5)
    box.close(5)
    assert receiver.told == [("first", "firing"), ("second", "firing"), ("first", "resolved")]
    assert receiver.again == [["second"]]
    assert "failed with Unanswered (status 503)" in caplog.text


def test_when_all_has_ended_nobody_is_told_again():
    """The last one that ends leaves nothing to be told again."""
    receiver, source = Receiver(), FakeSource()
    box = Outbox(receiver)
    box.attach(source)
    box.put(alert())
    box.refresh([alert()])
    box.refresh([alert()])
    box.put(alert("resolved"))
    box.refresh([])
    receiver.away = False
    box.ask().wait(5)
    box.close(5)
    assert [state for _, state in receiver.told] == ["firing", "resolved"]
    assert receiver.again == []
