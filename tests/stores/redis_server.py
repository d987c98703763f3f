"""A real Redis (or Valkey) server on loopback for tests: ``with redis_server() as server: ... server.url``."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 20.0


class Server:
    """Run one server in a directory; it may be killed, stopped and started again."""

    def __init__(self, binary: str, directory: Path, port: int, settings: tuple[str, ...]) -> None:
        """Say what to run, without running it."""
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self.directory = directory
        self._command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory), *settings]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Run the server and wait until it answers."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                pytest.fail((self.directory / "log").read_text("utf-8", "replace")[-2000:])
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill the server at once, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Have the server write its files and end."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill the server, if it runs, and start it again on the same files."""
        self.kill()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(PATIENCE_S)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.5) as connection:
                connection.settimeout(0.5)
                connection.sendall(b"PING\r\n")
                reply = connection.recv(64)
        except OSError:
            return False
        return reply.startswith((b"+PONG", b"-NOAUTH"))


def redis_binary() -> str:
    """Return the server's program: ``MODELMON_REDIS_SERVER``, redis-server or valkey-server.

    Skips the test where there is none, and fails it under CI.
    """
    named = os.environ.get("MODELMON_REDIS_SERVER")
    found = shutil.which(named) if named else shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        message = "needs redis-server or valkey-server on the path"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server(*settings: str, appendonly: bool = False, port: int | None = None) -> Iterator[Server]:
    """Run a server on loopback in a temporary directory.

    Args:
        settings: further arguments of the program, as ``"--requirepass", "secret"``.
        appendonly: write every command to disk before it is answered, so that a kill loses nothing.
        port: where to listen; a free one by default.
    """
    binary = redis_binary()
    files = ("--appendonly", "yes", "--appendfsync", "always") if appendonly else ("--appendonly", "no")
    with tempfile.TemporaryDirectory(prefix="redis") as directory:
        server = Server(binary, Path(directory), port or free_port(), ("--save", "", *files, *settings))
        server.start()
        try:
            yield server
        finally:
            server.kill()
