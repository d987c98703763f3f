"""Exporters of a monitor that is at work."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from prometheus_client import parser

from modelmon import Binary, Monitor, every
from modelmon.exporters.log import LogExporter
from modelmon.exporters.prometheus import PrometheusExporter

GEVENT = """
from gevent import monkey; monkey.patch_all()
import urllib.request
from modelmon import Monitor
from modelmon.exporters.prometheus import PrometheusExporter
monitor = Monitor()
exporter = monitor.add(PrometheusExporter(port=0))
seen = []
@monitor(model="m")
def call(): return 1
call()
for _ in range(3):
    text = urllib.request.urlopen(f"http://127.0.0.1:{exporter.port}/metrics", timeout=5).read()
assert b'modelmon_calls_total{error_type="",model="m",outcome="ok",version=""} 1' in text
monitor.close(2)
"""


@pytest.fixture
def monitor():
    """Return a monitor of our own, closed at the end."""
    private = Monitor()
    yield private
    private.close(5)


def test_all_exporters_of_one_moment_agree(monitor, caplog):
    """Endpoint, log and a function of the user show the same numbers of a model at rest."""
    seen = []
    exporter = monitor.add(PrometheusExporter(port=0))
    monitor.add(LogExporter(3600))
    monitor.add(every(3600, seen.append))

    @monitor(model="fraud", version="1", task=Binary(positive=1), id="order")
    def score(order):
        return order % 2

    for order in range(10):
        score(order)
    monitor.labels(list(range(8)), [1] * 8)
    with caplog.at_level(logging.INFO, "modelmon"):
        assert monitor.flush(60)
    logged = next(record.modelmon for record in caplog.records if hasattr(record, "modelmon"))
    text = exporter.render().decode()
    assert logged["quality"]["accuracy"] == seen[0]["fraud"].accuracy == 0.5
    assert 'metric="accuracy",model="fraud",version="1",window="total"} 0.5' in text
    assert logged["calls"] == seen[0]["fraud"].calls == 10


def test_failures_are_points(monitor):
    """What an exporter fails at is seen by the others."""

    def fails(_snapshot):
        raise ValueError

    monitor.add(every(3600, fails))
    monitor.flush(5)
    found = [point for point in monitor.snapshot().points() if point.name == "modelmon.exporter.failures"]
    assert [(dict(point.attributes), point.value) for point in found] == [
        ({"exporter": "fails", "reason": "ValueError"}, 1)
    ]


@pytest.mark.fault("X9")
def test_scrapes_beside_recording(monitor):
    """X9: while two threads call and four scrape, counters never fall and each histogram adds up in every answer."""
    exporter, stop, problems = monitor.add(PrometheusExporter(port=0)), threading.Event(), []

    @monitor(model="busy", task=Binary(positive=1), id="order")
    def score(order):
        return order % 2

    def call():
        order = 0
        while not stop.is_set():
            score(order)
            order += 1
            if order % 200 == 0:
                time.sleep(0.001)

    def scrape():
        before = 0.0
        while not stop.is_set():
            with urllib.request.urlopen(f"http://127.0.0.1:{exporter.port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            samples = {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for family in parser.text_string_to_metric_families(text)
                for sample in family.samples
            }
            calls = sum(n for (name, _), n in samples.items() if name == "modelmon_calls_total")
            counts = [n for (name, _), n in samples.items() if name == "modelmon_call_duration_seconds_count"]
            last = [n for (name, labels), n in samples.items() if "_duration_" in name and ("le", "+Inf") in labels]
            if calls < before or counts != last or calls != sum(counts):
                problems.append((before, calls, counts, last))
            before = calls

    threads = [threading.Thread(target=work) for work in (call, call, scrape, scrape, scrape, scrape)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems
    assert monitor.snapshot()["busy"].calls > 0


@pytest.mark.fault("E17")
def test_under_gevent():
    """E17: with the standard library patched by gevent before anything else, the endpoint serves."""
    pytest.importorskip("gevent")
    ended = subprocess.run([sys.executable, "-c", GEVENT], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
