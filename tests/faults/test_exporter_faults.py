"""Exporters of whole programs whose collectors, logs and values misbehave; rows X of the catalogue of faults."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from faulty_hosts import until

from modelmon import Monitor, notices
from modelmon.exporters.log import LogExporter
from modelmon.readers import every
from modelmon.snapshot import Snapshot
from modelmon.testing import FakeClock

_PAGE = 4096


def resident() -> int:
    """Return the bytes of memory that this process holds; skip where that cannot be asked."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE
    except OSError:
        pytest.skip("this system does not tell how much memory a process holds")


class Collector:
    """A collector that is sent whole snapshots by TCP and keeps what it got; it may be away, or answer too late."""

    def __init__(self) -> None:
        """Take a port; nothing listens yet."""
        self.held = Snapshot()
        self.got, self.late = 0, 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._listener: socket.socket | None = None

    def up(self) -> None:
        """Begin to listen."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse from now on."""
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as sent:
                self.held = self.held.merge(Snapshot.from_json(sent.read().decode()))
                self.got += 1
                if self.late:
                    self.late -= 1
                    time.sleep(0.3)
                peer.sendall(b"ok")

    def send(self, snapshot: Snapshot) -> None:
        """Send a snapshot as a user's function would, and send it again where the answer was late."""
        try:
            self._send(snapshot, patience=0.1)
        except TimeoutError:
            self._send(snapshot, patience=20)

    def _send(self, snapshot: Snapshot, patience: float) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as peer:
            peer.sendall(snapshot.to_json().encode())
            peer.shutdown(socket.SHUT_WR)
            assert peer.recv(2) == b"ok"


@pytest.fixture
def collector() -> Any:
    """Return a collector that is up."""
    made = Collector()
    made.up()
    yield made
    made.down()


def watched(own: Monitor) -> Any:
    """Return a watched function."""
    return own(model="m", version="1")(lambda x: x % 3)


@pytest.mark.fault("X2")
def test_an_exporter_ten_times_slower_than_its_period() -> None:
    """Periods that pass meanwhile are left out, nothing queues up, and what it gets next is all there is."""
    own, seen = Monitor(), []
    predict = watched(own)

    def slow(snapshot: Snapshot) -> None:
        seen.append(snapshot["m"].calls if "m" in snapshot else 0)
        time.sleep(0.2)

    before = set(threading.enumerate())
    own.add(every(0.02, slow))
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        predict(1)
        time.sleep(0.001)
    assert len(set(threading.enumerate()) - before) == 1
    calls = own.snapshot()["m"].calls
    own.close()
    assert len(seen) <= 8
    assert seen == sorted(seen)
    assert seen[-1] == calls


@pytest.mark.fault("X3")
def test_a_collector_that_is_away_for_an_hour(collector: Collector) -> None:
    """Nothing is kept for it meanwhile, failures are counted, and the first report afterwards tells everything."""
    notices.forget()
    clock = FakeClock(1e9)
    own = Monitor(clock=clock)
    predict = watched(own)
    reader = own.add(every("1h", collector.send))
    predict(0)
    assert reader.flush(60)
    collector.down()
    for _ in range(2):
        predict(1)
    reader.flush(5)
    before = resident()
    for _ in range(360):
        clock.advance(10)
        for x in range(100):
            predict(x)
        reader.flush(5)
    grown = resident() - before
    assert collector.got == 1
    collector.up()
    assert reader.flush(60)
    until(lambda: collector.got == 2, "the report arrives")
    assert collector.held["m"].calls == 36_003
    assert collector.held["m"].predicted == own.snapshot()["m"].predicted
    failures = [p for p in own.snapshot().points() if p.name == "modelmon.exporter.failures"]
    assert sum(point.value for point in failures) == 361
    assert grown < 5 << 20
    own.close()


@pytest.mark.fault("X5")
def test_a_report_that_arrives_twice(collector: Collector) -> None:
    """A collector that took a report and answered too late gets it again, and its sums stay exact."""
    own = Monitor()
    predict = watched(own)
    reader = own.add(every("1h", collector.send))
    for round_ in range(1, 4):
        for x in range(100):
            predict(x)
        collector.late = 1
        assert reader.flush(60)
        until(lambda: not collector.late, "the late answer")
        assert collector.held["m"].calls == 100 * round_
    own.close()
    until(lambda: collector.got == 7, "three reports twice, and the last")
    assert collector.held["m"].calls == 300


def full() -> Any:
    """Return a stream onto a disk that is always full."""
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("this system has no /dev/full")
    return open("/dev/full", "w", buffering=1, encoding="utf-8")  # noqa: PTH123


def closed() -> Any:
    """Return a stream that is closed."""
    stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    stream.close()
    return stream


def broken() -> Any:
    """Return a pipe whose reader is gone."""
    read, write = os.pipe()
    os.close(read)
    return open(write, "w", buffering=1, encoding="utf-8")  # noqa: PTH123


@pytest.mark.fault("X7")
@pytest.mark.parametrize("make", [full, closed, broken])
def test_a_log_that_cannot_be_written(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls return what they would, exports go on, and the application's handlers and levels stay as they were."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    stream = make()
    logger, handler = logging.getLogger("modelmon.test_full"), logging.StreamHandler(stream)
    logger.setLevel(logging.INFO)
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [handler])
    root = list(logging.getLogger().handlers), logging.getLogger().level
    own = Monitor()
    predict, reader = watched(own), own.add(LogExporter(3600, logger.name))
    for x in range(10):
        assert predict(x) == x % 3
        assert reader.flush(60)
    own.close()
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == root
    assert logger.handlers == [handler]
    assert own.snapshot()["m"].calls == 10
    try:
        stream.close()
    except OSError:
        os.close(stream.fileno()) if not stream.closed else None


@pytest.mark.fault("X7")
@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be moved there")
def test_a_log_that_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is moved away is written on by handlers that look for that, and no record is lost or cut."""
    from logging.handlers import WatchedFileHandler  # noqa: PLC0415

    path = tmp_path / "app.log"
    logger, handler = logging.getLogger("modelmon.test_rotated"), WatchedFileHandler(path)
    logger.setLevel(logging.INFO)
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [handler])
    own = Monitor()
    predict, reader = watched(own), own.add(LogExporter(3600, logger.name))
    for number in range(4):
        predict(1)
        assert reader.flush(60)
        if number % 2:
            path.rename(tmp_path / f"app.log.{number}")
    own.close()
    handler.close()
    lines = [line for file in sorted(tmp_path.iterdir()) for line in file.read_text().splitlines()]
    assert len(lines) == 5
    assert all(line.startswith("m 1: ") for line in lines)
