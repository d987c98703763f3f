"""Processes that deliver a program and are killed: each redelivers whatever it has not noted as acknowledged."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fraud_program import MODEL, TASK, VERSION, Program, name

from modelmon import LabelClient, MemoryStore, Monitor
from modelmon.clocks import SystemClock
from modelmon.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINE = 8
PARTS = 2
_PRELOADED = ["modelmon.client", "modelmon.intake", "modelmon.monitoring", "modelmon.delivering", "modelmon.spool"]
_STORES = ["modelmon.stores.sqlite", "modelmon.stores.redis", "modelmon.stores.postgres"]


def processes() -> Any:
    """Return what makes processes: forks of one that has loaded the library and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED + _STORES)
    return context


class Acknowledged:
    """Note on disk, apart from the store, how many lots were acknowledged."""

    def __init__(self, path: Path) -> None:
        """Read what was noted before; half a line is none."""
        self.path = path
        self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND)
        self.lots = os.fstat(self._file).st_size // LINE
        os.ftruncate(self._file, self.lots * LINE)

    def note(self) -> None:
        """Note one more."""
        os.write(self._file, f"{self.lots:0{LINE - 1}d}\n".encode())
        os.fsync(self._file)
        self.lots += 1


def predict(url: str, program: Program, part: int, log: Path, allowed: Any) -> None:
    """Write one process's predictions; what `flush` confirms is acknowledged."""
    acknowledged = Acknowledged(log)
    monitor = Monitor(store=url, flush_interval=0.02)
    lots = program.lots(part, PARTS, labels=False)
    for lot in lots[acknowledged.lots :]:
        wait_for(allowed, acknowledged.lots / len(lots))
        ids, scores = [name(number) for number in lot], program.scores[lot]
        monitor.predictions(ids, scores, model=MODEL, version=VERSION, task=TASK, at=program.times[lot])
        while not monitor.flush(2.0):
            time.sleep(0.01)
        acknowledged.note()
    monitor.close()


def label(url: str, program: Program, part: int, log: Path, allowed: Any) -> None:
    """Deliver one process's labels and retractions; what a call returns for is acknowledged."""
    acknowledged = Acknowledged(log)
    with LabelClient(url) as client:
        lots = program.lots(part, PARTS, labels=True)
        for lot in lots[acknowledged.lots :]:
            wait_for(allowed, acknowledged.lots / len(lots))
            labels = [event for event in lot if event.truth is not None]
            insist(
                lambda given=labels: client.labels(
                    [name(event.number) for event in given],
                    [event.truth for event in given],
                    at=program.known,
                    revs=[event.rev for event in given],
                )
            )
            taken_back = [name(event.number) for event in lot if event.truth is None]
            insist(lambda ids=taken_back: client.retract(ids, at=program.known, rev=3.0))
            acknowledged.note()


def wait_for(allowed: Any, share: float) -> None:
    """Wait for whoever kills: on a busy machine the work would be done before all the killing is."""
    while share > allowed.value:
        time.sleep(0.001)


def insist(act: Callable[[], Any]) -> None:
    """Repeat what the store could not do, as one who got an error may."""
    while True:
        with suppress(StoreError):
            act()
            return
        time.sleep(0.01)


ROLES = (predict, predict, label, label)


class Crew:
    """Four processes at work on one store, and whoever kills them.

    Attributes:
        kills: processes killed so far.
    """

    def __init__(self, url: str, program: Program, folder: Path) -> None:
        """Start them all."""
        self.kills = 0
        self._make = processes()
        self._allowed = self._make.Value("d", 0.0, lock=False)  # whoever is killed may hold a lock
        self._logs = [folder / f"acknowledged-{place}" for place in range(len(ROLES))]
        self._given = [(url, program, place % PARTS, log, self._allowed) for place, log in enumerate(self._logs)]
        self._lots = sum(len(program.lots(place % PARTS, PARTS, labels=place >= PARTS)) for place in range(len(ROLES)))
        self.workers = [self._started(place) for place in range(len(ROLES))]

    def _started(self, place: int) -> Any:
        worker = self._make.Process(target=ROLES[place], args=self._given[place], daemon=True)
        worker.start()
        return worker

    @property
    def progress(self) -> float:
        """Share of all lots that are acknowledged."""
        return sum(log.stat().st_size // LINE for log in self._logs if log.exists()) / self._lots

    def kill(self, times: int, seed: int, *, also: dict[int, Callable[[], object]] | None = None) -> None:
        """Kill one process after another at random instants, spread over the work, and start each again.

        Args:
            times: how many.
            seed: of the instants.
            also: what else to do, by how many were killed before.
        """
        chance, besides = random.Random(seed), dict(also or {})
        while self.kills < times:
            self._allowed.value = 0.97 * (self.kills + 1) / times
            self._wait_for(0.95 * self.kills / times)
            time.sleep(chance.uniform(0.0, 0.03))
            place = chance.choice([number for number, worker in enumerate(self.workers) if worker.is_alive()])
            self._kill(place)
            if chance.random() < 0.25 and self.kills < times:  # while it begins anew
                time.sleep(chance.uniform(0.0, 0.05))
                if self.workers[place].is_alive():
                    self._kill(place)
            while besides and self.kills >= min(besides):
                besides.pop(min(besides))()

    def _kill(self, place: int) -> None:
        self.workers[place].kill()
        self.workers[place].join()
        self.kills += self.workers[place].exitcode == -9
        self.workers[place] = self._started(place)

    def _wait_for(self, share: float) -> None:
        until = time.monotonic() + 60.0
        while self.progress < share:
            assert time.monotonic() < until, f"the work stands still at {self.progress:.0%}"
            time.sleep(0.001)

    def finish(self) -> None:
        """Let them all come to their end."""
        self._allowed.value = 1.0
        for worker in self.workers:
            worker.join(60.0)
        assert [worker.exitcode for worker in self.workers] == [0] * len(ROLES)
        assert self.progress == 1.0


def counted(part: Any) -> tuple[dict[int, Any], dict[int, Any]]:
    """Return what a store counted, by slot: the matrix (actual by predicted; ok, fraud), and the scores by class."""
    series = part.series[MODEL, VERSION]
    assert series.classes == ("ok", "fraud")
    cells: dict[int, Any] = {}
    for ledger in series.ledgers.values():
        for slot, tally in ledger.slots.items():
            if "confusion" in tally and tally["confusion"].total:
                cells[slot] = tally["confusion"].matrix(2).tolist()
    scores = {slot: tally["scores"].to_state() for slot, tally in series.shared.slots.items() if "scores" in tally}
    return dict(sorted(cells.items())), scores


def undisturbed(program: Program) -> tuple[dict[int, Any], dict[int, Any]]:
    """Return what a store in memory counts where nobody is killed and everything comes in order."""
    store = MemoryStore()
    monitor = Monitor(store=store)
    ids = [name(number) for number in range(program.size)]
    monitor.predictions(ids, program.scores, model=MODEL, version=VERSION, task=TASK, at=program.times)
    for rev in (1.0, 2.0):
        events = [event for event in program.events if event.rev == rev]
        truths = [event.truth for event in events]
        monitor.labels([name(event.number) for event in events], truths, at=program.known, revs=[rev] * len(events))
    monitor.retract([name(event.number) for event in program.events if event.truth is None], at=program.known, rev=3.0)
    return counted(store.part())


def check(store: Any, program: Program) -> None:
    """Check that a store, opened by somebody who has not touched it yet, has counted a program, and is sound."""
    store.open(None, SystemClock())
    found = counted(store.part())
    assert found[0] == program.cells()
    assert found == undisturbed(program)
    store.check_invariants()
    assert store._database.check() == []
    store.close()
