"""Tests of who may come in: tokens by source, tries by address, and nothing read of those without."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest
from services import JSON, TOKEN, empty_client, served

from modelmon import ConfigurationError
from modelmon.serving import label_app
from modelmon.serving.application import store_app
from modelmon.serving.throttle import BURST, Throttle
from modelmon.serving.tokens import Tokens

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "fedcba9876543210fedc"


@pytest.mark.fault("Z4")
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer schlüssel",
        "Bearer " + "x" * 4000,
    ],
    ids=["none", "empty", "scheme", "space", "short", "long", "basic", "bare", "umlaut", "huge"],
)
def test_wrong_tokens(header: str | None) -> None:
    """Anything but the token is 401, says how to show one, and ends the connection."""
    with served(label_app(empty_client(), token=TOKEN)) as service:
        headers = JSON if header is None else {**JSON, "Authorization": header.encode("utf-8").decode("latin-1")}
        answer = service.ask("POST", "/v1/labels", b"[]", **headers)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.headers["connection"] == "close"
        assert service.ask("POST", "/v1/labels", b"[]", **JSON, Authorization=f"bearer {TOKEN}").status == 200


@pytest.mark.fault("Z4")
def test_body_of_strangers_is_not_read() -> None:
    """The answer comes before the body, and the connection ends instead of taking a gigabyte in."""
    head = b"POST /v1/labels HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n"
    with (
        served(label_app(empty_client(), token=TOKEN)) as service,
        socket.create_connection(("127.0.0.1", service.port), 5) as connection,
        connection.makefile("rb") as answer,
    ):
        connection.sendall(head)
        assert answer.read().startswith(b"HTTP/1.1 401")  # to its end, which comes without a byte of the body


@pytest.mark.fault("Z4")
def test_body_is_never_asked_for() -> None:
    """The application answers a stranger without receiving anything, and a body too long by its own word as well."""
    import asyncio  # noqa: PLC0415

    app = label_app(empty_client(), token=TOKEN)
    sent: list[dict] = []

    async def receive():
        raise AssertionError

    async def send(message):
        sent.append(message)

    def ask(*headers: tuple[bytes, bytes]) -> int:
        sent.clear()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/labels",
            "query_string": b"",
            "headers": headers,
            "client": ("10.0.0.1", 1),
        }
        asyncio.run(app(scope, receive, send))
        return sent[0]["status"]

    kind, token = (b"content-type", b"application/json"), (b"authorization", f"Bearer {TOKEN}".encode())
    assert ask(kind) == 401
    assert ask(kind, token, (b"content-length", b"9" * 5000)) == 413
    assert ask(kind, token, (b"content-length", b"-1")) == 413


@pytest.mark.fault("Z4")
def test_tries_are_limited() -> None:
    """A hundred wrong tokens get a few refusals and then 429; the right one gets in all the while."""
    with served(label_app(empty_client(), token=TOKEN)) as service:
        found = [service.ask("POST", "/v1/labels", b"[]", Authorization="Bearer x").status for _ in range(100)]
        assert found[:BURST] == [401] * BURST
        assert found.count(429) >= 75
        right = {"Authorization": f"Bearer {TOKEN}", **JSON}
        assert service.ask("POST", "/v1/labels", b"[]", **right).status == 200
        answer = service.ask("POST", "/v1/labels", b"[]", Authorization="Bearer x")
        assert (answer.status, answer.headers["connection"]) == (429, "close")
        time.sleep(int(answer.headers["retry-after"]) + 0.1)
        assert service.ask("POST", "/v1/labels", b"[]", Authorization="Bearer x").status == 401


@pytest.mark.fault("Z4")
def test_throttle_is_bounded_and_forgets() -> None:
    """Addresses count by themselves, of IPv6 by network; failures wear off; no flood of addresses fills the memory."""
    now = [0.0]
    throttle = Throttle(clock=lambda: now[0])
    for number in range(BURST):
        throttle.failed(f"2001:db8::{number:x}")
    assert throttle.wait("2001:db8::ffff") > 0
    assert not throttle.wait("2001:db9::1")
    for _ in range(BURST):
        throttle.failed("::ffff:192.0.2.1")
    assert throttle.wait("192.0.2.1") > 0
    assert not throttle.wait("::ffff:192.0.2.2")
    assert not throttle.wait("::1")
    now[0] += BURST
    assert not throttle.wait("2001:db8::1")
    for number in range(10_000):
        throttle.failed(f"10.{number // 256 % 256}.{number % 256}.1")
    assert len(throttle._owed) <= 4096


@pytest.mark.fault("Z14")
def test_sources_are_told_apart_and_revoked(tmp_path: Path) -> None:
    """Each line of the file is a source with counts of its own; taking a line out shuts it out at once."""
    file = tmp_path / "tokens"
    file.write_text(f"# who may\nshop:{TOKEN}\n\nreview : {OTHER} \n", "utf-8")
    file.chmod(0o600)
    with served(store_app(empty_client(), Tokens(file=file), local=True)) as service:

        def send(token: str, number: int) -> int:
            body = b'[{"id": %d, "label": "x"}]' % number
            return service.ask("POST", "/v1/labels", body, **JSON, Authorization=f"Bearer {token}").status

        assert [send(TOKEN, 1), send(TOKEN, 2), send(OTHER, 3)] == [200, 200, 200]
        file.write_text(f"shop:{TOKEN}\n", "utf-8")
        assert [send(TOKEN, 4), send(OTHER, 5)] == [200, 401]
        page = service.ask("GET", "/metrics", Authorization=f"Bearer {TOKEN}").body.decode()
        assert 'modelmon_intake_labels_total{outcome="early",source="shop"} 3' in page
        assert 'modelmon_intake_labels_total{outcome="early",source="review"} 1' in page
        assert 'modelmon_intake_refused_total{reason="unauthorized"} 1' in page
        assert TOKEN not in page
        assert service.ask("GET", "/metrics").status == 401
        file.unlink()
        assert send(TOKEN, 6) == 401


@pytest.mark.fault("Z12")
@pytest.mark.parametrize(
    "text",
    ["", "# nobody\n", TOKEN, f":{TOKEN}\n", "a:short\n", f"a:{TOKEN}\na:{OTHER}\n", f"{'a' * 65}:{TOKEN}\n"],
    ids=["empty", "comment", "nameless", "blank", "short", "twice", "long"],
)
def test_files_of_tokens_that_cannot_be(text: str, tmp_path: Path) -> None:
    """A file that is no list of tokens is refused at the start, and shows none of them."""
    (tmp_path / "tokens").write_text(text, "utf-8")
    (tmp_path / "tokens").chmod(0o600)
    with pytest.raises(ConfigurationError) as raised:
        Tokens(file=tmp_path / "tokens")
    assert TOKEN not in str(raised.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Tokens(file=tmp_path / "none")


@pytest.mark.skipif(os.name != "posix", reason="modes as on POSIX")
def test_file_that_others_can_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file of tokens that others may read gets a warning, and is used all the same."""
    from modelmon import notices  # noqa: PLC0415

    notices.forget()
    (tmp_path / "tokens").write_text(f"a:{TOKEN}\n", "utf-8")
    (tmp_path / "tokens").chmod(0o644)
    tokens = Tokens(file=tmp_path / "tokens")
    assert "chmod 600" in caplog.text
    assert tokens.source(f"Bearer {TOKEN}") == "a"
    assert TOKEN not in repr(tokens)


FOREIGN = (
    "evil.example",
    "evil.example:9464",
    "",
    "127.0.0.1.evil.example",
    "[::1]evil.example",
    "[::1]:80.evil.example",
    "[[::1]]",
    "localhost@evil.example",
    "localhost:80:evil.example",
    "localhost:evil.example",
)


def test_local_service_answers_no_foreign_name() -> None:
    """Without a token, a web page that points a name of its own at loopback gets nothing."""
    with served(store_app(empty_client(), None, local=True)) as service:
        assert service.ask("POST", "/v1/labels", b"[]", **JSON).status == 200
        assert service.ask("GET", "/metrics", Host="[::1]:9464").status == 200
        assert service.ask("GET", "/metrics", Host="127.0.0.1:").status == 200
        for host in FOREIGN:
            assert service.ask("POST", "/v1/labels", b"[]", **JSON, Host=host).status == 403
            assert service.ask("GET", "/metrics", Host=host).status == 403
