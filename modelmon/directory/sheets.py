"""Sheets: parts as they lie in a file, with the number of the schema they follow.

The first line is text; then comes the head, and then each slot of time by itself.
All but the newest slots stay as they are from one version of a file to the next, so neither who writes nor who reads
does their work twice.
A file that would be too large is written without its oldest slots, of which the totals keep the counts.
A version that does not know a schema leaves such files alone: it neither shows nor removes them.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from dataclasses import dataclass, replace
from operator import is_
from typing import TYPE_CHECKING, Any, Final

from modelmon.parts import Part, SeriesPart
from modelmon.snapshot import text
from modelmon.tallies import Ledger, Tally

if TYPE_CHECKING:
    from modelmon.parts import SeriesKey, Slice

    Where = tuple[SeriesKey, Slice | None]  # None is what is kept for the whole series
    Slot = tuple[int, int]  # place of the part, number of the slot

SCHEMA: Final = 1
_MAGIC: Final = b"modelmon directory "
_FIRST: Final = _MAGIC + b"%d\n" % SCHEMA
_SIZE: Final = 8
_DIGITS: Final = 9
MOST_BYTES: Final = 64 << 20
"""What a file may hold; more only where its totals alone are more."""
READ_BYTES: Final = 1 << 30
"""What is read of a file, and of a piece of it in plain text; more is never written."""


class NewerError(ValueError):
    """A file follows a newer schema."""


class DamagedError(ValueError):
    """A file is none of ours, or not whole."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Hold what a file says.

    Attributes:
        name: of the directory, where its sum is kept; no other has it.
        parts: what was counted.
        included: the processes whose counts are in these parts although their files may still lie there.
        history: seconds for which slots are kept apart, as far as is known.
    """

    name: str = ""
    parts: tuple[Part, ...] = ()
    included: frozenset[str] = frozenset()
    history: float | None = None


class Scribe:
    """Read and write the sheets of one file, and remember its slots.

    Attributes:
        left_out: slots that were left out when it was written last.
        noted: for whoever tells of them.
    """

    __slots__ = ("_known", "left_out", "noted")

    def __init__(self) -> None:
        """Remember nothing."""
        self.left_out = 0
        self.noted = False
        self._known: dict[Slot, tuple[bytes, dict[Where, Tally]]] = {}

    def write(self, sheet: Sheet) -> bytes:
        """Return a sheet as bytes, without its oldest slots where it would be too large.

        Raises:
            OSError: when even so it is too large to be read.
        """
        slots: dict[Slot, dict[Where, Tally]] = {}
        for place, part in enumerate(sheet.parts):
            for where, ledger in _ledgers(part).items():
                for number, tally in ledger.slots.items():
                    slots.setdefault((place, number), {})[where] = tally
        self._known = {slot: (self._packed(slot, held), held) for slot, held in sorted(slots.items())}
        head = self._head(sheet)
        self.left_out = self._shorten(sheet, MOST_BYTES - len(_FIRST) - _SIZE - len(head))
        if self.left_out:
            head = self._head(sheet)
        pieces = [_FIRST, len(head).to_bytes(_SIZE, "big"), head]
        data = b"".join([*pieces, *(packed for packed, _ in self._known.values())])
        if len(data) > READ_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return data

    def read(self, data: bytes) -> Sheet:
        """Return the sheet that was written.

        Raises:
            NewerError: when it follows a newer schema.
            DamagedError: when it is none, or not whole.
        """
        _check(data)
        try:
            start = data.index(b"\n") + 1 + _SIZE
            end = start + int.from_bytes(data[start - _SIZE : start], "big")
            head = _unpack(data[start:end])
            name, included, history = str(head["name"]), frozenset(head["included"]), head.get("history")
            pieces: dict[Slot, bytes] = {}
            for place, number, size in head["slots"]:
                pieces[int(place), int(number)] = data[end : end + size]
                end += size
            states = {slot: self._unpacked(slot, piece) for slot, piece in pieces.items()}
        except (zlib.error, ValueError, KeyError, TypeError, IndexError) as error:
            msg = "this file is damaged"
            raise DamagedError(msg) from error
        try:
            parts = text.read(head["parts"])
            self._known = {slot: (pieces[slot], _tallies(states[slot])) for slot in pieces}
            self._fill(parts)
        except (ValueError, KeyError, TypeError, IndexError) as error:  # whole, so what it says is beyond us
            raise NewerError(str(error)) from error
        return Sheet(name, parts, included, history)

    def _head(self, sheet: Sheet) -> bytes:
        head = {
            "name": sheet.name,
            "included": sorted(sheet.included),
            "history": sheet.history,
            "slots": [[*slot, len(packed)] for slot, (packed, _) in self._known.items()],
            "parts": text.write(map(_without_slots, sheet.parts)),
        }
        return _pack(head)

    def _shorten(self, sheet: Sheet, room: int) -> int:
        """Leave out the oldest slots until the rest needs no more than so many bytes; return how many were left out."""
        size = sum(len(packed) for packed, _ in self._known.values())
        oldest = sorted(self._known, key=lambda slot: slot[1] * sheet.parts[slot[0]].window, reverse=True)
        before = len(oldest)
        while oldest and size > room:
            size -= len(self._known.pop(oldest.pop())[0])
        return before - len(oldest)

    def _fill(self, parts: tuple[Part, ...]) -> None:
        ledgers = [_ledgers(part) for part in parts]
        for (place, number), (_, held) in self._known.items():
            for where, tally in held.items():
                ledgers[place][where].slots[number] = tally

    def _packed(self, slot: Slot, held: dict[Where, Tally]) -> bytes:
        known = self._known.get(slot)
        if known is not None and held.keys() == known[1].keys() and all(map(is_, held.values(), known[1].values())):
            return known[0]
        return _pack([[*key, page, tally.to_state()] for (key, page), tally in held.items()])

    def _unpacked(self, slot: Slot, packed: bytes) -> Any:
        known = self._known.get(slot)
        return known[1] if known is not None and known[0] == packed else _unpack(packed)


def _ledgers(part: Part) -> dict[Where, Ledger]:
    """Return the ledgers of a part by where they stand."""
    found: dict[Where, Ledger] = {}
    for key, series in part.series.items():
        found[key, None] = series.shared
        for page, ledger in series.ledgers.items():
            found[key, page] = ledger
    return found


def _without_slots(part: Part) -> Part:
    series = {}
    for key, held in part.series.items():
        ledgers = {page: Ledger(ledger.total) for page, ledger in held.ledgers.items()}
        series[key] = SeriesPart(held.task, held.classes, ledgers, Ledger(held.shared.total), held.active)
    return replace(part, series=series)


def _tallies(state: Any) -> dict[Where, Tally]:
    if isinstance(state, dict):  # known already
        return state
    found: dict[Where, Tally] = {}
    for model, version, page, inner in state:
        where = None if page is None else tuple((str(name), str(value)) for name, value in page)
        found[(model, version), where] = Tally.from_state(inner)
    return found


def _check(data: bytes) -> None:
    first = data[: data.find(b"\n") + 1].rstrip(b"\n")
    schema = first[len(_MAGIC) :]
    if not first.startswith(_MAGIC) or not schema.isdigit() or len(schema) > _DIGITS:
        msg = "this file holds no counts"
        raise DamagedError(msg)
    if int(schema) > SCHEMA:
        msg = f"this file follows schema {int(schema)}; this modelmon reads up to {SCHEMA}: upgrade modelmon"
        raise NewerError(msg)


def _pack(value: Any) -> bytes:
    plain = json.dumps(value, separators=(",", ":")).encode()
    if len(plain) > READ_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return zlib.compress(plain, 1)


def _unpack(packed: bytes) -> Any:
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(packed, READ_BYTES)
    if not unpacking.eof:
        msg = "a piece is not whole"
        raise ValueError(msg)
    return json.loads(plain)
