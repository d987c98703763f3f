"""The Prometheus exporter: its endpoint, its applications, and its collector, which all show the same."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from fake_sources import FakeSource
from prometheus_client import CollectorRegistry, Counter, generate_latest, parser
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from small_worlds import WORLDS

from modelmon import notices
from modelmon.errors import ConfigurationError
from modelmon.exporters import mounts, wire
from modelmon.exporters import prometheus as module
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.snapshot import Snapshot

WORLD = WORLDS["binary"]
SECRET = "s3cret"  # noqa: S105


@pytest.fixture
def added():
    """Return a function that adds an exporter to a monitor, and close all of them at the end."""
    notices.forget()
    open_ones = []

    def add(exporter, snapshot=WORLD, **settings):
        source = FakeSource(snapshot, **settings)
        open_ones.append(exporter)
        exporter.attach(source)
        return source

    yield add
    for exporter in open_ones:
        exporter.close(5)


def fetch(exporter, path="/metrics", **headers):
    """Return status, content type and body."""
    request = urllib.request.Request(f"http://127.0.0.1:{exporter.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


def families(text):
    """Return a text's families as (name, type, help, samples), whatever their order."""
    return {
        (f.name, f.type, f.documentation): {(s.name, frozenset(s.labels.items()), s.value) for s in f.samples}
        for f in parser.text_string_to_metric_families(text.decode("utf-8"))
    }


@pytest.mark.parametrize("world", WORLDS)
def test_the_collector_shows_what_the_endpoint_shows(added, world):
    """Our text, parsed, is that of prometheus_client over the collector: names, types, help, labels and values."""
    registry = CollectorRegistry()
    exporter = PrometheusExporter(registry=registry)
    added(exporter, WORLDS[world])
    ours, theirs = exporter.render(), generate_latest(registry)
    assert families(ours) == families(theirs)
    assert len(ours.splitlines()) == len(theirs.splitlines())


def test_the_collector_shows_the_same_as_openmetrics(added):
    """In OpenMetrics too both texts have the same lines but for how numbers are spelled."""
    registry = CollectorRegistry()
    exporter = PrometheusExporter(registry=registry)
    added(exporter)
    ours, theirs = exporter.render("openmetrics").decode(), generate_openmetrics(registry).decode()
    assert [line for line in ours.splitlines() if line[0] == "#"] == [x for x in theirs.splitlines() if x[0] == "#"]
    assert [line.rpartition(" ")[0].count('"') for line in ours.splitlines()] == [
        line.rpartition(" ")[0].count('"') for line in theirs.splitlines()
    ]


def test_endpoint(added):
    """The endpoint serves /metrics in the format asked for, and /healthz."""
    exporter = PrometheusExporter(port=0)
    assert exporter.port is None
    source = added(exporter)
    assert exporter.port > 0
    assert fetch(exporter) == (200, "text/plain; version=0.0.4; charset=utf-8", exporter.render())
    status, kind, body = fetch(exporter, Accept="application/openmetrics-text;version=1.0.0,*/*;q=0.1")
    assert (status, kind) == (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert body == exporter.render("openmetrics")
    assert fetch(exporter, "/healthz")[::2] == (200, b"ok\n")
    assert fetch(exporter, "/")[0] == 404
    assert not source.failures


def test_each_scrape_is_fresh(added):
    """What was counted before a scrape began is in it."""
    worlds = [WORLD, WORLDS["regression"]]
    exporter = PrometheusExporter(port=0)
    added(exporter, lambda: worlds[0])
    first = fetch(exporter)[2]
    worlds.pop(0)
    assert fetch(exporter)[2] != first


@pytest.mark.fault("Z1")
def test_default_host_is_loopback(added):
    """Z1: without a word the endpoint listens on 127.0.0.1 only."""
    exporter = PrometheusExporter(0)
    added(exporter)
    assert exporter._endpoint._listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.fault("Z1")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104 - refused
def test_other_hosts_need_a_token_or_a_word(host):
    """Z1: an address that others can reach needs a token, or insecure=True, and the message says so."""
    with pytest.raises(ConfigurationError, match=r"token=.*insecure=True"):
        PrometheusExporter(0, host)
    PrometheusExporter(0, host, token=SECRET)
    PrometheusExporter(0, host, insecure=True)
    PrometheusExporter(host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_hosts_need_nothing(host):
    """Loopback addresses need no token."""
    PrometheusExporter(0, host)


@pytest.mark.fault("X10")
@pytest.mark.parametrize("port", [-1, 65536, True])
def test_ports(port):
    """What is no port is an error at once."""
    with pytest.raises(ConfigurationError, match="port"):
        PrometheusExporter(port)
    with pytest.raises(ConfigurationError, match="token"):
        PrometheusExporter(0, token=" ")  # noqa: S106


@pytest.mark.fault("Z12")
def test_token(added):
    """With a token, scrapes without it get 401 and nothing else, and the token shows nowhere."""
    exporter = PrometheusExporter(port=0, token="s3cret-canary")  # noqa: S106
    added(exporter)
    assert fetch(exporter)[::2] == (401, b"401 Unauthorized\n")
    assert fetch(exporter, Authorization="Bearer wrong")[0] == 401
    assert fetch(exporter, Authorization="Bearer s3cret-canary")[0] == 200
    assert fetch(exporter, "/healthz")[0] == 200
    assert "canary" not in repr(exporter)
    assert b"canary" not in exporter.render()


@pytest.mark.fault("X16")
def test_port_in_use(added, caplog):
    """X16: the process goes on without the endpoint; that is counted, and said once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        exporter = PrometheusExporter(port=taken.getsockname()[1])
        with caplog.at_level(logging.WARNING, "modelmon"):
            source = added(exporter)
            exporter.attach(source)
        assert source.failures == {("prometheus", "bind_failed"): 2}
        assert len(caplog.records) == 1
        assert exporter.port is None
        with pytest.raises(OSError, match="in use"):
            added(PrometheusExporter(port=taken.getsockname()[1]), strict=True)


def test_a_failing_snapshot_is_counted(added):
    """A scrape that cannot be answered is a 500 and counted; the next one is served."""
    answers = [ValueError("secret"), WORLD]

    def snapshot():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    exporter = PrometheusExporter(port=0)
    source = added(exporter, snapshot)
    status, _, body = fetch(exporter)
    assert (status, b"secret" in body) == (500, False)
    assert source.failures == {("prometheus", "ValueError"): 1}
    assert fetch(exporter)[0] == 200


def test_a_failing_snapshot_leaves_the_registry_alone(added):
    """An application's own metrics are shown whatever happens to ours."""

    def snapshot():
        raise ValueError

    registry = CollectorRegistry()
    Counter("mine", "Mine.", registry=registry)
    source = added(PrometheusExporter(registry=registry), snapshot)
    assert b"mine_total 0.0" in generate_latest(registry)
    assert source.failures == {("prometheus", "ValueError"): 1}


@pytest.mark.fault("E22")
def test_registering_twice(added):
    """E22: two monitors, or one added again, share a collector: each is counted once, and the text stays valid."""
    registry = CollectorRegistry()
    added(PrometheusExporter(registry=registry))
    added(PrometheusExporter(registry=registry))
    once = families(generate_latest(registry))
    other = Snapshot((type(WORLD.parts[0])("host:9", 1, "process", 1.0, 3600.0, WORLD.parts[0].series),))
    added(PrometheusExporter(registry=registry), other)
    both = families(generate_latest(registry))
    key = ("modelmon_calls", "counter", "Calls that ended, by how they ended.")
    assert sum(value for _, _, value in once[key]) == 100
    assert sum(value for _, _, value in both[key]) == 200


@pytest.mark.fault("E22")
def test_reloading_the_module(added):
    """E22: after a reload, registering again works and shows no series twice."""
    registry = CollectorRegistry()
    added(PrometheusExporter(registry=registry))
    importlib.reload(module)
    added(module.PrometheusExporter(registry=registry))
    text = generate_latest(registry).splitlines()
    assert len(text) == len(set(text))


def test_closing_leaves_the_registry_empty(added):
    """After close nothing of ours is shown, and the same registry can be used again."""
    registry = CollectorRegistry()
    first = PrometheusExporter(registry=registry)
    added(first)
    first.close(1)
    assert generate_latest(registry) == b""
    added(PrometheusExporter(registry=registry))
    assert b"modelmon_calls_total" in generate_latest(registry)


def test_names_of_others_are_respected(added, caplog):
    """Where another collector bears our names, ours stays out, and that is counted and said."""
    registry = CollectorRegistry()
    Counter("modelmon_calls", "Not ours.", registry=registry)
    with caplog.at_level(logging.WARNING, "modelmon"):
        source = added(PrometheusExporter(registry=registry))
    assert source.failures == {("prometheus", "duplicate_names"): 1}
    assert len(caplog.records) == 1


def test_without_a_port_the_default_registry_is_used(added):
    """``PrometheusExporter()`` shows up where the application's own metrics are."""
    exporter = PrometheusExporter()
    added(exporter)
    assert b"modelmon_calls_total" in generate_latest()
    exporter.close(1)
    assert b"modelmon" not in generate_latest()


def test_wsgi(added):
    """The WSGI application keeps the protocol and answers like the endpoint."""
    exporter = PrometheusExporter(registry=CollectorRegistry(), token=SECRET)
    added(exporter)
    app = validator(exporter.wsgi_app)

    def call(**environ):
        environ = {"PATH_INFO": "/anything", "SCRIPT_NAME": "", "QUERY_STRING": "", **environ}
        setup_testing_defaults(environ)
        started = []
        answer = app(environ, lambda status, headers: started.append((status, dict(headers))))
        try:
            return started[0], b"".join(answer)
        finally:
            answer.close()

    (status, headers), body = call(HTTP_AUTHORIZATION="Bearer s3cret")
    assert (status, body) == ("200 OK", exporter.render())
    assert headers["Content-Length"] == str(len(body))
    assert call()[0][0] == "401 Unauthorized"
    assert call(REQUEST_METHOD="POST")[0][0] == "405 Method Not Allowed"
    assert call(REQUEST_METHOD="HEAD", HTTP_AUTHORIZATION="Bearer s3cret")[1] == b""


def test_asgi(added):
    """The ASGI application answers like the endpoint, takes part in the lifespan, and refuses web sockets."""
    exporter = PrometheusExporter(registry=CollectorRegistry())
    added(exporter)

    def call(kind, messages=(), **scope):
        sent, inbox = [], list(messages)

        async def receive():
            return inbox.pop(0)

        async def send(message):
            sent.append(message)

        asyncio.run(exporter.asgi_app({"type": kind, **scope}, receive, send))
        return sent

    start, body = call("http", method="GET", path="/x", headers=[(b"Accept", b"text/plain")])
    assert (start["status"], body["body"]) == (200, exporter.render())
    assert (b"content-type", b"text/plain; version=0.0.4; charset=utf-8") in start["headers"]
    assert call("http", method="HEAD", path="/", headers=[])[1]["body"] == b""
    assert call("http", method="PUT", path="/", headers=[])[0]["status"] == 405
    both = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    assert [m["type"] for m in call("lifespan", both)] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert call("websocket") == [{"type": "websocket.close"}]


def scrape(app, statuses, method="GET"):
    """Return what asks an ASGI application once and notes the status."""

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    return app({"type": "http", "method": method, "path": "/", "headers": []}, None, send)


def test_asgi_scrapes_wait_on_one_thread_and_the_loop_on_none():
    """While one waits for a store the loop goes on; who asks meanwhile is answered together, whoever went away."""
    batches, statuses, entered, go = [], [], threading.Event(), threading.Event()

    def respond(requests):
        batches.append((len(requests), threading.current_thread() is threading.main_thread()))
        entered.set()
        assert go.wait(60)
        return [wire.Response(200, "text/plain", b"")] * len(requests)

    async def host():
        app = mounts.make_asgi_app(respond)
        first = asyncio.create_task(scrape(app, statuses))
        assert await asyncio.to_thread(entered.wait, 5)
        others = [asyncio.create_task(scrape(app, statuses)) for _ in range(20)]
        await asyncio.sleep(0)
        first.cancel()
        others.pop().cancel()
        await scrape(app, statuses, "PUT")
        assert (batches, statuses) == ([(1, False)], [405])
        go.set()
        await asyncio.gather(*others)
        await scrape(app, statuses)

    asyncio.run(host())
    assert batches == [(1, False), (20, False), (1, False)]
    assert statuses == [405] + [200] * 20


def test_asgi_scrapes_that_fail_are_answered():
    """They are told so, and the next one is made as ever."""
    statuses = []

    def respond(requests):
        if not statuses:
            raise ValueError
        return [wire.Response(200, "text/plain", b"")]

    async def host():
        app = mounts.make_asgi_app(respond)
        for _ in range(2):
            await scrape(app, statuses)

    asyncio.run(host())
    assert statuses == [500, 200]


def test_an_asgi_scrape_ends_with_its_loop():
    """Nobody is left waiting, and another loop is served by the same application."""
    entered, go, statuses = threading.Event(), threading.Event(), []

    def respond(requests):
        entered.set()
        assert go.wait(60)
        return [wire.Response(200, "text/plain", b"")]

    app = mounts.make_asgi_app(respond)

    async def host():
        task = asyncio.create_task(scrape(app, statuses))
        assert await asyncio.to_thread(entered.wait, 5)
        for one in asyncio.all_tasks() - {asyncio.current_task()}:
            one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()

    asyncio.run(host())
    asyncio.run(scrape(app, statuses))
    assert statuses == [200]


def test_asgi_on_a_loop_of_another_library():
    """Where asyncio does not run, the scrape runs where it is asked for."""
    statuses, threads = [], []

    def respond(requests):
        threads.append(threading.current_thread())
        return [wire.Response(200, "text/plain", b"")]

    with pytest.raises(StopIteration):
        scrape(mounts.make_asgi_app(respond), statuses).send(None)
    assert (statuses, threads) == ([200], [threading.current_thread()])


def test_windows(added):
    """Windows that were asked for are shown by every road; what is no span of time is an error at once."""
    registry = CollectorRegistry()
    exporter = PrometheusExporter(registry=registry, windows=("1d",))
    added(exporter)
    assert b'window="1d"' in exporter.render()
    assert families(exporter.render()) == families(generate_latest(registry))
    with pytest.raises(ConfigurationError, match="windows"):
        PrometheusExporter(windows=("soon",))


def test_before_and_after_a_monitor_there_is_nothing(added):
    """An exporter of no monitor shows no points and does not fail."""
    exporter = PrometheusExporter(registry=CollectorRegistry())
    assert exporter.render() == b""
    added(exporter)
    exporter.close(1)
    exporter.close(1)
    assert exporter.render() == b""


@pytest.mark.fault("X9")
def test_scrapes_from_many_threads(added):
    """X9: ten clients at once get whole, valid answers: every histogram's count equals its last bucket."""
    exporter = PrometheusExporter(port=0)
    source, bodies = added(exporter), []

    def scrape():
        bodies.extend(fetch(exporter)[2] for _ in range(10))

    threads = [threading.Thread(target=scrape) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies) == 100
    assert set(bodies) == {exporter.render()}
    assert not source.failures


MULTIPROCESS = """
import os
from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess
from modelmon import Monitor
from modelmon.exporters.prometheus import PrometheusExporter

Counter("theirs", "Of the application.").inc()
own = Monitor(directory="ours")

@own(model="m")
def predict(x):
    return x

predict(1)
plain = own.add(PrometheusExporter())
assert b"modelmon_calls_total" in plain.render()
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
assert b"modelmon" not in generate_latest(registry)
own.add(PrometheusExporter(registry=registry))
text = generate_latest(registry)
assert b"modelmon_calls_total" in text and b"theirs_total 1.0" in text, text
assert [name.partition("_")[0] for name in os.listdir("theirs")] == ["counter"]
child = os.fork()
if not child:
    predict(2)
    own.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert b'modelmon_calls_total{error_type="",model="m",outcome="ok",version=""} 2' in generate_latest(registry)
own.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_where_others_use_multiprocess_mode(tmp_path):
    """With their directory set we add no file to it, show nothing twice, say what to do, and show all workers."""
    tmp_path.joinpath("theirs").mkdir()
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": "theirs"}
    line = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", MULTIPROCESS]  # of forks
    ended = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path, env=environ, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("PROMETHEUS_MULTIPROC_DIR is set") == 1


@pytest.mark.fault("X10")
def test_a_missing_dependency_is_named():
    """Without prometheus_client the user's own import line fails and names the extra."""
    script = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "try:\n    import modelmon.exporters.prometheus\n"
        "except ImportError as error:\n    print(error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 'pip install "modelmon[prometheus]"' in ended.stdout


def test_importing_starts_nothing():
    """Importing the exporter and making one opens no socket and starts no thread."""
    script = (
        "import threading\nfrom modelmon.exporters.prometheus import PrometheusExporter\n"
        "exporter = PrometheusExporter(0)\nprint(threading.active_count(), exporter.port)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "1 None\n"
