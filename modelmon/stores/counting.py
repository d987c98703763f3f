"""Counting: from what the transition did to ledgers.

What happened is put aside as columns and counted when there is enough of it, or somebody reads: counting many rows at
once costs a fraction of counting them as they come, and one label costs next to nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.stores.partition import partition
from modelmon.stores.scoring import Accepted, Rows, count_accepted, count_accepted_scores, count_rows, count_scores
from modelmon.stores.states import (
    AFTER,
    ASSUMPTION_EVENTS,
    GAINS,
    LABEL_OUTCOMES,
    OUTCOME,
    PENDING,
    PREDICTION_OUTCOMES,
    STATES,
    VALUE,
)
from modelmon.tallies import Ledger, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from modelmon.stores.groups import Groups, Layout

    Numbers = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bytes = NDArray[np.uint8]

_BUFFERED = 1 << 15
_BULK = 256
_LABELS = 16
_TRANSITIONS = 32
_ASSUMPTIONS = 240
_EVENTS = 256
_NANO = 1e9
SLOT_BYTES = 64 << 20
_JOIN_STEP = (STATES[PENDING], STATES[AFTER[PENDING, GAINS]])
_JOIN_EVENT = (LABEL_OUTCOMES[OUTCOME[PENDING, GAINS, VALUE]],)


class Waiting(NamedTuple):
    """Hold what waits to be counted, each kind as chunks of columns in the order in which they came."""

    events: list[tuple[Numbers, Floats, Bytes]]
    delays: list[tuple[Numbers, Floats, Floats]]
    rows: dict[tuple[Layout, int], list[Rows]]
    joins: dict[Layout, list[tuple[Rows, Floats]]]
    accepted: dict[tuple[bool, int], list[Accepted]]


class Counting:
    """Keep the ledgers of every series and slice."""

    def __init__(self, groups: Groups, window: float, history: float) -> None:
        """Start at zero; the spans are seconds."""
        self._groups = groups
        self._window = window
        self._history = history
        self._events: list[tuple[Numbers, Floats, Bytes]] = []
        self._delays: list[tuple[Numbers, Floats, Floats]] = []
        self._rows: dict[tuple[Layout, int], list[Rows]] = {}
        self._joins: dict[Layout, list[tuple[Rows, Floats]]] = {}
        self._accepted: dict[tuple[bool, int], list[Accepted]] = {}
        self._waiting = 0
        self._first_slot = -(1 << 62)
        self.ledgers: dict[int, Ledger] = {}
        self.shared: dict[int, Ledger] = {}
        self.counts = Tally()

    def transitions(self, group: NDArray[Any], time: Floats, before: Bytes, after: Bytes) -> None:
        """Count rows that went from one state to another."""
        self._note(group, time, before * np.uint8(len(STATES)) + after + np.uint8(_TRANSITIONS))

    def predictions(self, group: NDArray[Any], time: Floats, outcome: Bytes) -> None:
        """Count predictions by outcome."""
        self._note(group, time, outcome)

    def labels(self, group: NDArray[Any], time: Floats, outcome: Bytes) -> None:
        """Count what labels did to rows, by outcome."""
        self._note(group, time, outcome + np.uint8(_LABELS))

    def assumptions(self, group: NDArray[Any], time: Floats, event: str) -> None:
        """Count rows whose assumption was made, confirmed, corrected or restored."""
        self._note(group, time, np.full(len(group), _ASSUMPTIONS + ASSUMPTION_EVENTS.index(event), np.uint8))

    def _note(self, group: NDArray[Any], time: Floats, code: Bytes) -> None:
        self._events.append((group, time, code))
        self._wait(len(code))

    def delays(self, group: NDArray[Any], time: Floats, now: float) -> None:
        """Count how long after the prediction its label was joined."""
        if not len(group):
            return
        self._delays.append((group, time, np.maximum(now - time, 0.0)))

    def accepted(self, rows: Accepted, sign: int) -> None:
        """Count accepted predictions by what they predicted, as added (+1) or removed (-1)."""
        if len(rows.group):
            self._accepted.setdefault((rows.score is not None, sign), []).append(rows)
            self._wait(len(rows.group))

    def rows(self, layout: Layout, rows: Rows, sign: int) -> None:
        """Count joined rows of one layout as added (+1) or removed (-1)."""
        if not len(rows.group):
            return
        self._rows.setdefault((layout, sign), []).append(rows)
        self._wait(len(rows.group))

    def joins(self, layout: Layout, rows: Rows, now: float) -> None:
        """Count awaiting rows of one layout that labels have joined now, in every respect."""
        self._joins.setdefault(layout, []).append((rows, np.maximum(now - rows.time, 0.0)))
        self._wait(len(rows.group))

    def _wait(self, n: int) -> None:
        self._waiting += n

    @property
    def waiting(self) -> Waiting:
        """What waits to be counted, for reading only."""
        return Waiting(self._events, self._delays, self._rows, self._joins, self._accepted)

    @property
    def crowded(self) -> bool:
        """Whether so much waits that it is time to `settle`."""
        return self._waiting > _BUFFERED

    def settle(self) -> None:
        """Count what waits."""
        if not self._waiting:
            return
        events, delays, rows, joins = self._events, self._delays, self._rows, self._joins
        accepted, self._accepted = self._accepted, {}
        self._events, self._delays, self._rows, self._joins, self._waiting = [], [], {}, {}, 0
        if events:
            self._settle_events(events)
        for (_, sign), taken in accepted.items():
            self._settle_accepted(sign, taken)
        if delays:
            group, time, delay = (_whole(column) for column in zip(*delays, strict=True))
            for book, chosen in self._books(group, time):
                for tally in book:
                    _count_delays(tally, delay[chosen])
        for layout, some in joins.items():
            joined, spans = zip(*some, strict=True)
            self._settle_rows(layout, 1, joined, _whole(spans))
        for (layout, sign), chunks in sorted(rows.items(), key=lambda item: -item[0][1]):
            self._settle_rows(layout, sign, chunks)

    def _settle_events(self, events: list[tuple[Numbers, Floats, Bytes]]) -> None:
        group, time, code = (_whole(column) for column in zip(*events, strict=True))
        for book, chosen in self._books(group, time):
            cells = np.bincount(code[chosen], minlength=_EVENTS)
            for cell in np.flatnonzero(cells).tolist():
                name, key = _NAMES[cell]
                for tally in book:
                    tally.counts(name).add(key, int(cells[cell]))

    def cells(self, cells: Iterable[tuple[int, int, int, int]]) -> None:
        """Count events given as (ledger, slot, code, how often)."""
        for number, slot, code, n in cells:
            name, key = _NAMES[code]
            for tally in self._book(self.ledgers, number, slot):
                tally.counts(name).add(key, n)

    def _settle_accepted(self, sign: int, chunks: Sequence[Accepted]) -> None:
        columns = [None if column[0] is None else _whole(column) for column in zip(*chunks, strict=True)]
        rows = Accepted(*columns)  # type: ignore[arg-type]
        slots = self.slots(rows.time)
        for (number, slot), chosen in partition(self._groups.ledger_of(rows.group), slots):
            series = self._groups.series[self._groups.ledgers[number][0]]
            count_accepted(self._book(self.ledgers, number, slot), series, rows.predicted[chosen], sign)
        if rows.score is None:
            return
        for (number, slot), chosen in partition(self._groups.series_of(rows.group), slots):
            book = self._book(self.shared, number, slot)
            count_accepted_scores(book, self._groups.series[number], rows, chosen, sign)

    def _settle_rows(self, layout: Layout, sign: int, chunks: Sequence[Rows], delays: Floats | None = None) -> None:
        """Count rows; those with delays have just been joined, and that counts too."""
        columns = [None if column[0] is None else _whole(column) for column in zip(*chunks, strict=True)]
        rows = Rows(*columns)  # type: ignore[arg-type]
        slots = self.slots(rows.time)
        for (number, slot), chosen in partition(self._groups.ledger_of(rows.group), slots):
            series = self._groups.series[self._groups.ledgers[number][0]]
            picked = rows.take(chosen)
            book = self._book(self.ledgers, number, slot)
            many = len(picked.group) >= _BULK
            entries = [Tally()] if many else book  # many rows are counted once, and then merged into both
            for entry in entries:
                count_rows(entry, series, layout, picked, sign)
                if delays is not None:
                    _count_joins(entry, delays[chosen])
            for tally in book if many else ():
                tally.merge(entries[0])
        if layout.kind not in ("score", "rows"):
            return
        for (number, slot), chosen in partition(self._groups.series_of(rows.group), slots):
            book = self._book(self.shared, number, slot)
            count_scores(book, self._groups.series[number], layout, rows.take(chosen), sign)

    def slots(self, time: Floats) -> Numbers:
        """Return the slot of each time; nearly always it is the same for all."""
        if len(time):
            low, high = float(time.min()), float(time.max())
            if high - low < self._window:  # two numbers by themselves are quicker than as columns
                first, last = self._slot(low), self._slot(high)
                if first == last:
                    return np.full(len(time), first, np.int64)
        return self._exact_slots(time)

    def _slot(self, time: float) -> int:
        slot = math.floor(time / self._window)
        slot -= slot * self._window > time
        return slot + ((slot + 1) * self._window <= time)

    def _exact_slots(self, time: Floats) -> Numbers:
        """Return the slots by three cheap steps, exact at the edges, instead of numpy's slow division."""
        slot = np.floor(time / self._window)
        slot -= slot * self._window > time
        slot += (slot + 1.0) * self._window <= time
        return slot.astype(np.int64)

    def _books(self, group: Numbers, time: Floats) -> list[tuple[list[Tally], Any]]:
        found = partition(self._groups.ledger_of(group), self.slots(time))
        return [(self._book(self.ledgers, number, slot), chosen) for (number, slot), chosen in found]

    def _book(self, ledgers: dict[int, Ledger], number: int, slot: int) -> list[Tally]:
        ledger = ledgers.get(number)
        if ledger is None:
            ledger = ledgers[number] = Ledger()
        return [*ledger.book(slot)] if slot >= self._first_slot else [ledger.total]

    def fold(self, now: float) -> None:
        """Fold slots older than history away, and make old score histograms coarser where all take too many bytes."""
        first = int((now - self._history) // self._window)
        if first > self._first_slot:
            self._first_slot = first
            for ledger in (*self.ledgers.values(), *self.shared.values()):
                ledger.drop(first)
        held = [
            (slot, number, tally["scores"])
            for number, ledger in self.shared.items()
            for slot, tally in ledger.slots.items()
            if "scores" in tally
        ]
        excess = sum(scores.nbytes for _, _, scores in held) - SLOT_BYTES
        for slot, number, scores in sorted(held, key=lambda item: item[0]):
            if excess <= 0:
                break
            before, coarser = scores.nbytes, self._book(self.shared, number, slot)[-1].scores()
            coarser.shrink(max(8, coarser.capacity // 4))
            excess -= before - coarser.nbytes
            self.counts.counts("self:overflow").add(("score_slots",))


def _whole(chunks: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return chunks as one array; a single one is not copied."""
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def _count_delays(tally: Tally, delays: Floats) -> None:
    tally.durations("label_delay").update(np.rint(delays * _NANO).astype(np.int64))


def _count_joins(tally: Tally, delays: Floats) -> None:
    """Count rows that were awaiting and are joined: the step, the label's outcome, the delays."""
    tally.counts("label_events").add(_JOIN_EVENT, len(delays))
    tally.counts("transitions").add(_JOIN_STEP, len(delays))
    _count_delays(tally, delays)


def _names() -> list[tuple[str, tuple[str, ...]]]:
    names: list[tuple[str, tuple[str, ...]]] = [("", ())] * _EVENTS
    for place, outcome in enumerate(PREDICTION_OUTCOMES):
        names[place] = ("prediction_events", (outcome,))
    for place, outcome in enumerate(LABEL_OUTCOMES):
        names[_LABELS + place] = ("label_events", (outcome,))
    for place, event in enumerate(ASSUMPTION_EVENTS):
        names[_ASSUMPTIONS + place] = ("assumed", (event,))
    for before, name in enumerate(STATES):
        for after, other in enumerate(STATES):
            names[_TRANSITIONS + before * len(STATES) + after] = ("transitions", (name, other))
    return names


_NAMES = _names()
