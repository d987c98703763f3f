"""Copies: what the files of a directory said when they were last read, each kept until its file changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from modelmon.directory.sheets import READ_BYTES, DamagedError, NewerError, Scribe, Sheet

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

Stamp = tuple[int, int, int]
_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class _Copy:
    """Hold what a file said when it was last read."""

    __slots__ = ("says", "scribe", "stamp")

    def __init__(self) -> None:
        self.stamp: Stamp | None = None
        self.says: Sheet | ValueError | None = None
        self.scribe = Scribe()


class Copies:
    """Read files, and those alone that changed; one thread at a time.

    Attributes:
        skipped: why files were passed over, or shortened; each is named once.
    """

    __slots__ = ("_held", "skipped")

    def __init__(self) -> None:
        """Hold none."""
        self.skipped: list[str] = []
        self._held: dict[str, _Copy] = {}

    def sheet(self, path: Path) -> Sheet | None:
        """Return what a file says; as last read where it cannot be read now, None where that was nothing."""
        try:
            found = self.look(path)
        except OSError:
            known = self._held.get(path.stem)
            found = known.says if known is not None else None
        return found if isinstance(found, Sheet) else None

    def look(self, path: Path) -> Sheet | ValueError | None:
        """Return what a file says, or why that cannot be said; None where there is none.

        Raises:
            OSError: when it cannot be read now.
        """
        known = self._held.get(path.stem) or _Copy()
        try:
            stamp = stamp_of(os.lstat(path))
            if known.stamp == stamp:
                return known.says
            with open(os.open(path, _READ), "rb") as file:  # noqa: PTH123  (no link is followed)
                data = file.read(READ_BYTES)
        except FileNotFoundError:
            self.drop(path.stem)
            return None
        try:
            known.says = known.scribe.read(data)
        except (NewerError, DamagedError) as error:
            known.says = error
            self.skipped.append("newer_schema" if isinstance(error, NewerError) else "damaged")
        known.stamp = stamp
        self._held[path.stem] = known
        return known.says

    def written(self, path: Path, sheet: Sheet) -> tuple[bytes, Sheet]:
        """Return a sheet as bytes for a file, and what they say."""
        scribe = self._held.setdefault(path.stem, _Copy()).scribe
        data = scribe.write(sheet)
        return data, scribe.read(data) if self.note(scribe) else sheet

    def note(self, scribe: Scribe) -> bool:
        """Note once that slots were left out of what a scribe wrote; return whether some were."""
        if scribe.left_out and not scribe.noted:
            self.skipped.append("too_large")
        scribe.noted = bool(scribe.left_out)
        return scribe.noted

    def keep(self, names: Container[str]) -> None:
        """Forget all files but these."""
        for name in [name for name in self._held if name not in names]:
            del self._held[name]

    def drop(self, name: str) -> None:
        """Forget a file."""
        self._held.pop(name, None)


def stamp_of(at: os.stat_result) -> Stamp:
    """Return what changes with a file."""
    return at.st_ino, at.st_mtime_ns, at.st_size
