"""The load: threads that call, one that delivers labels, a fork each second; all of it counted apart from the library.

What is counted lies in arrays that are made and touched at the beginning, so that memory that grows is not ours.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from program import BAD, CALLS, EVERY, PREDICTIONS, THREADS, draw, name
from service import BAD as BAD_CALLS
from service import BAD_TRUTHS, Service

from modelmon.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Program

CALLS_OF_A_CHILD = 5
_TICK = 0.01
_LOT = 1000
_HUNG, _REFUSED = 15.0, 5


class Caller:
    """One thread that calls at a steady rate.

    Attributes:
        calls: how often each function was called: orders, handled.
        made: predictions made; this thread makes every second number.
        raised: errors that came out of calls and were not ours.
        took: seconds each prediction's call took, in order.
    """

    def __init__(self, service: Service, program: Program, place: int) -> None:
        """Prepare."""
        self._service, self._program, self._place = service, program, place
        self.calls, self.made, self.raised = [0, 0], 0, 0
        self.took = np.full(len(program.predicted) // THREADS + 1, -1.0, np.float32)

    def run(self, start: float, end: float) -> None:
        """Call until the end."""
        done = 0
        while (now := time.monotonic()) < end:
            for _ in range(int((now - start) * CALLS / THREADS) - done):
                self._call(done)
                done += 1
            time.sleep(_TICK)

    def _call(self, turn: int) -> None:
        if turn % EVERY:
            self._service.handle(turn)
            self.calls[1] += 1
        elif (number := self.made * THREADS + self._place) < len(self._program.predicted):
            output, identity = int(self._program.predicted[number]), name(number)
            before = time.perf_counter()
            self._service.classify(identity, output)
            self.took[self.made] = time.perf_counter() - before
            self.made += 1
            self.calls[0] += 1
        if turn % BAD == BAD // 2:
            self._call_badly(turn // BAD)

    def _call_badly(self, turn: int) -> None:
        self.calls[0] += 1
        identity, output = BAD_CALLS[turn % len(BAD_CALLS)]
        try:
            self._service.classify(identity, output)
        except ValueError:
            self.raised += output is not ValueError
        except Exception:
            self.raised += 1


class Feeder:
    """Deliver labels when they are due, in lots; repeat a lot that the store could not take.

    Attributes:
        delivered: how many deliveries of the program were acknowledged.
        refused: times the store could not take a lot.
        outcomes: what became of labels, as answered.
    """

    def __init__(self, service: Service, program: Program, callers: list[Caller]) -> None:
        """Prepare."""
        self._service, self._program, self._callers = service, program, callers
        self.delivered, self.refused, self.outcomes = 0, 0, dict[str, int]()
        self.acknowledged = np.full(len(program.due), False)
        self._bad = 0

    def now(self) -> float:
        """Return the time by the predictions made, so that no label is early that should not be."""
        return min(caller.made for caller in self._callers) * THREADS / PREDICTIONS

    def run(self, ended: Callable[[], bool]) -> None:
        """Deliver until the end."""
        while not ended():
            self._until(int(np.searchsorted(self._program.due, self.now())))
            time.sleep(0.05)

    def finish(self, predicted: int) -> None:
        """Deliver all that is left for predictions that were made."""
        left = np.arange(self.delivered, len(self._program.due))
        left = left[self._program.number[left] < predicted]
        for start in range(0, len(left), _LOT):
            self._deliver(left[start : start + _LOT])

    def _until(self, end: int) -> None:
        while self.delivered < end:
            lot = np.arange(self.delivered, min(end, self.delivered + _LOT))
            self._deliver(lot)
            self.delivered = int(lot[-1]) + 1

    def _deliver(self, lot: np.ndarray) -> None:
        """Deliver a lot with a bad label in a hundred, until it is acknowledged."""
        ids: list[Any] = [name(number) for number in self._program.number[lot]]
        truths: list[Any] = self._program.label[lot].tolist()
        for _ in range(len(lot) // BAD + 1):
            self._bad += 1
            ids.append(f"bad-{self._bad}")
            truths.append(BAD_TRUTHS[self._bad % len(BAD_TRUTHS)])
        while True:
            try:
                report = self._service.monitor.labels(ids, truths)
            except StoreError:
                self.refused += 1
                time.sleep(0.05)
                continue
            break
        self.acknowledged[lot] = True
        for outcome, n in report.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + n


class Forks:
    """Fork a child at a time; each calls, predicts, labels, and ends without a word.

    Attributes:
        begun, good, hung: children begun, those that said all went well, those that had to be killed.
        refused: children that were told that the store could not take their label, and ended well but for that.
        took: seconds that each fork took.
        naps: seconds that a sleep of a millisecond took just before, on the same thread, which tells of the machine.
    """

    def __init__(self, service: Service, most: int) -> None:
        """Prepare."""
        self._service, self._alive = service, dict[int, float]()
        self.begun, self.good, self.hung, self.refused = 0, 0, 0, 0
        self.took, self.naps = np.full(most, -1.0, np.float32), np.full(most, -1.0, np.float32)

    def fork(self) -> None:
        """Fork one child."""
        before = time.perf_counter()
        time.sleep(0.001)
        self.naps[min(self.begun, len(self.naps) - 1)] = time.perf_counter() - before
        before = time.perf_counter()
        pid = os.fork()
        if not pid:
            self._live()
        self.took[min(self.begun, len(self.took) - 1)] = time.perf_counter() - before
        self.begun += 1
        self._alive[pid] = time.monotonic()

    def _live(self) -> None:
        code = 3
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, _HUNG)
            number, output = f"forked-{self.begun}", self.begun % 4
            for _ in range(CALLS_OF_A_CHILD):
                self._service.forked(number, output)
            try:
                code = 0 if self._service.monitor.labels([number], [output])["joined"] == 1 else 4
            except StoreError:
                code = _REFUSED
            self._service.monitor.close()
        finally:
            os._exit(code)

    def reap(self, *, wait: bool = False) -> None:
        """See who has ended."""
        for pid in list(self._alive):
            found, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
            if found:
                del self._alive[pid]
                self.good += status == 0
                self.refused += os.waitstatus_to_exitcode(status) == _REFUSED
                self.hung += os.WIFSIGNALED(status)


class Samples:
    """What the process held, once a second.

    Attributes:
        at, kib, threads, descriptors, made: seconds since the start, resident memory, and so on, by sample.
    """

    def __init__(self, most: int) -> None:
        """Prepare for so many."""
        self.n = 0
        self.columns = np.full((5, most), -1.0)

    def take(self, at: float, made: int) -> None:
        """Take one; threads and descriptors of a moment's request are not counted."""
        held = []
        for _ in range(10):
            held.append([sum(1 for _ in Path(f"/proc/self/{what}").iterdir()) for what in ("task", "fd")])
            time.sleep(0.04)
        kib = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
        if self.n < self.columns.shape[1]:
            self.columns[:, self.n] = at, kib, min(n for n, _ in held), min(n for _, n in held), made
            self.n += 1


def serve(folder: Path, collector: int, seconds: float, seed: int) -> int:
    """Be the service for so many seconds; write what was done to ``done.json`` and ``done.npz`` of a folder."""
    program = draw(seconds, seed)
    service = Service(folder / "directory", collector)
    callers = [Caller(service, program, place) for place in range(THREADS)]
    feeder = Feeder(service, program, callers)
    forks, samples = Forks(service, int(seconds) + 10), Samples(int(seconds) + 10)
    start = time.monotonic()
    end, ended = start + seconds, threading.Event()
    threads = [threading.Thread(target=caller.run, args=(start, end)) for caller in callers]
    threads.append(threading.Thread(target=feeder.run, args=(ended.is_set,)))
    for thread in threads:
        thread.start()
    _say(f"port {service.port}")
    for second in range(1, int(seconds)):
        time.sleep(max(0.0, start + second - time.monotonic()))
        forks.fork()
        forks.reap()
        if time.monotonic() > end - 0.6:  # a machine that is busy: callers would end while they are counted
            break
        samples.take(time.monotonic() - start, sum(sum(caller.calls) for caller in callers))
    for thread in threads[:THREADS]:
        thread.join()
    ended.set()
    threads[-1].join()
    forks.reap(wait=True)
    feeder.finish(min(caller.made for caller in callers) * THREADS)
    _say("flushed" if service.monitor.flush(10) else "unflushed")
    np.savez(
        folder / "done.npz",
        samples=samples.columns[:, : samples.n],
        acknowledged=feeder.acknowledged,
        forks=forks.took[: forks.begun],
        naps=forks.naps[: forks.begun],
        took=np.stack([c.took[: min(x.made for x in callers)] for c in callers]),
    )
    done = {
        "made": [caller.made for caller in callers],
        "calls": {"orders": sum(c.calls[0] for c in callers), "handled": 1 + sum(c.calls[1] for c in callers)},
        "raised": sum(caller.raised for caller in callers),
        "labels": {"outcomes": feeder.outcomes, "refused": feeder.refused},
        "forks": {"begun": forks.begun, "good": forks.good, "hung": forks.hung, "refused": forks.refused},
    }
    (folder / "done.json").write_text(json.dumps(done), "utf-8")
    _say("leaving")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
