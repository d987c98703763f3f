"""Making receipts of the predictions that a call has kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelmon.columns import encode_ids
from modelmon.outputs import read
from modelmon.receipts.tokens import LONGEST, Receipt, write

if TYPE_CHECKING:
    from modelmon.outputs import Reading
    from modelmon.parts import Slice
    from modelmon.signing import Keys
    from modelmon.tasks import Task


__all__ = ["LONGEST", "Batch"]


class Batch:
    """Hold what was predicted at once, and write receipts of it."""

    __slots__ = ("_page", "_reading", "_rows", "_task", "_time")

    def __init__(self, task: Task | None, time: float, kept: Any, ident: Any, page: Slice) -> None:
        """Read the predictions.

        Args:
            task: how they are read; None where they tell.
            time: when they were made, seconds since the epoch.
            kept: the kept output.
            ident: the kept id, or ids.
            page: the slice.
        """
        self._reading: Reading = read(task, [kept], [ident])
        self._task = task or self._reading.task
        self._time = time
        self._page = page
        ids = self._reading.ids
        self._rows = {} if ids is None else {text: row for row, text in enumerate(ids.texts()) if text}

    def receipt(self, identity: Any, model: str, version: str, keys: Keys) -> str:
        """Return a token of the prediction under an id; nothing where there is none that could be read."""
        canonical = encode_ids([identity]).texts()[0]
        row = self._rows.get(canonical)
        if row is None or self._task is None:
            return ""
        found, columns = self._reading, self._reading.columns
        scores = None if found.scores is None else found.scores[row].tolist()
        best = None if found.best is None else found.best[row].tolist()
        if best is not None:  # of many classes only the best ones travel
            columns = tuple(columns[code] for code in best if code >= 0)
            best = [place if code >= 0 else -1 for place, code in enumerate(best)]
        elif isinstance(scores, float) and found.flags is None:
            columns = ()
        receipt = Receipt(
            model,
            version,
            self._task,
            canonical,
            self._time,
            None if found.classes is None else found.classes.values[int(found.classes.codes[row])],
            scores if scores is None or isinstance(scores, float) else tuple(scores),
            columns,
            None if found.flags is None else tuple(found.flags[row].tolist()),
            None if best is None else tuple(best),
            self._page,
        )
        return write(receipt, keys)
