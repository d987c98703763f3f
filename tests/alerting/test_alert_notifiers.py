"""Notifiers: a webhook that is tried until it is there, Alertmanager, which is told again, and the log."""

from __future__ import annotations

from alert_receivers import alert, boxed, server
from alert_receivers import http as answered

from modelmon.alerting import Alertmanager, LogNotifier, Webhook


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
