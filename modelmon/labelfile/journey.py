"""A file's journey into a store: batch after batch, each committed before the place to go on from is noted.

Rules:

1. A batch is delivered, its rejects are written, then the place is noted in the store.
   Whoever is killed in between delivers that batch again, which changes nothing: a label delivered twice is a
   duplicate.
2. A file is known by its name, size, first and last bytes, and by what the command line said about its meaning.
3. Names that the first lines of a file decided hold for the rest of it, in later runs too.
4. What may pass (a locked file, a server that restarts) is tried again for some seconds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from modelmon.errors import StoreError
from modelmon.labelfile.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.client import LabelClient
    from modelmon.labelfile.batches import Batch, Source
    from modelmon.labelfile.rejects import Rejects
    from modelmon.labelfile.showing import Shown
    from modelmon.written.rows import Delivered

T = TypeVar("T")
_WAITS_S: Final = (0.5, 1.0, 2.0, 4.0)
_PASSES: Final = frozenset({"locked", "timeout", "down", "conflict"})


class Journey:
    """Deliver one file.

    Attributes:
        tally: what became of it so far, over all runs.
        begun_at: records that earlier runs delivered.
    """

    def __init__(
        self,
        client: LabelClient,
        key: str | None,
        *,
        restart: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Find out how far earlier runs came.

        Args:
            client: where the labels go.
            key: the file's fingerprint, or None where nothing can be noted.
            restart: begin at the beginning all the same.
            sleep: waits between tries.

        Raises:
            StoreError: when the store cannot be asked.
        """
        self._client = client
        self._name = None if key is None else f"file:{key}"
        self._sleep = sleep
        note = None if self._name is None or restart else self._patiently(lambda: client.noted(self._name or ""))
        self.tally = Tally.from_note(note)
        self.begun_at = self.tally.records

    def run(self, source: Source, rejects: Rejects, shown: Shown, *, size: int) -> None:
        """Deliver what is left of the file.

        Raises:
            StoreError: when a batch was not committed; a new run goes on there.
            OSError: when the file or the side file fails.
        """
        rejects.begin(self.tally.line + 1)
        shown.update(self.tally.rows, 0.0)
        source.names = self.tally.names
        for batch in source.batches(self.begun_at, size):
            self.tally.names = source.names
            self._deliver(batch, rejects)
            shown.update(self.tally.rows, source.progress())
        self.tally.finished = True
        self._note()

    def _deliver(self, batch: Batch, rejects: Rejects) -> None:
        delivered = self._patiently(lambda: self._commit(batch))
        invalid = [batch.reject(place, reason) for place, reason in delivered.reasons.items()]
        try:
            rejects.add(sorted([*invalid, *batch.unreadable], key=lambda reject: reject.line))
        except OSError as error:
            done = self.tally.rows + len(delivered.outcomes)
            msg = (
                f"the bad rows cannot be written to {rejects.path}: {error.strerror or type(error).__name__}; "
                f"{done:,} rows are committed: run the same line again with --rejects and a file that can be written"
            )
            raise OSError(msg) from error
        self.tally.add(batch, delivered)
        self._note()

    def _commit(self, batch: Batch) -> Delivered:
        return batch.deliver(self._client, *self._client.scope)

    def _note(self) -> None:
        if self._name is not None:
            name, value = self._name, self.tally.to_note()
            self._patiently(lambda: self._client.note(name, value))

    def _patiently(self, act: Callable[[], T]) -> T:
        for wait in _WAITS_S:
            try:
                return act()
            except StoreError as error:  # noqa: PERF203  (a few tries)
                if error.kind not in _PASSES:
                    raise
                self._sleep(wait)
        return act()
