"""A real uvicorn around the examples: what was predicted before SIGTERM is written when the server is gone."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis_server import free_port

from modelmon import LabelClient

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 30.0


def connected(port: int) -> http.client.HTTPConnection:
    """Return a connection to a server, as soon as it listens."""
    end = time.monotonic() + PATIENCE_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        try:
            connection.connect()
        except ConnectionRefusedError:
            connection.close()
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return connection


@pytest.mark.fault("E4")
@pytest.mark.parametrize("example", ["fastapi_service", "label_service"])
def test_nothing_is_lost_when_uvicorn_stops(example: str, tmp_path: Path) -> None:
    """Two hundred orders, then SIGTERM at once: all of them await their labels."""
    port, url = free_port(), f"sqlite://{tmp_path}/labels.db"
    line = [sys.executable, "-m", "uvicorn", f"{example}:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(line, cwd=EXAMPLES, env={**os.environ, "MODELMON_STORE": url})
    try:
        connection = connected(port)
        for order in range(200):
            connection.request("POST", f"/orders/{order}?amount={order}")
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (200, True)
        process.send_signal(signal.SIGTERM)
        connection.close()
        assert process.wait(PATIENCE_S) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    with LabelClient(url) as client:
        assert client.snapshot()["fraud"].awaiting == 200
