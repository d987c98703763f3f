"""Holdings: everything the memory store keeps, and the few ways in which it changes.

Rules:

1. A row changes state only through `transit`, which counts the transition and how many rows await.
2. A row enters or leaves the quality counts only through `count`.
3. A record goes only through `drop`, which lets go of its payload, and of registers that cover no row any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.hashing import mix
from modelmon.stores.counting import Counting
from modelmon.stores.groups import Groups
from modelmon.stores.index import distinct
from modelmon.stores.objects import Objects
from modelmon.stores.partition import partition
from modelmon.stores.registers import coded
from modelmon.stores.rows import Records
from modelmon.stores.scoring import Rows
from modelmon.stores.states import CONSUMED, EARLY, PENDING, STATES
from modelmon.tasks import Multilabel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelmon.stores.contract import JoinSettings
    from modelmon.stores.groups import Layout

    Numbers = NDArray[np.int64]
    Keys = NDArray[np.uint64]
    Floats = NDArray[np.float64]
    Bytes = NDArray[np.uint8]
    Bools = NDArray[np.bool_]

KEY_SEED = 0x6D6F64656C6D6F6E6C6162656C6A6F69
"""Fixed, so that the sample by id is the same in every process; whoever picks an id may pick another's anyway."""
_SAMPLING = np.uint64(KEY_SEED >> 64)
_WHOLE = 2.0**64
_UNCOVERED, _UNHELD = np.int64(-1), np.float64(np.nan)


def in_sample(low: Keys, high: Keys, rate: float) -> Bools:
    """Return whether ids, hashed with `KEY_SEED`, are in a sample of this rate; smaller samples lie within larger."""
    if rate >= 1.0:
        return np.ones(len(low), np.bool_)
    inside: Bools = mix(low ^ mix(high ^ _SAMPLING)) < np.uint64(int(rate * _WHOLE))
    return inside


class Found(NamedTuple):
    """Hold what is stored under ``n`` ids: one entry per record.

    Attributes:
        heads: int64 ``(n,)``, first record of each id, -1 where there is none.
        places: int64 ``(n,)``, where the index has the ids, or would have them.
        event: which id each record is under.
        record: the records.
        state: their states.
        group: their groups; of registers, their scopes.
    """

    heads: Numbers
    places: Numbers
    event: Numbers
    record: Numbers
    state: Bytes
    group: NDArray[Any]

    def take(self, chosen: Bools) -> Found:
        """Return the entries chosen."""
        columns = (self.event[chosen], self.record[chosen], self.state[chosen], self.group[chosen])
        return Found(self.heads, self.places, *columns)

    def split(self) -> tuple[Found, Found]:
        """Return the rows and the registers among the records."""
        labels = self.state >= EARLY
        if not labels.any():
            return self, self.take(labels)
        return self.take(~labels), self.take(labels)


class Picked(NamedTuple):
    """Hold rows with what places their counts: records, groups, times."""

    record: Numbers
    group: NDArray[Any]
    time: Floats

    def take(self, chosen: Any) -> Picked:
        """Return the rows chosen."""
        return self if isinstance(chosen, slice) else Picked(*(column[chosen] for column in self))


class Holdings:
    """Keep records, registers, series, objects and counts together."""

    def __init__(self, settings: JoinSettings, groups: Groups | None = None, objects: Objects | None = None) -> None:
        """Start empty, or with groups and objects that outlive these holdings."""
        self.settings = settings
        self.groups = Groups() if groups is None else groups
        self.records = Records(settings.ttl, settings.early_ttl, self.groups)
        self.objects = Objects() if objects is None else objects
        self.counting = Counting(self.groups, settings.window, settings.history)
        self.rate = settings.sample_rate
        self.awaiting = 0

    # -- finding -----------------------------------------------------------------------------------------------------

    def find(self, low: Keys, high: Keys) -> Found:
        """Return what is stored under ids that are all different."""
        found = self._fetch(low, high)
        carrying = self.records.carrying(found.record, found.state)
        if not len(carrying):
            return found
        self.records.unpack(carrying)
        return self._fetch(low, high)

    def _fetch(self, low: Keys, high: Keys) -> Found:
        heads, places = self.records.index.probe(low, high)
        event, record = self.records.chains(heads)
        table = self.records.records
        return Found(heads, places, event, record, table["state"][record], table["group"][record])

    def sampled(self, low: Keys, high: Keys) -> Bools:
        """Return whether ids are in the current sample."""
        return in_sample(low, high, self.rate)

    def covering(self, event: Numbers, series: Numbers, labels: Found) -> Numbers:
        """Return the registers that cover rows, by level: int64 ``(3, m)`` records, -1 where there is none.

        Args:
            event: which id each row is under.
            series: the series' number of each row.
            labels: the registers under these ids.
        """
        if not len(labels.record):
            return np.broadcast_to(_UNCOVERED, (3, len(event)))
        cover = np.full((3, len(event)), -1, np.int64)
        by_event = np.empty(len(labels.heads), np.int64)
        for (number, _), chosen in partition(series, np.zeros_like(series)):
            for level, scope in enumerate(self.groups.series[number].scopes):
                mine = labels.group == scope
                if mine.any():
                    by_event[:] = -1
                    by_event[labels.event[mine]] = labels.record[mine]
                    cover[level, chosen] = by_event[event[chosen]]
        return cover

    def held(self, cover: Numbers, series: Numbers) -> Floats:
        """Return what covering registers mean for their rows: float64 ``(3, m)``, nan where nothing."""
        if not (cover >= 0).any():
            return np.broadcast_to(_UNHELD, cover.shape)
        held = np.full(cover.shape, np.nan)
        table = self.records.registers.table
        for level in range(3):
            there = np.flatnonzero(cover[level] >= 0)
            if len(there):
                number = self.records.records["detail"][cover[level, there]]
                held[level, there] = self.meanings(series[there], table["kind"][number], table["value"][number])
        return held

    def meanings(self, series: Numbers, kind: Bytes, value: Floats) -> Floats:
        """Return what label values mean in the series they meet: float64 ``(m,)``, nan where nothing."""
        parts = partition(series, np.zeros_like(series))
        if len(parts) == 1:
            return self.groups.series[parts[0][0][0]].meanings(kind, value)
        meaning = np.full(len(series), np.nan)
        for (number, _), chosen in parts:
            meaning[chosen] = self.groups.series[number].meanings(kind[chosen], value[chosen])
        return meaning

    # -- changing ----------------------------------------------------------------------------------------------------

    def picked(self, rows: Numbers) -> Picked:
        """Return rows with their groups and times."""
        table = self.records.records
        return Picked(rows, table["group"][rows], table["time"][rows])

    def transit(self, rows: Picked, before: Bytes, after: Bytes) -> None:
        """Count that rows went from one state to another."""
        if len(rows.record):
            self.awaiting += int(np.count_nonzero(after == PENDING)) - int(np.count_nonzero(before == PENDING))
            self.counting.transitions(rows.group, rows.time, before, after)

    def count(self, rows: Picked, truth: Floats, sign: int) -> None:
        """Count rows with their truths into the quality counts (+1), or take them away (-1)."""
        for layout, chosen in self.by_layout(rows.group):
            some = rows.take(chosen)
            predicted = self.records.records["predicted"][some.record]
            payload = self.payload(layout, some.record)
            self.counting.rows(layout, Rows(some.group, some.time, predicted, truth[chosen], payload), sign)

    def by_layout(self, group: NDArray[Any]) -> list[tuple[Layout, Any]]:
        """Return each layout among groups with an index (a slice or positions) of its rows."""
        if len(self.groups.all) == 1:
            return [(self.groups.all[0].layout, slice(None))] if len(group) else []
        found: dict[Layout, int] = {}
        places = np.array([found.setdefault(entry.layout, len(found)) for entry in self.groups.all], np.int64)
        layouts = list(found)
        place = places[group]
        return [(layouts[which], chosen) for (which, _), chosen in partition(place, np.zeros_like(place))]

    def payload(self, layout: Layout, rows: Numbers) -> NDArray[Any] | None:
        """Return what rows of one layout keep besides their class."""
        if layout.kind == "class":
            return None
        if layout.kind == "score":
            scores: NDArray[Any] = self.records.records["score"][rows]
            return scores
        values: NDArray[Any] = self.groups.pools[layout]["values"][self.records.records["payload"][rows]]
        return values

    def store_payload(self, layout: Layout, rows: Numbers, values: NDArray[Any] | None) -> None:
        """Keep what rows of one layout predicted besides a class."""
        table = self.records.records
        if values is None:
            return
        pool = self.groups.pool(layout)
        if pool is None:
            if "score" not in table:
                table.add_column("score", np.float64)
            table["score"][rows] = values
            return
        if "payload" not in table:
            table.add_column("payload", np.int32)
        places = pool.allocate(len(rows))
        pool["values"][places] = values
        table["payload"][rows] = places

    def release_payload(self, rows: Numbers) -> None:
        """Let go of what rows predicted besides a class."""
        table = self.records.records
        for layout, chosen in self.by_layout(table["group"][rows]):
            pool = self.groups.pools.get(layout)
            if pool is not None:
                pool.release(table["payload"][rows[chosen]].astype(np.int64))

    def park(self, before: str, after: Bytes) -> None:
        """Count that registers, whose state was ``before``, are now in these states."""
        for state, n in enumerate(np.bincount(after, minlength=len(STATES)).tolist()):
            if n:
                self.counting.counts.counts("transitions").add((before, STATES[state]), n)

    def drop(self, gone: Numbers) -> None:
        """Erase records, and registers that cover no row any more."""
        if not len(gone):
            return
        records = self.records
        state = records.records["state"][gone]
        self.release_payload(gone[state < EARLY])
        low, high = records.keys(distinct(records.index.find(*records.keys(gone))))
        records.remove(gone)
        found = self.find(low, high)
        labels = found.take(found.state == CONSUMED)
        if not len(labels.record):
            return
        rows, _ = found.split()
        cover = self.covering(rows.event, self.groups.series_of(rows.group), labels)
        idle = labels.record[~np.isin(labels.record, cover)]
        if len(idle):
            records.remove(idle)

    def compact_objects(self) -> None:
        """Drop objects that no register and no row uses any more; what waits to be counted is counted by its codes."""
        self.counting.settle()
        registers, settled = self.records.registers, self.records.settled
        table = self.records.records
        rows = np.flatnonzero(self._counts_flags())
        details = table["detail"][rows]
        truths = settled["truth"][details]
        carried = np.flatnonzero(coded(settled["kind"][: settled.top]))
        codes = [registers.object_codes(), truths.astype(np.int64), settled["value"][carried].astype(np.int64)]
        mapping = self.objects.compact(distinct(np.concatenate(codes)).tolist())
        registers.recode(mapping)
        settled["value"][carried] = mapping[codes[-1]]
        settled["truth"][details] = mapping[truths.astype(np.int64)]
        for page in self.groups.series:
            page.forget_readings()

    def _counts_flags(self) -> Bools:
        """Return, per record, whether it is a row that counts with a code of flags."""
        table = self.records.records
        state = table["state"][: table.top]
        chosen = (state > PENDING) & (state < EARLY)
        flagged = np.array([isinstance(page.task, Multilabel) for page in self.groups.series], np.bool_)
        rows = np.flatnonzero(chosen)
        keep = flagged[self.groups.series_of(table["group"][rows])]
        keep &= ~np.isnan(self.records.settled["truth"][table["detail"][rows]])
        chosen[rows] = keep
        return chosen
