"""Prometheus: an endpoint of our own, an ASGI or WSGI application, or a collector in any registry.

All of them show the same points under the same names.
"""

from __future__ import annotations

import os
import weakref
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from modelmon.errors import ConfigurationError
from modelmon.exporters import exposition, series
from modelmon.exporters.endpoint import Endpoint
from modelmon.exporters.listening import certificate_of, is_loopback, ports_of
from modelmon.exporters.mounts import make_asgi_app, make_wsgi_app
from modelmon.exporters.renderings import Renderings
from modelmon.exporters.wire import Request, Response, authorised, refusal, wanted_format
from modelmon.memos import memo
from modelmon.notices import warn
from modelmon.points.catalogue import CATALOGUE
from modelmon.points.families import Family, family_of
from modelmon.points.reading import points
from modelmon.points.windows import window_of

try:
    from prometheus_client import REGISTRY, core
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "prometheus_client":
        raise
    message = 'the Prometheus exporter needs prometheus_client: pip install "modelmon[prometheus]"'
    raise ImportError(message, name=error.name) from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from prometheus_client import CollectorRegistry

    from modelmon.exporters.exposition import Format
    from modelmon.parts import Exemplar
    from modelmon.points.catalogue import Point
    from modelmon.readers import Source

T = TypeVar("T")

_NAME = "prometheus"
_MULTIPROCESS = (
    "PROMETHEUS_MULTIPROC_DIR is set, so this application serves a registry made for each scrape, not the default one: "
    "give that as registry=, or mount .asgi_app or .wsgi_app; with directory= any worker shows all of them"
)
_HEALTHY = Response(200, "text/plain; charset=utf-8", b"ok\n")


class PrometheusExporter:
    """Show a monitor's points to Prometheus.

    With a ``port`` it serves ``/metrics`` and ``/healthz`` itself; port 0 takes a free one, of several ports the first
    that is free is taken, and ``.port`` tells which.
    Without a port it registers in ``registry``, by default the one of ``prometheus_client``.
    ``.asgi_app`` and ``.wsgi_app`` can be mounted in both cases.
    """

    def __init__(
        self,
        port: int | Sequence[int] | None = None,
        host: str = "127.0.0.1",
        *,
        registry: CollectorRegistry | None = None,
        windows: Sequence[str] = (),
        token: str | None = None,
        insecure: bool = False,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
    ) -> None:
        """Prepare; nothing listens and nothing is registered before the exporter is added to a monitor.

        Args:
            port: where to listen, 0 for any free port, several such as ``range(9464, 9472)`` or ``(9464, 0)`` for the
                first that is free, None for not at all.
            host: the address to listen on; any but the loopback ones needs a ``token``, or ``insecure=True``.
            registry: where to register as a collector; without a port, None means the default registry.
            windows: windows such as ``"1h"`` or ``"1d:mature"``; quality and coverage are shown for each beside the
                total.
            token: the bearer token that a scrape must carry, over HTTP of any kind.
            insecure: let everyone who can reach ``host`` read the metrics.
            certfile: a PEM file with the certificate and those that vouch for it; with it only TLS is served, 1.2 or
                newer. A file that is replaced is read again.
            keyfile: a PEM file with the certificate's private key, unencrypted; left out where it stands in
                ``certfile``.

        Raises:
            ConfigurationError: when ``host`` is reachable from elsewhere and neither of the two is given, or the port
                is no port, the token is empty, the certificate cannot be used, or a window is no span of time.
        """
        ports = ports_of(port)
        if token is not None and not token.strip():
            msg = "token is empty; leave it out or give one that is hard to guess"
            raise ConfigurationError(msg)
        if ports and not (is_loopback(host) or token or insecure):
            msg = f"host={host!r} can be reached from elsewhere: give token=..., or insecure=True if that is meant"
            raise ConfigurationError(msg)
        self._registry = REGISTRY if registry is None and port is None else registry
        if isinstance(windows, str):
            msg = f"windows={windows!r} is one text: give a tuple, ({windows!r},)"
            raise ConfigurationError(msg)
        for window in windows:
            window_of(window)
        self._windows = tuple(windows)
        self._token = token
        self._source: Source | None = None
        self._exposition = exposition.Exposition()
        self._renderings = Renderings(lambda: self._tried(self.points), self._make)
        self._endpoint = None
        certificate = certificate_of(certfile, keyfile, serves=bool(ports))
        if ports:
            self._endpoint = Endpoint(
                host,
                ports,
                respond=self._respond,
                failed=self._count,
                refused=self._refuse,
                certificate=certificate,
                section=self._section,
                died=self._died,
            )

    def __repr__(self) -> str:
        """Show where it listens; never the token."""
        where = f"port={self.port}" if self._endpoint is None else self._endpoint
        return f"<PrometheusExporter {where}>"

    @property
    def port(self) -> int | None:
        """The port that is listened on, or None."""
        return None if self._endpoint is None else self._endpoint.port

    @memo
    def asgi_app(self) -> Callable[..., Awaitable[None]]:
        """An ASGI application with the metrics, to be mounted anywhere."""
        return make_asgi_app(self._respond)

    @memo
    def wsgi_app(self) -> Callable[..., Iterable[bytes]]:
        """A WSGI application with the metrics, to be mounted anywhere."""
        return make_wsgi_app(self._respond)

    def attach(self, source: Source) -> None:
        """Show what ``source`` knows; start the endpoint and register, where that is asked for.

        Raises:
            OSError: when the port cannot be had and ``source.strict`` is true; else, and in a forked child, that is
                counted and said once.
        """
        first, self._source = self._source is None, source
        source.succeeded(_NAME)
        if self._registry is not None:
            self._register(self._registry)
        if self._endpoint is None:
            return
        strict = first and getattr(source, "strict", False)
        try:
            missed: Exception | None = self._endpoint.start(patient=not strict)
        except (OSError, RuntimeError) as error:
            missed = error
        if missed is None:
            return
        self._count("bind_failed" if isinstance(missed, OSError) else "no_thread")
        if strict:
            raise missed
        later = "; it is tried again every few seconds" if isinstance(missed, OSError) else ""
        message = f"{self._endpoint} did not start: {missed} (another worker of this service?)"
        warn(f"{_NAME}:start", f"{message}; this process exports nothing to Prometheus{later}")

    def close(self, timeout: float) -> None:
        """Stop listening, within ``timeout`` seconds, and leave the registry; closing twice does nothing."""
        if self._endpoint is not None and not self._endpoint.stop(timeout):
            self._count("close_timeout")
        if self._registry is not None and self._registry in _collectors:
            _collectors[self._registry].exporters.pop(self, None)
        self._source = None

    def render(self, wanted: Format = "text") -> bytes:
        """Return the metrics as text."""
        return self._exposition.render(self.points(), wanted)

    def points(self) -> list[Point]:
        """Return the points of the monitor now; none before the exporter is added to one."""
        return [] if self._source is None else points(self._source.scraped(), windows=self._windows)

    def _register(self, registry: CollectorRegistry) -> None:
        collector = _collectors.get(registry)
        if collector is None:
            collector = _Collector()
            try:
                registry.register(collector)
            except ValueError:
                self._count("duplicate_names")
                warn(f"{_NAME}:registry", "another collector in the registry already bears the names of modelmon")
                return
            _collectors[registry] = collector
        collector.exporters[self] = None
        if registry is REGISTRY and os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            warn(f"{_NAME}:multiprocess", _MULTIPROCESS)

    def _respond(self, requests: list[Request]) -> list[Response]:
        made: dict[Format, Response] = {}
        return [self._respond_one(request, made) for request in requests]

    def _respond_one(self, request: Request, made: dict[Format, Response]) -> Response:
        if request.path == "/healthz":
            return _HEALTHY
        if not authorised(request.headers.get("authorization", ""), self._token):
            return refusal(401)
        wanted = wanted_format(request.headers.get("accept", ""))
        if wanted not in made:
            made[wanted] = self._renderings.get(wanted)
        return made[wanted]

    def _tried(self, act: Callable[..., T], *given: object) -> T | None:
        try:
            with self._section():
                return act(*given)
        except Exception as error:
            self._count(type(error).__name__)
            return None

    def _make(self, found: list[Point] | None, wanted: Format) -> Response:
        body = None if found is None else self._tried(self._exposition.render, found, wanted)
        if body is None:
            return refusal(500)
        if self._source is not None:
            self._source.succeeded(_NAME)
        return Response(200, exposition.CONTENT_TYPES[wanted], body)

    def _count(self, reason: str) -> None:
        if self._source is not None:
            self._source.count_failure(_NAME, reason)

    def _refuse(self, reason: str) -> None:
        if self._source is not None:
            self._source.count("refused", reason)

    def _died(self) -> None:
        if self._source is not None:
            self._source.count("restarts", "endpoint")
            self._source.rouse()

    def _section(self) -> AbstractContextManager[None]:
        return nullcontext() if self._source is None else self._source.section("export")


class _Collector:
    """Collect for one registry what all exporters registered there show; merging counts each monitor once."""

    def __init__(self) -> None:
        self.exporters: dict[PrometheusExporter, None] = {}

    def describe(self) -> list[core.Metric]:
        """Return all families without samples, so that a registry knows the names."""
        return [_metric(family_of(name)) for name in CATALOGUE]

    def collect(self) -> Iterator[core.Metric]:
        """Yield the families that have points; a failure is counted and yields nothing."""
        try:
            families = self._families()
        except Exception as error:
            for exporter in list(self.exporters):
                exporter._count(type(error).__name__)  # noqa: SLF001 - two halves of one exporter
            return
        yield from families

    def _families(self) -> list[core.Metric]:
        exporters = list(self.exporters)
        snapshots = [exporter._source.scraped() for exporter in exporters if exporter._source is not None]  # noqa: SLF001
        if not snapshots:
            return []
        windows = dict.fromkeys(window for exporter in exporters for window in exporter._windows)  # noqa: SLF001
        families: dict[str, core.Metric] = {}
        for point in points(snapshots[0].merge(*snapshots[1:]), windows=tuple(windows)):
            family = family_of(point.name)
            metric = families.setdefault(point.name, _metric(family))
            shown = {place: _shown(one) for place, one in series.examples(point).items()} if point.exemplars else {}
            for place, (name, labels, value) in enumerate(series.samples(point)):
                metric.add_sample(name, dict(labels), value, exemplar=shown.get(place))
        return list(families.values())


def _shown(exemplar: Exemplar) -> core.Exemplar:
    return core.Exemplar(dict(series.trace_of(exemplar)), exemplar.value, exemplar.at)


def _metric(family: Family) -> core.Metric:
    return core.Metric(family.name, family.help, family.type, family.unit)


# One collector per registry, which outlives a reload of this module: registering again adds to it.
_collectors: weakref.WeakKeyDictionary[Any, _Collector] = globals().get("_collectors") or weakref.WeakKeyDictionary()
