"""A real gunicorn whose workers have their exporter from the environment alone."""

from __future__ import annotations

import os
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("gunicorn", reason="the servers come with the dev extra")

from gunicorn_driver import free_port, gunicorn, metrics_of, total

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]


def scraped(port: int) -> dict[str, float]:
    """Return the metrics that whoever listens on a port shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return metrics_of(answer.read().decode())


def test_one_port_shows_all_workers(tmp_path: Path) -> None:
    """With two variables and no code, one address shows what all workers counted, and nothing is complained about."""
    port = free_port()
    variables = {"MODELMON_EXPORTERS": "prometheus", "MODELMON_PROMETHEUS_PORT": f"{port},0"}
    with gunicorn(tmp_path, "make_flask", "-k", "sync", "--preload", workers=3, **variables) as service:
        asked = 0
        while len(service.truth.pids) < 3 and asked < 2000:
            service.predict(range(asked, asked := asked + 100))
        end = time.monotonic() + 60
        while time.monotonic() < end:
            calls = total(scraped(port), "modelmon_call_duration_seconds_count", 'model="digits"')
            if calls == asked:
                break
            time.sleep(0.1)
        assert calls == asked
        assert len(service.truth.pids) == 3
