"""The journal: what one transaction counted, as compact columns that any process can count later.

An entry is a version byte, the header's length, a header of JSON and a body of columns.
Events are reduced to *cells* (ledger, slot, what happened, how often); rows keep what the quality counts need of them:
group, slot, predicted class, truth, payload, delay.
A column of equal integers is one number in the header; others are packed as narrow as their values allow.
Compression gains next to nothing on what is left, scores and delays, and is left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelmon.errors import StoreError
from modelmon.stores.scoring import Accepted, Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelmon.stores.catalogue import Catalogue
    from modelmon.stores.counting import Counting
    from modelmon.stores.groups import Layout

    Numbers = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Cell = tuple[int, int, int, int]

VERSION = 1
_START = 8
_CODES = 256
_NARROW = (("<u1", 0, 255), ("<i1", -128, 127), ("<i2", -(1 << 15), (1 << 15) - 1), ("<i4", -(1 << 31), (1 << 31) - 1))
_SMALL = float((1 << 31) - 1)


class Section(NamedTuple):
    """Hold ``n`` rows of one kind.

    Attributes:
        kind: ``"rows"`` added or removed, ``"joins"`` with delays, ``"delays"`` alone, ``"accepted"`` predictions.
        sign: +1 or -1.
        rows: the rows; of ``"delays"`` only group and time are meant.
        delays: seconds, of ``"joins"`` and ``"delays"``.
    """

    kind: str
    sign: int
    rows: Rows | Accepted
    delays: Floats | None


class Entry(NamedTuple):
    """Hold one journal entry: cells (ledger, slot, code, how often), global counts as state, and rows."""

    cells: list[Cell]
    counts: dict[str, Any] | None
    sections: list[Section]


def pack(counting: Counting, catalogue: Catalogue) -> bytes | None:
    """Return what waits to be counted, and the global counts, as an entry; None where there is nothing.

    Args:
        counting: a counting made for one transaction.
        catalogue: what its numbers and object codes mean.
    """
    waiting, groups = counting.waiting, catalogue.groups
    body = _Body()
    sections: list[Any] = []
    for group, time, delay in waiting.delays:
        sections.append(["delays", 1, *body.columns(len(group), group, counting.slots(time), None, None, None, delay)])
    kinds: list[tuple[str, int, Layout, Rows, Floats | None]] = [
        ("joins", 1, layout, rows, delays) for layout, some in waiting.joins.items() for rows, delays in some
    ]
    kinds += [("rows", sign, layout, rows, None) for (layout, sign), some in waiting.rows.items() for rows in some]
    for kind, sign, layout, rows, delays in kinds:
        truth = _flags(rows.truth, catalogue) if layout.kind == "flags" else rows.truth
        slot = counting.slots(rows.time)
        packed = body.columns(len(slot), rows.group, slot, rows.predicted, truth, rows.payload, delays)
        sections.append([kind, sign, *packed])
    for (_, sign), some in waiting.accepted.items():
        for taken in some:
            slot = counting.slots(taken.time)
            packed = body.columns(len(slot), taken.group, slot, taken.predicted, None, taken.score, None)
            sections.append(["accepted", sign, *packed])
    cells = None
    if waiting.events:
        group, time, code = (_whole(column) for column in zip(*waiting.events, strict=True))
        if len(code):
            cells = _cells(body, groups.ledger_of(group), counting.slots(time), code)
    counts = counting.counts.to_state() if len(counting.counts) else None
    if cells is None and counts is None and not sections:
        return None
    header = json.dumps([cells, counts, sections], separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return b"".join([bytes([VERSION, 0, 0, 0]), len(header).to_bytes(4, "little"), header, *body.parts])


def unpack(data: bytes, window: float) -> Entry:
    """Return what an entry holds; times are the middles of their slots.

    Raises:
        StoreError: when the entry was written by a newer version.
    """
    if data[0] > VERSION:
        msg = f"this store's journal has version {data[0]}; this modelmon reads up to {VERSION}: upgrade modelmon"
        raise StoreError(msg, kind="schema")
    end = _START + int.from_bytes(data[4:_START], "little")
    cells, counts, sections = json.loads(data[_START:end])
    reader = _Reader(data, end)
    found = [_section(reader, window, section) for section in sections]
    if cells is None:
        return Entry([], counts, found)
    n, specs = cells
    columns = [reader.column(spec, n).tolist() for spec in specs]
    return Entry(list(zip(*columns, strict=True)), counts, found)


def _cells(body: _Body, ledger: Numbers, slot: Numbers, code: NDArray[np.uint8]) -> list[Any]:
    """Pack how often each code came in each ledger and slot."""
    first, start = int(ledger[0]), int(slot[0])
    if (ledger == first).all() and (slot == start).all():
        counts = np.bincount(code)
        codes = np.flatnonzero(counts)
        return body.columns(len(codes), first, start, codes, counts[codes])
    slots, place = np.unique(slot, return_inverse=True)
    keys, counts = np.unique((ledger * len(slots) + place) * _CODES + code, return_counts=True)
    pairs, codes = np.divmod(keys, _CODES)
    ledgers, places = np.divmod(pairs, len(slots))
    return body.columns(len(keys), ledgers, slots[places], codes, counts)


def _flags(truth: Floats, catalogue: Catalogue) -> NDArray[np.uint8]:
    """Return the rows of flags that truths of a multilabel task stand for: uint8 ``(n, L)``."""
    codes, place = np.unique(truth.astype(np.int64), return_inverse=True)
    rows = [np.frombuffer(catalogue.objects[code], np.uint8) for code in codes.tolist()]
    flags: NDArray[np.uint8] = np.stack(rows)[place]
    return flags


def _section(reader: _Reader, window: float, section: Sequence[Any]) -> Section:
    kind, sign, n, specs = section
    columns = (None if spec is None else reader.column(spec, n) for spec in specs)
    group, slot, predicted, truth, payload, delays = columns
    payload = _floats(payload)
    time = (slot + 0.5) * window  # type: ignore[operator]  # every section has slots
    if kind == "accepted":
        return Section(kind, sign, Accepted(group, time, _wide(predicted, np.int32), payload), None)  # type: ignore[arg-type]
    rows = Rows(group, time, _wide(predicted, np.int32), _floats(truth), payload)  # type: ignore[arg-type]
    return Section(kind, sign, rows, _floats(delays))


def _floats(column: NDArray[Any] | None) -> NDArray[Any] | None:
    """Return a column of numbers, which may have been packed as integers, as it was; rows of flags as they are."""
    return column if column is None or column.ndim > 1 else column.astype(np.float64, copy=False)


def _wide(column: NDArray[Any] | None, dtype: Any) -> NDArray[Any] | None:
    return None if column is None else column.astype(dtype, copy=False)


class _Body:
    """Collect columns, each starting at a multiple of 8 bytes."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def columns(self, n: int, *columns: NDArray[Any] | int | None) -> list[Any]:
        """Add columns of ``n`` rows, or numbers that all have, and return what the header says of them."""
        return [n, [self._add(column) if isinstance(column, np.ndarray) else column for column in columns]]

    def _add(self, column: NDArray[Any]) -> Any:
        if column.ndim > 1:
            return [self._append(column, "<u1" if column.dtype == np.uint8 else "<f8"), column.shape[1]]
        low, high = column.min().item(), column.max().item()
        if column.dtype.kind == "f":
            if not (low >= -_SMALL and high <= _SMALL):
                return self._append(column, "<f8")
            whole = column.astype(np.int32)
            if not (whole == column).all():
                return self._append(column, "<f8")
            column, low, high = whole, int(low), int(high)
        if low == high:
            return low
        for dtype, least, most in _NARROW:
            if least <= low and high <= most:
                return self._append(column, dtype)
        return self._append(column, "<i8")

    def _append(self, column: NDArray[Any], dtype: str) -> str:
        data = column.astype(dtype, copy=False).tobytes()
        self.parts.append(data + b"\0" * (-len(data) % 8))
        return dtype


class _Reader:
    """Read columns in the order in which they were added."""

    __slots__ = ("_data", "_place")

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self._place = place

    def column(self, spec: Any, n: int) -> NDArray[Any]:
        """Return the next column."""
        if isinstance(spec, int):
            return np.full(n, spec, np.int64)
        dtype, width = spec if isinstance(spec, list) else (spec, 0)
        found = np.frombuffer(self._data, dtype, n * max(width, 1), self._place)
        self._place += found.nbytes + -found.nbytes % 8
        return found.reshape(n, width) if width else found


def _whole(chunks: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
