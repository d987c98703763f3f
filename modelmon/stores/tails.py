"""Tails: what of a record has no fixed width, as bytes at its end, and back.

A tail is a part for each flag set, in the order of the flags, each preceded by its length (u4): the row of flags that
a multilabel row counts with, the value of a label that no catalogue knows, and the values that a register lost.
Values are JSON, which tells ``1`` from ``"1"``; tuples are lists there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from modelmon.stores.registers import coded
from modelmon.tasks import Multilabel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from modelmon.stores.holdings import Holdings

    Numbers = NDArray[np.int64]
    Raw = NDArray[np.uint8]
    Lost = dict[int, list[tuple[int, float]]]

TRUTH, VALUE, LOST = 1, 2, 4
_LENGTH = 4


def write_object(value: Any) -> bytes:
    """Return a label's value as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def read_object(data: bytes) -> Any:
    """Return the value that was written."""
    return _tuples(json.loads(data.decode("utf-8", "surrogatepass")))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


class Tails:
    """Write and read tails of records.

    Args:
        catalogued: returns how many codes of objects mean the same in every process; values of these are no tail.
    """

    def __init__(self, catalogued: Callable[[], int]) -> None:
        """Remember whom to ask."""
        self._catalogued = catalogued

    def write_rows(self, holdings: Holdings, group: Numbers, held: NDArray[Any], flags: Raw) -> list[bytes]:
        """Return the tails of settled rows, mostly empty.

        Args:
            holdings: whose rows they are.
            group: their groups.
            held: their settled columns.
            flags: set here, for each row.
        """
        tails = [b""] * len(held)
        many = np.array([isinstance(page.task, Multilabel) for page in holdings.groups.series] or [False], np.bool_)
        flagged = many[holdings.groups.series_of(group)] & ~np.isnan(held["truth"])
        for place in np.flatnonzero(flagged).tolist():
            flags[place] |= TRUTH
            tails[place] += _part(holdings.objects[int(held["truth"][place])])
        self._write_values(holdings, held, flags, tails)
        return tails

    def write_registers(self, holdings: Holdings, details: Numbers, held: NDArray[Any], flags: Raw) -> list[bytes]:
        """Return the tails of registers, mostly empty; see `write_rows`."""
        tails = [b""] * len(held)
        self._write_values(holdings, held, flags, tails)
        registers = holdings.records.registers
        for place in np.flatnonzero(registers.table["has_lost"][details]).tolist():
            lost = [
                [kind, value, holdings.objects[int(value)] if _is_coded(kind) else None]
                for kind, value in registers.lost(int(details[place]))
            ]
            flags[place] |= LOST
            tails[place] += _part(write_object(lost))
        return tails

    def _write_values(self, holdings: Holdings, held: NDArray[Any], flags: Raw, tails: list[bytes]) -> None:
        unknown = coded(held["kind"]) & (held["value"] >= self._catalogued())
        for place in np.flatnonzero(unknown).tolist():
            flags[place] |= VALUE
            tails[place] += _part(write_object(holdings.objects[int(held["value"][place])]))

    def read_rows(self, holdings: Holdings, raw: Raw, at: Numbers, flags: Raw, held: NDArray[Any]) -> None:
        """Put what stands in the tails of settled rows into their columns; ``at`` is where the tails begin."""
        for place in np.flatnonzero(flags).tolist():
            parts = _parts(raw, int(at[place]))
            if flags[place] & TRUTH:
                held["truth"][place] = holdings.objects.intern(next(parts))
            if flags[place] & VALUE:
                held["value"][place] = holdings.objects.intern(read_object(next(parts)))

    def read_registers(self, holdings: Holdings, raw: Raw, at: Numbers, flags: Raw, held: NDArray[Any]) -> Lost:
        """Put what stands in the tails of registers into their columns, and return what each lost, by place."""
        lost: Lost = {}
        for place in np.flatnonzero(flags).tolist():
            parts = _parts(raw, int(at[place]))
            if flags[place] & VALUE:
                held["value"][place] = holdings.objects.intern(read_object(next(parts)))
            if flags[place] & LOST:
                lost[place] = list(_lost(holdings, read_object(next(parts))))
        return lost


def _lost(holdings: Holdings, listed: Iterable[Any]) -> Iterator[tuple[int, float]]:
    for kind, value, thing in listed:
        yield kind, float(holdings.objects.intern(thing)) if _is_coded(kind) else value


def _is_coded(kind: int) -> bool:
    return bool(coded(np.array([kind], np.uint8))[0])


def _part(data: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH, "little") + data


def _parts(raw: Raw, at: int) -> Iterator[bytes]:
    while True:
        length = int.from_bytes(raw[at : at + _LENGTH].tobytes(), "little")
        at += _LENGTH
        yield raw[at : at + length].tobytes()
        at += length
