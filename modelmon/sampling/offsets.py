"""Offsets: how far a recorder's clock is from the sampler's, as long as both go alike.

A monitor may have a clock of its own, whose zero is another one; shifted, its moments are those of readings.
A clock that stands still, jumps or runs at another pace tells nothing about when a call had the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelmon.notices import inform

if TYPE_CHECKING:
    from collections.abc import Callable

_APART_NS: Final = 10_000_000
"""Looks that are closer in time than this cannot tell two paces apart."""
_SLACK_NS: Final = 1_000_000
_DRIFT: Final = 1000
"""Good clocks differ by less than one part of so many."""


class Offset:
    """Compare two clocks, again and again.

    Attributes:
        ns: what to add to a moment of theirs for the same moment of ours.
        known: whether that is to be believed: at once for one and the same clock, else from the second look on.
    """

    __slots__ = ("_at", "_doubt", "_ours", "_parted", "_theirs", "known", "ns")

    def __init__(self, ours: Callable[[], int], theirs: Callable[[], int]) -> None:
        """Take two clocks of nanoseconds."""
        self.ns = 0
        self.known = self._parted = False
        self._ours, self._theirs = ours, theirs
        self._at: int | None = None
        self._doubt = 0

    def look(self) -> None:
        """Read both clocks; once they went differently they are believed no more."""
        before, theirs, after = self._ours(), self._theirs(), self._ours()
        same = before <= theirs <= after
        at, doubt = (before + after) // 2, after - before
        ns = 0 if same else at - theirs
        if self._at is None:
            self.known = same
        elif at - self._at < _APART_NS:
            return
        else:
            most = _SLACK_NS + self._doubt + doubt + (at - self._at) // _DRIFT
            if abs(ns - self.ns) > most and not self._parted:
                self._parted = True
                inform(
                    "a monitor's clock= goes otherwise than the machine's, so when its calls ran is not known: "
                    "its models are given no energy and no time of graphics processors"
                )
            self.known = not self._parted
        self.ns, self._at, self._doubt = ns, at, doubt
