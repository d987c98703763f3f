"""Reaching: the recorder's way to its store.

A store that never waits is called with the recorder's lock held, so that what is read of it and of this process belongs
together.
One that waits for input and output is called without, after what was recorded before has been written.
"""

from __future__ import annotations

import os
from _thread import RLock
from binascii import hexlify
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from modelmon.clocks import StoreClock
from modelmon.forking import load
from modelmon.probes.live import resolve
from modelmon.seating import Seating
from modelmon.spending import Spending
from modelmon.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.callcounts import SeriesCounts
    from modelmon.clocks import Clock
    from modelmon.delivering import Delivery
    from modelmon.directory.publication import Publication
    from modelmon.draining import Sink
    from modelmon.exiting import Beginning
    from modelmon.leasing import Latest
    from modelmon.parts import Part
    from modelmon.process import ProcessCounts
    from modelmon.settings import Settings
    from modelmon.spending import Section, Share
    from modelmon.stores.contract import Store
    from modelmon.tasks import Task

    Watched = tuple[str, str, Task | None]

T = TypeVar("T")


class Desk(Protocol):
    """What adds to the part of this process."""

    def shown(self, part: Part) -> Part:
        """Return a part with more in it."""
        ...


class Reaching:
    """Open the store, call it, and read what it and this process know.

    Attributes:
        settings: of the monitor.
        clock: stamps the calls.
        seating: where sites record, and what began there.
        troubles: of the library itself.
        spending: seconds of CPU that the library takes.
        gpu: adds what is known of graphics processors to this process's part, where they are read.
    """

    def __init__(
        self, settings: Settings, clock: Clock, make_store: Callable[[], Store], place: Callable[[], str | None]
    ) -> None:
        """Prepare; the store is made and opened at the first drain."""
        self.settings = settings
        self.clock = clock
        self.seating = Seating()
        self.troubles = Troubles()
        self.spending = Spending()
        self.gpu: Desk | None = None
        self._now = StoreClock(clock)
        self._make_store = make_store
        self._store: Store | None = None
        self._sink: Sink | None = None
        self._delivery: Delivery | None = None
        self._process: ProcessCounts | None = None
        self._place: Callable[[], str | None] | None = place
        self._publication: Publication | None = None
        self._making = RLock()  # a caller's first call and a thread of ours may need the same at once

    if TYPE_CHECKING:  # the recorder's own

        def hold(self, act: Callable[[Any], T]) -> T:
            """Return what ``act`` returns, called with the lock held and every seat drained."""

    @property
    def process(self) -> ProcessCounts:
        """What this process counted by itself."""
        if self._process is None:
            counts = load("modelmon.process").ProcessCounts  # numpy loads at the first drain
            self._process = counts(hexlify(os.urandom(16)).decode(), self.settings)
        return self._process

    def series(self, model: str, version: str) -> SeriesCounts:
        """Return the counts of one model and version, at zero if new."""
        return self.process.series((model, version))

    def now(self) -> float:
        """Return seconds since the epoch on the ratchet clock."""
        return self._now.now()

    def reach(self, kind: str, act: Callable[[Store, float], T]) -> T:
        """Return what ``act`` makes of the store and the time, with all that was recorded before in the store.

        Args:
            kind: ``label`` or ``read``.
            act: what to do; it runs with the lock held where the store never waits, and else without.

        Raises:
            BusyError: when this thread holds the lock already, or talks to the store, further up the stack.
            StoreError: when the store fails.
        """

        def here(_: Any) -> tuple[float, tuple[T, ...]]:
            now = self.now()
            return now, () if self.store.blocking else (act(self.store, now),)

        with self.spending.section("label" if kind == "label" else "read"):
            now, done = self.hold(here)
            return done[0] if done else self.delivery.call(kind, lambda store: act(store, now))

    def promise(self, act: Callable[[Store], object]) -> None:
        """Have the store do something, now or as soon as it can be reached.

        Raises:
            BusyError: as for `reach`.
            ConfigurationError: when the store refuses it.
        """
        if self.hold(lambda _: self.store.blocking):
            self.delivery.promise(act)
        else:
            self.reach("label", lambda store, _: act(store))

    @property
    def store(self) -> Store:
        """The store, opened at the first use."""
        if self._store is None:
            self._open()
        return self._store  # type: ignore[return-value]  # it is open now

    @property
    def sink(self) -> Sink:
        """Where drained predictions go: a store that never waits, or the spool of one that does."""
        if self._sink is None:
            self._open()
        return self._sink  # type: ignore[return-value]  # it is open now

    @property
    def delivery(self) -> Delivery:
        """What writes to a store that waits for input and output."""
        if self._delivery is None:
            with self._making:
                if self._delivery is None:
                    self._delivery = load("modelmon.delivering").Delivery(self, self.settings.flush_interval)
        return self._delivery

    @property
    def publication(self) -> Publication | None:
        """What shows this process's counts to the others of its machine, and theirs to it; None without a directory."""
        if self._place is not None:
            with self._making:
                place = None if self._place is None else self._place()
                if place is not None:
                    made = load("modelmon.directory.publication").Publication
                    self._publication = made(self, place, self.settings.flush_interval, self.settings.history)
                self._place = None  # last, so that who comes meanwhile waits
        return self._publication

    def parts(self, *, shown: bool = False) -> tuple[Part, ...]:
        """Return frozen parts of this process, or of its machine, and of its store.

        Args:
            shown: to exporters that send what this process alone knows; they go on without a store that fails, and
                without one that another process shows.

        Raises:
            StoreError: when the store fails, and it is not for exporters.
        """
        if not shown:
            resolve()
        with self.spending.section("read"):
            own, stored = self._parts(shown=shown)
        return (*(own if shown or self.publication is None else self.publication.whole()), *stored)

    def scraped(self) -> tuple[Part, ...]:
        """Return frozen parts of this process, or of its machine, and of its store, for an exporter that is asked.

        With a directory every process that is asked shows all, the store too.
        """
        publication = self.publication
        with self.spending.section("read"):
            own, stored = self._parts(shown=True, among=None if publication is None else publication.latest)
            return (*(own if publication is None else publication.parts()), *stored)

    def _parts(self, *, shown: bool, among: Latest | None = None) -> tuple[tuple[Part, ...], tuple[Part, ...]]:

        def here(_: Any) -> tuple[tuple[Part, ...], list[Watched]]:
            sites = self.sites()
            return (() if self.store.blocking else (self.part(), read(self.store, sites))), sites

        def read(store: Store, sites: list[Watched]) -> Part:
            for site in sites:
                store.declare(*site)
            return store.part()

        parts, sites = self.hold(here)
        if parts:
            return parts[:1], parts[1:]
        if shown:
            found = self.delivery.shown(lambda store: read(store, sites), among)
        else:
            found = self.delivery.call("read", lambda store: read(store, sites))
        own = self.hold(lambda _: self.part())
        return (own,), () if found is None else (found,)

    def section(self, part: Share) -> Section:
        """Return a context within which this thread's CPU time is the library's own."""
        return self.spending.section(part)

    def begin(self) -> list[Beginning]:
        """Return what begins to write what came in so far, to the machine's directory and to the store."""
        begins: list[Beginning] = [] if self.publication is None else [self.publication.begin]
        return [*begins, self.delivery.begin] if self.store.blocking else begins

    def finish(self, timeout: float, *, let_go: bool) -> bool:
        """Write to the store what came in so far, and stop what writes; return whether that ended in time, and well.

        Args:
            timeout: seconds.
            let_go: let go of the store's connection as well.
        """
        end = monotonic() + timeout
        published = self.publication is None or self.publication.close(timeout / 2)
        left = max(0.0, end - monotonic())
        return (self._delivery is None or self._delivery.close(left, let_go=let_go)) and published

    def entered_many(self) -> None:
        """Have predictions that came in apart from any call written: many at once by whoever gave them, few soon."""
        delivery = self._delivery
        if self.publication is not None:
            self.publication.start()
        if delivery is not None:
            delivery.start()
            if delivery.spool.crowded:
                delivery.write()

    def part(self) -> Part:
        """Return the frozen part of this process; the caller holds the lock with all seats drained."""
        delivery = self.delivery if self.store.blocking else None
        lost = sum(seat.lost for seat in self.seating.seats)
        own = self.troubles.counts(lost, delivery.spool.dropped if delivery else 0, self._now.steps)
        self.spending.settle()
        self.spending.bill(self.seating.unbilled())
        gauges = self.troubles.ages()
        if delivery is not None:
            gauges["store_lag"] = delivery.spool.lag()
        part = self.process.part(self.now(), self.seating.started(), own, self.troubles.failures, gauges)
        for what, nanoseconds in self.spending.totals().items():
            part.counts.counts("self:overhead").add((what,), nanoseconds)
        for (name, key), n in self.troubles.arrivals():
            part.counts.counts(name).add(key, n)
        if delivery is not None:
            part.counts.merge(delivery.counts.read())
            part.counts.counts("store_spooled").add((), delivery.spool.rows)
        return part if self.gpu is None else self.gpu.shown(part)

    def sites(self) -> list[Watched]:
        """Return what is watched: model, version and task; the caller holds the lock."""
        found = []
        for site in {id(seat.site): seat.site for seat in self.seating.seats}.values():
            known = self.series(site.model, site.version)
            if known.task is None:
                known.task = site.task
            found.append((site.model, site.version, known.task))
        return found

    def check_invariants(self) -> None:
        """Check that every call has one outcome, and the laws of the join.

        Raises:
            InvariantError: naming the law and the two numbers that differ.
        """

        def check(_: Any) -> None:
            self.process.check(self.seating.started())

        self.hold(check)
        self.reach("read", lambda store, _: store.check_invariants())

    def _open(self) -> None:
        join_settings = load("modelmon.process").join_settings  # loads at the first drain
        store = self._make_store()
        store.open(join_settings(self.settings), self.clock)
        self._sink = self.delivery.attach(store, self.delivery.nudge) if store.blocking else store
        self._store = store
