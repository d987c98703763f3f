"""The machine: what all processes that share a directory counted, read, written and added up.

Rules:

1. A process writes its own file only. What it shows of itself is what it wrote, so no other process ever shows less.
2. Parts of processes that ended are added up into one file, alone behind the door. That file names those whose own
   files may still lie there, so a kill between writing the sum and removing them counts nothing twice.
   A reader waits at no door: it reads again where that file was changed meanwhile.
3. What cannot be read now is shown as it was last read; what a newer version wrote is left alone.
4. There is one of these in a process for each directory, because of its locks.
"""

from __future__ import annotations

import os
import time
from binascii import hexlify
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from modelmon.directory import sums
from modelmon.directory.copies import Copies, stamp_of
from modelmon.directory.door import Door
from modelmon.directory.lives import Lives
from modelmon.directory.place import HALF, LIVE, PART, Place
from modelmon.directory.sheets import DamagedError, NewerError, Scribe, Sheet
from modelmon.forking import renew_in_child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmon.directory.copies import Stamp
    from modelmon.parts import Part

AT_ONCE: Final = 64
PATIENCE_S: Final = 2.0
"""How long a reader waits for others of its process, and for a moment in which nobody adds up."""
_STRAY_S: Final = 60.0


class Machine:
    """Share a directory with other processes.

    Attributes:
        place: the files.
    """

    def __init__(self, root: str, lives: Lives) -> None:
        """Prepare; nothing is touched.

        Args:
            root: the directory.
            lives: those of this process.
        """
        self.place = Place(root)
        self._door = Door(self.place.door)
        self._lives = lives
        self._own: dict[str, Scribe] = {}
        self._copies = Copies()
        self._ended = Sheet()
        self._living: set[str] = set()
        self._known: dict[str, Part] = {}

    def publish(self, part: Part, *, news: bool, history: float | None = None) -> int:
        """Put a process's part in the place of its last.

        Args:
            part: what it counted.
            news: whether it counted anything since the last.
            history: seconds for which it has slots kept apart.

        Returns:
            The bytes written.

        Raises:
            OSError: when it cannot be written.
            ConfigurationError: when the directory is not safe any more.
        """
        self.place.make()
        self._lives.begin(self.place.live(part.origin))
        path = self.place.part(part.origin)
        data = b""
        if news or not path.exists():
            scribe = self._own.setdefault(part.origin, Scribe())
            data = scribe.write(Sheet(parts=(part,), history=history))
            self._copies.note(scribe)
            self.place.replace(path, data)
        if not self.place.ended.exists():
            self._begin()
        return len(data)

    def leave(self, origin: str) -> None:
        """Publish that part no more; whoever adds up next takes it for one that ended."""
        self._own.pop(origin, None)
        self._lives.end(self.place.live(origin))

    def parts(self, own: Part | None = None) -> tuple[Part, ...]:
        """Return what every process published, and what those did that ended.

        Args:
            own: what this process published last, to be taken as it is.
        """
        with suppress(OSError), self._door.turn(PATIENCE_S) as ours:
            if ours:
                self._known = self._all_at_once(own) or self._known
        known = dict(self._known)
        if own is not None:
            known[own.origin] = own
        return tuple(known.values())

    @property
    def name(self) -> str:
        """The name of the directory, as last read; no other has it."""
        return self._ended.name

    def passed_over(self) -> list[str]:
        """Return why files were passed over, or shortened, since this was asked last; each is named once."""
        skipped, self._copies.skipped = self._copies.skipped, []
        return skipped

    def fold(self, now: float, history: float | None, most: int, *, anew: bool) -> None:
        """Add up processes that ended, and remove their files.

        Args:
            now: seconds since the epoch.
            history: slots that ended so many seconds ago are kept in the total only; None: as those processes had it.
            most: how many.
            anew: look even where no process came since the last time.

        Raises:
            OSError: when the sum cannot be written; nothing was removed then.
        """
        self._lives.hold()
        found = self.place.found()
        if found.keys() == self._living and not anew:
            return
        over = [origin for origin, endings in found.items() if self._is_over(origin, endings)]
        self._living = found.keys() - over
        over = over[:most]
        while over:
            with self._door.passed() as inside:
                if not inside or not self._fold(over[:AT_ONCE], now, history):
                    return
            over = over[AT_ONCE:]

    def forget(self) -> None:
        """Begin anew in a forked child."""
        self._door.forget()

    # -- reading ------------------------------------------------------------------------------------------------------

    def _all_at_once(self, own: Part | None) -> dict[str, Part] | None:
        """Return every part, read again where somebody added up meanwhile; None where that cannot be had."""
        until = time.monotonic() + PATIENCE_S
        stamp = self._stamp()
        while stamp is not None or not self._ended.name:  # else somebody deleted it all just now
            found = {part.origin: part for part in self._all(own)}
            before, stamp = stamp, self._stamp()
            if before == stamp:
                return found
            if time.monotonic() > until:
                break
        return None

    def _stamp(self) -> Stamp | None:
        try:
            return stamp_of(os.lstat(self.place.ended))
        except FileNotFoundError:
            return None

    def _all(self, own: Part | None) -> Iterator[Part]:
        """Yield every part; who adds up changes the sum before it removes what it added, so this can be told."""
        found = self.place.found()
        self._ended = self._copies.sheet(self.place.ended) or self._ended
        yield from self._ended.parts
        for origin, endings in found.items():
            if PART not in endings or origin in self._ended.included or (own is not None and origin == own.origin):
                continue
            sheet = self._copies.sheet(self.place.part(origin))
            if sheet is not None:
                over = LIVE in endings and self._lives.is_over(self.place.live(origin))
                yield from map(sums.ended, sheet.parts) if over else sheet.parts
        self._copies.keep({*found, self.place.ended.stem})

    # -- adding up ----------------------------------------------------------------------------------------------------

    def _is_over(self, origin: str, endings: set[str]) -> bool:
        if LIVE in endings:
            return self._lives.is_over(self.place.live(origin))
        # Somebody removed the lock; its process, if it lives, makes it anew within seconds.
        with suppress(OSError):
            newest = max(os.lstat(self.place.workers / (origin + ending)).st_mtime for ending in endings)
            return time.time() - newest > _STRAY_S
        return False

    def _fold(self, over: list[str], now: float, history: float | None) -> bool:
        """Add up some; return whether that is possible at all."""
        before = self._copies.look(self.place.ended)
        if isinstance(before, NewerError):
            return False
        if isinstance(before, DamagedError):
            self.place.put_aside(self.place.ended)
        before = before if isinstance(before, Sheet) else self._ended
        found = {origin: self._copies.look(self.place.part(origin)) for origin in over if origin not in before.included}
        ready = [origin for origin in over if _may_go(found.get(origin))]
        sheets = [sheet for origin in ready if isinstance(sheet := found.get(origin), Sheet)]
        if sheets:
            self._add(before, sheets, now, history)
        for origin in ready:
            if isinstance(found.get(origin), DamagedError):
                self.place.put_aside(self.place.part(origin))
            paths = (self.place.part(origin), self.place.live(origin))
            self.place.remove(path.with_name(path.name + half) for path in paths for half in (HALF, ""))
            self._copies.drop(origin)
        return True

    def _add(self, before: Sheet, sheets: list[Sheet], now: float, history: float | None) -> None:
        if history is None:
            history = max((sheet.history for sheet in sheets if sheet.history is not None), default=before.history)
        parts = [part for sheet in sheets for part in sheet.parts]
        name = before.name or _new_name()
        whole = sums.added((*before.parts, *parts), f"ended:{name}", living=False)
        if history is not None:
            whole = tuple(sums.without_slots(part, now - history) for part in whole)
        left = before.included.intersection(self.place.found())
        self._write_ended(Sheet(name, whole, left.union(part.origin for part in parts), history))

    def _begin(self) -> None:
        """Write the sum of those that ended, as last known: nothing at first, all of it where somebody removed it."""
        with self._door.passed() as inside:
            if inside and not self.place.ended.exists():
                self._write_ended(self._ended if self._ended.name else Sheet(_new_name()))

    def _write_ended(self, sheet: Sheet) -> None:
        data, self._ended = self._copies.written(self.place.ended, sheet)
        self.place.replace(self.place.ended, data)


class _Machines:
    """Hold the one of each directory."""

    def __init__(self) -> None:
        self.known: dict[str, Machine] = {}
        self.lives = Lives()
        renew_in_child(self)

    def renew(self) -> None:
        known, self.known = self.known, {}
        self.lives.forget()
        for machine in known.values():
            machine.forget()


_machines: Final = _Machines()


def _may_go(found: Sheet | ValueError | None) -> bool:
    """Tell whether a file may be removed once what it says has been added up, if it says anything."""
    if isinstance(found, Sheet):
        return all(map(sums.can_add, found.parts))
    return not isinstance(found, NewerError)


def _new_name() -> str:
    return hexlify(os.urandom(16)).decode()


def machine_of(root: str) -> Machine:
    """Return what this process shares with others by a directory."""
    return _machines.known.setdefault(os.path.realpath(root), Machine(root, _machines.lives))
