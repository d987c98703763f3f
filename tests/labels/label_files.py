"""Files of labels in every format, and stores that await them, for tests of the command."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelmon import Binary, LabelClient, Monitor
from modelmon.stores.addresses import make_store

if TYPE_CHECKING:
    from pathlib import Path

TASK = Binary(positive="fraud", negative="ok")


def predicted(folder: Path, n: int, values: Any = "fraud", task: Any = TASK) -> str:
    """Return the URL of a new store in which ``n`` orders await their labels."""
    url = f"sqlite://{folder}/labels.db"
    monitor = Monitor(store=make_store(url))
    given = [values] * n if isinstance(values, (str, int, float)) else values
    for start in range(0, n, 8192):
        ids = [f"order-{i}" for i in range(start, min(n, start + 8192))]
        monitor.predictions(ids, given[start : start + 8192], model="fraud", version="7", task=task)
    monitor.flush()
    monitor.close()
    return url


def truth_of(number: int) -> str:
    """Return what an order turned out to be."""
    return "fraud" if number % 3 == 0 else "ok"


def csv_text(n: int, delimiter: str = ",", end: str = "\n") -> str:
    """Return a CSV file with the truths of ``n`` orders, a comment with a line break in every tenth row."""
    lines = [delimiter.join(("prediction_id", "comment", "label"))]
    for i in range(n):
        comment = '"said ""no""' + end + 'twice"' if i % 10 == 0 else "x"
        lines.append(delimiter.join((f"order-{i}", comment, truth_of(i))))
    return end.join(lines) + end


def write_csv(path: Path, n: int) -> None:
    """Write plain CSV."""
    path.write_text(csv_text(n), "utf-8")


def write_odd_csv(path: Path, n: int) -> None:
    """Write CSV as a spreadsheet of another country does: byte order mark, semicolons, carriage returns."""
    path.write_bytes(b"\xef\xbb\xbf" + csv_text(n, ";", "\r\n").encode())


def write_gzip(path: Path, n: int) -> None:
    """Write compressed CSV."""
    path.write_bytes(gzip.compress(csv_text(n).encode()))


def write_json_lines(path: Path, n: int) -> None:
    """Write JSON lines, a blank one among them."""
    lines = [json.dumps({"id": f"order-{i}", "label": truth_of(i), "rest": [1]}) for i in range(n)]
    path.write_text("\n".join([*lines[:1], "", *lines[1:]]), "utf-8")


def write_parquet(path: Path, n: int) -> None:
    """Write Parquet in small row groups, labels dictionary-encoded."""
    labels = pa.array([truth_of(i) for i in range(n)]).dictionary_encode()
    table = pa.table({"other": [0.5] * n, "id": [f"order-{i}" for i in range(n)], "truth": labels})
    pq.write_table(table, path, row_group_size=7)


FILES = {
    "labels.csv": write_csv,
    "labels.tsv": write_odd_csv,
    "labels.csv.gz": write_gzip,
    "labels.jsonl": write_json_lines,
    "labels.parquet": write_parquet,
}


def reading(url: str) -> Any:
    """Return what a store knows of the model."""
    with LabelClient(url) as client:
        return client.snapshot()["fraud", "7"]
