"""The documents that were written lately, in memory: what every process holds of the log.

How it works.
A transaction appends its documents to the log as one segment; a row of the table ``documents`` is not touched, because
keys are random, and each would dirty a page of its own.
Every process reads the segments that others wrote and keeps what is in them in a dictionary.
Past a bound the dictionary becomes ``old``, a new one is begun, and the old documents are merged into the table in the
order of their keys, a slice with each transaction, so that many fall on each page; then their segments are deleted.
Whatever is not here is in the table.

Rules:

1. Nothing here is needed to recover: it is read anew from the segments.
2. ``young`` goes before ``old``, and ``old`` before the table; `GONE` stands for a document that went.
3. Where the log stands is read in the same transaction as what it is used for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from modelmon.stores.sqlite.segments import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from modelmon.stores.database import Keys

MOST: Final = 1 << 17
"""Documents in the log past which they begin to be merged; up to 1.8 times as many may be there meanwhile."""
MOST_BYTES: Final = 32 << 20
"""The same in bytes of segments."""


GONE: Final = bytes(bytearray(b"gone"))
"""Stands for a document that went; known by identity, so any document may have the same bytes."""


class Mark(NamedTuple):
    """Say where the log stands.

    Attributes:
        segment: number of the last segment.
        merged: segments up to this one are in the table.
        merging: segments up to this one are being merged; as ``merged`` where none is.
        cursor: keys up to this one, of those that are being merged, are in the table; None at first.
        trimmed: segments up to this one are deleted.
    """

    segment: int
    merged: int
    merging: int
    cursor: int | None
    trimmed: int


class Slice(NamedTuple):
    """Hold documents to be merged.

    Attributes:
        keys: of documents that are there, ascending.
        bodies: these documents.
        gone: keys of documents that went, ascending.
        last: the last key looked at; None where it is the last of all.
    """

    keys: list[int]
    bodies: list[bytes]
    gone: list[int]
    last: int | None


class Recents:
    """Hold the documents of segments that are not merged yet."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.forget()

    def forget(self) -> None:
        """Forget everything; it is read anew."""
        self._young: dict[int, bytes] = {}
        self._old: dict[int, bytes] = {}
        self._order: Keys | None = None
        self._walk: Keys | None = None
        self._gone = False
        self._bytes = 0
        self._origin = ""
        self._seen = self._split = self._merged = 0

    def __len__(self) -> int:
        """Return how many documents are held, about."""
        return len(self._young) + len(self._old)

    def follow(self, origin: str, mark: Mark, read: Callable[[int], Iterable[tuple[int, bytes]]]) -> None:
        """Read what has been written since.

        Args:
            origin: the file's own name; with another one, nothing that is held counts.
            mark: where the log stands.
            read: returns the segments after a number, in order.
        """
        try:
            if origin != self._origin or mark.segment < self._seen or mark.merged < self._merged:
                self.forget()
                self._origin = origin
            self._turn(mark)
            if self._seen < mark.segment:
                for number, segment in read(self._seen):
                    self._add(number, *unpacked(segment), len(segment))
                self._seen = mark.segment
        except BaseException:
            self.forget()
            raise

    def _turn(self, mark: Mark) -> None:
        """Follow merges that ended or began."""
        if mark.merged > self._merged:
            self._old, self._order = {}, None
            if mark.merged >= self._seen:
                self._young, self._bytes, self._seen = {}, 0, mark.merged
            self._merged = mark.merged
        if mark.merging > max(self._split, mark.merged):
            self._old, self._young, self._order, self._bytes = self._young, {}, None, 0
        self._split = mark.merging

    def _add(self, number: int, keys: Iterable[int], bodies: Sequence[bytes | None], size: int) -> None:
        if None in bodies:
            self._gone, bodies = True, [GONE if body is None else body for body in bodies]
        pairs: Any = zip(keys, bodies, strict=True)
        if number <= self._split:
            self._old.update(pairs)
            self._order = None
        else:
            self._young.update(pairs)
            self._bytes += size

    def add(self, mark: Mark, keys: Sequence[int], bodies: Sequence[bytes | None], size: int) -> None:
        """Add a segment of our own, after it was committed.

        Args:
            mark: where the log stands now.
            keys: its keys.
            bodies: its documents.
            size: its bytes.
        """
        try:
            if mark.segment > self._seen:
                self._add(mark.segment, keys, bodies, size)
                self._seen = mark.segment
            self._turn(mark)
        except BaseException:
            self.forget()
            raise

    def find(self, keys: list[int]) -> tuple[list[bytes | None], list[int]]:
        """Return documents, None also where none is here, and the places of those that none is here of."""
        found = list(map(self._young.get, keys))
        absent: list[int] = []
        if None in found:
            absent = [place for place, body in enumerate(found) if body is None]
            if self._old:
                for place, body in zip(absent, map(self._old.get, [keys[place] for place in absent]), strict=True):
                    found[place] = body
                absent = [place for place in absent if found[place] is None]
        if self._gone:
            return [None if body is GONE else body for body in found], absent
        return found, absent

    def is_long(self, documents: int, size: int) -> bool:
        """Return whether the log is too long, once a segment of that many documents and bytes is added."""
        return len(self._young) + documents > MOST or self._bytes + size > MOST_BYTES

    def slice(self, after: int | None, n: int) -> Slice:
        """Return documents to be merged, without those that have been written anew since.

        Args:
            after: keys up to this one were merged before; None: none.
            n: about how many keys to look at.
        """
        if self._order is None:
            self._order = np.sort(np.fromiter(self._old, np.int64, len(self._old)))
        start = 0 if after is None else int(np.searchsorted(self._order, after, "right"))
        keys = self._order[start : start + n].tolist()
        last = keys[-1] if start + n < len(self._order) else None
        young, old = self._young, self._old
        keys = [key for key in keys if key not in young]
        bodies = list(map(old.__getitem__, keys))
        gone = [key for key, body in zip(keys, bodies, strict=True) if body is GONE] if self._gone else []
        if gone:
            keys = [key for key in keys if old[key] is not GONE]
            bodies = [body for body in bodies if body is not GONE]
        return Slice(keys, bodies, gone, last)

    def walk(self, after: int | None, limit: int) -> list[int]:
        """Return the first keys after one, of all that were here when this was asked with None."""
        if after is None or self._walk is None:
            self._walk = np.sort(np.fromiter({**self._old, **self._young}, np.int64))
        start = 0 if after is None else int(np.searchsorted(self._walk, after, "right"))
        keys: list[int] = self._walk[start : start + limit].tolist()
        if len(keys) < limit:
            self._walk = None
        return keys
