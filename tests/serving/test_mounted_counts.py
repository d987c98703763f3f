"""Tests of what a mounted intake counts: it stands among the points of the monitor that takes the labels."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from services import JSON, TOKEN, empty_client, served, watched

from modelmon import Monitor, Snapshot
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.serving import label_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from services import Service

OTHER = "fedcba9876543210fedc"
ITEMS = [{"id": "order-1", "label": "ok"}, {"id": "order-99", "label": "ok"}, {"id": 2}]


def labels_of(snapshot: Snapshot) -> dict[Any, float]:
    """Return the labels that came in by source and outcome."""
    return dict(snapshot.counts("intake_labels").items())


def refusals_of(snapshot: Snapshot) -> dict[Any, float]:
    """Return the requests that were refused by reason."""
    return dict(snapshot.counts("intake_refused").items())


def strange(service: Service) -> int:
    """Send labels without a token and return the status."""
    return service.ask("POST", "/v1/labels", b"[]", **JSON).status


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    """Return a monitor whose predictions await labels."""
    found = watched()
    yield found
    found.close()


@pytest.mark.fault("Z14")
def test_a_monitor_shows_what_came_in(monitor: Monitor) -> None:
    """Snapshots and exporters have each label once, by source and outcome, and each refusal by reason."""
    exporter = monitor.add(PrometheusExporter(port=None))
    with served(label_app(monitor, token={"shop": TOKEN, "review": OTHER})) as service:
        assert service.post(ITEMS).status == 200
        assert service.post(ITEMS[:1], Authorization=f"Bearer {OTHER}").status == 200
        assert [strange(service), service.post(b"[").status] == [401, 400]
    known = monitor.snapshot()
    shop = {("shop", "joined"): 1, ("shop", "early"): 1, ("shop", "invalid"): 1}
    assert labels_of(known) == {**shop, ("review", "duplicate"): 1}
    assert refusals_of(known) == {("unauthorized",): 1, ("malformed",): 1}
    page = exporter.render().decode()
    assert 'modelmon_intake_labels_total{outcome="duplicate",source="review"} 1' in page
    assert 'modelmon_intake_refused_total{reason="malformed"} 1' in page


def test_counting_waits_for_nobody(monitor: Monitor) -> None:
    """A refusal is answered and counted on the event loop while a reader has the recorder's lock."""
    with served(label_app(monitor, token=TOKEN)) as service:
        assert monitor.home.locked(lambda: strange(service)) == 401
    assert refusals_of(monitor.snapshot()) == {("unauthorized",): 1}


def test_a_forked_child_counts_anew(monitor: Monitor) -> None:
    """What its parent's intake counted stays with the parent, though the application is the same."""
    with served(label_app(monitor, token=TOKEN)) as service:
        strange(service)
        monitor.renew()
        strange(service)
        assert service.post([{"id": "order-1", "label": "ok"}]).status == 200
    known = monitor.snapshot()
    assert refusals_of(known) == {("unauthorized",): 1}
    assert labels_of(known) == {("token", "early"): 1}


def test_workers_of_a_directory_add_up(tmp_path: Path) -> None:
    """Workers that only take labels, or only refuse, are seen by the one that is scraped."""
    workers = [Monitor(directory=tmp_path / "m", flush_interval=0.05, gpu=False) for _ in range(3)]
    apps = [label_app(worker, token={"shop": TOKEN}) for worker in workers]
    with served(apps[0]) as taking, served(apps[1]) as refusing:
        assert taking.post([{"id": "order-1", "label": "ok"}]).status == 200
        assert taking.post([{"id": "order-2", "label": "ok"}]).status == 200
        assert [strange(refusing), strange(refusing), strange(taking)] == [401] * 3
        end = time.monotonic() + 20
        while time.monotonic() < end:
            known = Snapshot(workers[2].home.scraped())
            if refusals_of(known) == {("unauthorized",): 3} and labels_of(known) == {("shop", "early"): 2}:
                break
            time.sleep(0.05)
    assert labels_of(known) == {("shop", "early"): 2}
    assert refusals_of(known) == {("unauthorized",): 3}
    for worker in workers:
        worker.close()


def test_a_client_takes_labels_as_ever() -> None:
    """It has no points of its own to count in."""
    with served(label_app(empty_client(), token=TOKEN)) as service:
        assert [service.post(ITEMS).status, strange(service)] == [200, 401]
