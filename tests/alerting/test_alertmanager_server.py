"""The real Alertmanager, told by ours, tells a webhook of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager

import pytest
from alert_receivers import http as answered
from alert_receivers import server
from servers import needs

from modelmon import Alerts, Monitor, Rule
from modelmon.alerting import Alertmanager
from modelmon.testing import FakeClock

PROGRAM = "prometheus-alertmanager"


@contextmanager
def alertmanager(folder, hook):
    """Run one on loopback that tells this port at once of every change, and yield its address."""
    route = {"receiver": "hook", "group_by": ["..."], "group_wait": "0s", "group_interval": "100ms"}
    receiver = {"name": "hook", "webhook_configs": [{"url": f"http://127.0.0.1:{hook}/", "send_resolved": True}]}
    folder.joinpath("am.yml").write_text(json.dumps({"route": route, "receivers": [receiver]}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = shutil.which(PROGRAM)
    assert program is not None, f"{PROGRAM} is not installed (apt install {PROGRAM})"
    line = [program, f"--config.file={folder}/am.yml", f"--storage.path={folder}/data", "--cluster.listen-address="]
    line += [f"--web.listen-address=127.0.0.1:{port}"]
    address = f"http://127.0.0.1:{port}"
    with folder.joinpath("log").open("wb") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log, cwd=folder)
    try:
        _until(lambda: _get(f"{address}/-/ready"), folder)
        yield address
    finally:
        process.kill()
        process.wait()


def _get(address):
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - loopback
        return answer.read().decode()


def _until(ask, folder):
    """Ask until there is an answer."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if answer := ask():
                return answer
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(folder.joinpath("log").read_text())


@needs(PROGRAM)
@pytest.mark.slow
def test_alertmanager_tells_of_what_fires_and_of_its_end(tmp_path):
    """What it shows and sends has our names, and a correction of ours ends it."""
    with server(answered(200)) as received, alertmanager(tmp_path, received.port) as address:
        clock = FakeClock(time.time())
        monitor = Monitor(clock=clock)
        rule = Rule("wrong", "accuracy", below=0.8, mature=False, severity="page", note="Look at the features.")
        alerts = monitor.add(Alerts(rule, notify=Alertmanager(address, labels={"team": "risk"}), every=240))
        monitor.predictions(range(10), ["a"] * 10, model='fr"aud\n', version="1")
        monitor.labels(range(10), ["b"] * 10)
        assert monitor.flush(60)
        shown = _until(lambda: json.loads(_get(f"{address}/api/v2/alerts")), tmp_path)
        (labels,) = [one["labels"] for one in shown]
        assert labels.pop("model").startswith('fr"aud')
        assert labels == {"alertname": "wrong", "severity": "page", "version": "1", "team": "risk"}
        assert shown[0]["status"]["state"] == "active"
        received.until(1, timeout=20)
        clock.advance(15)
        alerts.flush(5)
        monitor.labels(range(10), ["a"] * 10)
        clock.advance(15)
        assert alerts.flush(60)
        received.until(2, timeout=20)
        monitor.close()
    fired, ended = received.documents[:2]
    assert (fired["status"], ended["status"]) == ("firing", "resolved")
    assert fired["commonAnnotations"]["description"] == "Look at the features."
    assert "accuracy is 0, below 0.8 fires" in fired["commonAnnotations"]["summary"]
    assert len(received.documents) == 2, "each change is told once"


@needs(PROGRAM)
@pytest.mark.slow
def test_what_it_does_not_take_is_refused_for_good(tmp_path):
    """An address that is no Alertmanager's is an error that is counted, not tried for ever."""
    with server(answered(200)) as received, alertmanager(tmp_path, received.port) as address:
        monitor = Monitor()
        alerts = monitor.add(Alerts(Rule("busy", "calls", above=-1), notify=Alertmanager(f"{address}/x"), every=240))
        monitor.predictions([1], ["a"], model="m")
        monitor.flush(5)
        assert len(alerts.firing) == 1
        monitor.close()
        failures = dict(monitor.home.troubles.failures)
    assert failures == {("alerts:alertmanager", "refused:404"): 1}
