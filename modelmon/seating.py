"""Who sits where: the seats of one recorder, those that are gone, and what they have begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelmon.probes.sites import shape_of

if TYPE_CHECKING:
    from modelmon.parts import SeriesKey
    from modelmon.probes.seats import Seat
    from modelmon.probes.sites import Shape


class Seating:
    """Hold the seats of a recorder, and how many calls began in those that are gone.

    Attributes:
        seats: where sites record.
    """

    __slots__ = ("_retired", "_unbilled", "seats")

    def __init__(self) -> None:
        """Start without seats."""
        self.seats: list[Seat] = []
        self._retired: dict[SeriesKey, int] = {}
        self._unbilled: dict[Shape, int] = {}

    @property
    def used(self) -> bool:
        """Whether anything was recorded yet."""
        return bool(self._retired) or any(seat.started or waiting(seat) for seat in self.seats)

    def started(self) -> dict[SeriesKey, int]:
        """Return how many calls began, those dropped left out, by model and version."""
        started = dict(self._retired)
        for seat in self.seats:
            key = (seat.site.model, seat.site.version)
            started[key] = started.get(key, 0) + seat.started - seat.lost
        return started

    def unbilled(self) -> dict[Shape, int]:
        """Return how many calls began since this was last asked, by how they record."""
        for seat in self.seats:
            self._bill(seat)
        found, self._unbilled = self._unbilled, {}
        return found

    def prune(self) -> None:
        """Let go of seats whose function is gone and whose records are drained."""
        kept = []
        for seat in self.seats:
            if seat.site.gone and not waiting(seat):
                key = (seat.site.model, seat.site.version)
                self._retired[key] = self._retired.get(key, 0) + seat.started - seat.lost
                self._bill(seat)
            else:
                kept.append(seat)
        self.seats[:] = kept

    def _bill(self, seat: Seat) -> None:
        started, shape = seat.started, shape_of(seat.site)
        self._unbilled[shape] = self._unbilled.get(shape, 0) + started - seat.billed
        seat.billed = started


def waiting(seat: Seat) -> int:
    """Return how many list entries wait in a seat, to be drained."""
    lists = (seat.buffer, seat.failures, seat.streams, seat.given, seat.timed, seat.rejections)
    return sum(map(len, lists))
