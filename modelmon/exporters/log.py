"""The log: one structured record per model and version, every so often, for whatever collects the application's log.

The logger's level, handlers and propagation are the application's own and never touched.
"""

from __future__ import annotations

import json
import logging
import math
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, Literal

from modelmon.errors import ConfigurationError
from modelmon.exporters.mistakes import Sample
from modelmon.identity import class_texts
from modelmon.points.attributes import safe_text
from modelmon.points.qualities import SCALARS
from modelmon.readers import Periodic

if TYPE_CHECKING:
    from modelmon.events import Mistake
    from modelmon.readers import Source
    from modelmon.readings.distributions import Distribution
    from modelmon.snapshot import ModelSnapshot, Snapshot

Form = Literal["line", "json"]

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_CLASSES = 32
_FORMS: Final = ("line", "json")
_MOST_WRONG: Final = 1000
_EVENT: Final = "modelmon"


class LogExporter(Periodic):
    """Log what is known of every model and version, once per period, at level INFO.

    The message is for people, or the record as JSON; the same numbers stand in the record's attribute ``modelmon``, a
    dict that ``json.dumps`` takes as it is (undefined is None).
    """

    def __init__(
        self, every: float | str = 60, logger: Any = "modelmon", *, form: Form = "line", wrong: int = 0
    ) -> None:
        """Prepare; the first records come one period after the exporter was added.

        Args:
            every: the period, in seconds or as text such as ``"5m"``.
            logger: the name of a logger, a logger, or one of structlog, which gets the numbers as its event's fields.
            form: what the message is: ``"line"`` for people, or ``"json"`` for machines, whatever the handlers do.
            wrong: how many wrong predictions of each period to log, by id: a sample of those that labels which reached
                this process showed to be wrong. Ids are logged for this alone.

        Raises:
            ConfigurationError: when the period is not a positive span of time, or one of the others is unknown.
        """
        super().__init__(every, self.export, name="log")
        if form not in _FORMS:
            msg = f"form={form!r} is unknown; there are {', '.join(map(repr, _FORMS))}"
            raise ConfigurationError(msg)
        if not isinstance(logger, (str, logging.Logger)) and not callable(getattr(logger, "bind", None)):
            msg = f"logger={logger!r} is no logger: give a name, a logger, or one of structlog"
            raise ConfigurationError(msg)
        if isinstance(wrong, bool) or not isinstance(wrong, int) or not 0 <= wrong <= _MOST_WRONG:
            msg = f"wrong={wrong!r} must be a number of ids, 0 to {_MOST_WRONG}"
            raise ConfigurationError(msg)
        self._wrong = Sample(wrong) if wrong else None
        self._form = form
        self._logger: Any = logging.getLogger(logger) if isinstance(logger, str) else logger

    def attach(self, source: Source) -> None:
        """Log from now on, each period, what ``source`` knows then."""
        if self._wrong is not None:
            source.watch_mistakes(self._wrong.tell)
        super().attach(source)

    def close(self, timeout: float) -> None:
        """Log a last time and stop, within ``timeout`` seconds; closing twice does nothing."""
        if self._wrong is not None and self._source is not None:
            self._source.leave_mistakes(self._wrong.tell)
        super().close(timeout)

    def export(self, snapshot: Snapshot) -> None:
        """Log a snapshot now, and what was drawn of the wrong predictions."""
        logger = self._logger
        if isinstance(logger, logging.Logger) and not logger.isEnabledFor(logging.INFO):
            return
        for model in snapshot.values():
            record = summarise(model)
            self._log(record, sentence(record))
        for mistake in [] if self._wrong is None else self._wrong.take():
            self._log({"wrong": mistake._asdict()}, mistaken(mistake))

    def _log(self, record: dict[str, Any], line: str) -> None:
        if isinstance(self._logger, logging.Logger):
            said = line if self._form == "line" else json.dumps(record, allow_nan=False)
            self._logger.info("%s", said, extra={"modelmon": record})
        else:
            self._logger.info(_EVENT, **record)


class JSONFormatter(logging.Formatter):
    """Format every record of a handler as one line of JSON; those of ours carry their numbers under ``modelmon``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line: time, level, logger and message, and what there is besides."""
        made = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": made,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        numbers = getattr(record, "modelmon", None)
        if isinstance(numbers, dict):
            line["modelmon"] = numbers
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def summarise(model: ModelSnapshot) -> dict[str, Any]:
    """Return the numbers of one model and version as plain JSON values; undefined is None."""
    predicted = model.predicted
    record: dict[str, Any] = {
        "model": safe_text(model.model),
        "version": safe_text(model.version),
        "calls": model.calls,
        "outcomes": dict(model.outcomes),
        "errors": {safe_text(name): n for name, n in model.errors.items()},
        "in_flight": model.in_flight,
        "duration_seconds": _spread(model.duration),
        "predictions": model.predictions,
        "predicted": dict(list(zip(class_texts(predicted), predicted.values(), strict=True))[:_CLASSES]),
        "rejected": dict(model.rejected),
    }
    if model.prediction_events:
        record |= {
            "awaiting": model.awaiting,
            "labelled": model.labelled,
            "expired": model.expired,
            "coverage": _number(model.coverage),
            "label_delay_seconds": _spread(model.label_delay),
        }
        metrics = {name: _number(getattr(model, name)) for name in SCALARS.get(type(model.task), ())}
        record["quality"] = {name: value for name, value in metrics.items() if value is not None}
        record["interval"] = _interval(model)
    return record


def sentence(record: dict[str, Any]) -> str:
    r"""Return a record as one line for people, without anything that a terminal or a log parser could take for its own.

    >>> sentence({"model": "a\nb", "version": "", "calls": 1200, "errors": {}, "duration_seconds": {}})
    'a\\nb: 1,200 calls'
    """
    name = " ".join(one_line(record[key]) for key in ("model", "version") if record[key])
    said = [f"{record['calls']:,} calls"]
    if record["errors"]:
        said[0] += f" ({sum(record['errors'].values()):,} errors)"
    duration = record["duration_seconds"]
    if duration.get("p50") is not None:
        said.append(f"p50 {duration['p50'] * 1e3:.3g} ms, p99 {duration['p99'] * 1e3:.3g} ms")
    if record.get("coverage") is not None:
        said.append(f"{record['labelled']:,} labelled ({record['coverage']:.1%}), {record['awaiting']:,} awaiting")
    metrics = [f"{metric} {value:.4g}" for metric, value in list(record.get("quality", {}).items())[:2]]
    return f"{name}: {'; '.join([*said, *metrics])}"


def mistaken(mistake: Mistake) -> str:
    """Return a wrong prediction as one line for people."""
    name = " ".join(one_line(text) for text in mistake[:2] if text)
    said, was, known = map(one_line, (mistake.predicted, mistake.actual, mistake.id))
    return f"{name}: said {said} and was {was}, id {known}"


def one_line(text: str) -> str:
    r"""Return text with everything unprintable (line breaks, escape sequences, direction marks) spelled out.

    >>> one_line("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _spread(values: Distribution) -> dict[str, float | int | None]:
    found: dict[str, float | int | None] = {"count": values.count, "mean": _number(values.mean)}
    return found | {name: _number(values.quantile(q)) for name, q in _QUANTILES.items()}


def _interval(model: ModelSnapshot) -> dict[str, list[float | None]]:
    names = SCALARS.get(type(model.task), ())[:1]
    return {name: [_number(end) for end in model.interval(name)] for name in names}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
