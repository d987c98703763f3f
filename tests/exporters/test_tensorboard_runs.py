"""TensorBoard's runs: each has a folder of its own, and one that cannot be written spoils no other."""

from __future__ import annotations

import pytest
from fake_sources import FakeSource
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from modelmon import Binary, ConfigurationError, Monitor, notices
from modelmon.exporters import tensorboard
from modelmon.exporters.tensorboard import TensorBoardExporter


def watched(*named):
    """Return a monitor that saw one labelled prediction of each of these models and versions."""
    own = Monitor()
    for model, version in named:
        own.predictions(["a"], [1], model=model, version=version, task=Binary(positive=1))
    own.labels(["a"], [1])
    return own


def attached(own, folder, **settings):
    """Return an exporter of a monitor that exports when it is flushed, and what counts its failures."""
    exporter, source = TensorBoardExporter(folder, every=3600, **settings), FakeSource()
    source.make = own.snapshot
    exporter.attach(source)
    return exporter, source


def steps(folder):
    """Return the steps at which a run says how many predictions there were."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return [event.step for event in found.Scalars("predictions/1")]


@pytest.mark.fault("X15")
def test_a_run_that_cannot_be_written_holds_up_no_other(tmp_path):
    """What stands where its folder was is a counted failure, and over as soon as it is gone; the others go on."""
    exporter, source = attached(watched(("first", ""), ("second", ""), ("third", "")), tmp_path)
    assert exporter.flush(60)
    gone = tmp_path / "second"
    for file in gone.iterdir():
        file.unlink()
    gone.rmdir()
    gone.write_text("in the way", "utf-8")
    exporter.flush(10)
    exporter.flush(10)
    assert set(source.failures) == {("tensorboard", "FileExistsError")}
    assert len(steps(tmp_path / "third")) == 3
    gone.unlink()
    assert exporter.flush(60)
    gone.joinpath("more").mkdir()
    exporter.close(10)
    assert len(steps(gone)) == 2


@pytest.mark.fault("X15")
def test_an_exporter_is_closed_while_a_folder_cannot_be_written(tmp_path):
    """Nothing of it reaches whoever closes."""
    exporter, source = attached(watched(("only", "1")), tmp_path)
    assert exporter.flush(60)
    for file in (tmp_path / "only" / "1").iterdir():
        file.unlink()
    (tmp_path / "only" / "1").rmdir()
    (tmp_path / "only" / "1").write_text("in the way", "utf-8")
    exporter.flush(10)
    exporter.close(10)
    assert source.failures


def test_names_that_no_file_can_hold(tmp_path):
    """A lone surrogate in a model's name is spelled out."""
    exporter, source = attached(watched(("bad\ud800", "\udfff"), ("good", "")), tmp_path)
    assert exporter.flush(60)
    exporter.close(10)
    assert not source.failures
    assert steps(tmp_path / "good")


def test_a_version_is_no_slice_and_no_model_the_process(tmp_path):
    """Names that would read alike get folders of their own."""
    own = watched(("process", ""), ("a", "land=DE"))
    with own.call(model="a", version="", task=Binary(positive=1), attributes={"land": "DE"}) as call:
        call.prediction("b", 1)
    exporter, _ = attached(own, tmp_path)
    assert exporter.flush(60)
    exporter.close(10)
    assert len(steps(tmp_path / "a" / "land=DE")) == 2
    assert len(steps(next(tmp_path.glob("a/land=DE~*")))) == 2
    assert len(steps(tmp_path / "process~")) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"a", "process", "process~"}


def test_a_restart_within_the_same_second_loses_nothing(tmp_path):
    """A second exporter of the same folder writes beside what the first one wrote."""
    own = watched(("only", ""))
    for _ in range(2):
        exporter, _ = attached(own, tmp_path)
        assert exporter.flush(60)
        exporter.close(10)
    assert len(list((tmp_path / "only").iterdir())) == 2


@pytest.mark.parametrize(("windows", "said"), [("1h", "is one text"), (("1h", "soon"), "no span of time")])
def test_windows_that_cannot_be_read(tmp_path, windows, said):
    """They are refused at once, not at the first export."""
    with pytest.raises(ConfigurationError, match=said):
        TensorBoardExporter(tmp_path, windows=windows)


def test_more_runs_than_are_kept(tmp_path, monkeypatch, caplog):
    """Past the bound further runs are left out: each is counted once, and one notice names the first."""
    monkeypatch.setattr(tensorboard, "RUNS", 3)
    notices.forget()
    own = Monitor()
    for number in range(6):
        own.predictions(None, [1], model=f"m{number}", version="1")
    source = FakeSource(own.snapshot)
    exporter = TensorBoardExporter(tmp_path, every=3600)
    exporter.attach(source)
    for _ in range(3):
        exporter.export(own.snapshot())
    exporter.close(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m0", "m1", "m2"]
    assert source.failures == {("tensorboard", "too_many_runs"): 4}  # three models' and the process's own
    (said,) = caplog.messages
    assert "more than 3 runs" in said
    assert "the first of them is 'm3/1'" in said
