"""A real Prometheus as a process on loopback, for tests and for programs that run apart from them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_S = 30.0


@contextmanager
def running(folder: Path, config: str, data: Path, *options: str) -> Iterator[int]:
    """Run a server that keeps its data there, and give its port once it is ready; its log is in the folder.

    Raises:
        RuntimeError: when it does not start, with what it logged.
    """
    folder.joinpath("prometheus.yml").write_text(config)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = shutil.which("prometheus")
    assert program is not None, "prometheus is not installed (apt install prometheus)"
    line = [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={data}", "--log.level=warn"]
    line += [f"--web.listen-address=127.0.0.1:{port}", *options]
    with folder.joinpath("log").open("wb") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log, cwd=folder)
    try:
        _await(process, port, folder)
        yield port
    finally:
        process.kill()  # its data is thrown away, so it need not write it down first
        process.wait()


def _await(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1):
                return
        except OSError:  # noqa: PERF203 - not up yet
            time.sleep(0.1)
    message = f"prometheus did not start: {folder.joinpath('log').read_text()}"
    raise RuntimeError(message)
