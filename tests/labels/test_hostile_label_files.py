"""Tests of ``modelmon label`` with files that are damaged, odd, hostile, or delivered twice at once."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import label_files
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmon.cli import main
from modelmon.labelfile.bytestreams import alone_with
from modelmon.labelfile.journey import Journey
from modelmon.labelfile.rejects import HEADER

if TYPE_CHECKING:
    from pathlib import Path

HEAD = ",".join(HEADER)


def rejected(file: Path) -> list[str]:
    """Return lines and reasons of the side file."""
    with file.with_name(file.name + ".rejects.csv").open(newline="", encoding="utf-8") as rejects:
        return [f"{row['line']}: {row['reason']}" for row in csv.DictReader(rejects)]


@pytest.mark.fault("Z5")
@pytest.mark.parametrize("name", ["labels.csv.gz", "labels.jsonl.gz"])
@pytest.mark.parametrize("how", ["damaged", "cut off"])
def test_damaged_compression_is_told(name: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A compressed file that breaks off or was overwritten in the middle ends with status 1 and a sentence."""
    lines = [json.dumps({"id": i * 7919 % 100_003, "label": "ok"}) for i in range(20_000)]
    text = "\n".join(lines) if "jsonl" in name else csv_of(20_000)
    data = bytearray(gzip.compress(text.encode()))
    data = data[:-200] if how == "cut off" else data[:3000] + bytes(range(200, 240)) + data[3040:]
    (tmp_path / name).write_bytes(data)
    url = label_files.predicted(tmp_path, 1)
    assert main(["label", str(tmp_path / name), "--store", url]) == 1
    assert "damaged or cut off" in capsys.readouterr().err


def csv_of(n: int) -> str:
    """Return a file whose compression is not trivial."""
    return "id,label\n" + "".join(f"{i * 7919 % 100_003},ok\n" for i in range(n))


def test_a_header_too_long_for_a_field_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A header that no reader takes is wrong usage, not a failure of ours."""
    file = tmp_path / "labels.csv"
    file.write_text('"' + "a" * 300_000 + '",label\n1,ok\n', "utf-8")
    assert main(["label", str(file), "--store", label_files.predicted(tmp_path, 1)]) == 2
    assert "header line cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (f"{HEAD}\n\n9,foo,a,b,,,\n", 3),
        (f"{HEAD}\n{'9' * 5000},foo,a,b,,,\n", 3),
        (f"{HEAD}\n9,foo,{'z' * 200_000},b,,,\n", 2),
        ("id,label\n1,ok\n", 2),
    ],
    ids=["blank", "digits", "giant", "foreign"],
)
def test_a_side_file_that_somebody_edited(text: str, status: int, tmp_path: Path) -> None:
    """What is one of ours is gone on with; what is not is never overwritten."""
    file, side = tmp_path / "labels.csv", tmp_path / "labels.csv.rejects.csv"
    file.write_text("id,label\norder-0,\n", "utf-8")
    side.write_text(text, "utf-8")
    assert main(["label", str(file), "--store", label_files.predicted(tmp_path, 1)]) == status
    assert (side.read_text("utf-8") == text) is (status == 2)


@pytest.mark.fault("Z8")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO here")
def test_a_side_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A FIFO is not waited for, and a device not deleted."""
    file = tmp_path / "labels.csv"
    file.write_text("id,label\norder-0,\n", "utf-8")
    os.mkfifo(tmp_path / "labels.csv.rejects.csv")
    line = ["label", str(file), "--store", label_files.predicted(tmp_path, 1)]
    assert main(line) == 2
    assert main([*line, "--rejects", os.devnull]) == 2
    assert os.path.exists(os.devnull)  # noqa: PTH110  (a name, as it was given)


def text_of(*parts: bytes) -> Any:
    """Return a column of text that is not all text."""
    offsets = [sum(map(len, parts[:n])) for n in range(len(parts) + 1)]
    buffers = [None, pa.array(offsets, pa.int32()).buffers()[1], pa.py_buffer(b"".join(parts))]
    return pa.Array.from_buffers(pa.string(), len(parts), buffers)


FAR = 2**62
ORDERS = pa.array(["order-0", "order-1", "order-2"])
LABELS = pa.array(["ok", "fraud", "ok"])
ODD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an id that is not text": ({"id": text_of(b"order-0", b"\xff\xfe", b"order-2")}, ["2: not UTF-8"]),
    "a label that is not text": ({"label": text_of(b"ok", b"\xff", b"ok")}, ["2: not UTF-8"]),
    "a list of lists": ({"label": pa.array([None, [["ok"]], None])}, ["1: ", "2: the label is nested", "3: "]),
    "a list of objects": ({"label": pa.array([None, [{"ok": 1}], None])}, ["1: ", "2: the label is nested", "3: "]),
    "a far revision": ({"rev": pa.array([None, FAR, None], pa.timestamp("us"))}, ["2: out of range for timestamp"]),
    "revisions that are times": ({"rev": pa.array([None, 2000, None], pa.timestamp("us"))}, ["2: rev: no finite"]),
    "a far time": ({"at": pa.array([1, FAR, None], pa.timestamp("ms", "UTC"))}, ["2: at= lies"]),
    "an unknown zone": ({"at": pa.array([1, 2, 3], pa.timestamp("us", "Nowhere/Bad"))}, []),
    "nanoseconds": ({"at": pa.array([1_700_000_000_123_456_789, 1, None], pa.timestamp("ns", "UTC"))}, []),
    "days": ({"at": pa.array([dt.date(2020, 1, 1), None, None])}, ["1: at: no time"]),
}


@pytest.mark.fault("L13")
@pytest.mark.parametrize("name", ODD)
def test_odd_values_of_parquet_are_bad_rows(name: str, tmp_path: Path) -> None:
    """One value that cannot be read costs its own row and no other."""
    columns, reasons = ODD[name]
    url, file = label_files.predicted(tmp_path, 3), tmp_path / "labels.parquet"
    pq.write_table(pa.table({"id": ORDERS, "label": LABELS, **columns}), file)
    assert main(["label", str(file), "--store", url, "--no-progress"]) == (3 if reasons else 0)
    found = rejected(file) if reasons else []
    assert len(found) == len(reasons)
    assert all(told.startswith(reason) for told, reason in zip(found, reasons, strict=True)), found
    assert label_files.reading(url).labelled == 3 - len(reasons)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_parquet_without_a_zone_are_refused(
    unit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows which moments they mean: nothing is delivered, and the message says how to give the zone."""
    url, file = label_files.predicted(tmp_path, 3), tmp_path / "labels.parquet"
    times = pa.array([1, None, 3], pa.timestamp(unit))
    pq.write_table(pa.table({"id": ORDERS, "label": LABELS, "timestamp": times}), file)
    assert main(["label", str(file), "--store", url, "--no-progress"]) == 2
    said = capsys.readouterr().err
    assert "'timestamp' have no zone" in said
    assert "tz_localize('UTC')" in said
    assert label_files.reading(url).labelled == 0
    assert main(["label", str(file), "--store", url, "--no-progress", "--at="]) == 0
    assert label_files.reading(url).labelled == 3


def test_nanoseconds_are_times(tmp_path: Path) -> None:
    """A time of pandas' usual kind means what it says, whatever is below a microsecond, also before 1970."""
    from modelmon.labelfile.columns import Wanted  # noqa: PLC0415
    from modelmon.labelfile.parquet import Parquet  # noqa: PLC0415  (pyarrow is an extra)

    for unit, counts, seconds in (
        ("ns", [1_700_000_000_123_456_789, -1, None], [1_700_000_000.123456, -1e-06, None]),
        ("us", [1_700_000_000_123_456, -1, None], [1_700_000_000.123456, -1e-06, None]),
        ("ms", [1_700_000_000_123, -1, FAR], [1_700_000_000.123, -0.001, FAR / 1000]),
    ):
        file = tmp_path / f"{unit}.parquet"
        times = pa.array(counts, pa.timestamp(unit, "UTC"))
        pq.write_table(pa.table({"id": ORDERS, "label": LABELS, "at": times}), file)
        source = Parquet(str(file), Wanted())
        (batch,) = source.batches(0, 10)
        source.close()
        assert batch.rows is not None
        assert batch.rows.at == seconds


def test_names_are_chosen_once_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on reads the rest under the names that the first line decided, as one run would have."""
    lines = [{"id": "order-0", "label": "ok"}, {"id": "order-1", "truth": "ok"}, {"id": "order-2", "label": "ok"}]
    found = []
    for stop in (False, True):
        folder = tmp_path / str(stop)
        folder.mkdir()
        url, file = label_files.predicted(folder, 3), folder / "labels.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        line = ["label", str(file), "--store", url, "--batch", "1", "--no-progress"]
        if stop:
            deliver, calls = Journey._deliver, []

            def once(journey: Any, *given: Any, deliver: Any = deliver, calls: list[int] = calls) -> None:
                calls.append(1)
                if len(calls) > 1:
                    raise KeyboardInterrupt
                deliver(journey, *given)

            with monkeypatch.context() as patched:
                patched.setattr(Journey, "_deliver", once)
                assert main(line) == 130
        assert main(line) == 3
        found.append((rejected(file), label_files.reading(url).labelled))
    assert found[0] == found[1] == (["2: no label"], 2)


@pytest.mark.fault("S10")
@pytest.mark.skipif(sys.platform == "win32", reason="no such locks here")
def test_one_delivery_of_a_file_at_a_time(tmp_path: Path) -> None:
    """While a file is being delivered, a second run ends with status 1 and touches nothing; later it may run."""
    url, file = label_files.predicted(tmp_path, 3), tmp_path / "labels.csv"
    label_files.write_csv(file, 3)
    line = [sys.executable, "-m", "modelmon", "label", str(file), "--store", url]
    with alone_with(str(file)):
        second = subprocess.run(line, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "being delivered by another process" in second.stderr
    assert label_files.reading(url).labelled == 0
    assert main(line[3:]) == 0


@pytest.mark.fault("Z16")
@pytest.mark.skipif(os.name != "posix", reason="no such names here")
def test_names_of_files_cannot_command_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences in names are shown as text, in the table and in messages; so are bytes that are no text."""
    url = label_files.predicted(tmp_path, 1)
    for name in (b"a\x1b]0;owned\x07\x1b[2J.csv", b"a\xff\nb.csv"):
        file = tmp_path / os.fsdecode(name)
        file.write_text("id,label\norder-0,\n", "utf-8")
        assert main(["label", str(file), "--store", url]) == 3
        assert main(["label", str(file) + "gone", "--store", url]) == 2
        shown = capsys.readouterr()
        for text in (shown.out, shown.err):
            assert text.replace("\n", "").isprintable()
        assert "\\x1b[2J" in shown.out or "\\udcff\\nb.csv" in shown.out
