"""A real gunicorn with its workers, and a driver that counts for itself what it asked of them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).parent
PATIENCE_S = 40
LOST = (OSError, http.client.HTTPException)


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass
class Truth:
    """What the driver knows: who answered when, for which numbers, and how many requests got no answer."""

    answers: list[tuple[int, float]] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)
    unanswered: int = 0
    killed: list[tuple[int, float]] = field(default_factory=list)

    @property
    def pids(self) -> set[int]:
        """The workers that answered."""
        return {pid for pid, _ in self.answers}

    def bounds(self, interval: float) -> tuple[int, int]:
        """Return the least and the most that can be counted where a killed worker loses its last ``interval``."""
        ends = dict(self.killed)
        lost = sum(at > ends[pid] - interval for pid, at in self.answers if pid in ends)
        return len(self.answers) - lost, len(self.answers) + self.unanswered


class Server:
    """Ask a gunicorn that runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        """Know where it listens."""
        self.process = process
        self.port = port
        self.log = log
        self.truth = Truth()
        self._lock = threading.Lock()

    def get(self, path: str) -> bytes:
        """Return the body of an answer with status 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, (path, answer.status, body)
        return body

    def predict(self, numbers: Iterable[int], threads: int = 4) -> None:
        """Have numbers classified, by several clients at a time; what a killed worker does not answer is counted."""
        self._share(numbers, threads, "/predict/%d", self.truth)

    def label(self, numbers: Iterable[int], threads: int = 4) -> Truth:
        """Have numbers labelled; return who answered."""
        truth = Truth()
        self._share(numbers, threads, "/truth/%d", truth)
        return truth

    def scrape(self) -> dict[str, float]:
        """Return the metrics that any of the workers shows, by name and labels but the least of these."""
        return metrics_of(self.get("/metrics/").decode())

    def shown(self) -> tuple[float, float]:
        """Return the calls and the labelled predictions that any of the workers shows."""
        found = self.scrape()
        return total(found, "modelmon_call_duration_seconds_count", 'model="digits"'), total(
            found, "modelmon_confusion_total", 'model="digits"'
        )

    def settled(self, calls: float, labelled: float, seconds: float = 15.0) -> tuple[float, float]:
        """Return what is shown as soon as it is what is expected, or in the end."""
        end = time.monotonic() + seconds
        while (now := self.shown()) != (calls, labelled) and time.monotonic() < end:
            time.sleep(0.1)
        return now

    def kill(self, pid: int) -> None:
        """Kill a worker without a word."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.truth.killed.append((pid, time.monotonic()))

    def workers(self) -> list[int]:
        """Return the workers that live."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def _share(self, numbers: Iterable[int], threads: int, path: str, truth: Truth) -> None:
        left = iter(list(numbers))

        def work() -> None:
            while True:
                with self._lock:
                    number = next(left, None)
                if number is None:
                    return
                try:
                    pid = json.loads(self.get(path % number))["pid"]
                except LOST:
                    with self._lock:
                        truth.unanswered += 1
                    time.sleep(0.02)
                    continue
                with self._lock:
                    truth.answers.append((pid, time.monotonic()))
                    truth.numbers.add(number)

        clients = [threading.Thread(target=work) for _ in range(threads)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()


def metrics_of(text: str) -> dict[str, float]:
    """Return the samples of a page of metrics."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def total(found: dict[str, float], name: str, label: str = "") -> float:
    """Return the sum over all samples of a name that bear a label."""
    return sum(value for key, value in found.items() if re.match(rf"{name}(\{{|$)", key) and label in key)


@contextmanager
def gunicorn(folder: Path, app: str, *options: str, workers: int = 4, **environment: str) -> Iterator[Server]:
    """Run gunicorn in a folder; at the end it is told to stop and must do so in time, without a complaint.

    Args:
        folder: for the machine's directory and the log.
        app: the application, such as ``make_flask``.
        options: of gunicorn.
        workers: how many.
        environment: variables.
    """
    port, log = free_port(), folder / "gunicorn.log"
    line = [sys.executable, "-W", "error:::modelmon", "-m", "gunicorn", f"served_apps:{app}()", *options]
    line += [
        "--no-control-socket",
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        str(workers),
        "--chdir",
        str(HERE),
        "--graceful-timeout",
        "10",
    ]
    variables = {**os.environ, "MODELMON_DIRECTORY": str(folder / "machine"), **environment}
    with log.open("wb") as said, subprocess.Popen(line, stdout=said, stderr=said, env=variables) as process:
        server = Server(process, port, log)
        try:
            _wait(server)
            yield server
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        finally:
            if process.poll() is None:
                for pid in server.workers():
                    server.kill(pid)
                process.kill()
                process.wait()
    text = log.read_text()
    assert "Traceback" not in text, text[-3000:]
    assert "modelmon" not in text, text[-3000:]


def _wait(server: Server) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        assert server.process.poll() is None, server.log.read_text()[-3000:]
        with suppress(*LOST):
            server.scrape()
            return
        time.sleep(0.1)
    raise AssertionError(server.log.read_text()[-3000:])
