"""Ports that are taken, and those that become free."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest
from fake_sources import FakeSource

from modelmon import notices
from modelmon.errors import ConfigurationError
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.snapshot import Snapshot


@contextmanager
def taken():
    """Listen on a free port and yield it."""
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@contextmanager
def added(exporter, **how):
    """Attach an exporter to a fake source."""
    notices.forget()
    source = FakeSource(Snapshot(), **how)
    exporter.attach(source)
    try:
        yield source
    finally:
        exporter.close(5)


@pytest.mark.fault("X16")
@pytest.mark.fault("X16")
def test_the_first_free_port_is_taken():
    """X16: of several ports the first that is free is taken, and nothing is counted."""
    with taken() as port, taken() as other, added(exporter := PrometheusExporter(port=(port, other, 0))) as source:
        assert exporter.port not in {None, 0, port, other}
        assert not source.failures


@pytest.mark.fault("X16")
def test_workers_share_a_range():
    """Two exporters over the same ports get one each."""
    with taken() as port:
        pass
    ports = range(port, min(port + 10, 65_536))
    with added(first := PrometheusExporter(port=ports)), added(second := PrometheusExporter(port=ports)):
        assert {first.port, second.port} <= set(ports)
        assert first.port != second.port


@pytest.mark.fault("X16")
@pytest.mark.fault("X16")
def test_no_port_of_several(caplog):
    """X16: where none is free that is counted and said once, and the process goes on."""
    with taken() as port, taken() as other, caplog.at_level(logging.WARNING, "modelmon"):
        with added(exporter := PrometheusExporter(port=(port, other))) as source:
            assert exporter.port is None
            assert source.failures == {("prometheus", "bind_failed"): 1}
            assert len(caplog.records) == 1
            assert "tried again" in caplog.text
        with pytest.raises(OSError, match="in use"), added(PrometheusExporter(port=(port, other)), strict=True):
            pass


@pytest.mark.fault("X16")
@pytest.mark.fault("X16")
def test_a_port_that_becomes_free_is_taken(monkeypatch):
    """X16: whoever held the port may end; then it is taken by the thread that was there all along."""
    monkeypatch.setattr("modelmon.exporters.endpoint.RETRY_S", 0.02)
    with taken() as port:
        exporter = PrometheusExporter(port=port)
        attached = added(exporter)
        source = attached.__enter__()
        threads = set(threading.enumerate())
        assert exporter.port is None
    try:
        limit = time.monotonic() + 60
        while exporter.port is None and time.monotonic() < limit:
            time.sleep(0.01)
        assert exporter.port == port
        assert set(threading.enumerate()) <= threads
        with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert source.failures == {("prometheus", "bind_failed"): 1}
    finally:
        attached.__exit__(None, None, None)


def test_waiting_for_a_port_ends_at_once():
    """Closing while the port is waited for takes no time."""
    with taken() as port, added(PrometheusExporter(port=port)):
        begin = time.monotonic()
    assert time.monotonic() - begin < 1.0


@pytest.mark.fault("X10")
@pytest.mark.parametrize("ports", [(), (0, "9464"), (1, -1), (True,), "9464", 1.5])
def test_what_is_no_port(ports):
    """Sequences without ports, or with something else among them, are errors at once."""
    with pytest.raises(ConfigurationError, match="port"):
        PrometheusExporter(port=ports)
