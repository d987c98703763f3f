"""What whoever labels is told: why labels were invalid, what was committed, and what an address should be."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import label_files
import numpy as np
import pytest

from modelmon import Binary, LabelClient, Monitor, Multiclass, notices
from modelmon.cli import main
from modelmon.labelfile.lookalikes import look_alike

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelmon.labelling import JoinReport

TASK = Binary(positive="fraud", negative="ok")
IDS = ["order-0", "order-1", "", None, "order-2", "order-3", "order-0"]
TRUTHS = ["fraud", "perhaps", "ok", "ok", None, [[1]], "ok"]


def by_monitor(url: str) -> Callable[..., JoinReport]:
    """Return the call of a monitor."""
    return Monitor(store=url).labels


def by_client(url: str) -> Callable[..., JoinReport]:
    """Return the call of a client."""
    return LabelClient(url).labels


@pytest.mark.parametrize("make", [by_monitor, by_client])
def test_causes_are_counted_and_named(make: object, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each cause that was there is told with its number, and no other; what is dated ahead is told apart."""
    labels = make(label_files.predicted(tmp_path, 5))
    caplog.set_level(logging.WARNING, "modelmon")
    notices.forget()
    at = [1e9] * 6 + [time.time() + 1e5]
    assert labels(IDS, TRUTHS, at=at)["invalid"] == 6
    ahead, invalid = sorted(record.message for record in caplog.records)
    assert ahead.startswith("1 label(s) refused: at= lies more than an hour ahead")
    assert invalid.startswith("5 label(s) were invalid: 2 with an unusable id")
    assert "1 without a truth, 1 with a truth that is no class and no finite number, 1 that the task" in invalid
    labels.__self__.close()


@pytest.mark.parametrize("make", [by_monitor, by_client])
def test_one_cause_alone_is_named_alone(make: object, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A missing truth is called just that."""
    labels = make(label_files.predicted(tmp_path, 5))
    notices.forget()
    assert labels(["order-0"], [None])["invalid"] == 1
    assert caplog.messages == ["1 label(s) were invalid: 1 without a truth; snapshot().label_events counts them"]
    labels.__self__.close()


def test_a_place_for_bad_rows_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says how many rows are committed and how to go on; going on so ends well."""
    url = label_files.predicted(tmp_path, 6)
    file = tmp_path / "labels.csv"
    file.write_text("id,label\norder-0,ok\norder-1,ok\norder-2,perhaps\norder-3,ok\norder-4,ok\n", "utf-8")
    line = ["label", str(file), "--store", url, "--batch", "2"]
    assert main([*line, "--rejects", str(tmp_path / "nowhere" / "bad.csv")]) == 1
    told = capsys.readouterr().err
    assert "nowhere/bad.csv: No such file or directory; 4 rows are committed" in told
    assert "run the same line again with --rejects" in told
    assert main([*line, "--rejects", str(tmp_path / "bad.csv")]) == 3
    assert "order-2" in (tmp_path / "bad.csv").read_text("utf-8")


@pytest.mark.parametrize("text", ["labels.db", "./data/labels.sqlite", "../labels.db"])
def test_the_name_of_a_file_is_no_address(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message shows the text, which has no secret, and the address that it might have been."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "labels.csv"
    file.write_text("id,label\n", "utf-8")
    assert main(["label", str(file), "--store", text]) == 2
    told = capsys.readouterr().err
    assert f"'{text}' (for a file: sqlite:///" in told
    assert str(tmp_path) in told


def test_look_alikes_among_more_classes_than_cells_are_kept_of() -> None:
    """A class 7.0 beside the class 7 is told of where only the sums of each class are kept, too."""
    monitor = Monitor(gpu=False)
    numbers = np.arange(20_000)
    task = Multiclass(classes=(*range(299), "7.0"))
    monitor.predictions(numbers, numbers % 299, model="m", task=task)
    monitor.labels(numbers[:-1], numbers[:-1] * 7 // 299 % 299)
    assert look_alike(monitor.snapshot()) == ""
    monitor.labels(["19999"], ["7.0"])
    assert "1 label(s) of class '7.0', which is not its class 7" in look_alike(monitor.snapshot())
    with pytest.raises(ValueError, match="single cells"):
        _ = monitor.snapshot()["m"].confusion
