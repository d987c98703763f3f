"""The memory store: predictions and labels of this process, joined without a thread and without input or output.

Each batch of events is cut into rounds whose ids are all different.
A round is fetched from the holdings, put through the transition, and written back.
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Final

import numpy as np

from modelmon.clocks import StoreClock
from modelmon.errors import ConfigurationError, ModelmonError, StoreError
from modelmon.notices import warn
from modelmon.parts import Part, SeriesPart
from modelmon.stores import labelling, predicting
from modelmon.stores.assuming import assume
from modelmon.stores.holdings import KEY_SEED, Holdings
from modelmon.stores.index import distinct
from modelmon.stores.laws import check
from modelmon.stores.limits import bytes_per_row, forget, limit, most_awaiting, restore, sweep
from modelmon.stores.states import LABEL_OUTCOMES, PREDICTION_OUTCOMES
from modelmon.tallies import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from modelmon.clocks import Clock
    from modelmon.columns import Ids
    from modelmon.events import Labels, Predictions
    from modelmon.parts import SeriesKey
    from modelmon.stores.contract import JoinSettings
    from modelmon.stores.series import Assumption
    from modelmon.tasks import Task

_BROKEN: Final = (
    "{0} broke off a batch of labels or predictions half-way in the memory store, where nothing undoes it: numbers "
    "about labels may be wrong from now on. A store that lasts begins such a batch anew: sqlite:///path/of/a/file"
)


class MemoryStore:
    """Keep predictions and labels in this process; what awaits a label is lost when the process ends.

    Not safe for threads by itself: whoever owns it calls it under one lock.
    """

    durable = False
    shared = False
    blocking = False

    def __init__(self) -> None:
        """Make a store; `open` begins it."""
        self._origin = ""
        self._opened_by = 0
        self._epochs = count(1)
        self._holdings: Holdings | None = None
        self._clock: StoreClock | None = None
        self._assumptions: dict[tuple[str, str | None], Assumption] = {}

    def open(self, settings: JoinSettings, clock: Clock) -> None:
        """Begin with nothing; in a forked child anew, under another name.

        Raises:
            ConfigurationError: when another monitor of this process has opened it.
        """
        if self._holdings is not None and self._opened_by == os.getpid():
            msg = "this store belongs to a monitor already: give each monitor a store of its own"
            raise ConfigurationError(msg)
        self._opened_by = os.getpid()
        self._origin = f"memory:{uuid.uuid4().hex}"
        self._holdings = Holdings(settings)
        self._clock = StoreClock(clock)
        for (model, version), assumption in self._assumptions.items():
            assume(self._holdings, model, version, assumption)

    def predict(self, predictions: Predictions) -> dict[str, int]:
        """Take predictions of one model and version and return how many had each outcome."""
        with self._unbroken():
            holdings, now = self._begin()
            outcome = predicting.predict(holdings, predictions, now)
            self._end(holdings, now)
        return _tallied(outcome, PREDICTION_OUTCOMES)

    def label(self, labels: Labels) -> dict[str, int]:
        """Take labels and return how many had each outcome; each has exactly one."""
        return _tallied(self.outcomes(labels), LABEL_OUTCOMES)

    def outcomes(self, labels: Labels) -> NDArray[np.uint8]:
        """Take labels and return the outcome of each, as an index of ``LABEL_OUTCOMES``."""
        with self._unbroken():
            holdings, now = self._begin()
            outcome = labelling.label(holdings, labels, now)
            for name, n in _tallied(outcome, LABEL_OUTCOMES).items():
                holdings.counting.counts.counts("label_events").add((name,), n)
            self._end(holdings, now)
        return outcome

    def forget(self, ids: Ids) -> int:
        """Erase every prediction and label under these ids and return how many there were; counts stay."""
        holdings, _ = self._begin()
        low, high = ids.take(ids.valid).hashes(KEY_SEED)
        heads = distinct(holdings.records.index.find(low, high))
        record = holdings.find(*holdings.records.keys(heads[heads >= 0])).record
        forget(holdings, record)
        return len(record)

    def declare(self, model: str, version: str, task: Task | None) -> None:
        """Make a model and version appear before its first prediction."""
        holdings = self._opened()
        holdings.groups.declare((model, version), task, holdings.objects)

    def assume(self, model: str, version: str | None, assumption: Assumption) -> None:
        """Let rows of a version (None: of all without an assumption of their own) join without a label in time.

        An assumption outlasts the rows: whenever the store is opened, before or after, it holds.

        Raises:
            ConfigurationError: when it could never be made.
        """
        if self._holdings is not None:
            sweep(self._holdings, self._clock.now())  # type: ignore[union-attr]  # there is a clock with the holdings
            assume(self._holdings, model, version, assumption)
        self._assumptions[model, version] = assumption

    def part(self) -> Part:
        """Return what is counted as of now, frozen."""
        holdings, now = self._begin()
        counting = holdings.counting
        counting.settle()
        counting.fold(now)
        series: dict[SeriesKey, SeriesPart] = {}
        for number, page in enumerate(holdings.groups.series):
            series[page.key] = SeriesPart(
                task=page.task,
                classes=tuple(page.classes),
                ledgers={
                    slice_: counting.ledgers.get(ledger, Ledger()).copy()
                    for ledger, (owner, slice_) in enumerate(holdings.groups.ledgers)
                    if owner == number
                },
                shared=counting.shared.get(number, Ledger()).copy(),
            )
        return Part(
            origin=self._origin,
            epoch=next(self._epochs),
            kind="store",
            taken_at=now,
            window=holdings.settings.window,
            series=series,
            counts=counting.counts.copy(),
            gauges={"sample_rate": holdings.rate, "bytes_per_row": bytes_per_row(holdings)},
        )

    def sweep(self) -> None:
        """Let everything whose deadline has passed expire."""
        self._begin()

    def check_invariants(self) -> None:
        """Check the conservation laws on what is counted, and on what is held."""
        check(self.part(), self._opened())

    def close(self) -> None:
        """Let go of everything."""
        self._holdings = self._clock = None

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        """Say and count it where a signal's exception broke off a batch half-way: nothing undoes it here."""
        try:
            yield
        except ModelmonError:  # nothing was begun
            raise
        except BaseException as error:
            if self._holdings is not None:
                broken = f"store:{type(error).__name__}"
                self._holdings.counting.counts.counts("self:internal_errors").add((broken,))
            warn("store:broken", _BROKEN.format(type(error).__name__))
            raise

    def _opened(self) -> Holdings:
        if self._holdings is None:
            msg = "the store is not open"
            raise StoreError(msg)
        return self._holdings

    def _begin(self) -> tuple[Holdings, float]:
        """Sweep before anything is applied, so that a late sweeper changes nothing; sample anew where there is room."""
        holdings = self._opened()
        now = self._clock.now()  # type: ignore[union-attr]  # there is a clock where there are holdings
        sweep(holdings, now)
        restore(holdings, holdings.awaiting, lambda: most_awaiting(holdings))
        return holdings, now

    def _end(self, holdings: Holdings, now: float) -> None:
        limit(holdings, now)
        if holdings.counting.crowded:
            holdings.counting.settle()


def _tallied(outcome: NDArray[np.uint8], names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(outcome, minlength=len(names)).tolist()
    return {name: n for name, n in zip(names, counts, strict=True) if n}
