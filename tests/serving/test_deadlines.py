"""Tests of how long a client may take: on new connections and used ones, on every route, with or without a token."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from services import BEARER, TOKEN, Service, empty_client, served

from modelmon.serving import deadlines
from modelmon.serving.application import store_app
from modelmon.serving.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 40
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
PAGE = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/labels HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Serve with deadlines short enough for a test."""
    for name in ("HEAD_S", "BODY_S", "REST_S", "READ_S"):
        monkeypatch.setattr(deadlines, name, 0.8)
    monkeypatch.setattr(deadlines, "_TICK_S", 0.1)
    monkeypatch.setattr(deadlines, "READ_PER_S", 1 << 20)
    with served(store_app(empty_client(), Tokens(TOKEN), local=True)) as running:
        yield running


def ended(connection: socket.socket) -> bool:
    """Tell whether the server hung up, whatever it said before."""
    try:
        while connection.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def trickle(connection: socket.socket) -> None:
    """Send a byte now and then."""
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.1)


@pytest.mark.parametrize(
    "first",
    [b"", b"G", HEALTH, HEALTH + b"\r\nG", HEALTH + b"\r\n" + HEALTH, HEALTH + b"Content-Length: 1000000\r\n\r\nx"],
    ids=["nothing", "a byte", "half a head", "a byte after an answer", "half a second head", "a body nobody reads"],
)
def test_who_trickles_is_hung_up_on(first: bytes, service: Service) -> None:
    """Who never finishes a head or a body is gone soon, however often another byte comes; others are served."""
    slow = [socket.create_connection(("127.0.0.1", service.port), 5) for _ in range(MANY)]
    for connection in slow:
        connection.sendall(first)
    begun = time.monotonic()
    with slow[0] as trickling:
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            trickle(trickling)
        assert time.monotonic() - begun < 5
    assert service.ask("GET", "/healthz").status == 200
    for connection in slow[1:]:
        assert ended(connection)
        connection.close()
    assert time.monotonic() - begun < 6


def test_body_that_never_ends(service: Service) -> None:
    """With a token, too, a body that trickles is given up, on a connection that was used before."""
    authorization = f"Authorization: {BEARER['Authorization']}\r\n".encode()
    with socket.create_connection(("127.0.0.1", service.port), 5) as connection:
        connection.sendall(POST + authorization + b"Content-Length: 2\r\n\r\n[]")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        connection.sendall(POST + authorization + b"Content-Length: 3\r\n\r\n[")
        assert ended(connection)


def test_who_reads_nothing_is_hung_up_on(service: Service) -> None:
    """Who asks again and again and never reads an answer does not stay either."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", service.port))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # and no TimeoutError
            connection.sendall(PAGE * 1_000_000)


def test_used_connections_stay_usable(service: Service) -> None:
    """A client that is quick keeps its connection, for longer than any deadline; no busy machine kept it from that."""
    quick = False
    while not quick:
        answered, quick, last = 0, True, time.monotonic()
        with socket.create_connection(("127.0.0.1", service.port), 60) as connection:
            for _ in range(8):
                answer = b""
                with suppress(ConnectionError):
                    connection.sendall(HEALTH + b"\r\n")
                    while not answer.endswith(b"ok\n") and (more := connection.recv(1000)):
                        answer += more
                answered += answer.endswith(b"ok\n")
                time.sleep(0.3)
                last, begun = time.monotonic(), last
                quick &= last - begun < 0.7
        assert answered == 8 or not quick
