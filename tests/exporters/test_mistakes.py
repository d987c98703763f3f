"""Wrong predictions in the log, by id: only where asked for, a bounded sample of those that labels showed wrong."""

from __future__ import annotations

import io
import json
import logging
import os

import pytest

from modelmon import Binary, Monitor, Multiclass, Regression
from modelmon.errors import ConfigurationError
from modelmon.events import Mistake
from modelmon.exporters.log import LogExporter
from modelmon.exporters.mistakes import Sample


@pytest.fixture
def lines():
    """Return a logger of its own, and a function that returns and forgets what was written to it."""
    stream, logger = io.StringIO(), logging.Logger("apart", logging.INFO)  # noqa: LOG001 - in no tree of loggers
    logger.addHandler(logging.StreamHandler(stream))

    def written():
        found = stream.getvalue().splitlines()
        stream.seek(0)
        stream.truncate()
        return found

    return logger, written


@pytest.fixture(params=["memory", "sqlite"])
def own(request, tmp_path):
    """Return a monitor with a store in memory, and one with a store on disk."""
    monitor = Monitor(store="memory" if request.param == "memory" else tmp_path / "labels.db")
    yield monitor
    monitor.close()


def ids(written):
    """Return the ids of the wrong predictions that were logged."""
    return [line.rpartition("id ")[2] for line in written if ", id " in line]


def test_nobody_asked(own, lines):
    """Unless it is asked for, no id is logged, and the store is not asked for any."""
    logger, written = lines
    own.add(LogExporter(3600, logger))
    own.predictions(["x"], ["a"], model="m", task=Multiclass())
    own.labels(["x"], ["b"])
    own.flush()
    assert own.home.witness is None
    assert not ids(written())


def test_wrong_predictions_by_id(own, lines):
    """Those that labels show to be wrong are logged once, each with what was said and what was true."""
    logger, written = lines
    own.add(LogExporter(3600, logger, wrong=10))
    own.predictions(["one", 2, "three\n"], ["ok", "ok", "fraud"], model="m", version="1", task=Binary("fraud", "ok"))
    own.predictions(["one", 2], [1.5, 2.5], model="price", task=Regression())
    own.predictions(["many"], [["a", "b"]], model="odd", task=Multiclass())
    own.labels(["one", 2, "three\n", "nobody"], ["ok", "fraud", "ok", "ok"])
    own.flush()
    wrong = [line for line in written() if ", id " in line]
    assert sorted(wrong) == [
        "m 1: said fraud and was ok, id three\\n",
        "m 1: said ok and was fraud, id 2",
    ]
    own.flush()
    assert not ids(written())


def test_corrections_tell_too(own, lines):
    """A correction that shows a prediction to be wrong is told, one that shows it to be right is not."""
    logger, written = lines
    own.add(LogExporter(3600, logger, wrong=10))
    own.predictions(["x", "y", "z"], ["a", "a", "a"], model="m", task=Multiclass())
    own.labels(["x", "y", "z"], ["a", "b", "a"])
    own.flush()
    assert ids(written()) == ["y"]
    own.labels(["x", "y", "y", "z"], ["b", "a", "b", "a"])
    own.flush()
    assert ids(written())[0] == "x"


def test_the_sample_is_bounded(own, lines):
    """Of a thousand wrong predictions as many are logged as were asked for, and the same ones whoever asks."""
    logger, written = lines
    own.add(LogExporter(3600, logger, wrong=5, form="json"))
    numbers = list(range(1000))
    own.predictions(numbers, ["a"] * 1000, model="m", task=Multiclass())
    own.labels(numbers, ["b"] * 1000)
    own.flush()
    found = [json.loads(line)["wrong"] for line in written() if "wrong" in json.loads(line)]
    assert len(found) == 5
    assert {one["actual"] for one in found} == {"b"}
    other = Sample(5)
    for number in reversed(numbers):
        other.tell(Mistake("m", "", str(number), "a", "b"))
        other.tell(Mistake("m", "", str(number), "a", "b"))
    assert [one.id for one in other.take()] == [one["id"] for one in found]
    assert not other.take()


def test_it_outlasts_configure_and_ends_with_close(lines):
    """What was asked for before ``configure`` holds after it; a closed exporter is told nothing more."""
    logger, written = lines
    own = Monitor()
    exporter = own.add(LogExporter(3600, logger, wrong=1))
    own.configure(ttl="1d")
    own.predictions(["x", "y"], ["a", "a"], model="m", task=Multiclass())
    own.label("x", "b")
    exporter.close(5)
    assert ids(written()) == ["x"]
    assert own.home.witness is None
    own.label("y", "b")
    own.close()


def test_several_are_told_and_closing_one_ends_none_of_the_others(own, lines):
    """Each exporter that asks has a sample of its own, however often it is attached."""
    logger, written = lines
    closed, left = LogExporter(3600, logging.Logger("other"), wrong=5), LogExporter(3600, logger, wrong=5)  # noqa: LOG001
    for exporter in (closed, left):
        own.add(exporter)
    left.attach(closed._source)
    own.predictions(["x", "y"], ["a", "a"], model="m", task=Multiclass())
    own.label("x", "b")
    assert [len(exporter._wrong.take()) for exporter in (closed, left)] == [1, 1]
    closed.close(5)
    own.label("y", "b")
    own.flush()
    assert ids(written()) == ["y"]
    left.close(5)
    assert own.home.witness is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_begins_anew():
    """What a parent drew is not the child's to log."""
    sample = Sample(3)
    sample.tell(Mistake("m", "", "x", "a", "b"))
    sample.renew()
    assert not sample.take()


@pytest.mark.parametrize("wrong", [-1, True, 1.5, 10_000, "5"])
def test_what_is_no_number_of_ids(wrong):
    """What cannot be meant is an error at set-up."""
    with pytest.raises(ConfigurationError, match="wrong="):
        LogExporter(wrong=wrong)
