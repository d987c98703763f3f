"""The service that is soaked: watched functions, a directory, an endpoint and an exporter that sends."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

from program import CLASSES

from modelmon import Monitor, Multiclass, every
from modelmon.exporters.prometheus import PrometheusExporter

if TYPE_CHECKING:
    from pathlib import Path

    from modelmon import Snapshot

# short, so that what is kept reaches its greatest size within minutes and everything expires, too
SETTINGS: dict[str, Any] = {
    "ttl": "2m",
    "early_ttl": "1m",
    "correction_horizon": "1m",
    "forget_after": "30s",
    "window": "1m",
    "history": "3m",
}
TASK = Multiclass(classes=CLASSES)
# what is given to the watched function besides: (id, output)
BAD = (
    ("bad", float("nan")),
    ("bad", object()),
    ("bad", "zebra"),
    ("bad", [0, 1]),
    ("bad", None),
    ([1, 2], 0),
    ("", 0),
    ("x" * 100_000, 0),
    (float("nan"), 0),
    (object(), 0),
    ("bad", ValueError),
)
BAD_TRUTHS = (float("nan"), object(), "zebra", 99, {})


class Service:
    """Watched functions of one monitor.

    Attributes:
        monitor: the monitor.
        classify: predicts what it is told, under an id; raises what it is told to raise.
        handle: does nothing.
        forked: what a forked child calls, with an id.
        port: where metrics are served.
    """

    def __init__(self, directory: Path, collector: int) -> None:
        """Begin to watch, and to export to a port at which somebody may listen."""
        self.monitor = Monitor(directory=directory, **SETTINGS)

        @self.monitor(model="orders", version="1", task=TASK, id="number")
        def classify(number: Any, output: Any) -> Any:
            if output is ValueError:
                raise ValueError
            return output

        @self.monitor(model="handled", version="1")
        def handle(value: int) -> int:
            return value

        @self.monitor(model="forked", version="1", task=TASK, id="number")
        def forked(number: str, output: int) -> int:
            return output

        self.classify, self.handle, self.forked = classify, handle, forked
        self._collector = collector
        exporter = self.monitor.add(PrometheusExporter(port=0))
        self.monitor.add(every("1s", self._send))
        handle(0)
        self.port = exporter.port

    def _send(self, snapshot: Snapshot) -> None:
        """Send what is known, as a naive exporter would."""
        connection = http.client.HTTPConnection("127.0.0.1", self._collector, timeout=1)
        try:
            connection.request("POST", "/", snapshot.to_json())
            connection.getresponse().read()
        finally:
            connection.close()
