"""The endpoint over TLS, against clients that mean well and clients that do not."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
import urllib.request
from contextlib import closing, contextmanager, suppress

import certificates
import pytest
from certificates import needs_openssl, trusting

from modelmon import Monitor
from modelmon.errors import ConfigurationError
from modelmon.exporters.encryption import Certificate
from modelmon.exporters.endpoint import CONNECTIONS, Endpoint
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.exporters.wire import Response

pytestmark = needs_openssl
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = bytes(range(256)) * 20_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Make one certificate and its key for all tests."""
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@contextmanager
def serving(files, body=BODY):
    """Run an encrypted endpoint on a free port."""
    refusals, failures = [], []
    endpoint = Endpoint(
        "127.0.0.1",
        0,
        respond=lambda requests: [Response(200, "text/plain", body)] * len(requests),
        failed=failures.append,
        refused=refusals.append,
        certificate=Certificate(*files),
    )
    endpoint.refusals, endpoint.failures = refusals, failures
    assert endpoint.start() is None
    try:
        yield endpoint
    finally:
        assert endpoint.stop(5)
        assert not failures


def connect(endpoint, context=None):
    """Open a connection, encrypted where a context is given."""
    plain = socket.create_connection(("127.0.0.1", endpoint.port), timeout=10)
    return closing(plain if context is None else context.wrap_socket(plain, server_hostname="127.0.0.1"))


def ask(endpoint, context, pause=0.0):
    """Send a request and return all that comes back, read in small pieces with pauses where asked for."""
    with connect(endpoint, context) as client:
        client.sendall(REQUEST)
        received = bytearray()
        while piece := client.recv(65_536):
            received += piece
            time.sleep(pause)
        return bytes(received)


def until(holds, timeout=5.0):
    """Wait until something holds."""
    limit = time.monotonic() + timeout
    while not holds() and time.monotonic() < limit:
        time.sleep(0.01)
    assert holds()


@pytest.mark.fault("Z13")
@pytest.mark.fault("Z13")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("pause", [0.0, 0.005], ids=["quick", "slow"])
def test_serves(files, version, pause):
    """Z13: a scrape over TLS gets every byte, read quickly or slowly, and a farewell."""
    context = trusting(files[0])
    context.maximum_version = context.minimum_version = version
    with serving(files) as endpoint:
        head, body = ask(endpoint, context, pause).split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == BODY
        until(lambda: not endpoint._clients)
        assert not endpoint.refusals


@pytest.mark.fault("Z13")
@pytest.mark.fault("Z13")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_refuses_old_versions(files):
    """Z13: TLS 1.1 is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with serving(files) as endpoint, pytest.raises(OSError, match=r"(?i)protocol|alert|unsupported|eof|reset"):
        ask(endpoint, context)


def test_plain_text_gets_nothing(files):
    """A request that is not encrypted is not answered, and disturbs nobody."""
    with serving(files) as endpoint:
        with connect(endpoint) as client:
            client.sendall(REQUEST)
            received = b""
            with suppress(ConnectionResetError):
                received = client.recv(100)
        assert b"HTTP" not in received
        assert ask(endpoint, trusting(files[0])).endswith(BODY)


@pytest.mark.fault("Z2")
@pytest.mark.fault("Z2")
def test_idle_clients_do_not_keep_a_scrape_out(files, monkeypatch):
    """Z2: beside 400 idle clients, some in the midst of a handshake, a scrape is quick and costs no thread."""
    monkeypatch.setattr("modelmon.exporters.clients.LIFETIME_S", 1.5)
    context = trusting(files[0])
    with serving(files, b"x" * 100_000) as endpoint:
        threads = set(threading.enumerate())
        idle = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(400)]
        for client in idle[::2]:
            client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # the beginning of a client's hello
        times = []
        for _ in range(20):  # the quickest of many, for a busy machine
            begin = time.monotonic()
            assert ask(endpoint, context).endswith(b"xxx")
            times.append(time.monotonic() - begin)
        assert min(times) < 0.1
        assert set(threading.enumerate()) <= threads
        assert len(endpoint._clients) <= CONNECTIONS
        until(lambda: not endpoint._clients)
        assert {"timeout", "crowded"} == set(endpoint.refusals)
        for client in idle:
            client.close()


def test_a_client_that_vanishes_in_its_handshake(files):
    """Connections that are reset before or amid the handshake leave nothing behind."""
    with serving(files) as endpoint:
        for data in (b"", b"\x16\x03\x01", b"\x16\x03\x01\x00\x05hello", os.urandom(500)):
            client = socket.create_connection(("127.0.0.1", endpoint.port))
            client.sendall(data)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.close()
        assert ask(endpoint, trusting(files[0])).endswith(BODY)
        until(lambda: not endpoint._clients)


def test_a_replaced_certificate_is_read_again(tmp_path, monkeypatch):
    """New connections get a certificate that was renewed; one that is half written leaves the old one in use."""
    monkeypatch.setattr("modelmon.exporters.encryption.LOOK_S", 0.0)
    certificate, key = certificates.make(tmp_path)
    old = trusting(certificate)
    with serving((certificate, key), b"x") as endpoint:
        assert ask(endpoint, old).endswith(b"x")
        renewed = certificates.make(tmp_path, "renewed")
        text = certificate.read_text()
        certificate.write_text(text[:100])
        assert ask(endpoint, old).endswith(b"x")
        renewed[1].replace(key)
        renewed[0].replace(certificate)
        assert ask(endpoint, trusting(certificate)).endswith(b"x")
        with pytest.raises(ssl.SSLError):
            ask(endpoint, old)


@pytest.mark.fault("Z13", "X10")
def test_what_cannot_be_used_is_said_at_once(files, tmp_path):
    """Missing files, keys of others, and keys with a passphrase are errors at set-up, and nobody is asked for it."""
    certificate, key = files
    with pytest.raises(ConfigurationError, match="certfile"):
        PrometheusExporter(0, certfile=tmp_path / "none.pem")
    with pytest.raises(ConfigurationError, match="certfile"):
        PrometheusExporter(0, certfile=certificate, keyfile=certificates.make(tmp_path, "other")[1])
    locked = certificates.make(tmp_path, "locked", passphrase="a passphrase")  # noqa: S106
    with pytest.raises(ConfigurationError, match="without a passphrase"):
        PrometheusExporter(0, certfile=locked[0], keyfile=locked[1])
    with pytest.raises(ConfigurationError, match="certfile="):
        PrometheusExporter(0, keyfile=key)
    with pytest.raises(ConfigurationError, match="port="):
        PrometheusExporter(certfile=certificate, keyfile=key)


def test_the_exporter_takes_both(files):
    """A certificate and a token go together."""
    monitor = Monitor()
    exporter = monitor.add(PrometheusExporter(0, certfile=files[0], keyfile=files[1], token="a token"))  # noqa: S106
    try:
        assert str(exporter._endpoint).startswith("https://127.0.0.1:")
        headers = {"Authorization": "Bearer a token"}
        request = urllib.request.Request(str(exporter._endpoint), headers=headers)  # noqa: S310  (loopback)
        with urllib.request.urlopen(request, timeout=5, context=trusting(files[0])) as answer:  # noqa: S310
            assert answer.status == 200
    finally:
        monitor.close()
