"""The latest: how far a store was when a process of the machine last showed it.

Whichever process is scraped shows the store, so one that cannot read it may show again what it read last only while no
other has shown anything newer: else counters would step back, and Prometheus would count all that they hold again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from modelmon.directory.place import Place
from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    from modelmon.parts import Part

_SAFE: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MOST: Final = 4096


class Latest:
    """Keep, in a small file, the origin and the number of the newest part of a store that was shown."""

    __slots__ = ("_place",)

    def __init__(self, root: str) -> None:
        """Name the file in a directory; nothing is touched."""
        self._place = Place(root)

    def note(self, part: Part) -> None:
        """Note that a part is shown now; whoever shows a newer one at this moment notes that one."""
        with suppress(OSError, ConfigurationError):
            seen = self._seen()
            if seen is None or seen[1] != part.origin or seen[0] < part.epoch:
                self._write(f"{part.epoch:020d} {part.origin}\n".encode())

    def passed(self, part: Part) -> bool:
        """Tell whether a newer part of the store was shown than this one, or may have been."""
        try:
            return self._seen() != (part.epoch, part.origin)
        except OSError:
            return True

    def _seen(self) -> tuple[int, str] | None:
        try:
            descriptor = os.open(self._place.latest, os.O_RDONLY | _SAFE)
        except FileNotFoundError:
            return None
        try:
            number, _, origin = os.read(descriptor, _MOST).decode("utf-8", "replace").rstrip("\n").partition(" ")
        finally:
            os.close(descriptor)
        return (int(number), origin) if number.isdecimal() else None

    def _write(self, line: bytes) -> None:
        self._place.make()
        descriptor = os.open(self._place.latest, os.O_WRONLY | os.O_CREAT | _SAFE, 0o600)
        try:
            os.pwrite(descriptor, line, 0)
            os.ftruncate(descriptor, len(line))
        finally:
            os.close(descriptor)
