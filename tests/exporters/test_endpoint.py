"""The HTTP endpoint, against clients that mean well and clients that do not."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing, contextmanager, suppress

import pytest

from modelmon.exporters.endpoint import CONNECTIONS, Endpoint
from modelmon.exporters.wire import Request, Response, authorised, parse, wanted_format

BODY = b"metrics " * 20_000


@contextmanager
def serving(respond=lambda requests: [Response(200, "text/plain", BODY)] * len(requests)):
    """Run an endpoint on a free port."""
    failures = []
    endpoint = Endpoint("127.0.0.1", 0, respond=respond, failed=failures.append)
    endpoint.failures = failures
    endpoint.start()
    try:
        yield endpoint
    finally:
        assert endpoint.stop(5)


def connect(endpoint):
    """Open a connection."""
    return closing(socket.create_connection(("127.0.0.1", endpoint.port), timeout=10))


def ask(endpoint, data):
    """Send bytes and return all that comes back."""
    with connect(endpoint) as client:
        received = bytearray()
        with suppress(OSError):
            client.sendall(data)
        with suppress(OSError):
            while piece := client.recv(65_536):
                received += piece
        return bytes(received)


def status(answer):
    """Return the status of an answer."""
    return int(answer.split(b" ", 2)[1])


def test_serves_and_stops():
    """A request gets the whole answer, and stopping frees the port."""
    with serving() as endpoint:
        port = endpoint.port
        head, body = ask(endpoint, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert f"Content-Length: {len(BODY)}".encode() in head
        assert body == BODY
        assert ask(endpoint, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"\r\n\r\n")
    assert endpoint.port is None
    with closing(socket.socket()) as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_starting_twice_is_one_endpoint():
    """Starting again keeps the socket and the thread."""
    with serving() as endpoint:
        port, threads = endpoint.port, set(threading.enumerate())
        endpoint.start()
        assert endpoint.port == port
        assert set(threading.enumerate()) <= threads
        assert status(ask(endpoint, b"GET /metrics HTTP/1.1\r\n\r\n")) == 200


@pytest.mark.fault("Z3")
@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET /%6detrics HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET http://x/metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 400),
        (b"get  /metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET /metrics HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nA: \x00\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nA: b\nB: c\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET /metrics?" + b"name[]=a&" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"A" * 3_000_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET /metrics?name[]=modelmon_calls_total HTTP/1.0\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\r\nAccept: */*\r\n\r\n", 200),
    ],
)
def test_refuses_what_is_no_scrape(request_bytes, expected):
    """Z3: methods, paths, bodies, smuggling and oversized heads are refused, each with its status."""
    with serving() as endpoint:
        assert status(ask(endpoint, request_bytes)) == expected
        assert not endpoint.failures


@pytest.mark.fault("Z3")
def test_survives_noise():
    """Z3: two thousand mutilated requests are each parsed or refused, without an exception."""
    chance = random.Random(7)
    sound = b"GET /metrics?a=b HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\nUser-Agent: y\r\n\r\n"
    for _ in range(2000):
        noise = bytearray(sound)
        for _ in range(chance.randrange(1, 6)):
            noise[chance.randrange(len(noise))] = chance.randrange(256)
        assert isinstance(parse(bytes(noise)[:-4]), (Request, Response))
    with serving() as endpoint:
        for _ in range(100):
            with connect(endpoint) as client:
                client.sendall(chance.randbytes(chance.randrange(1, 200)) + b"\r\n\r\n")
        assert status(ask(endpoint, sound)) == 200
        assert not endpoint.failures


@pytest.mark.fault("Z2")
def test_slow_clients_do_not_keep_a_scrape_out():
    """Z2: beside 400 idle sockets a scrape is quick, costs no thread, and only a bounded number stays open."""
    with serving() as endpoint:
        threads = set(threading.enumerate())
        slow = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(400)]
        for client in slow[:200]:
            client.setblocking(False)
            client.send(b"GET /metrics HT")
        times = []
        for _ in range(20):  # the quickest of many, for a busy machine
            begin = time.monotonic()
            assert status(ask(endpoint, b"GET /metrics HTTP/1.1\r\n\r\n")) == 200
            times.append(time.monotonic() - begin)
        assert min(times) < 0.1
        assert set(threading.enumerate()) <= threads
        assert len(endpoint._clients) <= CONNECTIONS
        for client in slow:
            client.close()


@pytest.mark.fault("Z2")
def test_a_client_has_a_deadline(monkeypatch):
    """A connection that neither finishes its request nor reads its answer is closed when its time is over."""
    monkeypatch.setattr("modelmon.exporters.clients.LIFETIME_S", 0.2)
    with serving(lambda requests: [Response(200, "text/plain", b"x" * 50_000_000)] * len(requests)) as endpoint:
        with connect(endpoint) as idle, connect(endpoint) as deaf:
            deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert idle.recv(1) == b""
            limit = time.monotonic() + 60
            while endpoint._clients and time.monotonic() < limit:
                time.sleep(0.02)
            assert not endpoint._clients
        assert not endpoint.failures


@pytest.mark.fault("X9")
def test_requests_that_wait_together_share_one_rendering():
    """X9: while one scrape is rendered others queue up, and the next rendering answers all of them."""
    batches, entered, go_on = [], threading.Event(), threading.Event()

    def respond(requests):
        batches.append(len(requests))
        if len(batches) == 1:
            entered.set()
            go_on.wait(10)
        return [Response(200, "text/plain", b"x")] * len(requests)

    request = b"GET /metrics HTTP/1.1\r\n\r\n"
    with serving(respond) as endpoint:
        clients = [socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) for _ in range(10)]
        time.sleep(0.1)
        clients[0].sendall(request)
        assert entered.wait(60)
        for client in clients[1:]:
            client.sendall(request)
        time.sleep(0.1)
        go_on.set()
        for client in clients:
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            client.close()
    assert batches == [1, 9]


@pytest.mark.fault("X1")
@pytest.mark.parametrize("error", [ValueError, SystemExit, MemoryError])
def test_a_failing_rendering_is_a_500(error):
    """What rendering raises is counted, answered with 500, and the next scrape is served."""
    answers = [error("secret"), [Response(200, "text/plain", b"x")]]

    def respond(_requests):
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    with serving(respond) as endpoint:
        first = ask(endpoint, b"GET /metrics HTTP/1.1\r\n\r\n")
        assert status(first) == 500
        assert b"secret" not in first
        assert status(ask(endpoint, b"GET /metrics HTTP/1.1\r\n\r\n")) == 200
        assert endpoint.failures == [error.__name__]


@pytest.mark.fault("X16")
def test_a_port_in_use_is_an_error_of_start():
    """X16: the second endpoint on a port says so and leaves no socket or thread behind."""
    with serving() as endpoint:
        second = Endpoint("127.0.0.1", endpoint.port, respond=list, failed=print)
        threads = set(threading.enumerate())
        with pytest.raises(OSError, match="in use"):
            second.start()
        assert second.port is None
        assert set(threading.enumerate()) <= threads


@pytest.mark.fault("F8")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_holds_no_socket_of_its_parent():
    """A child has closed its copies, can serve on its own, and the parent's port dies with the parent's endpoint."""
    script = """
        import os, socket, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from modelmon.exporters.endpoint import Endpoint
        from modelmon.exporters.wire import Response
        def make():
            endpoint = Endpoint("127.0.0.1", 0, respond=lambda r: [Response(200, "t/p", b"x")] * len(r), failed=print)
            endpoint.start()
            return endpoint
        def ask(port):
            with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
                client.sendall(b"GET /metrics HTTP/1.1\\r\\n\\r\\n")
                return client.recv(100)
        endpoint = make()
        port = endpoint.port
        out, done = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            fine = endpoint.port is None
            endpoint.start()
            fine = fine and endpoint.port != port and ask(endpoint.port).startswith(b"HTTP/1.1 200")
            os.write(out[1], b"y" if fine else b"n")
            os.read(done[0], 1)
            os._exit(0)
        fine = os.read(out[0], 1) == b"y" and ask(port).startswith(b"HTTP/1.1 200")
        fine = endpoint.stop(2) and fine
        try:
            ask(port)
            fine = False
        except ConnectionRefusedError:
            pass
        os.write(done[1], b"x")
        os.waitpid(child, 0)
        sys.exit(0 if fine else 1)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, timeout=30)
    assert ended.returncode == 0


def test_stopping_before_starting_is_fine():
    """An endpoint that never started has nothing to stop, and can be started after a stop."""
    endpoint = Endpoint("127.0.0.1", 0, respond=list, failed=print)
    assert endpoint.stop(1)
    endpoint.start()
    assert endpoint.port
    assert endpoint.stop(1)


@pytest.mark.fault("Z1")
@pytest.mark.parametrize(
    ("header", "fits"),
    [
        ("Bearer s3cret", True),
        ("bearer s3cret", True),
        ("Bearer s3cre", False),
        ("Bearer s3crett", False),
        ("Bearer", False),
        ("", False),
        ("Basic s3cret", False),
        ("s3cret", False),
        ("Bearer \udc80é", False),
    ],
)
def test_tokens(header, fits):
    """Z4: only the exact bearer token opens, whatever else is sent."""
    assert authorised(header, "s3cret") is fits
    assert authorised(header, None)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "text"),
        ("*/*", "text"),
        ("text/plain", "text"),
        ("application/openmetrics-text", "openmetrics"),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "openmetrics"),
        ("application/openmetrics-text;q=0", "text"),
        ("application/openmetrics-text;q=0.001", "openmetrics"),
    ],
)
def test_formats(accept, wanted):
    """Whoever accepts OpenMetrics gets it, everybody else the text format."""
    assert wanted_format(accept) == wanted


def test_a_client_that_resets_disturbs_nobody():
    """A connection that is reset before, during or after its answer is dropped without a count or a trace."""
    with serving(lambda requests: [Response(200, "text/plain", b"x" * 20_000_000)] * len(requests)) as endpoint:
        for request in (b"", b"GET /met", b"GET /metrics HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            client = socket.create_connection(("127.0.0.1", endpoint.port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.sendall(request)
            time.sleep(0.02)
            client.close()
        assert status(ask(endpoint, b"HEAD /metrics HTTP/1.1\r\n\r\n")) == 200
        limit = time.monotonic() + 60
        while endpoint._clients and time.monotonic() < limit:
            time.sleep(0.02)
        assert not endpoint._clients
        assert not endpoint.failures


class Refusing:
    """A listener whose process has no file descriptors left, for a while."""

    def __init__(self, listener):
        """Refuse twice, then accept as that listener does."""
        self.listener, self.left = listener, 2

    def accept(self):
        """Refuse, or accept."""
        if self.left:
            self.left -= 1
            raise OSError(24, "Too many open files")
        return self.listener.accept()


@pytest.mark.fault("E23")
def test_running_out_of_file_descriptors_is_survived():
    """E23: when a connection cannot be accepted that is counted, and it is accepted later."""
    with serving() as endpoint:
        key = endpoint._selector.get_key(endpoint._listener)
        endpoint._selector.modify(key.fileobj, key.events, Refusing(endpoint._listener))
        assert status(ask(endpoint, b"GET /healthz HTTP/1.1\r\n\r\n")) == 200
        assert endpoint.failures == ["OSError", "OSError"]


@pytest.mark.fault("E14")
def test_the_thread_survives_its_own_faults(monkeypatch):
    """E14: whatever one turn of the loop raises is counted, and the next turn serves."""
    with serving() as endpoint:
        turn, faults = endpoint._turn, [SystemExit, MemoryError]

        def faulty(selector):
            if faults:
                raise faults.pop()
            turn(selector)

        monkeypatch.setattr(endpoint, "_turn", faulty)
        assert status(ask(endpoint, b"GET /healthz HTTP/1.1\r\n\r\n")) == 200
        assert status(ask(endpoint, b"GET /healthz HTTP/1.1\r\n\r\n")) == 200
        assert endpoint.failures == ["MemoryError", "SystemExit"]


@pytest.mark.fault("X2")
def test_stopping_waits_no_longer_than_asked():
    """A rendering that hangs does not hold up the stop."""
    entered, go_on = threading.Event(), threading.Event()

    def respond(requests):
        entered.set()
        go_on.wait(10)
        return [Response(200, "text/plain", b"x")] * len(requests)

    with serving(respond) as endpoint, connect(endpoint) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert entered.wait(60)
        begin = time.monotonic()
        assert not endpoint.stop(0.05)
        assert time.monotonic() - begin < 5
        go_on.set()


@pytest.mark.fault("X2")
def test_started_again_before_it_has_stopped_it_goes_on():
    """The same thread answers on the same port, does not spin, and still stops when it is asked to."""
    entered, go_on, turns = threading.Event(), threading.Event(), []

    def respond(requests):
        entered.set()
        go_on.wait(10)
        return [Response(200, "text/plain", b"x")] * len(requests)

    with serving(respond) as endpoint, connect(endpoint) as client:
        port, thread = endpoint.port, endpoint._thread
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert entered.wait(60)
        assert not endpoint.stop(0)
        assert endpoint.start() is None
        turn = endpoint._turn
        endpoint._turn = lambda selector: (turns.append(1), turn(selector))
        go_on.set()
        assert status(client.recv(1000)) == 200
        assert status(ask(endpoint, b"GET /metrics HTTP/1.1\r\n\r\n")) == 200
        assert (endpoint.port, endpoint._thread) == (port, thread)
        assert len(turns) < 20
    assert endpoint.port is None
