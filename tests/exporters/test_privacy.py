"""Nothing that a model sees or says of a single case leaves the process: marked texts are looked for in all that does.

What may leave: names of models, versions, slices and classes, numbers, and names of exceptions' types.
A new exporter adds a function to ``WAYS_OUT``; ``test_every_exporter_is_tried`` says so where one is missing.
"""

from __future__ import annotations

import io
import json
import logging
import pkgutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from otel_pipelines import Kept
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from modelmon import Binary, Monitor, Multiclass, Regression, exporters, notices
from modelmon.alerting import Alertmanager, Alerts, Webhook
from modelmon.exporters.log import JSONFormatter, LogExporter
from modelmon.exporters.opentelemetry import OpenTelemetryExporter, PreAggregated
from modelmon.exporters.prometheus import PrometheusExporter
from modelmon.exporters.pushgateway import PushgatewayExporter
from modelmon.exporters.tensorboard import TensorBoardExporter
from modelmon.points.reading import points
from modelmon.rules import Objective, Rule
from modelmon.rules import prometheus as written_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CANARY, TRUTH = "canary-7f3a91", "canary-of-truth-5c1d"
SCORE, VALUE = 0.7391827364, 48151.6234
MARKED = (CANARY, TRUTH, str(SCORE), str(VALUE))
RULES = (
    Rule("errors", "errors", above=0, window="5m"),
    Rule("wrong", "accuracy", below=1.0, window="24h"),
    Objective("answers", target=0.99, within=0.25),
)


class Odd:
    """An output that cannot be read, and tells everything."""

    def __repr__(self) -> str:
        """Tell."""
        return CANARY


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Monitor]:
    """Return a monitor on disk that has seen marked inputs, outputs, ids, truths and exceptions."""
    notices.forget()
    own = Monitor(directory=tmp_path / "machine")
    see(own)
    yield own
    own.close()


def see(own: Monitor) -> None:
    """Show a monitor marked texts and numbers in every place where a program has its own."""

    @own(model="fraud", version="1", id="key", task=Binary(), batch_size=lambda _: CANARY)
    def score(key: str, text: str, fate: str) -> Any:
        if fate == "raise":
            raise ValueError(text)
        return {"score": SCORE, "odd": Odd(), "text": [text], "none": None}[fate]

    @own(model="animal", id=lambda given: given["row"]["id"], task=Multiclass(classes=("cat", "dog")))
    def classify(row: dict[str, Any]) -> Any:
        return {"odd": CANARY, "even": "cat"}["odd" if row["number"] % 2 else "even"]

    @own(model="price", id="key", task=Regression(), output=lambda found: found["price"])
    def price(key: str) -> dict[str, Any]:
        return {"price": VALUE, "text": CANARY}

    @own(model="stream", id="key", output=lambda item: item)
    def stream(key: str) -> Iterator[Any]:
        yield "cat"
        raise KeyError(key)

    for number in range(8):
        for fate in ("score", "odd", "text", "none"):
            score(f"{CANARY}-{fate}-{number}", f"input {CANARY}", fate)
        with pytest.raises(ValueError, match=CANARY):
            score(f"{CANARY}-{number}", CANARY, "raise")
        classify({"id": f"{CANARY}-{number}", "number": number, "text": CANARY})
        price(f"{CANARY}-price-{number}")
        with pytest.raises(KeyError):
            list(stream(f"{CANARY}-stream-{number}"))
    with TracerProvider(shutdown_on_exit=False).get_tracer(CANARY).start_as_current_span(CANARY, {CANARY: CANARY}):
        score(f"{CANARY}-score-traced", CANARY, "score")
    own.label(f"{CANARY}-score-traced", 0)
    own.predictions([CANARY], [Odd()], model="batch", task=Multiclass())
    own.labels([f"{CANARY}-score-{number}" for number in range(6)], [1, 0] * 3)
    own.labels([f"{CANARY}-{number}" for number in range(6)], ["dog", "cat", TRUTH] * 2)
    own.labels([f"{CANARY}-price-{number}" for number in range(6)], [VALUE + 1] * 6)
    own.label(CANARY, Odd())
    own.retract([f"{CANARY}-score-0", CANARY])


@contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """Run a server that takes everything; give its address, and all that it was sent."""
    heard: list[bytes] = []

    class Ear(BaseHTTPRequestHandler):
        def take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            heard.append(f"{self.command} {self.path} {self.headers}".encode() + body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = take  # noqa: N815 - the server's own names

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def out_of_snapshots(own: Monitor, _: Path) -> list[bytes]:
    """Everything a user is shown: texts, tables, points, and the snapshot as JSON."""
    snapshot = own.snapshot()
    texts = [snapshot.to_json(), repr(snapshot), repr(own), repr(own.settings)]
    for model in snapshot.values():
        texts += [str(model), repr(model), model._repr_html_()]
    return [text.encode() for text in [*texts, *map(repr, points(snapshot))]]


def out_of_prometheus(own: Monitor, _: Path) -> list[bytes]:
    """Every format of the exporter, and both of its collector."""
    registry = CollectorRegistry()
    exporter = own.add(PrometheusExporter(registry=registry))
    made = [exporter.render(form) for form in ("text", "openmetrics", "protobuf")]
    return [*made, generate_latest(registry), generate_openmetrics(registry), repr(exporter).encode()]


def out_of_pushgateway(own: Monitor, _: Path) -> list[bytes]:
    """All that a gateway is sent."""
    with listening() as (url, heard):
        own.add(PushgatewayExporter(url, "job"))
        assert own.flush(60)
        assert heard
        return heard


def out_of_log(own: Monitor, _: Path) -> list[bytes]:
    """Every form of the log."""
    stream = io.StringIO()
    for form, formatter in (("line", None), ("json", None), ("line", JSONFormatter())):
        logger = logging.Logger("apart", logging.INFO)  # noqa: LOG001 - in no tree of loggers
        logger.addHandler(logging.StreamHandler(stream))
        logger.handlers[0].setFormatter(formatter)
        LogExporter(logger=logger, form=form).export(own.snapshot())
    with structlog.testing.capture_logs() as events:
        LogExporter(logger=structlog.get_logger()).export(own.snapshot())
    assert len(events) == len(own.snapshot())
    return [stream.getvalue().encode(), json.dumps(events).encode()]


def out_of_opentelemetry(own: Monitor, _: Path) -> list[bytes]:
    """What the SDK collects, by both ways."""
    reader, kept = InMemoryMetricReader(), Kept()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    own.add(OpenTelemetryExporter(provider))
    data = reader.get_metrics_data()
    assert data is not None
    provider.shutdown()
    wrapped = own.add(PreAggregated(kept))
    periodic = PeriodicExportingMetricReader(wrapped, export_interval_millis=1e9)
    other = MeterProvider([periodic], shutdown_on_exit=False)
    other.get_meter("theirs").create_counter("one").add(1)
    assert other.force_flush()
    other.shutdown()
    assert kept.batches
    return [data.to_json().encode(), *(batch.to_json().encode() for batch in kept.batches)]


def out_of_tensorboard(own: Monitor, folder: Path) -> list[bytes]:
    """The files of all runs, pictures among them."""
    exporter = own.add(TensorBoardExporter(folder / "runs", every=3600))
    assert own.flush(30)
    exporter.close(10)
    return [path.read_bytes() + path.name.encode() for path in (folder / "runs").rglob("*") if path.is_file()]


def out_of_rules(own: Monitor, _: Path) -> list[bytes]:
    """Rules as they are written, and what those who are told of alerts are sent."""
    told: list[Any] = []
    logger = logging.Logger("apart", logging.DEBUG)  # noqa: LOG001 - in no tree of loggers
    stream = io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    with listening() as (url, heard):
        alerts = own.add(Alerts(*RULES, notify=[told.append, Webhook(url), Alertmanager(url, keep="2h")], every=3600))
        see(own)  # what alerts are about comes after they were added
        assert own.flush(60)
        alerts.close(10)
    assert told
    assert heard
    return [written_rules(RULES).encode(), *heard, repr(told).encode(), stream.getvalue().encode()]


def out_of_files(own: Monitor, folder: Path) -> list[bytes]:
    """Files that a machine's processes show each other, and the store: ids are hashed there, only truths as given."""
    own.flush()
    found = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert any(TRUTH.encode() in data for data in found)
    return [data.replace(TRUTH.encode(), b"") for data in found]


WAYS_OUT: dict[str, Callable[[Monitor, Path], list[bytes]]] = {
    "snapshots": out_of_snapshots,
    "prometheus": out_of_prometheus,
    "pushgateway": out_of_pushgateway,
    "log": out_of_log,
    "opentelemetry": out_of_opentelemetry,
    "tensorboard": out_of_tensorboard,
    "rules": out_of_rules,
    "files": out_of_files,
}


@pytest.mark.fault("Z10")
@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_marked_text_leaves(way: str, own: Monitor, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Z10: what goes out this way, and all that is logged meanwhile, has none of the marked texts and numbers in it."""
    caplog.set_level(logging.DEBUG)
    made = WAYS_OUT[way](own, tmp_path)
    own.close()
    logged = caplog.text + "".join(f"{record.__dict__}" for record in caplog.records)
    assert sum(map(len, made)) > 100
    found = [text for text in MARKED for data in [*made, logged.encode()] if text.encode() in data]
    assert not found


def test_every_exporter_is_tried() -> None:
    """Each room of an exporter has a way out above."""
    found = set()
    for module in pkgutil.iter_modules(exporters.__path__):
        if any(word in module.name for word in WAYS_OUT):
            continue
        try:
            room = import_module(f"modelmon.exporters.{module.name}")
        except ImportError:  # its extra is missing here
            continue
        found |= {
            name for name, value in vars(room).items() if is_exporter(value) and room.__name__ in value.__module__
        }
    assert not found, "add what these let out to WAYS_OUT"


def is_exporter(value: Any) -> bool:
    """Tell a class that can be added to a monitor."""
    return isinstance(value, type) and hasattr(value, "attach") and hasattr(value, "close")
