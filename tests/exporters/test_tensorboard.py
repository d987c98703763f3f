"""TensorBoard: runs, tags and pictures that a real TensorBoard shows, and folders that misbehave."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_sources import FakeSource
from PIL import Image
from sklearn.metrics import precision_score, recall_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from modelmon import Binary, ConfigurationError, Monitor, Multiclass
from modelmon.exporters import tensorboard
from modelmon.exporters.pictures import confusion_picture, reliability_picture
from modelmon.exporters.tensorboard import TensorBoardExporter
from modelmon.points.reading import points
from modelmon.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANCE = np.random.default_rng(5)
SCORES = CHANCE.beta(2, 3, 600)
TRUTHS = np.where(CHANCE.random(600) < SCORES, "fraud", "ok")


def watched(versions: tuple[str, ...] = ("1",), **settings: Any) -> Monitor:
    """Return a monitor that has seen two countries and one model of three classes."""
    own = Monitor(**settings)
    for version in versions:

        @own(
            model="fraud", version=version, task=Binary(positive="fraud", negative="ok"), id="ids", attributes=["land"]
        )
        def score(ids: list[str], scores: Any, land: str) -> Any:
            return scores

        for at, land in ((0, "DE"), (300, "FR")):
            score([f"{version}-{n}" for n in range(at, at + 300)], SCORES[at : at + 300], land)
        own.labels([f"{version}-{n}" for n in range(500)], TRUTHS[:500], model="fraud", version=version)
    own.predictions(range(90), np.arange(90) % 3, model="kinds", task=Multiclass())
    own.labels(range(90), np.arange(90) // 2 % 3, model="kinds")
    return own


def read(folder: Path) -> EventAccumulator:
    """Return what TensorBoard's own reader finds in a folder."""
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return found


def test_numbers_are_the_points(tmp_path: Path) -> None:
    """Every scalar point of a model and of its slices stands in its run, to the seven digits that event files keep."""
    own = watched()
    snapshot = own.snapshot()
    exporter = TensorBoardExporter(tmp_path)
    exporter.export(snapshot)
    run = read(tmp_path / "fraud" / "1")
    assert run.Scalars("quality/accuracy")[0].value == pytest.approx(snapshot["fraud"].accuracy, rel=1e-7)
    assert run.Scalars("quality low/accuracy")[0].value == pytest.approx(
        snapshot["fraud"].interval("accuracy")[0], rel=1e-7
    )
    assert run.Scalars("calls/ok")[0].value == 2
    page = read(tmp_path / "fraud" / "1" / "land=DE")
    assert page.Scalars("quality/accuracy")[0].value == pytest.approx(
        snapshot["fraud"].slice(land="DE").accuracy, rel=1e-7
    )
    kinds = read(tmp_path / "kinds")
    expected = {
        tensorboard.tag_of(point): float(point.value)
        for point in points(snapshot)
        if ("model", "kinds") in point.attributes
        and not isinstance(point.value, tensorboard.HistogramValue)
        and not point.name.startswith(("modelmon.confusion", "modelmon.class.", "modelmon.score."))
    }
    found = {tag: kinds.Scalars(tag)[0].value for tag in expected}
    assert found == pytest.approx(expected, rel=1e-6)
    exporter.close(1)


def test_curves_and_pictures(tmp_path: Path) -> None:
    """The precision-recall curve is scikit-learn's at every threshold; matrix and reliability are pictures."""
    exporter = TensorBoardExporter(tmp_path)
    exporter.export(watched().snapshot())
    run = read(tmp_path / "fraud" / "1")
    tags = run.Tags()
    assert sorted(tags["images"]) == ["confusion matrix", "reliability"]
    assert tags["tensors"] == ["precision and recall/fraud"]
    assert sorted(tags["histograms"]) == ["distribution/call/batch_size", "distribution/call/duration/ok"]
    made = run.Tensors("precision and recall/fraud")[0].tensor_proto
    curve = np.array(made.float_val).reshape(6, tensorboard.THRESHOLDS)
    known, scores = TRUTHS[:500] == "fraud", SCORES[:500]
    for place, threshold in enumerate(np.linspace(0, 1, tensorboard.THRESHOLDS)):
        said = scores >= threshold
        assert curve[:4, place].tolist() == [
            (said & known).sum(),
            (said & ~known).sum(),
            (~said & ~known).sum(),
            (~said & known).sum(),
        ]
        assert curve[4, place] == pytest.approx(precision_score(known, said, zero_division=1), rel=1e-6)
        assert curve[5, place] == pytest.approx(recall_score(known, said), rel=1e-6)
    histogram = run.Histograms("distribution/call/batch_size")[0].histogram_value
    assert (histogram.num, sum(histogram.bucket), histogram.sum) == (2, 2, 600)
    exporter.close(1)


def test_what_is_assumed_has_its_pictures_too(tmp_path: Path) -> None:
    """Accuracy counts rows whose label is assumed, and so do matrix, curve and reliability; without any row is none."""
    clock = FakeClock(1.8e9)
    own = Monitor(clock=clock)
    own.assume_label("ok", after="1h", model="m")
    own.predictions(range(8), [0.9, 0.1] * 4, model="m", task=Binary("fraud", "ok"))
    exporter = TensorBoardExporter(tmp_path)
    exporter.export(own.snapshot())
    assert read(tmp_path / "m").Tags()["images"] == []
    clock.advance(7200)
    exporter.export(own.snapshot())
    assert own.snapshot()["m"].labelled == 0
    assert sorted(read(tmp_path / "m").Tags()["images"]) == ["confusion matrix", "reliability"]
    exporter.close(1)


def test_scores_beyond_probabilities_have_no_curve(tmp_path: Path) -> None:
    """A curve over thresholds from 0 to 1 would show margins wrongly, so there is none."""
    own = Monitor()
    own.predictions(range(4), [-2.0, 0.5, 1.0, 3.0], model="m", task=Binary())
    own.labels(range(4), [0, 1, 0, 1])
    exporter = TensorBoardExporter(tmp_path)
    exporter.export(own.snapshot())
    assert read(tmp_path / "m").Tags()["tensors"] == []
    exporter.close(1)


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    """Models named like paths, or alike but for signs, get folders of their own below the log directory."""
    own = Monitor()
    for name in ("../up", "..", "a/b", "a_b", "x" * 250, "läuft"):
        own.predictions(None, [1, 2], model=name, version="..")
    exporter = TensorBoardExporter(tmp_path / "runs")
    exporter.export(own.snapshot())
    exporter.close(1)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert len(list((tmp_path / "runs").iterdir())) == 7
    assert all(len(list(path.iterdir())) == 1 for path in (tmp_path / "runs").iterdir())


@pytest.mark.fault("X15")
def test_a_folder_that_goes_away_comes_back(tmp_path: Path) -> None:
    """Runs that somebody deletes are made again at the next export, with what is known then."""
    own, source = watched(), FakeSource()
    source.make = own.snapshot
    exporter = TensorBoardExporter(tmp_path / "runs", every=3600)
    exporter.attach(source)
    assert exporter.flush(60)
    shutil.rmtree(tmp_path / "runs")
    assert exporter.flush(60)
    exporter.close(10)
    assert read(tmp_path / "runs" / "kinds").Tags()["scalars"]
    assert not source.failures


@pytest.mark.fault("X15")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """What stands in the way is a counted failure, said once, and over as soon as it is gone."""
    own, source = watched(), FakeSource()
    source.make = own.snapshot
    exporter = TensorBoardExporter(tmp_path / "runs", every=3600)
    (tmp_path / "runs").write_text("in the way", "utf-8")
    exporter.attach(source)
    exporter.flush(10)
    assert sum(source.failures.values()) == 1
    assert not (tmp_path / "runs").is_dir()
    (tmp_path / "runs").unlink()
    assert exporter.flush(60)
    exporter.close(10)
    assert read(tmp_path / "runs" / "kinds").Tags()["scalars"]


def test_a_file_is_no_log_directory(tmp_path: Path) -> None:
    """Pointing at a file is refused at once."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="is a file"):
        TensorBoardExporter(tmp_path / "file")


@pytest.mark.parametrize("logdir", ["s3://bucket/x", "gs://bucket", "file:///x", "HTTPS://x/y", Path("gs://bucket/x")])
def test_a_url_is_no_log_directory(logdir: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would become a folder called ``s3:`` is refused at once, with what to do; a path keeps one slash of two."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"is a URL.*copy it there or mount"):
        TensorBoardExporter(logdir)


@pytest.mark.parametrize("logdir", ["runs", "./s3:/x", "a:b", r"C:\\runs", "C:/runs", "run-12:30"])
def test_folders_with_colons(logdir: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drive, a time of day and the like are folders."""
    monkeypatch.chdir(tmp_path)
    TensorBoardExporter(logdir)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_a_file_of_its_own(tmp_path: Path) -> None:
    """The parent's file is left alone by a child that exports too."""
    own = watched()
    exporter = TensorBoardExporter(tmp_path)
    exporter.export(own.snapshot())
    pid = os.fork()
    if not pid:
        code = 1
        try:
            exporter.export(own.snapshot())
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    exporter.close(1)
    names = [path.name for path in (tmp_path / "kinds").iterdir()]
    assert sorted(name.rsplit(".", 1)[1] for name in names) == sorted([str(os.getpid()), str(pid)])


def test_no_thread_is_left(tmp_path: Path) -> None:
    """Writing starts no thread beside the exporter's own, and loads no TensorFlow."""
    script = f"""
import sys, threading
from modelmon import Monitor
from modelmon.exporters.tensorboard import TensorBoardExporter
own = Monitor()
own.predictions(None, [1, 2], model="m")
own.add(TensorBoardExporter({str(tmp_path)!r}))
own.flush()
print(sorted(thread.name for thread in threading.enumerate()), "tensorflow" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == "['MainThread', 'modelmon-tensorboard'] False\n"


def test_pictures_of_any_size() -> None:
    """Two classes and thirty-two, long names and empty rows all fit into a picture."""
    small = confusion_picture(np.array([[5, 0], [0, 0]]), ["x" * 90, "no"], "a model with a long name " * 9)
    large = confusion_picture(np.full((32, 32), 12_345_678), [str(n) for n in range(32)], "many")
    assert small.size[0] >= 400
    assert max(large.size) < 1000
    bins = [(0, float("nan"), float("nan"))] * 9 + [(10, 0.97, 0.9)]
    dark = np.asarray(reliability_picture(bins, "one bin"))
    assert isinstance(small, Image.Image)
    assert (dark == (31, 95, 168)).all(axis=2).sum() > 100


def test_line_ends_in_names_fail_no_run(tmp_path: Path) -> None:
    """Models, versions, classes and slices of several lines, or with other signs that do not print, have all theirs."""
    own = Monitor()

    @own(model="two\nlines", version="1\r\n2", task=Multiclass(), id="order", attributes=["land"])
    def classify(order: int, land: str) -> str:
        return ("red\nblue", "tab\tand\x1b", "line\u2028end")[order % 3]

    for order in range(30):
        classify(order, ("D\nE", "FR")[order % 2])
    own.labels(range(30), ["red\nblue"] * 30)
    own.predictions(range(9), [0.1, 0.9, 0.4] * 3, model="scores\n", task=Binary(positive="a\nb", negative="c"))
    own.labels(range(9), ["a\nb", "c", "c"] * 3, model="scores\n")
    exporter = TensorBoardExporter(tmp_path)
    exporter.export(own.snapshot())
    exporter.close(1)
    (model,) = tmp_path.glob("two_lines*/*")
    (scores,) = tmp_path.glob("scores_*")
    assert read(model).Tags()["images"] == ["confusion matrix"]
    assert sorted(read(scores).Tags()["images"]) == ["confusion matrix", "reliability"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A real TensorBoard that serves a folder: the folder, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path), "--host", "127.0.0.1"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        [*command, "--port", str(port), "--reload_interval", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        yield tmp_path, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.slow
def test_a_real_tensorboard_shows_it(served: tuple[Path, str]) -> None:
    """Scalars, curves, pictures, histograms and versions to compare are listed by TensorBoard itself."""
    folder, address = served
    exporter = TensorBoardExporter(folder, windows=("1h",))
    exporter.export(watched(("1", "2")).snapshot())
    exporter.close(1)

    def ask(path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  (an address of this machine)
            address + path, body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return json.load(answer)

    deadline, found = time.monotonic() + 60, {}
    while time.monotonic() < deadline and "fraud/2" not in found:
        time.sleep(0.5)
        try:
            found = ask("/data/plugin/scalars/tags")
        except OSError:
            continue
    assert {"fraud/1", "fraud/2", "kinds", "process", "fraud/1/land=DE"} <= set(found)
    assert {"quality/accuracy", "quality/accuracy/1h", "calls/ok", "label/coverage"} <= set(found["fraud/2"])
    query = urllib.parse.urlencode({"tag": "quality/auc", "run": "fraud/2"})
    ((_, _, value),) = ask(f"/data/plugin/scalars/scalars?{query}")
    assert value == pytest.approx(watched().snapshot()["fraud"].auc, rel=1e-6)
    assert set(ask("/data/plugin/pr_curves/tags")["fraud/1"]) == {"precision and recall/fraud"}
    assert set(ask("/data/plugin/images/tags")["fraud/1"]) == {"confusion matrix", "reliability"}
    assert set(ask("/data/plugin/histograms/tags")["fraud/1"]) >= {"distribution/call/duration/ok"}
    session = ask("/data/plugin/hparams/experiment", b'{"experimentName": ""}')
    assert {"model", "task", "version"} <= {info["name"] for info in session["hparamInfos"]}
