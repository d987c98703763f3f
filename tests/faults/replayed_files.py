"""A file of labels, the predictions it is about, and consumers that deliver it from beginning to end."""

from __future__ import annotations

import csv
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from fraud_program import MODEL, TASK, VERSION, name
from killed_workers import Acknowledged, insist, processes

from modelmon import LabelClient, Monitor
from modelmon.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BATCHES = (8192, 5000)


def predicted(number: int) -> str:
    """Return what was predicted."""
    return "fraud" if number % 5 == 0 else "ok"


def actual(number: int) -> str:
    """Return what a label says."""
    return "fraud" if number % 3 == 0 else "ok"


def cells(n: int) -> list[list[int]]:
    """Return the matrix (actual by predicted; ok, fraud) of all ``n`` labels."""
    found = [[0, 0], [0, 0]]
    for number in range(n):
        found[actual(number) == "fraud"][predicted(number) == "fraud"] += 1
    return found


def predict_all(url: str, n: int) -> None:
    """Write the predictions of a file of ``n`` labels."""
    monitor = Monitor(store=url)
    numbers = range(n)
    for start in range(0, n, 8192):
        some = numbers[start : start + 8192]
        values = [predicted(number) for number in some]
        monitor.predictions([name(number) for number in some], values, model=MODEL, version=VERSION, task=TASK)
    assert monitor.flush(60.0)
    monitor.close()


def write_file(path: Path, n: int) -> None:
    """Write a file of ``n`` labels."""
    lines = [f"{name(number)},{actual(number)}" for number in range(n)]
    path.write_text("\n".join(["id,label", *lines, ""]), "utf-8")


def by_command(url: str, path: Path, batch: int, _log: Path) -> None:
    """Deliver a file with the command, which keeps in the store how far it came."""
    line = ["label", str(path), "--store", url, "--batch", str(batch), "--no-progress"]
    while main(line) != 0:
        time.sleep(0.05)


def by_consumer(url: str, path: Path, batch: int, log: Path) -> None:
    """Deliver a file as a consumer of a queue does, which notes elsewhere how far it came."""
    acknowledged = Acknowledged(log)
    with LabelClient(url) as client, path.open(encoding="utf-8", newline="") as file:
        rows = islice(csv.DictReader(file), acknowledged.lots * batch, None)
        while some := [*islice(rows, batch)]:
            ids, truths = [row["id"] for row in some], [row["label"] for row in some]
            insist(lambda ids=ids, truths=truths: client.labels(ids, truths))
            acknowledged.note()


def replay(url: str, path: Path, n: int, deliver: Callable[..., None], folder: Path) -> bool:
    """Have two consumers deliver the same file at once, kill one half-way and start it again; check the outcome.

    Returns:
        Whether it was killed: on a busy machine it may be done before anybody sees that it is half-way.
    """
    folder.mkdir()
    make = processes()

    def start(place: int) -> Any:
        given = (url, path, BATCHES[place], folder / f"acknowledged-{place}")
        worker = make.Process(target=deliver, args=given, daemon=True)
        worker.start()
        return worker

    workers = [start(0), start(1)]
    with LabelClient(url) as client:
        while client.snapshot()[MODEL].labelled < n // 2:
            assert all(worker.exitcode in {None, 0} for worker in workers)
            time.sleep(0.005)
        workers[1].kill()
        workers[1].join()
        assert workers[1].exitcode in {-9, 0}
        killed = workers[1].exitcode == -9
        workers[1] = start(1)
        for worker in workers:
            worker.join(60.0)
        assert [worker.exitcode for worker in workers] == [0, 0]
        read = client.snapshot()[MODEL]
        assert read.confusion.matrix.tolist() == cells(n)
        assert read.label_events["joined"] == n
        assert set(read.label_events) <= {"joined", "duplicate"}
    return killed
