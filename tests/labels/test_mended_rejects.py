"""Tests of the side file's fields: delivered again, they mean what the row meant."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import errno
import json
import uuid
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmon import LabelClient, Monitor, Multiclass, Multilabel
from modelmon.cli import main
from modelmon.labelfile.batches import Reject
from modelmon.labelfile.fields import fields
from modelmon.labelfile.rejects import Rejects

if TYPE_CHECKING:
    from pathlib import Path

UUIDS = [uuid.UUID(int=1), uuid.UUID(int=2)]
COLUMNS: dict[str, tuple[list[Any], Any]] = {
    "uuid": (UUIDS, pa.array([each.bytes for each in UUIDS], pa.binary(16))),
    "binary": (["k1", "k2"], pa.array([b"k1", b"k2"])),
    "no-utf-8": ([b"\xff\x01", b"\xff\x02"], pa.array([b"\xff\x01", b"\xff\x02"])),
    "decimal": ([1, 2], pa.array([decimal.Decimal(1), decimal.Decimal(2)])),
    "float": ([1, 2], pa.array([1.0, 2.0])),
    "integer": ([1, 2], pa.array([1, 2])),
}


def rejected(file: Path) -> list[dict[str, str]]:
    """Return the rows of a file's side file."""
    with file.with_name(file.name + ".rejects.csv").open(newline="", encoding="utf-8") as side:
        return list(csv.DictReader(side))


@pytest.mark.parametrize("name", COLUMNS)
def test_mended_rows_reach_the_predictions_of_their_ids(name: str, tmp_path: Path) -> None:
    """The side file of a Parquet file labels what the file would have labelled."""
    keys, column = COLUMNS[name]
    if name == "uuid" and hasattr(pa, "uuid"):
        column = pa.array([each.bytes for each in UUIDS], pa.uuid())
    elif name == "uuid":
        pytest.skip("this pyarrow knows no UUIDs")
    url, file = f"sqlite://{tmp_path}/labels.db", tmp_path / "labels.parquet"
    own = Monitor(store=url, gpu=False)
    own.predictions(keys, ["ok", "fraud"], model="m", version="1", task=Multiclass(("ok", "fraud")))
    own.close()
    pq.write_table(pa.table({"id": column, "label": ["fraud", "Fraud"]}), file)
    assert main(["label", str(file), "--store", url, "--no-progress"]) == 3
    side = tmp_path / "labels.parquet.rejects.csv"
    side.write_text(side.read_text("utf-8").replace("Fraud", "fraud"), "utf-8")
    assert main(["label", str(side), "--store", url, "--no-progress"]) == 0
    with LabelClient(url) as client:
        assert client.snapshot()["m", "1"].labelled == 2


def test_labels_of_many_parts_are_delivered_again_as_json_lines(tmp_path: Path) -> None:
    """CSV has no place for them: the fields stay empty, and the record is a line of JSON."""
    url, file = f"sqlite://{tmp_path}/labels.db", tmp_path / "labels.parquet"
    own = Monitor(store=url, gpu=False)
    own.predictions(UUIDS, [["a"], ["b"]], model="m", version="1", task=Multilabel(("a", "b")))
    own.close()
    ids = pa.array([str(each) for each in UUIDS])
    pq.write_table(pa.table({"id": ids, "label": pa.array([["a"], ["a", "B"]])}), file)
    assert main(["label", str(file), "--store", url, "--no-progress"]) == 3
    (row,) = rejected(file)
    assert (row["id"], row["label"]) == ("", "")
    assert json.loads(row["record"]) == {"id": str(UUIDS[1]), "label": ["B", "a"]}
    mended = tmp_path / "mended.jsonl"
    mended.write_text(row["record"].replace("B", "b") + "\n", "utf-8")
    assert main(["label", str(mended), "--store", url, "--no-progress"]) == 0
    with LabelClient(url) as client:
        assert client.snapshot()["m", "1"].labelled == 2


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"id": "a", "label": True}, {"id": "a", "label": "1"}),
        ({"id": "a", "label": 2.0}, {"id": "a", "label": "2.0"}),
        ({"id": "a", "label": float("nan")}, {"id": "a", "label": ""}),
        ({"id": "a", "label": "x", "at": dt.date(2026, 1, 2)}, {"id": "a", "label": "x", "at": "2026-01-02"}),
        ({"label": "x", "rev": 3}, {"label": "x", "rev": "3"}),
    ],
)
def test_plain_rows_need_no_record(said: dict[str, Any], expected: dict[str, str]) -> None:
    """What CSV can hold stands in its field."""
    assert fields(said) == expected


@pytest.mark.parametrize(
    ("said", "record"),
    [
        ({"id": 2.0**60, "label": "x"}, {"id": 2.0**60, "label": "x"}),
        ({"id": "\udc80", "label": "x\0"}, {"id": "\udc80", "label": "x\0"}),
        ({"id": ["a"], "label": "x", "at": 1.5}, {"id": ["a"], "label": "x", "at": 1.5}),
        ({"id": dt.date(2026, 1, 2), "label": "x"}, {"id": {"date": "2026-01-02"}, "label": "x"}),
        ({"id": 1, "label": dt.date(2026, 1, 2)}, {"id": 1, "label": {"date": "2026-01-02"}}),
        ({"id": UUIDS[0], "label": (1, None)}, {"id": str(UUIDS[0]), "label": [1, None]}),
        (
            {"id": 1, "label": {"a": True}, "at": dt.date(2026, 1, 2)},
            {"id": 1, "label": {"a": True}, "at": "2026-01-02"},
        ),
        ({"id": 1, "label": {b"a", 2}}, {"id": 1, "label": ["a", 2]}),
        ({"id": "a", "retract": True}, {"id": "a", "retract": True}),
        ({"id": "a", "label": "x", "model": "m"}, {"id": "a", "label": "x", "model": "m"}),
        ({"id": "a", "label": "x", "rev": "1\0"}, {"id": "a", "label": "x", "rev": "1\0"}),
        ({"id": "a", "label": "x" * 1001}, {"id": "a", "label": "x" * 1001}),
    ],
    ids=lambda given: ascii(sorted(given)),  # not the values: a set shows its own in any order
)
def test_what_csv_cannot_hold_stands_in_the_record(said: dict[str, Any], record: dict[str, Any]) -> None:
    """It is a line of JSON, and nothing in it turns into an id or a label that it was not; nothing else is said."""
    found = fields(said)
    assert json.loads(found["record"]) == record
    assert [*found] == ["record"]


def test_a_label_for_one_version_is_never_mended_into_one_for_all(tmp_path: Path) -> None:
    """Model and version stand in the record alone, so the row of CSV reaches nobody, whatever is mended in it."""
    url, file = f"sqlite://{tmp_path}/labels.db", tmp_path / "labels.jsonl"
    own = Monitor(store=url, gpu=False)
    for version in ("champion", "challenger"):
        own.predictions(["o1", "o2"], ["y", "n"], model="mc", version=version, task=Multiclass(("y", "n")))
    own.close()
    named = {"model": "mc", "version": "challenger"}
    rows = [{"id": "o1", "label": "Y", **named}, {"id": "o2", "retract": True, "at": "nonsense", **named}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert main(["label", str(file), "--store", url, "--no-progress"]) == 3
    found = rejected(file)
    assert [(row["id"], row["label"], row["at"], row["rev"]) for row in found] == [("", "", "", "")] * 2
    assert [json.loads(row["record"]) for row in found] == rows
    side, mended = tmp_path / "labels.jsonl.rejects.csv", tmp_path / "mended.jsonl"
    side.write_text(side.read_text("utf-8").replace("Y", "y"), "utf-8")
    assert main(["label", str(side), "--store", url, "--no-progress"]) == 3
    mended.write_text(found[0]["record"].replace("Y", "y") + "\n", "utf-8")
    assert main(["label", str(mended), "--store", url, "--no-progress"]) == 0
    with LabelClient(url) as client:
        known = client.snapshot()
        assert (known["mc", "champion"].labelled, known["mc", "challenger"].labelled) == (0, 1)


def test_a_carriage_return_in_a_row_stays_in_its_field(tmp_path: Path) -> None:
    """What is read back is what was written; a row is not cut in two."""
    url, file = f"sqlite://{tmp_path}/labels.db", tmp_path / "labels.jsonl"
    file.write_text(json.dumps({"id": "x\ry", "label": "y", "at": "nonsense"}), "utf-8")
    assert main(["label", str(file), "--store", url, "--no-progress"]) == 3
    assert [(row["id"], row["at"]) for row in rejected(file)] == [("x\ry", "nonsense")]


def test_a_full_disk_leaves_the_rows_of_an_earlier_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is written beside the file, which it replaces only when all of it is there."""
    side = tmp_path / "labels.csv.rejects.csv"
    rows = [Reject(3, "no usable id", "", "fraud"), Reject(9, "no label", "order-9", "")]
    Rejects(side).add(rows)
    before = side.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(csv, "writer", full)
        with pytest.raises(OSError, match="space"):
            Rejects(side).begin(100)
    assert side.read_bytes() == before
    Rejects(side).begin(100)
    assert side.read_bytes() == before
    Rejects(side).begin(9)
    assert [path.name for path in tmp_path.iterdir()] == [side.name]
    assert len(side.read_text().splitlines()) == 2
