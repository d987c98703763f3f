"""Posting alerts over HTTP: where it leads, and how long it takes at most."""

from __future__ import annotations

import ssl
import time

import certificates
import pytest
from alert_receivers import alert, server
from alert_receivers import http as answered

from modelmon.alerting import Alertmanager, Refused, Webhook, posting
from modelmon.alerting.posting import Unanswered
from modelmon.errors import ConfigurationError


def test_a_webhook_gets_the_alert_as_a_document():
    """It is the alert's own document, in the fixed form, with the headers that were asked for."""
    with server(answered(200)) as received:
        Webhook(f"http://127.0.0.1:{received.port}/hook?team=a", headers={"Authorization": "Bearer secret"})(alert())
    assert received.lines == ["POST /hook?team=a HTTP/1.1"]
    assert received.documents == [alert().to_dict()]
    assert received.headers[0]["Authorization"] == "Bearer secret"
    assert received.headers[0]["Content-Type"] == "application/json"


@pytest.mark.fault("Z18")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "http://127.0.0.1:{}/"]
)
def test_no_redirect_is_followed(status, target):
    """An answer that leads elsewhere is refused for good, and nobody else is asked."""
    with server(answered(200)) as elsewhere:
        answer = answered(status, f"Location: {target.format(elsewhere.port)}\r\n")
        with server(answer) as received, pytest.raises(Refused, match="redirected"):
            Webhook(f"http://127.0.0.1:{received.port}/")(alert())
    assert len(received.lines) == 1
    assert not elsewhere.lines


@pytest.mark.fault("Z18")
@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "ftp://example.com/x",
        "gopher://example.com/",
        "//example.com/x",
        "example.com",
        "http://",
        "http://user:pass@example.com/",
        "http://example.com:99999/",
        "http://example.com/ x",
        "http://example.com/\x7f",
        "http://example.com/é",
        "",
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("notifier", [Webhook, Alertmanager])
def test_only_addresses_of_http_are_taken(notifier, address):
    """Any other scheme, passwords and odd characters are refused at the line that sets it up, and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        notifier(address)
    assert "pass@" not in str(caught.value)


@pytest.mark.fault("Z18")
@pytest.mark.parametrize(
    "headers", [{"A": "b\r\nHost: evil"}, {"A b": "c"}, {"Host": "evil"}, {"content-length": "3"}, {"A": "é"}, {"A": 1}]
)
def test_headers_are_one_line_each(headers):
    """None can smuggle in a second header, or replace one of ours."""
    with pytest.raises(ConfigurationError):
        Webhook("http://example.com/", headers=headers)


@pytest.mark.fault("Z18")
def test_names_cannot_leave_their_place_in_the_document():
    """Braces, quotes and line breaks of a model's name are text there, and never part of the address."""
    name = '"}{{.Secret}}${jndi:x}\r\nHost: evil\x00'
    with server(answered(200)) as received:
        Webhook(f"http://127.0.0.1:{received.port}/hook")(alert(model=name))
    assert received.lines == ["POST /hook HTTP/1.1"]
    assert received.headers[0]["Host"] == f"127.0.0.1:{received.port}"
    assert received.documents[0]["model"].startswith('"}{{.Secret}}')


def drip(connection):
    """Send a good answer, but one byte of it at a time, for longer than anybody waits."""
    for _ in range(1000):
        connection.sendall(b"H")
        time.sleep(0.02)


@pytest.mark.fault("Z18")
def test_a_slow_answer_is_not_waited_for(monkeypatch):
    """The time is that of the whole exchange, not of each byte of it."""
    monkeypatch.setattr(posting, "TIMEOUT_S", 0.2)
    with server(drip) as received, pytest.raises(TimeoutError):
        Webhook(f"http://127.0.0.1:{received.port}/")(alert())


def test_three_seconds_are_the_most():
    """That is what the documentation says."""
    assert posting.TIMEOUT_S == 3.0


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(status):
    """A busy or broken receiver has not refused anything."""
    with server(answered(status)) as received, pytest.raises(Unanswered, match=str(status)):
        Webhook(f"http://127.0.0.1:{received.port}/")(alert())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_what_will_not_pass_is_refused(status):
    """Sending it again would not help, and the reason is the status."""
    with server(answered(status)) as received, pytest.raises(Refused, match=str(status)):
        Webhook(f"http://127.0.0.1:{received.port}/")(alert())


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n", b"HTTP/2 200\r\n", b"x" * 10_000], ids=["empty", "text", "http2", "endless"]
)
def test_nonsense_is_no_answer(answer):
    """Whatever is not HTTP says nothing of whether it was taken."""
    with server(answer) as received, pytest.raises(OSError):  # noqa: PT011
        Webhook(f"http://127.0.0.1:{received.port}/")(alert())


def test_nobody_there_is_an_error_of_the_system():
    """A port that nobody listens on is tried again later."""
    with server(answered(200)) as received:
        pass
    with pytest.raises(OSError, match="refused"):
        Webhook(f"http://127.0.0.1:{received.port}/")(alert())


@certificates.needs_openssl
def test_certificates_are_verified(tmp_path):
    """One that nobody vouches for is refused, and one that the given context trusts is taken."""
    certificate, key = certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with server(answered(200), wrap=lambda plain: context.wrap_socket(plain, server_side=True)) as received:
        address = f"https://127.0.0.1:{received.port}/"
        with pytest.raises(ssl.SSLCertVerificationError):
            Webhook(address)(alert())
        Webhook(address, cafile=certificate)(alert())
    assert len(received.documents) == 1


def test_alertmanager_gets_what_its_api_takes():
    """Labels hold no numbers that change, what ended says so, and what is pending is no alarm."""
    with server(answered(200)) as received:
        manager = Alertmanager(f"http://127.0.0.1:{received.port}/prefix/", labels={"team": "risk"}, keep=50)
        manager(alert("pending"))
        manager(alert("firing"))
        manager(alert("resolved", burn=None))
        manager.refresh([alert("firing"), alert("firing", model="other")])
    assert received.lines == ["POST /prefix/api/v2/alerts HTTP/1.1"] * 3
    (fired,), (ended,), again = received.documents
    labels = {"alertname": "misses", "severity": "warning", "model": "fraud", "version": "1", "team": "risk"}
    assert fired["labels"] == ended["labels"] == again[0]["labels"] == labels
    assert again[1]["labels"]["model"] == "other"
    assert fired["annotations"]["description"] == "Look at the features."
    assert fired["startsAt"] < fired["endsAt"]
    assert ended["startsAt"] < ended["endsAt"] < fired["endsAt"]
    assert manager.every == 10


def test_what_may_be_secret_is_not_shown():
    """The path of a hook is often its password."""
    assert repr(Webhook("https://hooks.example.com/T0/B0/secret")) == "<Webhook https://hooks.example.com>"
    assert "secret" not in repr(Alertmanager("https://a.example.com/secret"))


@pytest.mark.parametrize(
    ("make", "given", "said"),
    [
        (Webhook, {"headers": "Authorization: x"}, "headers= must be a mapping"),
        (Webhook, {"headers": {1: "x"}}, "one line of printable"),
        (Alertmanager, {"labels": "team"}, "labels='team' must be a mapping"),
    ],
)
def test_what_is_no_mapping_is_refused(make, given, said):
    """The message shows what is wanted."""
    with pytest.raises(ConfigurationError, match=said):
        make("http://127.0.0.1:1", **given)


@pytest.mark.parametrize("path", ["", "/", "/api/v2/alerts", "/api/v2/alerts/"])
def test_the_path_of_the_api_is_added_where_it_is_missing(path):
    """The whole address, as its documentation shows it, is taken too."""
    with server(answered(200)) as received:
        Alertmanager(f"http://127.0.0.1:{received.port}{path}")(alert())
    assert received.lines == ["POST /api/v2/alerts HTTP/1.1"]
