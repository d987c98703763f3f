"""Tests of a delivery that is stopped: killed in the middle, or left alone by its store."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import label_files
import pytest

from modelmon import LabelClient
from modelmon.cli import main

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "modelmon", "label"]

KILLED = """
import random, signal, sys
from modelmon import LabelClient
from modelmon.cli import main

goal, deliver, batches = int(sys.argv[1]), LabelClient.outcomes, []

def delivering(client, labels):
    found = deliver(client, labels)
    batches.append(len(labels.ids))
    if len(batches) == goal:
        signal.setitimer(signal.ITIMER_PROF, random.uniform(0.001, 0.03))  # whose signal ends a process where it is
    return found

LabelClient.outcomes = delivering
main(["label", *sys.argv[2:]])
"""


@pytest.mark.fault("S10", "E5")
@pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="no SIGPROF here")
@pytest.mark.slow
def test_killed_and_run_again(tmp_path: Path) -> None:
    """Of 100,000 labels delivered by a program that is killed again and again, each counts exactly once."""
    n = 100_000
    url = label_files.predicted(tmp_path, n)
    file = tmp_path / "labels.csv"
    label_files.write_csv(file, n)
    line = [*COMMAND, str(file), "--store", url, "--batch", "250", "--no-progress"]
    for goal in (1, 7, 40, 40):
        killed = [sys.executable, "-c", KILLED, str(goal), *line[len(COMMAND) :]]
        done = subprocess.run(killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        assert done.returncode == -signal.SIGPROF
    with LabelClient(url) as client:
        assert 88 * 250 <= client.snapshot()["fraud"].labelled < n
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "going on after" in done.stderr
    fraud = label_files.reading(url)
    assert fraud.confusion.matrix.tolist() == [[0, n - (n + 2) // 3], [0, (n + 2) // 3]]
    assert fraud.label_events["joined"] == n
    assert fraud.label_events["duplicate"] <= 4 * 250


@pytest.mark.parametrize("name", label_files.FILES)
def test_goes_on_where_it_stopped(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """After a failure in the third batch, the same line delivers the rest and shows the counts of both runs."""
    from modelmon.errors import StoreError  # noqa: PLC0415

    url = label_files.predicted(tmp_path, 30)
    file = tmp_path / name
    label_files.FILES[name](file, 30)
    line = ["label", str(file), "--store", url, "--batch", "4"]
    deliver, calls = LabelClient.outcomes, []

    def failing(client, labels):
        calls.append(len(labels.ids))
        if len(calls) > 2:
            message = "the disk is full"
            raise StoreError(message, kind="full")
        return deliver(client, labels)

    with monkeypatch.context() as patched:
        patched.setattr(LabelClient, "outcomes", failing)
        assert main(line) == 1
    said = capsys.readouterr().err
    assert "(full)" in said
    assert "run the same line again" in said
    delivered = sum(calls[:2])
    assert label_files.reading(url).labelled == delivered
    assert main(line) == 0
    shown = capsys.readouterr()
    assert "going on after" in shown.err
    assert "30" in shown.out
    fraud = label_files.reading(url)
    assert fraud.label_events["joined"] == 30
    assert not fraud.label_events["duplicate"]


def test_rejects_of_a_batch_come_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that was delivered but not noted is delivered again, and its bad rows stand in the side file once."""
    from modelmon.errors import StoreError  # noqa: PLC0415

    url = label_files.predicted(tmp_path, 6)
    file = tmp_path / "labels.csv"
    file.write_text("id,label\norder-0,x\norder-1,ok\norder-2,y\norder-3,z\norder-4,ok\n", "utf-8")
    note, notes = LabelClient.note, []

    def failing(client, name, value):
        notes.append(name)
        if len(notes) == 2:
            message = "gone"
            raise StoreError(message)
        note(client, name, value)

    with monkeypatch.context() as patched:
        patched.setattr(LabelClient, "note", failing)
        assert main(["label", str(file), "--store", url, "--batch", "2"]) == 1
    assert main(["label", str(file), "--store", url, "--batch", "2"]) == 3
    lines = (tmp_path / "labels.csv.rejects.csv").read_text("utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["line", "2", "4", "5"]


def test_other_meaning_is_another_delivery(tmp_path: Path, capsys) -> None:
    """The same file for another model, or a file that has grown, is delivered from its beginning."""
    url = label_files.predicted(tmp_path, 4)
    file = tmp_path / "labels.csv"
    file.write_text("id,label\norder-0,ok\n", "utf-8")
    assert main(["label", str(file), "--store", url, "--model", "another"]) == 0
    assert "early" in capsys.readouterr().out
    assert main(["label", str(file), "--store", url]) == 0
    assert "joined" in capsys.readouterr().out
    with file.open("a", encoding="utf-8") as grown:
        grown.write("order-1,ok\n")
    assert main(["label", str(file), "--store", url]) == 0
    shown = capsys.readouterr().out
    assert "joined" in shown
    assert "duplicate" in shown


@pytest.mark.slow
def test_waits_for_a_locked_store(tmp_path: Path) -> None:
    """A file that another process locks for some seconds is waited for."""
    url = label_files.predicted(tmp_path, 100)
    file = tmp_path / "labels.csv"
    label_files.write_csv(file, 100)
    holder = sqlite3.connect(tmp_path / "labels.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    process = subprocess.Popen([*COMMAND, str(file), "--store", url], stdout=subprocess.PIPE)
    time.sleep(7)
    assert process.poll() is None
    holder.execute("ROLLBACK")
    holder.close()
    assert process.wait(60) == 0
    process.communicate()
    assert label_files.reading(url).labelled == 100


@pytest.mark.fault("E7")
@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_interrupted_by_hand(tmp_path: Path) -> None:
    """An interrupt ends it with status 130 and says how to go on."""
    reader, writer = os.pipe()
    url = label_files.predicted(tmp_path, 1)
    with os.fdopen(writer, "wb") as feed:
        process = subprocess.Popen(
            [*COMMAND, "-", "--store", url], stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        os.close(reader)
        feed.write(b"id,label\n" + b"unknown,1\n" * 30_000)  # more than a pipe holds: it reads when this is written
        feed.flush()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
