"""From the changes of one transaction to the statements that write them, and how many rows each must meet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.stores.postgres.arrays import blobs, floats, integers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.stores.database import Changes, Head
    from modelmon.stores.postgres.statements import Statements

    Step = tuple[bytes, Sequence[Any]]


def plan(sql: Statements, changes: Changes, head: Head) -> tuple[list[Step], list[int]]:
    """Return the statements of one transaction, and how many rows each has to meet if nothing has changed meanwhile."""
    steps, expected = _documents(sql, changes)

    def step(text: bytes, parameters: Sequence[Any], rows: int) -> None:
        steps.append((text, parameters))
        expected.append(rows)

    reminders, reminded, entries = changes.reminders, changes.reminded, changes.entries
    if reminded:
        step(sql.reminded, (integers(reminded),), len(reminded))
    if reminders:
        times = floats([due for due, _ in reminders])
        step(sql.remind, (times, blobs([body for _, body in reminders])), len(reminders))
    if entries:
        numbers = np.arange(head.entries, head.entries + len(entries))
        step(sql.enter, (integers(numbers), blobs(entries)), len(entries))
    if changes.journal is not None:
        step(sql.record, (head.journal + 1, changes.journal), 1)
    step(sql.head, _of_head(changes), 1)
    return steps, expected


def _of_head(changes: Changes) -> tuple[Any, ...]:
    """Return what the head's statement takes."""
    return (
        float(changes.now),
        len(changes.entries),
        int(changes.awaiting),
        sum(body is None for body in changes.before) - sum(body is None for body in changes.after),
        None if changes.rate is None else float(changes.rate),
        changes.settings,
        len(changes.reminded) > 0,
        min((float(due) for due, _ in changes.reminders), default=math.inf),
        int(changes.journal is not None),
        0 if changes.journal is None else len(changes.journal),
    )


def _documents(sql: Statements, changes: Changes) -> tuple[list[Step], list[int]]:
    """Return the statements for new, changed and removed documents, as far as there are any."""
    before, after, size = changes.before, changes.after, len(changes.keys)
    was = np.fromiter((body is not None for body in before), np.bool_, size)
    stays = np.fromiter((body is not None for body in after), np.bool_, size)
    steps: list[Step] = []
    expected: list[int] = []
    for text, chosen in ((sql.add, ~was & stays), (sql.change, was & stays), (sql.remove, was & ~stays)):
        places = np.flatnonzero(chosen)
        if not len(places):
            continue
        keys = integers(changes.keys[places])
        bodies = [body for body in map(after.__getitem__, places.tolist()) if body is not None]
        steps.append((text, (keys, blobs(bodies)) if bodies else (keys,)))
        expected.append(len(places))
    return steps, expected
