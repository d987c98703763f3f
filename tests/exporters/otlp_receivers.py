"""Receivers of OTLP on loopback, over HTTP and gRPC, that decode what comes and answer as they are told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)


class Received:
    """What a receiver got, and what it answers next."""

    def __init__(self) -> None:
        """Start empty; every request is taken."""
        self.requests: list[ExportMetricsServiceRequest] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.port = 0

    def metrics(self, scope: str = "modelmon") -> dict[str, Any]:
        """Return the metrics of a scope in the last request, by name."""
        scopes = [found for part in self.requests[-1].resource_metrics for found in part.scope_metrics]
        return {metric.name: metric for found in scopes if found.scope.name == scope for metric in found.metrics}

    def resource(self) -> dict[str, str]:
        """Return the resource of the last request."""
        return texts(self.requests[-1].resource_metrics[0].resource.attributes)


def texts(pairs: Any) -> dict[str, str]:
    """Return attributes as a dict."""
    return {pair.key: pair.value.string_value for pair in pairs}


@contextmanager
def http_receiver():
    """Yield what a receiver over HTTP gets."""
    got = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = got.answers.pop(0) if got.answers else (200, {})
            if status == 200:
                got.requests.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        got.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield got
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def grpc_receiver():
    """Yield what a receiver over gRPC gets."""
    got = Received()

    class Servicer(MetricsServiceServicer):
        def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802  (the protocol's name)
            got.requests.append(request)
            return ExportMetricsServiceResponse()

    with ThreadPoolExecutor(max_workers=2) as pool:
        server = grpc.server(pool)
        add_MetricsServiceServicer_to_server(Servicer(), server)
        got.port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield got
        finally:
            server.stop(None).wait()
