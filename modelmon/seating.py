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
            started[key] = started.get(key, 0) + seat.started - seat.lost - seat.retired
        return started

    def unbilled(self) -> dict[Shape, int]:
        """Return how many calls began since this was last asked, by how they record."""
        for seat in self.seats:
            self._bill(seat)
        found, self._unbilled = self._unbilled, {}
        return found

    def prune(self) -> None:
        """Let go of seats whose function is gone and whose calls have all ended and are drained."""
        known = len(self.seats)  # others append meanwhile, behind these
        self.seats[:known] = [seat for seat in self.seats[:known] if not (seat.site.gone and self._retire(seat))]

    def _retire(self, seat: Seat) -> bool:
        """Have a seat come back with its next record, and tell whether it may go.

        A coroutine or stream that was made before its function went may begin only now.
        """
        relieve, once = seat.relieve, iter((seat,))

        def come_back(seat: Seat) -> None:
            self.seats.extend(once)  # in one step, so that of two threads one does it
            seat.relieve = relieve
            relieve(seat)

        seat.relieve = come_back
        seat.mask = 0  # before the look, so that a call which ends after it comes back
        if waiting(seat) or seat.begun_ever > seat.ended + seat.written_off:
            seat.relieve = relieve
            return next(once, None) is None
        key, counted = (seat.site.model, seat.site.version), seat.started - seat.lost
        self._retired[key] = self._retired.get(key, 0) + counted - seat.retired
        seat.retired = counted
        self._bill(seat)
        return True

    def _bill(self, seat: Seat) -> None:
        started, shape = seat.started, shape_of(seat.site)
        self._unbilled[shape] = self._unbilled.get(shape, 0) + started - seat.billed
        seat.billed = started


def waiting(seat: Seat) -> int:
    """Return how many list entries wait in a seat, to be drained."""
    lists = (seat.buffer, seat.failures, seat.streams, seat.given, seat.timed, seat.rejections)
    return sum(map(len, lists))
