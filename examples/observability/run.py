"""Run the service with Prometheus, Alertmanager and Grafana, as far as they are installed, without containers.

What is written goes into a temporary folder; everything listens on this machine only and ends at Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"


def main() -> int:
    """Start all there is, wait, and end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, help="how long (default: until Ctrl-C)")
    for name, port in (("service", 9464), ("prometheus", 9090), ("alertmanager", 9093), ("grafana", 3000)):
        parser.add_argument(f"--{name}-port", type=int, default=port, help=f"(default: {port})")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, ExitStack() as running:
        folder = Path(made)
        write(folder, chosen)
        for name, line in lines(folder, chosen).items():
            start(running, folder, name, line, chosen)
        try:
            time.sleep(chosen.seconds or 10**9)
        except KeyboardInterrupt:
            print("ending ...")
    return 0


def write(folder: Path, chosen: argparse.Namespace) -> None:
    """Write dashboards, rules and settings."""
    modelmon = [sys.executable, "-m", "modelmon"]
    null = subprocess.DEVNULL
    subprocess.run([*modelmon, "dashboard", "--all", str(folder / "dashboards")], check=True, stdout=null)
    subprocess.run([*modelmon, "rules", str(HERE / "rules.py"), "-o", str(folder / "rules.yml")], check=True)
    settings = HERE.joinpath("prometheus.yml").read_text("utf-8")
    settings = settings.replace("shop:9464", f"{LOOPBACK}:{chosen.service_port}")
    settings = settings.replace("alertmanager:9093", f"{LOOPBACK}:{chosen.alertmanager_port}")
    settings = settings.replace("/generated", folder.as_posix())
    folder.joinpath("prometheus.yml").write_text(settings, "utf-8")


def lines(folder: Path, chosen: argparse.Namespace) -> dict[str, list[str]]:
    """Return what is to be run."""
    return {
        "service": [sys.executable, str(HERE / "service.py"), "--port", str(chosen.service_port)],
        "prometheus": [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={LOOPBACK}:{chosen.prometheus_port}",
        ],
        "alertmanager": [
            shutil.which("prometheus-alertmanager") or "alertmanager",
            f"--config.file={HERE}/alertmanager.yml",
            f"--storage.path={folder}/alerts",
            f"--web.listen-address={LOOPBACK}:{chosen.alertmanager_port}",
            "--cluster.listen-address=",
        ],
        "grafana": [
            "grafana",
            "server",
            "--homepath",
            os.environ.get("GF_PATHS_HOME", "/usr/share/grafana"),
            f"cfg:server.http_addr={LOOPBACK}",
            f"cfg:server.http_port={chosen.grafana_port}",
            f"cfg:paths.data={folder}/grafana",
            f"cfg:paths.provisioning={HERE}/grafana/provisioning",
            "cfg:auth.anonymous.enabled=true",
        ],
    }


def start(running: ExitStack, folder: Path, name: str, line: list[str], chosen: argparse.Namespace) -> None:
    """Start one program, if it is there, and see that it ends with us."""
    if shutil.which(line[0]) is None:
        print(f"{name:<13}not installed")
        return
    port = getattr(chosen, f"{name}_port")
    environment = {
        **os.environ,
        "PROMETHEUS_URL": f"http://{LOOPBACK}:{chosen.prometheus_port}",
        "MODELMON_DASHBOARDS": str(folder / "dashboards"),
    }
    log = running.enter_context((folder / f"{name}.log").open("wb"))
    process = subprocess.Popen(line, stdout=log, stderr=subprocess.STDOUT, env=environment)
    running.callback(process.wait)
    running.callback(process.terminate)
    print(f"{name:<13}http://{LOOPBACK}:{port}{'/metrics' if name == 'service' else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
