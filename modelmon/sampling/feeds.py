"""Feeds: which calls of one recorder ran when, and up to which moment that is known for good.

A record exists only once its call has ended, so a reading's interval is settled later.
Each visit notes how many calls every seat had begun; when as many records that began before that moment have been
drained, all calls that began before it have ended and are known.
A call that goes on for longer than `PATIENCE_NS` is not waited for: how many run, and of which model, is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from modelmon.sampling.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Callable
    from weakref import ReferenceType

    from numpy.typing import NDArray

    from modelmon.probes.seats import Seat
    from modelmon.recorder import Recorder
    from modelmon.sampling.offsets import Offset

PATIENCE_NS: Final = 10_000_000_000
LOCK_S: Final = 0.05
"""How long the recorder's lock is waited for before this turn is left out."""


class Key(NamedTuple):
    """Name a model of one recorder."""

    feed: int
    model: str
    version: str


class Batch(NamedTuple):
    """Calls of one model that ended."""

    key: Key
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class _Watched:
    """What is known of one seat.

    Attributes:
        seat: whose calls.
        spans: where its drain leaves times.
        begun: calls begun before each moment noted.
        known: those of them that were drained.
    """

    __slots__ = ("begun", "known", "seat", "spans")

    def __init__(self, seat: Seat, notes: int) -> None:
        self.seat = seat
        self.spans = seat.spans = Spans()
        self.begun, self.known = [0] * notes, [0] * notes

    def note(self) -> None:
        self.begun.append(self.seat.begun_ever)
        self.known.append(self.seat.ended)

    def open_at(self, place: int) -> int:
        """Return how many calls begun by then are not known yet."""
        return max(self.begun[place] - self.known[place] - self.seat.written_off, 0)

    def forget(self, notes: int) -> None:
        del self.begun[:notes], self.known[:notes]


class Feed:
    """Follow the calls of one recorder.

    Attributes:
        number: of this feed among those of the sampler.
        active: whether calls began since the visit before, or run.
    """

    def __init__(
        self, number: int, recorder: ReferenceType[Recorder], clock: Callable[[], int], offset: Offset
    ) -> None:
        """Follow a recorder as long as it lives; ``offset`` turns its moments into those of ``clock``."""
        self.number = number
        self.active = True
        self._recorder = recorder
        self._clock = clock
        self._seats: dict[int, _Watched] = {}
        self._notes: list[int] = []
        self._began = -1
        self._offset = offset

    @property
    def recorder(self) -> Recorder | None:
        """The recorder, None once nobody holds it any more."""
        return self._recorder()

    def visit(self) -> list[Batch]:
        """Return the calls that ended since the last visit; none where the recorder is too busy, or its clock odd."""
        found: list[Batch] = []
        recorder = self.recorder
        if recorder is not None:
            for seat in list(recorder.seats):  # before the drain, so that it leaves their times
                if id(seat) not in self._seats:
                    self._seats[id(seat)] = _Watched(seat, len(self._notes))
            self._offset.look()
            recorder.attempt(lambda: self._look(recorder, found), LOCK_S, drain=True)
        return found if self._offset.known else []

    def ready(self, now: int, patience: int = PATIENCE_NS) -> int:
        """Return the last moment of which all is known, or will not be waited for any longer; -1 if there is none."""
        if not self._offset.known:
            return now
        for place in range(len(self._notes) - 1, -1, -1):
            if self._notes[place] <= now - patience or not any(held.open_at(place) for held in self._seats.values()):
                return self._notes[place]
        return -1

    def running(self, until: int) -> list[tuple[Key, int, int]]:
        """Return calls that began by ``until`` and of which no more is known: model, about when, how many."""
        found = []
        for held in self._seats.values() if self._offset.known else ():
            before, since = 0, 0
            for place, note in enumerate(self._notes):
                if note > until:
                    break
                unknown = held.open_at(place)
                if unknown > before:
                    found.append((self._key(held.seat), since, unknown - before))
                before, since = max(unknown, before), note
        return found

    def forget(self, until: int) -> None:
        """Forget the moments that are settled."""
        settled = sum(1 for note in self._notes if note <= until)
        del self._notes[:settled]
        for held in self._seats.values():
            held.forget(settled)

    def leave(self) -> None:
        """Follow no seat any more."""
        for held in self._seats.values():
            held.seat.spans = None
        self._seats.clear()

    def _look(self, recorder: Recorder, found: list[Batch]) -> None:
        present = {id(seat): seat for seat in recorder.seats}
        for gone in self._seats.keys() - present.keys():
            self._take(self._seats.pop(gone), found)
        for held in self._seats.values():
            self._take(held, found)
            held.note()
        self._notes.append(self._clock())
        began = sum(held.seat.begun_ever for held in self._seats.values())
        last = len(self._notes) - 1
        self.active = began != self._began or any(held.open_at(last) for held in self._seats.values())
        self._began = began

    def _take(self, held: _Watched, found: list[Batch]) -> None:
        starts, ends = held.spans.take()
        starts, ends = starts + self._offset.ns, ends + self._offset.ns
        missed, held.spans.missed = held.spans.missed, 0
        if len(starts) and self._notes:
            places = np.searchsorted(np.sort(starts), np.array(self._notes), "right").tolist()
            held.known[:] = [known + n for known, n in zip(held.known, places, strict=True)]
        if missed:
            held.known[:] = [known + missed for known in held.known]
        if len(starts):
            found.append(Batch(self._key(held.seat), starts, ends))

    def _key(self, seat: Any) -> Key:
        return Key(self.number, seat.site.model, seat.site.version)
