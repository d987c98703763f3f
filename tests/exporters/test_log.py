"""The log exporter."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog
from fake_sources import FakeSource
from small_worlds import WORLDS, of_parts, process_ledger

from modelmon.errors import ConfigurationError
from modelmon.exporters.log import JSONFormatter, LogExporter, one_line
from modelmon.parts import SeriesPart


@pytest.fixture
def records(caplog):
    """Return a function that exports a snapshot once and returns what was logged."""

    def export(snapshot):
        caplog.clear()
        with caplog.at_level(logging.INFO, "modelmon"):
            LogExporter().export(snapshot)
        return caplog.records

    return export


@pytest.mark.parametrize("world", WORLDS)
def test_one_record_per_model_and_version(records, world):
    """Each model gives one record, whose dict survives strict JSON unchanged."""
    logged = records(WORLDS[world])
    assert len(logged) == len(WORLDS[world])
    for record in logged:
        assert json.loads(json.dumps(record.modelmon, allow_nan=False)) == record.modelmon
        assert record.name == "modelmon"
        assert record.levelno == logging.INFO


def test_the_numbers_are_the_snapshot_s(records):
    """The record holds calls, durations, the join and quality as the snapshot reads them."""
    (record,), fraud = records(WORLDS["binary"]), WORLDS["binary"]["fraud"]
    logged = record.modelmon
    assert (logged["model"], logged["version"], logged["calls"]) == ("fraud", "2026.10", 100)
    assert logged["errors"] == {"ValueError": 3}
    assert logged["duration_seconds"]["p99"] == fraud.duration.quantile(0.99)
    assert (logged["labelled"], logged["coverage"]) == (400, 0.5)
    assert logged["quality"]["accuracy"] == fraud.accuracy
    assert logged["interval"]["accuracy"] == list(fraud.interval("accuracy"))
    assert logged["predicted"] == {"ok": 48, "fraud": 48}


def test_the_message_is_for_people(records):
    """The message names the model and its main figures on one line."""
    (record,) = records(WORLDS["binary"])
    message = record.getMessage()
    assert message.startswith("fraud 2026.10: 100 calls (3 errors); p50 ")
    assert "400 labelled (50.0%), 400 awaiting; accuracy 0.83" in message


@pytest.mark.fault("X8")
def test_hostile_names_stay_on_one_line(records):
    """X8: line breaks, escape sequences, NUL and direction marks in names come out spelled, one record one line."""
    hostile = "a\nb\x1b[31m\x00\u202e\u2028\udc80"
    (record,) = records(of_parts({(hostile, "\r\n{}"): SeriesPart(None, (), {(): process_ledger()})}, {}))
    message = record.getMessage()
    assert message.isprintable()
    assert len(message.splitlines()) == 1
    assert json.loads(json.dumps(record.modelmon)) == record.modelmon
    assert "\x00" not in record.modelmon["model"]
    assert one_line("%s %(x)s {y}") == "%s %(x)s {y}"


def test_what_is_not_logged_is_not_computed(caplog):
    """A logger whose level is above INFO costs nothing and gets nothing, and its settings stay as they were."""
    logger = logging.getLogger("modelmon")
    before = (logger.level, logger.handlers[:], logger.propagate, logging.getLogger().handlers[:])
    with caplog.at_level(logging.WARNING, "modelmon"):
        LogExporter().export({"m": None})
    assert not caplog.records
    assert (logger.level, logger.handlers[:], logger.propagate, logging.getLogger().handlers[:]) == before


def test_another_logger(caplog):
    """The records go to the logger that was named."""
    with caplog.at_level(logging.INFO, "app.models"):
        LogExporter(logger="app.models").export(WORLDS["binary"])
    assert [record.name for record in caplog.records] == ["app.models"]


class Raises(logging.Handler):
    """A handler that fails."""

    def emit(self, record: logging.LogRecord) -> None:
        """Fail."""
        raise OSError(28, record.name)


@pytest.mark.fault("X7")
def test_a_handler_that_raises_is_counted():
    """X7: a log that cannot be written is counted, and nothing gets out."""
    logger = logging.getLogger("modelmon.test_raises")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(Raises())
    source, exporter = FakeSource(WORLDS["binary"]), LogExporter(3600, logger.name)
    exporter.attach(source)
    assert exporter.flush(60)
    exporter.close(5)
    assert source.failures == {("log", "OSError"): 2}


class Flushes(logging.Handler):
    """A handler that has the exporter export again."""

    def __init__(self, exporter: LogExporter) -> None:
        """Flush this exporter."""
        super().__init__()
        self.exporter, self.seen = exporter, []

    def emit(self, record: logging.LogRecord) -> None:
        """Flush."""
        self.seen.append((record.name, self.exporter.flush(1)))


@pytest.mark.fault("X6")
def test_a_handler_that_flushes_does_not_recurse():
    """X6: a handler that makes the exporter export does not make it export what it is exporting."""
    logger = logging.getLogger("modelmon.test_flushes")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    exporter = LogExporter(3600, logger.name)
    handler = Flushes(exporter)
    logger.addHandler(handler)
    exporter.attach(FakeSource(WORLDS["binary"]))
    assert exporter.flush(60)
    assert handler.seen == [(logger.name, False)]
    logger.removeHandler(handler)
    exporter.close(5)


def test_a_plain_handler_gets_a_plain_line():
    """An application with a plain stream handler sees one readable line per model."""
    stream = io.StringIO()
    logger = logging.getLogger("modelmon.test_plain")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(stream))
    LogExporter(logger=logger.name).export(WORLDS["multiclass"])
    assert len(stream.getvalue().splitlines()) == 1


@pytest.fixture
def lines():
    """Return a logger of its own, and a function that returns what was written to its one handler so far."""
    stream, logger = io.StringIO(), logging.Logger("apart", logging.INFO)  # noqa: LOG001 - in no tree of loggers
    logger.addHandler(logging.StreamHandler(stream))
    return logger, lambda: stream.getvalue().splitlines()


@pytest.mark.parametrize("world", WORLDS)
def test_messages_of_json(lines, world):
    """With ``form="json"`` every message is one line of strict JSON that holds the record's numbers."""
    logger, written = lines
    LogExporter(logger=logger, form="json").export(WORLDS[world])
    found = [json.loads(line, parse_constant=pytest.fail) for line in written()]
    assert [record["model"] for record in found] == [model for model, _ in WORLDS[world]]


def test_a_formatter_of_json(lines):
    """The formatter makes one line of JSON of every record of a handler, with our numbers where there are some."""
    logger, written = lines
    logger.handlers[0].setFormatter(JSONFormatter())
    LogExporter(logger=logger).export(WORLDS["binary"])
    try:
        {}["x"]
    except KeyError:
        logger.exception("two\nlines of %s", "the host")
    ours, theirs = (json.loads(line) for line in written())
    assert (ours["level"], ours["logger"], ours["modelmon"]["calls"]) == ("INFO", "apart", 100)
    assert ours["message"].startswith("fraud 2026.10: 100 calls")
    assert ours["time"].endswith("+00:00")
    assert theirs["message"] == "two\nlines of the host"
    assert theirs["exception"].endswith("KeyError: 'x'")
    assert "modelmon" not in theirs


def test_a_logger_of_structlog():
    """A logger of structlog gets one event per model and version, with the numbers as its fields."""
    with structlog.testing.capture_logs() as events:
        LogExporter(logger=structlog.get_logger()).export(WORLDS["binary"])
    (event,) = events
    assert (event["event"], event["log_level"], event["calls"]) == ("modelmon", "info", 100)
    assert event["quality"]["accuracy"] == WORLDS["binary"]["fraud"].accuracy
    assert json.loads(json.dumps(event)) == event


def test_structlog_over_the_standard_library(lines):
    """Where structlog formats the standard library's records, it finds the numbers among what was added to them."""
    logger, written = lines
    processors = [
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(),
    ]
    logger.handlers[0].setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors))
    LogExporter(logger=logger).export(WORLDS["binary"])
    (line,) = (json.loads(line) for line in written())
    assert line["event"].startswith("fraud 2026.10: 100 calls")
    assert line["modelmon"]["calls"] == 100


@pytest.mark.fault("X10")
def test_what_is_no_logger():
    """X10: what is no logger, an adapter, or an unknown form, is an error at set-up."""
    for settings in ({"logger": 7}, {"logger": logging.LoggerAdapter(logging.getLogger("x"), {})}, {"form": "xml"}):
        with pytest.raises(ConfigurationError):
            LogExporter(**settings)
