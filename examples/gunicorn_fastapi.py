"""A FastAPI service with several workers under gunicorn that share a directory, so that any of them shows them all.

Run it with ``MODELMON_DIRECTORY=/run/fraud gunicorn --preload --workers 4 --max-requests 10000
--worker-class uvicorn_worker.UvicornWorker gunicorn_fastapi:app``; as a program it does so with two workers for a
moment, and sends them orders, the truth about them, and a scrape.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from fastapi import FastAPI

from modelmon import Binary, monitor
from modelmon.exporters.prometheus import PrometheusExporter

app = FastAPI()
exporter = monitor.add(PrometheusExporter(port=None))
app.mount("/metrics", exporter.asgi_app)


@monitor(model="fraud", version="2026.10", task=Binary(positive="fraud", negative="ok"), id="order_id")
def score(order_id: str, amount: int) -> float:
    """Return how likely an order is a fraud."""
    return min(1.0, amount / 1000)


@app.post("/orders/{order_id}/amount/{amount}")
def order(order_id: str, amount: int) -> dict[str, float]:
    """Score an order; FastAPI calls this in a thread."""
    return {"score": score(order_id, amount)}


@app.post("/orders/{order_id}/truth/{label}")
async def truth(order_id: str, label: str) -> dict[str, int]:
    """Take the truth about an order, in whichever worker it arrives, without making the loop wait."""
    return dict(await monitor.alabel(order_id, label))


def main() -> None:
    """Have two workers score and label ten orders, and read from one of them what both have done."""
    with tempfile.TemporaryDirectory() as folder:
        service = Path(folder, "service")  # a socket; gunicorn takes host:port as well
        line = [
            sys.executable,
            "-m",
            "gunicorn",
            "gunicorn_fastapi:app",
            "--preload",
            "--workers",
            "2",
            "-k",
            "uvicorn_worker.UvicornWorker",
        ]
        line += ["--bind", f"unix:{service}", "--chdir", str(Path(__file__).parent), "--log-level", "warning"]
        place = {"MODELMON_DIRECTORY": str(Path(folder, "machine")), "HOME": folder}
        with subprocess.Popen(line, env={**os.environ, **place}) as gunicorn:
            while not service.exists() and gunicorn.poll() is None:
                time.sleep(0.05)
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(service)), base_url="http://service") as client:
                for number in range(10):
                    client.post(f"/orders/{number}/amount/{100 * number}").raise_for_status()
                for number in range(10):
                    client.post(f"/orders/{number}/truth/{'ok' if number % 3 else 'fraud'}").raise_for_status()
                page = client.get("/metrics/").raise_for_status().text
            gunicorn.terminate()
    print("\n".join(line for line in page.splitlines() if line.startswith(SHOWN)))


SHOWN = ("modelmon_confusion_total", "modelmon_call_duration_seconds_count")

if __name__ == "__main__":
    main()
