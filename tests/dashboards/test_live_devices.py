"""The panels of devices over a process that reads a driver, scraped by a real server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from asking import Asker, panels_of
from servers import needs, prometheus

from modelmon import Monitor, Multiclass
from modelmon.dashboards import DASHBOARDS, to_dict
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.testing import FakeGpu, fake_nvml

if TYPE_CHECKING:
    from pathlib import Path

DEVICES = {
    *("Devices at work", "Memory", "Power", "Temperature", "Energy by model", "Energy that no model took"),
    *("Devices that are not well", "Troubles in reading them"),
}
OF_THE_MODEL = {"Time on the device", "Power", "Energy per call and prediction"}


@pytest.mark.slow
@needs("prometheus")
def test_panels_of_devices_are_answered(tmp_path: Path) -> None:
    """What the sampler reads of a driver and gives to models is what the panels of devices ask for."""
    with fake_nvml(FakeGpu("Fake H100", memory=80 << 30, idle_watts=60, busy_watts=500)) as driver:
        driver[0].used = 30 << 30
        monitor = Monitor(gpu=20)

        @monitor(model="sorter", version="1", task=Multiclass(), id="number")
        def sort(number: int) -> int:
            with driver[0].load():
                time.sleep(0.02)
            return number % 2

        exporter = monitor.add(PrometheusExporter(port=0))
        rules = tmp_path / "none.yml"
        rules.write_text("groups: []")
        with prometheus(tmp_path, {"shop": f"127.0.0.1:{exporter.port}"}, rules) as server:
            asker = Asker(int(server._url.rpartition(":")[2]), 0.0, 0.01, {"span": "5s", "model": "sorter"}, 0.5)
            missing, end, number = {""}, time.monotonic() + 40, 0
            while missing and time.monotonic() < end:
                for _ in range(60):
                    number += 1
                    sort(number)
                    monitor.label(number, number % 2)
                missing = _unanswered(asker)
        monitor.close(timeout=5)
    assert not missing


def _unanswered(asker: Asker) -> set[str]:
    now = Asker(asker.port, time.time(), asker.hours, asker.chosen, asker.scrape_s)
    wanted = {("fleet", title) for title in DEVICES} | {("model", title) for title in OF_THE_MODEL}
    return {
        panel["title"]
        for name in ("fleet", "model")
        for panel in panels_of(to_dict(DASHBOARDS[name]))
        if (name, panel["title"]) in wanted and not any(now.ask(target) for target in panel["targets"])
    }
