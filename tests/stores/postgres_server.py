"""A real PostgreSQL server of a test's own, on loopback, in a temporary directory, with a password."""

from __future__ import annotations

import os
import pwd
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

PASSWORD = "s3cret-of-the-tests"  # noqa: S105  (of a server that lives as long as a test)
_SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
max_connections = 300
shared_buffers = '64MB'
max_wal_size = '1GB'
autovacuum_naptime = '5s'
"""


def binaries() -> Path | None:
    """Return the folder of initdb and postgres, or None where they are not installed."""
    found = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if versions:
        return versions[-1].parent
    return None if found is None else Path(found).resolve().parent


def need_postgres() -> Path:
    """Return the folder of the server's programs; skip the test where there is none, but fail it in CI."""
    folder = binaries()
    if folder is None:
        message = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder


def _user() -> str | None:
    """Return whom to run the server as: it refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class PostgresServer:
    """Run one server; `url` is where it listens."""

    def __init__(self, directory: Path, folder: Path) -> None:
        """Make an empty database cluster in a directory that the server's user owns."""
        self.directory, self.folder, self.port = directory, folder, free_port()
        self._user = _user()
        self._process: subprocess.Popen[bytes] | None = None
        secret = directory / "password"
        secret.write_text(PASSWORD)
        if self._user is not None:
            for path in (directory, secret):
                shutil.chown(path, self._user)
        authority = ("-U", "tester", "-A", "scram-sha-256", "--pwfile", secret)
        done = subprocess.run(
            [folder / "initdb", "-D", directory / "data", *authority, "-E", "UTF8", "--no-locale", "--no-sync"],
            user=self._user,
            cwd=directory,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        with (directory / "data" / "postgresql.conf").open("a") as file:
            file.write(f"{_SETTINGS}port = {self.port}\nunix_socket_directories = '{directory}'\n")

    @property
    def url(self) -> str:
        """Return the address, with its password."""
        return f"postgresql://tester:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> str:
        """Return what the server logged."""
        return (self.directory / "log").read_text("utf-8", "replace")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.folder / "postgres", "-D", self.directory / "data"],
                user=self._user,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ends = time.monotonic() + 60.0
        while not self._answers():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < ends, self.log
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its sessions in order, SIGQUIT at once, as a crash does."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(60)

    def kill(self) -> None:
        """Have the server crash; what it confirmed is in its log."""
        self.stop(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop the server in order and start it again."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        ready = [self.folder / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Run a server for a block; skip the test where PostgreSQL is not installed, but fail it in CI."""
    folder = need_postgres()
    directory = Path(tempfile.mkdtemp(prefix="modelmon-pg-", dir="/tmp"))
    try:
        server = PostgresServer(directory, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server for a block and give its URL."""
    with postgres() as server:
        yield server.url
