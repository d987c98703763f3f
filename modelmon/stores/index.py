"""An index from 128-bit keys to record numbers: open addressing over numpy arrays, many keys at a time.

How it works.
The keys stand in the records' own columns (``low``, and ``high`` once a key needs it); a slot holds a record number
only, 4 bytes.
A key's first slot is its mixed hash; where another key stands there, the slots 1, 3, 6, 10, ... further on are tried,
for all keys of a batch in lockstep, until each has found its record or an empty slot.
Steps that grow keep the longest search of a batch short (keys do not pile up), and in a table whose size is a power of
two they come by every slot.

Rules:

1. A slot is empty, deleted or a record number; none of these is a key, so every key can be stored, 0 too.
2. At most two thirds of the slots are taken, deleted ones included; beyond that the table is built anew.
3. The keys of one `insert` are all different and not in the table.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]
    Numbers = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_EMPTY = -1
_DELETED = -2
_SMALLEST = 1024
_FIRST_MULTIPLIER = np.uint64(0xFF51AFD7ED558CCD)
_SECOND_MULTIPLIER = np.uint64(0xC4CEB9FE1A85EC53)
_HALF = np.uint64(32)


class Index:
    """Find records by key."""

    __slots__ = ("_differ", "_keys", "_mask", "_seed", "_slots", "_taken", "used")

    def __init__(
        self, keys: Callable[[Numbers], tuple[Keys, Keys]], differ: Callable[[Numbers, Keys, Keys], Bools]
    ) -> None:
        """Start empty.

        Args:
            keys: returns the keys (low, high) of records by number.
            differ: returns whether records have other keys than these; for numbers below 0, anything.
        """
        self._keys = keys
        self._differ = differ
        self._seed = np.uint64(secrets.randbits(64))
        self._clear(_SMALLEST)

    def _clear(self, size: int) -> None:
        self._slots = np.full(size, _EMPTY, np.int32)
        self._mask = size - 1
        self._taken = 0
        self.used = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return self._slots.nbytes

    def expect(self, n: int) -> None:
        """Make room for that many keys in an index that is empty: so much that hardly two want one slot."""
        if not self._taken and 8 * n > len(self._slots):
            self._clear(1 << (8 * n - 1).bit_length())

    def find(self, low: Keys, high: Keys) -> Numbers:
        """Return the record of each key, -1 where there is none."""
        return self.probe(low, high)[0]

    def insert(self, low: Keys, high: Keys, records: Numbers, places: Numbers | None = None) -> None:
        """Add keys that are all different and not here yet.

        Args:
            low: lower words.
            high: upper words.
            records: the record of each key.
            places: where `probe` found no such keys, if nothing was inserted since; saves looking again.
        """
        n = len(records)
        if 3 * (self._taken + n) > 2 * len(self._slots):
            self._rebuild(self.used + n)
            places = None
        lost = np.arange(n) if places is None else self._try(places, records)
        if len(lost):  # two keys were about to take one slot
            self._place(self._home(low[lost], high[lost]), records[lost])
        self._taken += n
        self.used += n

    def replace(self, low: Keys, high: Keys, records: Numbers) -> None:
        """Point keys that are here at other records."""
        if len(records):
            self._slots[self.probe(low, high)[1]] = records

    def remove(self, low: Keys, high: Keys) -> None:
        """Take out keys that are here."""
        if len(low):
            self._slots[self.probe(low, high)[1]] = _DELETED
            self.used -= len(low)

    def _home(self, low: Keys, high: Keys) -> Numbers:
        mixed = low ^ self._seed
        mixed ^= high * _SECOND_MULTIPLIER
        mixed ^= mixed >> _HALF
        mixed *= _FIRST_MULTIPLIER
        mixed ^= mixed >> _HALF
        mixed *= _SECOND_MULTIPLIER
        mixed ^= mixed >> _HALF
        home: Numbers = (mixed & np.uint64(self._mask)).view(np.int64)
        return home

    def probe(self, low: Keys, high: Keys) -> tuple[Numbers, Numbers]:
        """Return record and slot of each key; -1 and an empty slot where there is none."""
        place = self._home(low, high)
        found, open_ = self._look(place, low, high)
        step = 0
        while len(open_):
            step += 1
            if step == 1:
                rest, low, high, tried = open_, low.take(open_), high.take(open_), place.take(open_)
            else:
                rest, low, high, tried = rest.take(open_), low.take(open_), high.take(open_), tried.take(open_)
            tried += step
            tried &= self._mask
            seen, open_ = self._look(tried, low, high)
            found[rest] = seen
            place[rest] = tried
        return found, place

    def _look(self, place: Numbers, low: Keys, high: Keys) -> tuple[Numbers, Numbers]:
        """Return what stands in slots, and the positions of the keys that have to look further."""
        seen = self._slots.take(place, mode="clip")  # places are in range; not to check that is faster
        found = seen.astype(np.int64)
        further = self._differ(found, low, high)
        if seen.size and seen.min() < 0:
            further |= seen < 0
            further &= seen != _EMPTY
        return found, further.nonzero()[0]

    def _place(self, place: Numbers, records: Numbers) -> None:
        """Write records into the first free slots from their homes on."""
        step = 0
        lost = self._try(place, records)
        while len(lost):
            step += 1
            place, records = (place[lost] + step) & self._mask, records[lost]
            lost = self._try(place, records)

    def _try(self, place: Numbers, records: Numbers) -> Numbers:
        """Write records into those of the slots that are empty; return the positions of those that found no place.

        Of two that want one slot the last wins.
        """
        slots = self._slots
        free = slots.take(place, mode="clip") == _EMPTY
        if free.all():
            slots[place] = records
        else:
            slots[place[free]] = records[free]
        lost: Numbers = (slots.take(place, mode="clip") != records).nonzero()[0]
        return lost

    def _rebuild(self, expected: int) -> None:
        live = self._slots[self._slots >= 0].astype(np.int64)
        size = _SMALLEST
        while 5 * expected > 3 * size:
            size *= 2
        self._clear(size)
        for start in range(0, len(live), 1 << 16):
            chunk = live[start : start + (1 << 16)]
            self._place(self._home(*self._keys(chunk)), chunk)
        self._taken = self.used = len(live)


def distinct(numbers: Numbers) -> Numbers:
    """Return the different numbers, ascending; for the few that one batch changes, `np.unique` has too much overhead.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(numbers)
    new = np.ones(len(ordered), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new]


def first_of_each(low: Keys, high: Keys) -> NDArray[np.bool_]:
    """Return which positions hold the first occurrence of their key: bool ``(n,)``.

    >>> keys = np.array([7, 0, 7], np.uint64)
    >>> first_of_each(keys, np.zeros(3, np.uint64)).tolist()
    [True, True, False]
    """
    n = len(low)
    if n == 1 or (low[1:] > low[:-1]).all():
        return np.ones(n, np.bool_)
    size = 1 << (4 * n - 1).bit_length()
    cell = ((low ^ high) * _FIRST_MULTIPLIER >> np.uint64(65 - size.bit_length())).view(np.int64)
    owner, order = np.empty(size, np.int32), np.arange(n, dtype=np.int32)
    owner[cell[::-1]] = order[::-1]
    first = owner.take(cell, mode="clip")
    alone: NDArray[np.bool_] = first == order
    crowded = np.flatnonzero(~alone)
    if not len(crowded):
        return alone
    told_apart = crowded[(low[crowded] != low[first[crowded]]) | (high[crowded] != high[first[crowded]])]
    if len(told_apart):
        order = told_apart[np.lexsort((told_apart, low[told_apart], high[told_apart]))]
        alone[order[0]] = True
        alone[order[1:]] = (low[order[1:]] != low[order[:-1]]) | (high[order[1:]] != high[order[:-1]])
    return alone


def rounds(low: Keys, high: Keys) -> list[Any]:
    """Cut a batch into rounds of different keys, the r-th holding the r-th occurrence of each.

    Returns:
        Positions of each round; a slice of everything where no key repeats.

    >>> keys = np.array([7, 0, 7, 7], np.uint64)
    >>> [found.tolist() for found in rounds(keys, np.zeros(4, np.uint64))]
    [[0, 1], [2], [3]]
    """
    first = first_of_each(low, high)
    if first.all():
        return [slice(None)]
    later = np.flatnonzero(~first)
    later = later[np.lexsort((later, low[later], high[later]))]
    begins = np.ones(len(later), np.bool_)
    begins[1:] = (low[later[1:]] != low[later[:-1]]) | (high[later[1:]] != high[later[:-1]])
    count = np.arange(len(later))
    occurrence = count - np.maximum.accumulate(np.where(begins, count, 0))
    order = np.argsort(occurrence, kind="stable")
    return [np.flatnonzero(first), *np.split(later[order], np.cumsum(np.bincount(occurrence))[:-1])]
