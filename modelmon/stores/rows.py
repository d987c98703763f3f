"""Records of rows and registers: columns in memory, chained by id.

One record is one row (a prediction) or one register (a label in one scope); its state tells which.
The records of one id are a chain: the index leads to the first, ``next`` to the others.

* ``low``, ``high``: the id as 128 bits; ``high`` exists once an id is no integer.
* ``group``: of a row its series, slice and payload layout; of a register its scope.
* ``time``: of a row when it was predicted; of a register when its first label arrived.
* ``predicted``: class code, -1 where the task has none; ``score``: the one score, if any row has one;
  ``payload``: row of the pool for anything wider.
* ``detail``: of a settled row its row in ``settled`` (deadline, truth); of a register its row in ``registers``.

A pending row has no detail: its deadline follows from time and series, so that awaiting costs as little as it can.
A settled row whose id has no other record may *carry* its label (kind, value, time) instead of a register of its own:
that is nearly every label, and half of what it would cost.
The next event under that id unpacks it first, so that nobody else need know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.stores.index import Index, distinct
from modelmon.stores.registers import Given, Registers
from modelmon.stores.rounds import LabelOrder
from modelmon.stores.segments import Segments
from modelmon.stores.series import NOTHING
from modelmon.stores.states import CONSUMED, EARLY, NONE, PENDING
from modelmon.stores.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from modelmon.stores.groups import Groups

    Keys = NDArray[np.uint64]
    Numbers = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bytes = NDArray[np.uint8]

_NOTHING = -1


class Records:
    """Hold records, find them by id, and know which are due."""

    __slots__ = ("_groups", "early_ttl", "index", "records", "registers", "segments", "settled", "ttl")

    def __init__(self, ttl: float, early_ttl: float, groups: Groups) -> None:
        """Start empty; the spans are seconds, and the groups tell for how long their rows await a label."""
        self.ttl = ttl
        self.early_ttl = early_ttl
        self._groups = groups
        self.records = Table(
            {
                "low": np.uint64,
                "next": np.int32,
                "state": np.uint8,
                "group": np.uint16,
                "time": np.float64,
                "predicted": np.int32,
                "detail": np.int32,
            }
        )
        self.settled = Table(
            dict.fromkeys(("due", "truth", "at", "value"), np.float64) | {"kind": np.uint8, "assumed": np.bool_}
        )
        self.registers = Registers()
        self.index = Index(self.keys, self._differ)
        self.segments = Segments()

    def keys(self, numbers: Numbers) -> tuple[Keys, Keys]:
        """Return the ids of records as (low, high)."""
        table = self.records
        low = table.words("low", numbers)
        return low, table.words("high", numbers) if "high" in table else np.zeros(len(numbers), np.uint64)

    def _differ(self, numbers: Numbers, low: Keys, high: Keys) -> NDArray[np.bool_]:
        table = self.records
        differs: NDArray[np.bool_] = table.words("low", numbers) != low
        differs |= high != (table.words("high", numbers) if "high" in table else 0)
        return differs

    def add(
        self,
        low: Keys,
        high: Keys,
        heads: Numbers,
        places: Numbers | None = None,
        *,
        columns: Mapping[str, Any],
    ) -> Numbers:
        """Make one record per id, of state none, at the ids' chains, and return the records.

        Args:
            low: ids, lower words; all ids differ.
            high: ids, upper words.
            heads: first record of each id, -1 where there is none.
            places: the index's places for them, if nothing was added since they were looked up.
            columns: what else the records hold.
        """
        table = self.records
        if "high" not in table and high.any():
            table.add_column("high", np.uint64)
        new = table.allocate(len(low))
        rows = table.blank(len(low))
        known = heads >= 0
        some = bool(known.any())
        chained = np.where(known, table["next"][heads], _NOTHING) if some else _NOTHING
        given = {"low": low, "next": chained, "state": NONE, "detail": _NOTHING, **columns}
        for name, column in (given | {"high": high} if "high" in table else given).items():
            rows[name] = column
        table.write(new, rows)
        if not some:
            self.index.insert(low, high, new, places)
            return new
        table["next"][heads[known]] = new[known]
        fresh = ~known
        if fresh.any():
            self.index.insert(low[fresh], high[fresh], new[fresh], None if places is None else places[fresh])
        return new

    def chains(self, heads: Numbers) -> tuple[Numbers, Numbers]:
        """Return (position in ``heads``, record) of every record of the chains; heads of -1 have none."""
        following = self.records["next"]
        event = np.flatnonzero(heads >= 0)
        record = heads[event]
        if not len(event):
            return event, record
        events, records = [event], [record]
        while True:
            record = following[record].astype(np.int64)
            more = np.flatnonzero(record >= 0)
            if not len(more):
                break
            event, record = event[more], record[more]
            events.append(event)
            records.append(record)
        return np.concatenate(events), np.concatenate(records)

    def remove(self, gone: Numbers) -> None:
        """Take records out of their chains and give them back, with their details."""
        table = self.records
        heads = distinct(self.index.find(*self.keys(gone)))
        detail = table["detail"][gone].astype(np.int64)
        labels = table["state"][gone] >= EARLY
        self.registers.release(detail[labels])
        self._unsettle(detail[~labels & (detail >= 0)])
        table["state"][gone] = NONE
        event, record = self.chains(heads)
        stays = table["state"][record] != NONE
        event, record = event[stays], record[stays]
        order = np.argsort(event, kind="stable")
        event, record = event[order], record[order]
        last = np.ones(len(event), np.bool_)
        last[:-1] = event[1:] != event[:-1]
        first = np.ones(len(event), np.bool_)
        first[1:] = last[:-1]
        table["next"][record[last]] = _NOTHING
        onward = np.flatnonzero(~last)
        table["next"][record[onward]] = record[onward + 1]
        emptied = np.ones(len(heads), np.bool_)
        emptied[event] = False
        low, high = self.keys(heads)
        self.index.remove(low[emptied], high[emptied])
        self.index.replace(low[event[first]], high[event[first]], record[first])
        table.release(gone)

    def due(self, numbers: Numbers) -> Floats:
        """Return the deadlines of records: float64, infinite where there is none."""
        table = self.records
        state = table["state"][numbers]
        due = np.full(len(numbers), np.inf)
        pending = state == PENDING
        if pending.all():
            due[:] = self.until(numbers)
            return due
        due[pending] = self.until(numbers[pending])
        early = state == EARLY
        due[early] = table["time"][numbers[early]] + self.early_ttl
        settled = (state != NONE) & ~pending & ~early & (state != CONSUMED)
        due[settled] = self.settled["due"][table["detail"][numbers[settled]]]
        return due

    def until(self, numbers: Numbers) -> Floats:
        """Return until when rows await, or would await, a label."""
        table = self.records
        until: Floats = table["time"][numbers]
        until += self._groups.patience(table["group"][numbers], self.ttl)
        return until

    def standing(self, numbers: Numbers, state: Bytes) -> NDArray[np.bool_]:
        """Return whether rows of these states are counted with an assumption."""
        return self._of_settled("assumed", np.zeros(len(numbers), np.bool_), numbers, state)

    def truth(self, numbers: Numbers, state: Bytes) -> Floats:
        """Return the meanings that rows of these states were counted with; nan where none was."""
        return self._of_settled("truth", np.full(len(numbers), np.nan), numbers, state)

    def _of_settled(self, name: str, column: NDArray[Any], numbers: Numbers, state: Bytes) -> NDArray[Any]:
        settled = np.flatnonzero(state > PENDING)
        if len(settled):
            column[settled] = self.settled[name][self.records["detail"][numbers[settled]]]
        return column

    def settle(
        self, numbers: Numbers, state: Bytes, due: Floats, truth: Floats, standing: NDArray[np.bool_] | None = None
    ) -> None:
        """Write the states, deadlines and truths of rows, and which truths are assumptions (None: not one)."""
        if not len(numbers):
            return
        table, settled = self.records, self.settled
        table["state"][numbers] = state
        detail = table["detail"][numbers].astype(np.int64)
        needs = state > PENDING
        bare = np.flatnonzero(needs & (detail < 0))
        if len(bare):
            detail[bare] = settled.allocate(len(bare))
            settled["kind"][detail[bare]] = NOTHING
            table["detail"][numbers[bare]] = detail[bare]
        spare = np.flatnonzero(~needs & (detail >= 0))
        if len(spare):
            self._unsettle(detail[spare])
            table["detail"][numbers[spare]] = _NOTHING
        kept = detail if needs.all() else detail[needs]
        settled["due"][kept] = due if len(kept) == len(due) else due[needs]
        settled["truth"][kept] = truth if len(kept) == len(truth) else truth[needs]
        settled["assumed"][kept] = False if standing is None else standing[needs]
        self.remind(numbers, float(due.min()))

    def _unsettle(self, details: Numbers) -> None:
        self.settled["kind"][details] = NOTHING
        self.settled.release(details)

    def carry(self, numbers: Numbers, given: Given) -> None:
        """Let settled rows carry the labels they have met."""
        detail, settled = self.records["detail"][numbers], self.settled
        settled["kind"][detail] = given.kind
        settled["value"][detail] = given.value
        settled["at"][detail] = given.order.at

    def reserve(self, numbers: Numbers) -> Numbers | None:
        """Reserve details for rows that have none; None, and nothing is done, where a row is named twice.

        Two that are the same row cannot both read back their own detail, which tells them apart for next to nothing.
        """
        detail, column = self.settled.allocate(len(numbers)), self.records["detail"]
        column[numbers] = detail
        if (column[numbers] == detail).all():
            return detail
        self.abandon(numbers, detail)
        return None

    def abandon(self, numbers: Numbers, detail: Numbers) -> None:
        """Give back details just reserved."""
        self.records["detail"][numbers] = _NOTHING
        self._unsettle(detail)

    def fulfil(self, numbers: Numbers, detail: Numbers, state: int, *, due: float, truth: Floats, given: Given) -> None:
        """Settle rows with details just reserved, and let them carry the labels they have met."""
        self.records["state"][numbers] = state
        rows = self.settled.blank(len(numbers))
        rows["due"], rows["truth"] = due, truth
        rows["at"], rows["value"], rows["kind"] = given.order.at, given.value, given.kind
        self.settled.write(detail, rows)

    def unpack(self, numbers: Numbers) -> None:
        """Give the labels that rows carry registers of their own; each row must be the only record of its id."""
        detail, settled = self.records["detail"][numbers], self.settled
        none = np.zeros(len(numbers))
        order = LabelOrder(none > 0, none, none, settled["at"][detail])
        given = Given(settled["kind"][detail], settled["value"][detail], order, none > 0)
        settled["kind"][detail] = NOTHING
        details = self.registers.create(given)
        columns = {"group": 0, "time": given.order.at, "state": CONSUMED, "detail": details}
        self.add(*self.keys(numbers), numbers, columns=columns)

    def carrying(self, numbers: Numbers, state: Bytes) -> Numbers:
        """Return those of the records that carry a label, each once."""
        settled: Numbers = numbers[(state > PENDING) & (state < EARLY)]
        if not len(settled):
            return settled
        carrying: Numbers = settled[self.settled["kind"][self.records["detail"][settled]] != NOTHING]
        return distinct(carrying)

    def remind(self, numbers: Numbers, due: float) -> None:
        """Note that none of these records is due before ``due``, but one may be from then on."""
        self.segments.remind(numbers, due, self.records.top)

    def within(self, segments: Numbers) -> Numbers:
        """Return the numbers of all records of the segments."""
        return self.segments.within(segments, self.records.top)

    def tighten(self, segments: Numbers) -> None:
        """Note for each segment when it is due next, from its records."""
        self.segments.tighten(segments, self.due(self.within(segments)))
