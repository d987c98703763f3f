"""Documents: all that is kept under one key, as bytes, to holdings and back; `forms` says how.

Rules:

1. A document changes exactly when what it keeps changes.
2. Whole columns are packed and unpacked at once; only tails go record by record.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.stores.alike import dump_alike, load_alike
from modelmon.stores.forms import (
    CORE,
    DUE,
    OPEN_ROW,
    PREDICTED,
    REGISTER,
    SETTLED,
    SETTLED_ROW,
    Dumped,
    payload_bytes,
)
from modelmon.stores.states import EARLY, NONE, PENDING, STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.stores.groups import Groups
    from modelmon.stores.holdings import Holdings
    from modelmon.stores.tails import Tails

    Numbers = NDArray[np.int64]
    Raw = NDArray[np.uint8]

_NEVER = np.array(np.nan, DUE).tobytes()


def dues_of(documents: Sequence[bytes | None]) -> NDArray[np.float64]:
    """Return the earliest deadlines of ``n`` documents: float64 ``(n,)``, nan where there is none."""
    begins = [_NEVER if not document else document[: DUE.itemsize] for document in documents]
    return np.frombuffer(b"".join(begins), DUE)


def dump(holdings: Holdings, tails: Tails) -> Dumped:
    """Return documents of all records that holdings hold."""
    alike = dump_alike(holdings, tails)
    return dump_records(holdings, tails) if alike is None else alike


def dump_records(holdings: Holdings, tails: Tails) -> Dumped:
    """Return documents as `dump` does, whatever records they have."""
    records = holdings.records
    table = records.records
    numbers = np.flatnonzero(table["state"][: table.top] != NONE)
    low, high = records.keys(numbers)
    order = np.argsort(low.view(np.int64), kind="stable")
    numbers, keys = numbers[order], low.view(np.int64)[order]
    if not len(numbers):
        return Dumped(keys, np.empty(0), [])
    writing = _Writing(holdings, numbers, tails)
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    document = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(keys))))
    at = np.cumsum(writing.size) - writing.size + DUE.itemsize * (document + 1)
    begins = at[first] - DUE.itemsize
    end = int(at[-1] + writing.size[-1])
    out = np.zeros(end, np.uint8)
    due = np.minimum.reduceat(records.due(numbers), first)
    _scatter(out, begins, due.astype(DUE))
    writing.write(out, at, high[order])
    whole, cuts = out.tobytes(), [*begins.tolist(), end]
    return Dumped(keys[first], due, [whole[a:b] for a, b in pairwise(cuts)])


class _Writing:
    """Hold records on their way into bytes.

    Attributes:
        size: int64 ``(n,)``, bytes of each record.
    """

    def __init__(self, holdings: Holdings, numbers: Numbers, tails: Tails) -> None:
        self._holdings = holdings
        self._numbers = numbers
        rows = self._rows = holdings.records.records.read(numbers)
        group = self._group = rows["group"].astype(np.int64)
        open_rows = self._open = rows["state"] < EARLY
        settled = self._settled = open_rows & (rows["state"] > PENDING)
        details = rows["detail"].astype(np.int64)
        self._held = _settled_columns(holdings, details[settled])
        self._registers = _register_columns(holdings, details[~open_rows])
        self._flags = np.zeros(len(numbers), np.uint8)
        self._tails: list[tuple[int, bytes]] = []
        if settled.any():
            flags = np.zeros(len(self._held), np.uint8)
            self._place(settled, tails.write_rows(holdings, group[settled], self._held, flags), flags)
        if len(self._registers):
            flags = np.zeros(len(self._registers), np.uint8)
            self._place(~open_rows, tails.write_registers(holdings, details[~open_rows], self._registers, flags), flags)
        size = self.size = np.where(open_rows, OPEN_ROW, CORE.itemsize + REGISTER.itemsize).astype(np.int64)
        size[settled] += SETTLED.itemsize
        size[open_rows] += _payloads_of(holdings.groups)[group[open_rows]]
        for place, tail in self._tails:
            size[place] += len(tail)

    def _place(self, chosen: NDArray[np.bool_], tails: Sequence[bytes], flags: Raw) -> None:
        self._flags[chosen] = flags
        self._tails += [(n, tail) for n, tail in zip(np.flatnonzero(chosen).tolist(), tails, strict=True) if tail]

    def write(self, out: Raw, at: Numbers, high: NDArray[np.uint64]) -> None:
        """Write each record to its place."""
        rows, open_rows, settled = self._rows, self._open, self._settled
        core = np.empty(len(at), CORE)
        columns = (self.size, rows["state"], self._flags, self._group, high, rows["time"])
        for name, column in zip(CORE.names or (), columns, strict=True):
            core[name] = column
        _scatter(out, at, core)
        _scatter(out, at[open_rows] + CORE.itemsize, rows["predicted"][open_rows].astype(PREDICTED))
        _scatter(out, at[settled] + OPEN_ROW, self._held)
        _scatter(out, at[~open_rows] + CORE.itemsize, self._registers)
        begins = (at + np.where(settled, SETTLED_ROW, OPEN_ROW))[open_rows]
        numbers = self._numbers[open_rows]
        for layout, chosen in self._holdings.by_layout(self._group[open_rows]):
            payload = self._holdings.payload(layout, numbers[chosen])
            if payload is not None:
                _scatter(out, begins[chosen], np.ascontiguousarray(payload))
        for place, tail in self._tails:
            end = int(at[place] + self.size[place])
            out[end - len(tail) : end] = np.frombuffer(tail, np.uint8)


def load(holdings: Holdings, keys: Numbers, documents: Sequence[bytes | None], tails: Tails) -> NDArray[np.float64]:
    """Put the records of documents into holdings.

    Args:
        holdings: where none of these records is yet.
        keys: int64 ``(n,)``, the documents' keys, all different.
        documents: ``n`` documents; None has nothing.
        tails: what reads what has no fixed width.

    Returns:
        The earliest deadline of each document, as `dues_of` does.
    """
    found = [*filter(None, documents)]
    dues = np.full(len(documents), np.nan)
    if not found:
        return dues
    there: Any = slice(None)
    if len(found) < len(documents):
        there = [number for number, document in enumerate(documents) if document]
    alike = None if len(holdings.records.records) else load_alike(holdings, keys[there], found)
    dues[there] = load_records(holdings, keys[there], found, tails) if alike is None else alike
    return dues


def load_records(holdings: Holdings, keys: Numbers, found: Sequence[bytes], tails: Tails) -> NDArray[np.float64]:
    """Put records into holdings as `load` does, whatever they are; all documents are there."""
    raw = np.frombuffer(b"".join(found), np.uint8)
    lengths = np.array([*map(len, found)], np.int64)
    ends = np.cumsum(lengths)
    low = keys.view(np.uint64)
    dues = _gather(raw, ends - lengths, DUE)
    at, end = ends - lengths + DUE.itemsize, ends
    source = _Source(holdings, raw, tails)
    places, lows, cores = [], [], []
    while len(at):
        core = _gather(raw, at, CORE)
        _check(holdings, core)
        places.append(at)
        lows.append(low)
        cores.append(core)
        at = at + core["size"]
        more = np.flatnonzero(at < end)
        at, end, low = at[more], end[more], low[more]
    for place, words, core in zip(places, lows, cores, strict=True):
        source.enter(place, words, core)
    return dues


def _check(holdings: Holdings, core: NDArray[Any]) -> None:
    """Check what would lead astray before anything else fails.

    Raises:
        ValueError: when a record is damaged.
    """
    state, group = core["state"], core["group"]
    known = np.where(state < EARLY, len(holdings.groups.all), np.iinfo(group.dtype).max)
    if ((core["size"] < OPEN_ROW) | (state == NONE) | (state >= len(STATES)) | (group >= known)).any():
        msg = "a record is damaged"
        raise ValueError(msg)


class _Source(NamedTuple):
    """Hold where records come from and where they go."""

    holdings: Holdings
    raw: Raw
    tails: Tails

    def enter(self, at: Numbers, low: NDArray[np.uint64], core: NDArray[Any]) -> None:
        """Enter records of different keys, which begin at these places."""
        records, table = self.holdings.records, self.holdings.records.records
        high = np.ascontiguousarray(core["high"])
        heads, places = records.index.probe(low, high)
        if int(core["group"].max()) > np.iinfo(table["group"].dtype).max:
            table.widen("group", np.int32)
        columns = {"group": core["group"], "time": core["time"], "state": core["state"]}
        new = records.add(low, high, heads, places, columns=columns)
        open_rows = core["state"] < EARLY
        for chosen, enter in ((open_rows, self._enter_rows), (~open_rows, self._enter_registers)):
            some = np.flatnonzero(chosen)
            if len(some):
                enter(at[some], core[some], new[some])
        records.remind(new, float(records.due(new).min()))

    def _enter_rows(self, at: Numbers, core: NDArray[Any], new: Numbers) -> None:
        holdings, raw = self.holdings, self.raw
        holdings.records.records["predicted"][new] = _gather(raw, at + CORE.itemsize, PREDICTED)
        is_settled = core["state"] > PENDING
        begins = at + np.where(is_settled, SETTLED_ROW, OPEN_ROW)
        for layout, chosen in holdings.by_layout(core["group"]):
            width = payload_bytes(layout)
            if width:
                payload = _gather(raw, begins[chosen], np.dtype(("u1", width)))
                values = payload if layout.kind == "flags" else payload.view("<f8")
                holdings.store_payload(layout, new[chosen], values[:, 0] if layout.kind == "score" else values)
        which = np.flatnonzero(is_settled)
        if len(which):
            self._settle(at[which], begins[which], core[which], new[which])

    def _settle(self, at: Numbers, payload: Numbers, core: NDArray[Any], new: Numbers) -> None:
        records = self.holdings.records
        held = _gather(self.raw, at + OPEN_ROW, SETTLED)
        tail = payload + _payloads_of(self.holdings.groups)[core["group"]]
        self.tails.read_rows(self.holdings, self.raw, tail, core["flags"], held)
        detail = records.settled.allocate(len(new))
        rows = records.settled.blank(len(new))
        for name in SETTLED.names or ():
            rows[name] = held[name]
        records.settled.write(detail, rows)
        records.records["detail"][new] = detail

    def _enter_registers(self, at: Numbers, core: NDArray[Any], new: Numbers) -> None:
        holdings = self.holdings
        held = _gather(self.raw, at + CORE.itemsize, REGISTER)
        tail = at + CORE.itemsize + REGISTER.itemsize
        lost = self.tails.read_registers(holdings, self.raw, tail, core["flags"], held)
        columns = {name: held[name] for name in REGISTER.names or ()}
        holdings.records.records["detail"][new] = holdings.records.registers.restore(columns, lost)


def _settled_columns(holdings: Holdings, details: Numbers) -> NDArray[Any]:
    held = np.zeros(len(details), SETTLED)
    rows = holdings.records.settled.read(details)
    for name in SETTLED.names or ():
        held[name] = rows[name]
    return held


def _register_columns(holdings: Holdings, details: Numbers) -> NDArray[Any]:
    held = np.zeros(len(details), REGISTER)
    for name in REGISTER.names or ():
        held[name] = holdings.records.registers.table[name][details]
    return held


def _payloads_of(groups: Groups) -> Numbers:
    """Return how many bytes of payload rows of each group keep."""
    return np.array([payload_bytes(group.layout) for group in groups.all] or [0], np.int64)


def _gather(raw: Raw, at: Numbers, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return what stands at some places of raw bytes: one item of the dtype each."""
    picked: NDArray[Any] = raw[at[:, None] + np.arange(dtype.itemsize)]
    return picked if dtype.subdtype else picked.view(dtype)[:, 0]


def _scatter(out: Raw, at: Numbers, items: NDArray[Any]) -> None:
    """Write items, one for each place, into raw bytes."""
    if len(at):
        flat = items.view(np.uint8).reshape(len(at), -1)
        out[at[:, None] + np.arange(flat.shape[1])] = flat
