"""Tests of ``modelmon label``: every format in, a table and an exit status out, bad rows to the side file."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import label_files
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmon import Binary, LabelClient, Multiclass, Regression, StoreError
from modelmon.cli import main
from modelmon.labelfile.showing import progress

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", label_files.FILES)
@pytest.mark.parametrize("batch", ["3", "1000"])
def test_every_format_gives_the_same_counts(
    name: str, batch: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Thirty orders labelled from any file, in batches of any size, give one matrix, and delivered again no other."""
    url = label_files.predicted(tmp_path, 30)
    file = tmp_path / name
    label_files.FILES[name](file, 30)
    line = ["label", str(file), "--store", url, "--batch", batch]
    assert main(line) == 0
    assert label_files.reading(url).confusion.matrix.tolist() == [[0, 20], [0, 10]]
    assert "joined" in capsys.readouterr().out
    assert main(line) == 0
    assert "delivered before" in capsys.readouterr().err
    assert main([*line, "--restart"]) == 0
    assert "duplicate" in capsys.readouterr().out
    assert label_files.reading(url).confusion.matrix.tolist() == [[0, 20], [0, 10]]
    assert not (tmp_path / f"{name}.rejects.csv").exists()


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A minus sign reads CSV from standard input, which cannot be resumed, so it is delivered each time."""
    url = label_files.predicted(tmp_path, 5)
    for outcome in ("joined", "duplicate"):
        text = io.BytesIO(label_files.csv_text(5).encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(text))
        assert main(["label", "-", "--store", url]) == 0
        assert outcome in capsys.readouterr().out


@pytest.mark.parametrize("bad", ["", ",ok\norder-0\n"])
def test_a_store_of_others_is_asked_about(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no readable label met a prediction, a line asks for store and ids, bad rows or not; else none does."""
    url = label_files.predicted(tmp_path, 5)
    file = tmp_path / "labels.csv"
    file.write_text(label_files.csv_text(5) + bad, "utf-8")
    main(["label", str(file), "--store", f"sqlite://{tmp_path}/mistyped.db"])
    assert "no label met a prediction" in capsys.readouterr().err
    main(["label", str(file), "--store", url])
    assert "no label met" not in capsys.readouterr().err
    file.write_text("id,label\n,ok\n", "utf-8")
    main(["label", str(file), "--store", url])
    assert "no label met" not in capsys.readouterr().err


def test_whole_numbers_written_with_a_point_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class 1.0 beside the text 1 of predictions is named while it has labels, and not once they are mended."""
    url = label_files.predicted(tmp_path, 6, ["0", "1", "2"] * 2, task=Multiclass())
    file = tmp_path / "labels.csv"
    for end, told in ((".0", True), ("", False)):
        rows = "".join(f"order-{number},{number % 3}{end}\n" for number in range(6))
        file.write_text(f"id,label\n{rows}", "utf-8")
        assert main(["label", str(file), "--store", url, "--no-progress"]) == 0
        error = capsys.readouterr().err
        assert ("model 'fraud' has 2 label(s) of class '0.0', which is not its class 0" in error) is told
    with LabelClient(url) as client:
        assert client.snapshot()["fraud"].accuracy == 1.0


@pytest.mark.parametrize("task", [Binary(), Binary(1, 0), Multiclass()])
def test_whole_numbers_written_with_a_point_are_the_whole_numbers(tmp_path: Path, task: Any) -> None:
    """What pandas writes for a column of whole numbers with a gap joins as the numbers that were meant."""
    url = label_files.predicted(tmp_path, 4, [1, 0, 1, 0], task=task)
    file = tmp_path / "labels.csv"
    file.write_text("id,label\norder-0,1.0\norder-1,0.0\norder-2,\norder-3,0.0\n", "utf-8")
    assert main(["label", str(file), "--store", url, "--no-progress"]) == 3
    with LabelClient(url) as client:
        found = client.snapshot()["fraud"]
    assert (found.labelled, found.accuracy, tuple(found.classes)) == (3, 1.0, (0, 1))


def test_what_cannot_be_read_back_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All is committed, so the status says so, although the store is away when its classes are looked at."""

    def away(_client: LabelClient) -> None:
        message = "away"
        raise StoreError(message, kind="down")

    url = label_files.predicted(tmp_path, 3)
    label_files.write_csv(tmp_path / "labels.csv", 3)
    monkeypatch.setattr(LabelClient, "snapshot", away)
    assert main(["label", str(tmp_path / "labels.csv"), "--store", url, "--no-progress"]) == 0
    assert capsys.readouterr().err == ""


BAD = """id,label,at,rev
order-0,fraud,2026-01-01T00:00:00Z,
order-1,perhaps,,
order-2,ok,2026-01-01 00:00:00,
order-3,ok,,many
,ok,,
order-4,,,
order-5
order-6,ok,99999999999999,
order-7,"ok",,2
"""


def test_bad_rows_go_to_the_side_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each bad row is written with its line and reason, the good ones join, and the status is 3."""
    url = label_files.predicted(tmp_path, 9)
    file = tmp_path / "labels.csv"
    file.write_text(BAD, "utf-8")
    assert main(["label", str(file), "--store", url, "--no-progress"]) == 3
    with (tmp_path / "labels.csv.rejects.csv").open(newline="", encoding="utf-8") as rejects:
        found = {row["line"]: row for row in csv.DictReader(rejects)}
    assert {line: row["id"] for line, row in found.items()} == {
        "3": "order-1",
        "4": "order-2",
        "5": "order-3",
        "6": "",
        "7": "order-4",
        "8": "",
        "9": "order-6",
    }
    assert "does not know" in found["3"]["reason"]
    assert "zone" in found["4"]["reason"]
    assert "rev" in found["5"]["reason"]
    assert "usable id" in found["6"]["reason"]
    assert found["7"]["reason"] == "no label"
    assert found["8"]["record"] == "order-5"
    assert "milliseconds" in found["9"]["reason"]
    said = capsys.readouterr()
    assert "unreadable" in said.out
    assert "7 bad row(s)" in said.err
    assert label_files.reading(url).labelled == 2
    assert main(["label", str(file), "--store", url]) == 3


def test_side_file_can_be_mended_and_delivered(tmp_path: Path) -> None:
    """The side file has the columns of a file of labels, so a corrected one is delivered as it stands."""
    url = label_files.predicted(tmp_path, 2)
    file = tmp_path / "labels.csv"
    file.write_text("id,label\norder-0,fruad\norder-1,ok\n", "utf-8")
    assert main(["label", str(file), "--store", url]) == 3
    side = tmp_path / "labels.csv.rejects.csv"
    assert side.stat().st_mode & 0o777 == 0o600
    side.write_text(side.read_text("utf-8").replace("fruad", "fraud"), "utf-8")
    assert main(["label", str(side), "--store", url]) == 0
    assert label_files.reading(url).labelled == 2


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Rows that are not UTF-8 are rejected one by one, in CSV and in JSON lines."""
    url = label_files.predicted(tmp_path, 2)
    table, lines = tmp_path / "a.csv", tmp_path / "a.jsonl"
    table.write_bytes(b"id,label\norder-0,\xff\norder-1,ok\n")
    lines.write_bytes(b'{"id": "order-0", "label": "ok"}\n{"id": "\xff", "label": "ok"}\n[1]\n{"id": "x"}\nNaN\n')
    assert main(["label", str(table), "--store", url]) == 3
    assert main(["label", str(lines), "--store", url]) == 3
    assert label_files.reading(url).labelled == 2
    reasons = [row.split(",")[1] for row in (tmp_path / "a.jsonl.rejects.csv").read_text("utf-8").splitlines()[1:]]
    assert reasons == ["not UTF-8", "no object", "no label", "NaN is no JSON"]


def test_quote_that_is_not_closed(tmp_path: Path) -> None:
    """A stray quote costs what it swallows, which the side file says, and not the rest of the file."""
    url = label_files.predicted(tmp_path, 20_000)
    file = tmp_path / "labels.csv"
    rows = [f"order-{i},ok" for i in range(20_000)]
    rows[3] = 'order-3,"ok'
    file.write_text("\n".join(["id,label", *rows, ""]), "utf-8")
    assert main(["label", str(file), "--store", url]) == 3
    assert 3 < label_files.reading(url).labelled < 20_000
    assert "not closed" in (tmp_path / "labels.csv.rejects.csv").read_text("utf-8")


def test_retractions_times_and_revisions(tmp_path: Path) -> None:
    """A text of one's choice takes a label back; columns of other names are told; numbers match classes by text."""
    url = label_files.predicted(tmp_path, 3, [1, 0, 1], task=None)
    file = tmp_path / "labels.csv"
    file.write_text("key,id,was,seen,n\norder-0,7,1,1767225600,1\norder-1,8,1.0,,\norder-0,9,gone,,2\n", "utf-8")
    columns = ["--id", "key", "--label", "was", "--at", "seen", "--rev", "n"]
    assert main(["label", str(file), "--store", url, *columns, "--retract-value", "gone", "--batch", "2"]) == 0
    fraud = label_files.reading(url)
    assert fraud.labelled == 1
    assert fraud.label_events["retracted"] == 1


def test_types_of_parquet_stay(tmp_path: Path) -> None:
    """Numbers of a Parquet file are numbers: a regression is labelled by floats, times need no text."""
    url = label_files.predicted(tmp_path, 4, [1.0, 2.0, 3.0, 4.0], task=Regression())
    table = pa.table(
        {
            "id": [f"order-{i}" for i in range(4)],
            "y": pa.array([1.5, 2.5, None, 4.5]),
            "timestamp": pa.array([0, 1, None, 3], pa.timestamp("ms", "UTC")),
        }
    )
    pq.write_table(table, tmp_path / "labels.parquet")
    assert main(["label", str(tmp_path / "labels.parquet"), "--store", url, "--model", "fraud", "--version", "7"]) == 3
    assert label_files.reading(url).mae == 0.5


def test_sets_of_labels_in_json_lines(tmp_path: Path) -> None:
    """Lines may carry times, revisions, scopes and retractions of their own."""
    url = label_files.predicted(tmp_path, 3)
    items = [
        {"id": "order-0", "label": "ok", "at": "2026-01-01T00:00:00+01:00"},
        {"id": "order-1", "label": "ok", "model": "other"},
        {"id": "order-0", "retract": True, "at": 1767225601},
        {"id": "order-2", "label": "ok", "model": "fraud", "version": "7"},
    ]
    file = tmp_path / "labels.ndjson"
    file.write_text("\n".join(map(json.dumps, items)), "utf-8")
    assert main(["label", str(file), "--store", url]) == 0
    assert label_files.reading(url).labelled == 1


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n", [], "no column is called 'id' or 'prediction_id'"),
        ("id,prediction_id,label\n", [], "may be in 'id' or 'prediction_id'"),
        ("id,label\n", ["--at", "when"], "no column 'when'; its columns are 'id', 'label'"),
        ("id,label,id\n", ["--id", "id"], "more than one column 'id'"),
        ("", [], "there are none"),
        ("id,label\n", ["--version", "1"], "model="),
        ("id,label\n", ["--batch", "0"], "--batch"),
        ("id,label\n", ["--rejects", "other.txt"], "holds no rejected rows"),
    ],
    ids=["missing", "several", "told", "twice", "empty", "scope", "batch", "side"],
)
def test_wrong_usage_is_said(
    text: str, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot work ends with status 2 and one line that says what would."""
    (tmp_path / "other.txt").write_text("mine", "utf-8")
    (tmp_path / "labels.csv").write_text(text, "utf-8")
    options = [str(tmp_path / option) if option.endswith(".txt") else option for option in options]
    assert main(["label", str(tmp_path / "labels.csv"), "--store", f"sqlite://{tmp_path}/labels.db", *options]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "other.txt").read_text("utf-8") == "mine"


def test_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """A file that is not there, of no known kind, or damaged, and a store that is not said."""
    monkeypatch.delenv("MODELMON_STORE", raising=False)
    url = f"sqlite://{tmp_path}/labels.db"
    for name, said in (("no.csv", "no such file or directory"), ("folder.csv", "is a directory")):
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        assert main(["label", str(tmp_path / name), "--store", url]) == 1
        assert capsys.readouterr().err == f"modelmon: {tmp_path / name}: {said}\n"
    (tmp_path / "labels.txt").write_text("id,label\n", "utf-8")
    assert main(["label", str(tmp_path / "labels.txt"), "--store", url]) == 2
    assert "--format" in capsys.readouterr().err
    assert main(["label", str(tmp_path / "labels.txt"), "--format", "csv"]) == 2
    assert "MODELMON_STORE" in capsys.readouterr().err
    (tmp_path / "wide.csv").write_bytes("id,label\n".encode("utf-16"))
    assert main(["label", str(tmp_path / "wide.csv"), "--store", url]) == 2
    (tmp_path / "x.parquet").write_text("id,label\n", "utf-8")
    assert main(["label", str(tmp_path / "x.parquet"), "--store", url]) == 1
    assert "no Parquet file" in capsys.readouterr().err
    label_files.write_gzip(tmp_path / "cut.csv.gz", 20_000)
    whole = (tmp_path / "cut.csv.gz").read_bytes()
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    assert main(["label", str(tmp_path / "cut.csv.gz"), "--store", url, "--batch", "100"]) == 1


def test_odd_json_lines(tmp_path: Path) -> None:
    """A byte order mark, a line beyond all bounds, a retraction first, names of one's own, and times left out."""
    url = label_files.predicted(tmp_path, 3)
    file = tmp_path / "labels.jsonl"
    long = json.dumps({"id": "x" * (3 << 20), "label": "ok"})
    lines = ['{"id": "order-0", "retract": true}', long, '{"id": "order-1", "label": "ok", "at": "soon"}']
    file.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    assert main(["label", str(file), "--store", url, "--at", ""]) == 3
    assert "a line longer" in (tmp_path / "labels.jsonl.rejects.csv").read_text("utf-8")
    assert label_files.reading(url).labelled == 1
    file.write_text('{"key": "order-2", "was": "ok"}\n{"key": "order-1", "was": "none"}\n', "utf-8")
    options = ["--id", "key", "--label", "was", "--retract-value", "none"]
    assert main(["label", str(file), "--store", url, *options]) == 0
    assert label_files.reading(url).labelled == 1
    assert label_files.reading(url).label_events["retracted"] == 1


def test_lines_of_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody looks, a line comes every ten seconds, and none where none is wanted."""
    now = [0.0]
    monkeypatch.setattr("modelmon.labelfile.showing.time.monotonic", lambda: now[0])
    for quiet in (False, True):
        with progress("labels.csv", quiet=quiet) as shown:
            for second in range(25):
                now[0] += 1
                shown.update(1000 * second, second / 100)
            shown.update(25_000, float("nan"))
        assert capsys.readouterr().err.splitlines() == (
            [] if quiet else ["labels.csv: 9,000 rows (9%), 900 rows/s", "labels.csv: 19,000 rows (19%), 950 rows/s"]
        )


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
def test_bar_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal a bar shows how far the file is, and the table follows it."""
    import pty  # noqa: PLC0415 - not on Windows

    url = label_files.predicted(tmp_path, 300)
    file = tmp_path / "labels.csv"
    label_files.write_csv(file, 300)
    main_end, other_end = pty.openpty()
    line = [sys.executable, "-m", "modelmon", "label", str(file), "--store", url, "--batch", "20"]
    with os.fdopen(main_end, "rb", buffering=0) as screen:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=other_end, env={**os.environ, "TERM": "xterm"})
        os.close(other_end)
        shown = b""
        while True:
            try:
                shown += (got := screen.read(4096))
            except OSError:  # the other end is closed
                break
            if not got:
                break
        table, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "100%" in shown.decode()
    assert "300 rows" in shown.decode()
    assert "joined" in table.decode()
