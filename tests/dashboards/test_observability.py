"""The example with everything around it: its settings are sound, and what it runs answers the dashboards."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asking import Asker, panels_of
from servers import needs

from modelmon.dashboards import DASHBOARDS, to_dict

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "observability"
# what a calm service without a store, a device or a rule that fires does not have
ABSENT = {"Alerts that are pending or fire"}


def free_ports(many: int) -> list[int]:
    """Return ports of this machine that nobody listens on."""
    probes = [socket.socket() for _ in range(many)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@needs("promtool")
def test_settings_of_prometheus_are_sound(tmp_path):
    """``promtool`` takes the example's settings, whose rules stand where the containers share them."""
    text = EXAMPLE.joinpath("prometheus.yml").read_text("utf-8").replace("/generated", str(tmp_path))
    tmp_path.joinpath("rules.yml").write_text(json.dumps({"groups": []}))
    tmp_path.joinpath("prometheus.yml").write_text(text)
    line = [shutil.which("promtool") or "", "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_containers_and_programs_share_what_they_read():
    """What the containers mount and name is there, and Grafana reads what the command writes."""
    compose = EXAMPLE.joinpath("compose.yml").read_text("utf-8")
    for name in ("prometheus.yml", "alertmanager.yml", "grafana/provisioning"):
        assert f"./{name}:" in compose
        assert EXAMPLE.joinpath(name).exists()
    assert "modelmon-overview.json" in compose
    assert "$MODELMON_DASHBOARDS" in EXAMPLE.joinpath("grafana/provisioning/dashboards/modelmon.yml").read_text("utf-8")
    dockerfile = EXAMPLE.joinpath("Dockerfile").read_text("utf-8")
    assert "modelmon dashboard --all /generated/dashboards" in dockerfile
    assert "modelmon rules rules.py -o /generated/rules.yml" in dockerfile


@pytest.mark.slow
@needs("prometheus")
def test_a_running_service_answers_the_dashboards():
    """``run.py`` starts all there is, and the real server over the running service answers every panel it can."""
    ports = free_ports(4)
    names = ("service", "prometheus", "alertmanager", "grafana")
    options = [text for name, port in zip(names, ports, strict=True) for text in (f"--{name}-port", str(port))]
    line = [sys.executable, str(EXAMPLE / "run.py"), "--seconds", "100", *options]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        empty = _unanswered(ports[1])
    finally:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert not empty, said


def _unanswered(port: int) -> set[str]:
    """Ask until every panel that can be answered is; return the titles of those that are not after a while."""
    end, empty = time.monotonic() + 60, {"nothing was asked"}
    while empty and time.monotonic() < end:
        time.sleep(3)
        try:
            empty = _empty(port)
        except (OSError, ValueError):  # not up yet
            continue
    return empty


def _empty(port: int) -> set[str]:
    chosen = {"span": "30s", "champion": "2026.09", "challenger": "2026.10"}
    empty = set()
    for name, rows in (("overview", ()), ("model", ("Now", "Quality", "Speed", "Labels")), ("versions", ("Quality",))):
        asker = Asker(port, time.time(), 1 / 30, chosen | ({} if name == "overview" else {"model": "fraud"}), 5.0)
        shown = to_dict(DASHBOARDS[name])
        for panel in panels_of(shown):
            above = [row["title"] for row in shown["panels"] if row["type"] == "row" and row["id"] < panel["id"]][-1]
            if rows and not above.startswith(rows):
                continue
            if not any(asker.ask(target) for target in panel["targets"]):
                empty.add(panel["title"])
    return empty - ABSENT
