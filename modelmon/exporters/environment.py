"""Exporters made from the environment alone, for ``MODELMON_EXPORTERS``; each loads its own room at its first use."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from modelmon.errors import ConfigurationError
from modelmon.forking import load

if TYPE_CHECKING:
    from modelmon.exporters.log import LogExporter
    from modelmon.exporters.prometheus import PrometheusExporter
    from modelmon.exporters.pushgateway import PushgatewayExporter

_PORT: Final = "9464"
_PERIOD: Final = "60s"


def prometheus() -> PrometheusExporter:
    """Make an endpoint out of ``MODELMON_PROMETHEUS_PORT``, ``_HOST``, ``_TOKEN``, ``_WINDOWS`` and so on.

    Raises:
        ConfigurationError: when one of them cannot work.
        ImportError: without the extra ``prometheus``.
    """
    from modelmon.exporters.prometheus import PrometheusExporter  # noqa: PLC0415  (only for those who name it)

    return PrometheusExporter(
        ports(given("PROMETHEUS_PORT") or _PORT),
        given("PROMETHEUS_HOST") or "127.0.0.1",
        windows=_words(given("PROMETHEUS_WINDOWS")),
        token=given("PROMETHEUS_TOKEN"),
        certfile=given("PROMETHEUS_CERTFILE"),
        keyfile=given("PROMETHEUS_KEYFILE"),
    )


def log() -> LogExporter:
    """Make a log out of ``MODELMON_LOG_EVERY``, ``_LOGGER``, ``_FORM`` (line or json) and ``_TO`` (stderr or stdout).

    Raises:
        ConfigurationError: when one of them cannot work.
    """
    from modelmon.exporters.log import LogExporter  # noqa: PLC0415  (only for those who name it)

    to = given("LOG_TO")
    logger: str | logging.Logger = (given("LOG_LOGGER") or "modelmon") if to is None else apart(to)
    form: Any = given("LOG_FORM") or "line"
    return LogExporter(given("LOG_EVERY") or _PERIOD, logger, form=form)


def pushgateway() -> PushgatewayExporter:
    """Make a push out of ``MODELMON_PUSHGATEWAY_URL``, ``_JOB``, ``_EVERY``, ``_USER``, ``_PASSWORD`` and ``_TOKEN``.

    Raises:
        ConfigurationError: when one of them cannot work.
    """
    from modelmon.exporters.pushgateway import PushgatewayExporter  # noqa: PLC0415  (only for those who name it)

    user = given("PUSHGATEWAY_USER")
    return PushgatewayExporter(
        given("PUSHGATEWAY_URL") or "http://127.0.0.1:9091",
        given("PUSHGATEWAY_JOB") or "modelmon",
        every=given("PUSHGATEWAY_EVERY") or _PERIOD,
        login=None if user is None else (user, given("PUSHGATEWAY_PASSWORD") or ""),
        token=given("PUSHGATEWAY_TOKEN"),
        cafile=given("PUSHGATEWAY_CAFILE"),
    )


def opentelemetry() -> Any:
    """Make an exporter to the application's own MeterProvider.

    Raises:
        ImportError: without what it needs.
    """
    return load("modelmon.exporters.opentelemetry").OpenTelemetryExporter()


def tensorboard() -> Any:
    """Make a log for TensorBoard out of ``MODELMON_TENSORBOARD_DIR`` and ``_EVERY``.

    Raises:
        ConfigurationError: when one of them cannot work.
        ImportError: without the extra ``tensorboard``.
    """
    exporter = load("modelmon.exporters.tensorboard").TensorBoardExporter
    return exporter(given("TENSORBOARD_DIR") or "runs/modelmon", every=given("TENSORBOARD_EVERY") or _PERIOD)


def given(name: str) -> str | None:
    """Return the text of ``MODELMON_`` and that name; None where there is none, or nothing in it."""
    return os.environ.get(f"MODELMON_{name}", "").strip() or None


def ports(text: str) -> tuple[int, ...]:
    """Return the ports of a text: one, several, or from one to another.

    >>> ports("9464"), ports("9464-9466, 0")
    ((9464,), (9464, 9465, 9466, 0))

    Raises:
        ConfigurationError: when it is no such text.
    """
    found: list[int] = []
    try:
        for word in _words(text):
            first, dash, last = word.partition("-")
            found += range(int(first), int(last) + 1) if dash else (int(first),)
    except ValueError:
        msg = f'MODELMON_PROMETHEUS_PORT={text!r} is no port: give one such as 9464, or several such as "9464-9471,0"'
        raise ConfigurationError(msg) from None
    return tuple(found)


def apart(to: str) -> logging.Logger:
    """Return a logger that belongs to no tree of loggers and writes to a standard stream.

    Raises:
        ConfigurationError: when there is no such stream.
    """
    if to not in {"stderr", "stdout"}:
        msg = f"MODELMON_LOG_TO={to!r} is no stream: give stderr or stdout, or leave it out for the application's log"
        raise ConfigurationError(msg)
    logger = logging.Logger("modelmon", logging.INFO)  # noqa: LOG001  (apart from the application's on purpose)
    logger.addHandler(logging.StreamHandler(getattr(sys, to)))
    return logger


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word for word in (word.strip() for word in (text or "").split(",")) if word)
