"""Who is served: the recorders of this process, their calls, and what is written down for each.

The first of them shows what belongs to the process as a whole; all show what their own models were given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from modelmon.sampling.desks import Desk, give
from modelmon.sampling.feeds import LOCK_S, Feed
from modelmon.sampling.offsets import Offset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from weakref import ReferenceType

    from modelmon.attribution import Settlement
    from modelmon.parts import DevicePart
    from modelmon.recorder import Recorder
    from modelmon.sampling.accounts import Account
    from modelmon.sampling.feeds import Batch, Key
    from modelmon.sampling.watched import Watched

    Settled: TypeAlias = Sequence[tuple[Watched, Settlement]]
    Look: TypeAlias = Callable[[], tuple[Mapping[str, float], Mapping[str, DevicePart]]]

_BACKLOG = 256


class Audience:
    """Follow recorders for as long as they live; used by the sampler's thread, but for ``release`` and ``look``."""

    def __init__(self, look: Look, clock: Callable[[], int]) -> None:
        """Start without any; ``look`` returns what the first of them shows."""
        self._look = look
        self._clock = clock
        self._feeds: list[Feed] = []
        self._desks: dict[int, Desk] = {}
        self._backlog: list[tuple[int, Settled]] = []
        self._numbers = 0

    @property
    def first(self) -> Recorder | None:
        """The one that shows what belongs to the process."""
        return next((feed.recorder for feed in self._feeds if feed.recorder is not None), None)

    @property
    def active(self) -> bool:
        """Whether calls began since the visit before, or run."""
        return any(feed.active for feed in self._feeds)

    def serve(self, recorder: ReferenceType[Recorder]) -> None:
        """Follow one more."""
        held = recorder()
        if held is None or any(feed.recorder is held for feed in self._feeds):
            return
        self._numbers += 1
        desk = held.gpu if isinstance(held.gpu, Desk) else Desk()
        desk.look = lambda: self._seen(desk)
        self._desks[self._numbers] = held.gpu = desk
        offset = Offset(self._clock, held.clock.monotonic_ns)
        self._feeds = [*self._feeds, Feed(self._numbers, recorder, self._clock, offset)]

    def release(self, recorder: Recorder) -> bool:
        """Follow one no more; tell whether any is left."""
        for feed in self._feeds:
            if feed.recorder is recorder:
                recorder.attempt(feed.leave, LOCK_S)
                desk = self._desks.pop(feed.number)
                desk.look, desk.account = _nothing, None
        self._feeds = [feed for feed in self._feeds if feed.recorder not in {None, recorder}]
        return bool(self._feeds)

    def visit(self) -> list[Batch]:
        """Return the calls that ended since the last visit."""
        self._feeds = [feed for feed in self._feeds if feed.recorder is not None]
        return [batch for feed in self._feeds for batch in feed.visit()]

    def ready(self, now: int, patience: int) -> int:
        """Return up to when all calls of all recorders are known, or not waited for; -1 if there is no such moment."""
        return min((feed.ready(now, patience) for feed in self._feeds), default=-1)

    def running(self, until: int) -> list[tuple[Key, int, int]]:
        """Return calls that began by then and of which no more is known: model, about when, how many."""
        return [held for feed in self._feeds for held in feed.running(until)]

    def settle(self, until: int, settled: Settled) -> None:
        """Have written down what became of the time up to a moment."""
        for feed in self._feeds:
            feed.forget(until)
            self._backlog.append((feed.number, settled))
        del self._backlog[:-_BACKLOG]

    def write(self, account: Account, devices: Sequence[Watched]) -> None:
        """Write down what was settled, and what the sampler did; what cannot be now is tried at the next tick."""
        waiting, self._backlog = self._backlog, []
        for place, feed in enumerate(self._feeds):
            mine = [one for number, one in waiting if number == feed.number]
            recorder = feed.recorder
            if recorder is not None and not recorder.attempt(self._writing(feed, mine), LOCK_S):
                self._backlog += [(feed.number, one) for one in mine]
            elif recorder is not None and place == 0:
                recorder.attempt(lambda: self._write_own(feed, account, devices), LOCK_S)  # noqa: B023  (called at once)

    def _writing(self, feed: Feed, waiting: list[Settled]) -> Callable[[], Any]:
        def write() -> None:
            recorder, desk = feed.recorder, self._desks.get(feed.number)
            if recorder is None or desk is None:
                return
            for settled in waiting:
                give(recorder, feed.number, settled)
                for device, one in settled if feed is self._feeds[0] else ():
                    if device.shown:
                        desk.settle(device, one)

        return write

    def _write_own(self, feed: Feed, account: Account, devices: Sequence[Watched]) -> None:
        desk = self._desks.get(feed.number)
        if desk is not None:
            for device in devices:
                device.count_into(desk.counts)
                if device.shown:
                    desk.known[device.id.id] = device.who
            desk.account = account
            account.write(desk.counts)

    def _seen(self, desk: Desk) -> tuple[Mapping[str, float], Mapping[str, DevicePart]]:
        feeds = self._feeds
        if not feeds or self._desks.get(feeds[0].number) is not desk:
            return {}, {}
        return self._look()


def _nothing() -> tuple[Mapping[str, float], Mapping[str, DevicePart]]:
    return {}, {}
