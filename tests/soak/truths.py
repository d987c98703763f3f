"""What must have been counted, found by scikit-learn from what was acknowledged, beside what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from load import CALLS_OF_A_CHILD
from program import CLASSES, THREADS
from service import SETTINGS
from sklearn.metrics import confusion_matrix

from modelmon import InvariantError, Monitor

if TYPE_CHECKING:
    from pathlib import Path

    from program import Program


class Truth(NamedTuple):
    """What was found in a directory after its service had ended, by a process that had no part in it.

    Attributes:
        expected: the matrix by scikit-learn, of predictions that were made and labels that were acknowledged.
        matrix: the matrix that is shown.
        calls: by model, the calls that were made and those that are shown.
        forked: labels that forked children had acknowledged, and those that are shown.
        laws: empty, or the conservation law that does not hold.
        events: what became of predictions and labels, by outcome.
        kept: bytes in the directory, and files.
    """

    expected: list[list[int]]
    matrix: list[list[int]]
    calls: dict[str, tuple[int, int]]
    forked: tuple[int, int]
    laws: str
    events: dict[str, dict[str, int]]
    kept: tuple[int, int]

    @property
    def lost(self) -> int:
        """Acknowledged labels that are not in any matrix."""
        missing = np.maximum(0, np.sum(self.expected) - np.sum(self.matrix))
        return int(missing) + max(0, self.forked[0] - self.forked[1])


def find(folder: Path, program: Program, done: dict[str, Any], acknowledged: np.ndarray) -> Truth:
    """Open a directory anew and see what it holds."""
    directory = folder / "directory"
    monitor = Monitor(directory=directory, **SETTINGS)
    shown = monitor.snapshot()
    orders, forked, good = shown["orders", "1"], shown["forked", "1"], done["forks"]["good"]
    laws = ""
    try:
        monitor.check_invariants()
    except InvariantError as error:
        laws = str(error)
    calls = {name: (made, shown[name, "1"].calls) for name, made in done["calls"].items()}
    calls["forked"] = (CALLS_OF_A_CHILD * (good + done["forks"]["refused"]), forked.calls)
    events = {"predictions": dict(orders.prediction_events), "labels": dict(orders.label_events)}
    events["rejected"] = dict(orders.rejected)
    files = [path for path in directory.rglob("*") if path.is_file()]
    matrix = np.asarray(orders.confusion.matrix).tolist()
    monitor.close()
    size = sum(path.stat().st_size for path in files if path.exists())
    expected = expect(program, done["made"], acknowledged)
    return Truth(expected, matrix, calls, (good, forked.labelled), laws, events, (size, len(files)))


def expect(program: Program, made: list[int], acknowledged: np.ndarray) -> list[list[int]]:
    """Return the matrix by scikit-learn: the newest label counts, and one that an id had and lost is a redelivery."""
    numbers, labels = program.number[acknowledged], program.label[acknowledged]
    first = np.full(len(program.truth), -1)
    first[numbers[::-1]] = labels[::-1]
    final = first.copy()
    corrected = labels != first[numbers]
    final[numbers[corrected]] = labels[corrected]
    every = np.arange(len(final))
    known = (final >= 0) & (every // THREADS < np.asarray(made)[every % THREADS])
    return confusion_matrix(final[known], program.predicted[known], labels=CLASSES).tolist()
