"""Pushing to a Pushgateway: the real one, and ones that answer badly or not at all."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing, contextmanager, suppress

import certificates
import pytest
from certificates import needs_openssl
from fake_sources import FakeSource
from prometheus_client import parser
from servers import needs
from small_worlds import WORLDS

from modelmon import Monitor, Multiclass, notices
from modelmon.errors import ConfigurationError
from modelmon.exporters import pushgateway as module
from modelmon.exporters.encryption import Certificate
from modelmon.exporters.endpoint import Endpoint
from modelmon.exporters.exposition import Exposition
from modelmon.exporters.posting import Answer, AnswerError, send, target_of
from modelmon.exporters.pushgateway import PushgatewayExporter
from modelmon.exporters.wire import Response

GATEWAY = "prometheus-pushgateway"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\n\r\n"


@pytest.fixture(autouse=True)
def fresh():
    """Have every notice said anew."""
    notices.forget()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """Run the real gateway and return its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    program = shutil.which(GATEWAY)
    assert program is not None, f"{GATEWAY} is not installed (apt install {GATEWAY})"
    folder = tmp_path_factory.mktemp("gateway")
    with folder.joinpath("log").open("wb") as log:
        line = [program, f"--web.listen-address={address}"]
        process = subprocess.Popen(line, stdout=log, stderr=log, cwd=folder)
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end and process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"http://{address}/-/ready", timeout=1):
                break
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def pushed(url, **labels):
    """Return what stands in the gateway under these labels, as {family: [(labels, value)]}."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:  # noqa: S310 - loopback
        text = answer.read().decode()
    return {
        family.name: found
        for family in parser.text_string_to_metric_families(text)
        if (found := [(s.labels, s.value) for s in family.samples if labels.items() <= s.labels.items()])
    }


@contextmanager
def stub(*answers, pause=0.0):
    """Run a gateway that gives these answers one after the other, piece by piece; None resets the connection."""
    requests, left = [], list(answers)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while left:
            answer = left.pop(0)
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with closing(client):
                requests.append(_request(client))
                if answer is None:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                    continue
                with suppress(OSError):
                    for piece in answer if isinstance(answer, list) else [answer]:
                        client.sendall(piece)
                        time.sleep(pause)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _request(client):
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65_536)
    return head, body


def push(exporter, world="binary"):
    """Push once and return what was counted."""
    source = FakeSource(WORLDS[world])
    exporter.attach(source)
    assert exporter.flush(60)
    exporter._source = None
    exporter._ticker.stop(0)
    return source


@needs(GATEWAY)
def test_the_real_gateway_takes_what_is_pushed(gateway):
    """Everything that a scrape would show stands in the gateway under job and grouping, and nothing failed."""
    exporter = PushgatewayExporter(gateway, "nightly/eu", grouping={"instance": "déjà vu", "empty": ""})
    source = push(exporter)
    assert not source.failures
    assert source.successes["pushgateway"] == 2
    found = pushed(gateway, job="nightly/eu", instance="déjà vu")
    assert sum(value for _, value in found["modelmon_calls"]) == 100
    assert [v for labels, v in found["modelmon_quality"] if labels["metric"] == "accuracy"] == [
        WORLDS["binary"]["fraud"].accuracy
    ]
    assert "modelmon_call_duration_seconds" in found
    assert repr(exporter).startswith("<PushgatewayExporter http://127.0.0.1:")


@needs(GATEWAY)
def test_attributes_that_are_called_like_the_labels_of_a_push(gateway):
    """They are pushed with a prefix, each under a name of its own, and a scrape shows them as they are."""
    own = Monitor()

    @own(model="m", task=Multiclass(), id="x", attributes=("job", "attr_job", "instance", "team"))
    def predict(x, job, attr_job, instance, team):
        return x % 2

    for x in range(12):
        predict(x, f"j{x % 2}", f"a{x % 3}", f"i{x % 2}", "t")
    own.labels(range(12), [0] * 12)
    source = FakeSource(own.snapshot())
    for grouping in ({}, {"instance": "host-1", "attr_instance": "x"}):
        exporter = PushgatewayExporter(gateway, "like", grouping=grouping)
        exporter.attach(source)
        assert exporter.flush(60)
        exporter.close(10)
        assert not source.failures
        found = [
            (labels, value) for labels, value in pushed(gateway, job="like", **grouping)["modelmon_calls"] if value
        ]
        assert {labels["attr_attr_job"] for labels, _ in found} == {"j0", "j1"}
        assert {labels["attr_job"] for labels, _ in found} == {"a0", "a1", "a2"}
        assert {labels["attr_attr_instance" if grouping else "instance"] for labels, _ in found} == {"i0", "i1"}
        assert {labels["team"] for labels, _ in found} == {"t"}
        assert sum(value for _, value in found) == 12
    scraped = Exposition().render(own.snapshot().points()).decode()
    assert 'job="j0"' in scraped
    assert "attr_attr" not in scraped


@needs(GATEWAY)
def test_a_push_replaces_the_one_before(gateway):
    """Pushing twice changes nothing, and a push of something else leaves nothing of the one before."""
    exporter = PushgatewayExporter(gateway, "replaced")
    push(exporter)
    once = pushed(gateway, job="replaced")
    push(exporter)
    assert {k: v for k, v in pushed(gateway, job="replaced").items() if "push" not in k} == {
        k: v for k, v in once.items() if "push" not in k
    }
    push(PushgatewayExporter(gateway, "replaced"), "regression")
    assert "modelmon_confusion" not in pushed(gateway, job="replaced")


JOB = """
import sys
from modelmon import Monitor
from modelmon.exporters.pushgateway import PushgatewayExporter
own = Monitor()
own.add(PushgatewayExporter(sys.argv[1], "short"))
@own(model="m", id="x")
def predict(x): return x % 2
for x in range(10): predict(x)
own.labels(range(10), [0, 1] * 5)
"""


@needs(GATEWAY)
def test_a_short_job_leaves_its_numbers_behind(gateway):
    """A program that just ends has pushed all it counted."""
    subprocess.run([sys.executable, "-c", JOB, gateway], check=True, timeout=60)
    found = pushed(gateway, job="short")
    assert sum(value for _, value in found["modelmon_calls"]) == 10
    assert [v for labels, v in found["modelmon_quality"] if labels["metric"] == "accuracy"] == [1.0]


@pytest.mark.fault("X4")
@pytest.mark.parametrize(
    ("answers", "tries", "reason"),
    [
        ([BUSY % 0, OK], 2, None),
        ([None, OK], 2, None),
        ([BUSY % 0, BUSY % 0], 2, "503"),
        ([BUSY % 3600], 1, "503"),
        ([b"HTTP/1.1 429 Too Many Requests\r\n\r\n", OK], 2, None),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], 1, "400"),
        ([b"HTTP/1.1 413 Content Too Large\r\n\r\n"], 1, "413"),
        ([b"HTTP/1.1 500 Internal Server Error\r\n\r\n"], 1, "500"),
        ([b"HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:9/elsewhere\r\n\r\n"], 1, "307"),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK], 1, None),
        ([b"HTTP/1.1 200"], 1, "AnswerError"),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], 1, "AnswerError"),
        ([b"x" * 100_000], 1, "AnswerError"),
        ([None, None], 2, "ConnectionResetError"),
    ],
    ids="busy reset busy-twice busy-long many bad large broken moved hints cut other endless reset-twice".split(),
)
def test_answers_of_a_gateway(answers, tries, reason, monkeypatch, caplog):
    """X4: a busy or broken gateway is tried once more, anything else once; what failed is counted and said once."""
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    with stub(*answers) as (url, requests), caplog.at_level(logging.WARNING, "modelmon"):
        source = push(PushgatewayExporter(url, "job"))
    assert len(requests) == tries
    assert source.failures == ({("pushgateway", reason): 1} if reason else {})
    assert len(caplog.records) == (reason is not None)
    assert all(head.startswith(b"PUT /metrics/job/job HTTP/1.1\r\n") for head, _ in requests)
    assert all(b"modelmon_calls_total" in body for _, body in requests)


@pytest.mark.fault("X4")
def test_a_gateway_that_answers_byte_by_byte(monkeypatch):
    """X4: one deadline holds for the whole of a push, so an answer that dribbles in is given up."""
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    with stub([b"H"] * 100, pause=0.02) as (url, requests):
        source = push(PushgatewayExporter(url, "job"))
    assert source.failures == {("pushgateway", "TimeoutError"): 1}
    assert len(requests) == 1


@pytest.mark.fault("X4")
def test_a_gateway_that_is_not_there(monkeypatch):
    """X4: where nobody listens, that is counted."""
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    source = push(PushgatewayExporter(f"http://127.0.0.1:{port}", "job"))
    assert source.failures == {("pushgateway", "ConnectionRefusedError"): 1}


def test_credentials_are_sent_and_shown_nowhere():
    """Login and token are sent as such, and are in no repr."""
    canary = "canary-7f3a91"
    for settings, expected in (
        ({"login": ("ann", canary)}, b"Basic YW5uOmNhbmFyeS03ZjNhOTE="),
        ({"token": canary}, b"Bearer canary"),
    ):
        with stub(OK) as (url, requests):
            exporter = PushgatewayExporter(url, "job", **settings)
            assert not push(exporter).failures
        assert b"Authorization: " + expected in requests[0][0]
        assert canary not in repr(exporter) + str(exporter.target)


@needs_openssl
@pytest.mark.fault("Z13")
def test_over_tls(tmp_path):
    """Z13: over TLS a push goes to whom the certificate vouches for, and to nobody else."""
    certificate, key = certificates.make(tmp_path)
    seen = []

    def respond(requests):
        seen.extend(requests)
        return [Response(200, "text/plain", b"")] * len(requests)

    endpoint = Endpoint("127.0.0.1", 0, respond=respond, failed=str, certificate=Certificate(certificate, key))
    endpoint.start()
    try:
        target = target_of(f"https://127.0.0.1:{endpoint.port}", cafile=certificate)
        assert send(target, "GET", "/metrics", b"", {}, timeout=5) == Answer(200)
        source = push(PushgatewayExporter(f"https://127.0.0.1:{endpoint.port}", "job"))
        assert source.failures == {("pushgateway", "SSLCertVerificationError"): 1}
    finally:
        endpoint.stop(5)
    assert len(seen) == 1


@pytest.mark.fault("X10")
@pytest.mark.parametrize(
    ("url", "settings", "message"),
    [
        ("ftp://127.0.0.1", {}, "address"),
        ("127.0.0.1:9091", {}, "address"),
        ("http://127.0.0.1:99999", {}, "address"),
        ("http://127.0.0.1/?a=1", {}, "address"),
        ("http://127.0.0.1/\r\nX: y", {}, "address"),
        ("http://ann:canary@127.0.0.1", {}, "login="),
        ("http://127.0.0.1", {"grouping": {"job": "x"}}, "grouping"),
        ("http://127.0.0.1", {"grouping": {"1": "x"}}, "grouping"),
        ("http://127.0.0.1", {"grouping": {"model": "x"}}, "label of the numbers"),
        ("http://192.0.2.1", {"token": "x"}, "insecure=True"),
        ("http://127.0.0.1", {"token": "x\r\ny"}, "printable"),
        ("http://127.0.0.1", {"token": "x", "login": ("a", "b")}, "not both"),
        ("https://127.0.0.1", {"cafile": "none.pem"}, "cafile"),
        ("http://127.0.0.1", {"every": 0}, "every"),
    ],
)
def test_what_cannot_work_is_said_at_once(url, settings, message):
    """X10: settings that cannot work are errors at set-up, and the message shows no secret."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        PushgatewayExporter(url, "job", **settings)
    assert "canary" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="job"):
        PushgatewayExporter("http://127.0.0.1", "")


def test_addresses():
    """Addresses are read and shown as they are meant."""
    assert str(target_of("http://[::1]:9091/base/")) == "http://[::1]:9091/base"
    assert str(target_of("http://gateway")) == "http://gateway"
    assert issubclass(AnswerError, OSError)


@pytest.mark.fault("F5")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_pushes_nothing(monkeypatch):
    """F5: a child neither starts a thread nor pushes, which is counted, and its parent's push stands."""
    with stub(OK, OK) as (url, requests):
        exporter, source = PushgatewayExporter(url, "job"), FakeSource(WORLDS["binary"])
        exporter.attach(source)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        exporter.attach(source)
        assert exporter.flush(60)
        assert source.failures == {("pushgateway", "forked"): 1}
        assert not requests
        monkeypatch.undo()
        exporter.close(5)
        assert len(requests) == 1
