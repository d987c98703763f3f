"""Timers on CUDA devices: pairs of events on the caller's own stream, read later and never waited for.

1. Nothing here synchronises, and nothing but ``query`` asks an event anything before it is complete.
2. Only threads that make watched calls ask: elsewhere a question could spoil the capture of a graph.
   Where a watched call saw its stream being captured, nobody asks for a second.
3. A call that began or ended during a capture, or ended on another stream, is timed by the host alone, and says so.
4. Events are used again once they were read; of more than 4,096 that wait, the oldest are dropped and counted.
5. The first error of CUDA ends all timing on the device in this process; so does a fork.
   Nothing is raised into a call but what a handler of a signal raised.
6. torch is never imported here; it is handed in by who found it imported and its CUDA initialised.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from modelmon.faults import is_signalled
from modelmon.forking import renew_in_child
from modelmon.probes.bases import Base, Bases

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelmon.probes.seats import Seat, Slice

    Key = tuple[int, int]

DEVICE_EVENT: Final = "device_event"
LOOKS: Final = 4
PENDING: Final = 4096
_POOLED: Final = 512
_QUIET_NS: Final = 1_000_000_000
_DENSE, _SPARSE = 16, 256  # of a seat's calls the first few have their memory looked at, later one of so many
_NS_PER_MS: Final = 1e6
UNKNOWN: Final = -1


class Pair:
    """Hold the events of one call.

    Attributes:
        stream: current when the call began.
        key: its device and handle.
        begun: event before the call.
        ended: event after it.
        first: event at a stream's first item, or None.
        submitted: host clock just before ``begun``, ns.
        base: maps events to the host clock, or None.
        peak: of the allocator before the call, -1 where not looked at; then what it rose to within the call.
        record: seat, start, end and slice, from the call's end until that is written to the seat.
    """

    __slots__ = ("base", "begun", "ended", "first", "key", "peak", "record", "stream", "submitted")

    def __init__(self, stream: Any, key: Key, begun: Any, ended: Any, base: Base | None) -> None:
        """Take two events of the stream's device."""
        self.stream, self.key, self.begun, self.ended, self.base = stream, key, begun, ended, base
        self.first: Any = None
        self.submitted = 0
        self.peak = UNKNOWN
        self.record: tuple[Seat, int, int, Slice] | None = None


class Timers:
    """Time calls on the devices of one process.

    Attributes:
        off: why nothing is timed any more, or empty.
    """

    def __init__(self, torch: Any, clock: Callable[[], int] = monotonic_ns) -> None:
        """Take an imported torch whose CUDA is initialised."""
        self.off = ""
        self.clock = clock
        self._cuda = torch.cuda
        self._pools: dict[int, deque[Any]] = {}
        self._queues: dict[Key, deque[Pair]] = {}
        self._bases = Bases(torch.cuda, clock)
        self._quiet_until = 0
        self._peaks = True
        self._inherited: tuple[Any, ...] = ()
        renew_in_child(self)

    def renew(self) -> None:
        """Stop in a forked child, where CUDA cannot be used; its events are kept, lest they be destroyed there."""
        self.off = "fork"
        self._inherited = (self._pools, self._queues, self._bases)
        self._pools, self._queues = {}, {}

    # -- the call's side ---------------------------------------------------------------------------------------------

    def begin(self, seat: Seat) -> Pair | str:
        """Record the event before a call; return what ``end`` needs, or why there is none."""
        if self.off:
            return self.off
        try:
            cuda = self._cuda
            if cuda.is_current_stream_capturing():
                self._quiet_until = self.clock() + _QUIET_NS
                return "capturing"
            stream = cuda.current_stream()
            device = stream.device.index
            base = self._bases.of(device, self._quiet_until)
            pair = Pair(stream, (device, stream.cuda_stream), self._event(device), self._event(device), base)
            number = next(seat.timings)
            if number < _DENSE or not number % _SPARSE:
                pair.peak = self._peak(device)
            pair.submitted = self.clock()
            pair.begun.record(stream)
        except Exception as fault:
            return self._failed(fault)
        return pair

    def first(self, pair: Pair | str | None) -> None:
        """Record the event of a stream's first item."""
        if type(pair) is not Pair or self.off:
            return
        try:
            cuda = self._cuda
            if pair.first is None and not cuda.is_current_stream_capturing() and cuda.current_stream() == pair.stream:
                event = self._event(pair.key[0])
                event.record(pair.stream)
                pair.first = event
        except Exception as fault:
            self._failed(fault)

    def end(self, pair: Pair | str | None, seat: Seat, start: int, _result: Any, page: Slice) -> int:
        """Read the host clock, record the event after a call, and read a few of those that are complete.

        Args:
            pair: what ``begin`` returned; None where the stack had no room for it.
            seat: of the call.
            start: when the call began, on the seat's clock.
            page: the call's slice.

        Returns:
            When the call ended, on the seat's clock.
        """
        end = seat.clock()
        lapse = pair if type(pair) is not Pair else self.off
        if type(pair) is Pair and not lapse:
            pair.record = (seat, start, end, page)
            try:
                lapse = self._stop(pair)
                if not lapse:
                    self._look(pair.key, LOOKS)
                    return end
            except Exception as fault:
                lapse = self._failed(fault)
                if pair.record is None:  # it waited with the others
                    return end
        if lapse != "fork":  # where there is no device, the host tells all
            seat.time((start, end, end - start, UNKNOWN, UNKNOWN, UNKNOWN, lapse or "recursion", page))
        return end

    def resolve(self, limit: int = PENDING) -> None:
        """Read up to so many complete events on this thread, which makes watched calls or belongs to the user."""
        if self.off or self._capturing():
            return
        try:
            for key in tuple(self._queues):
                self._look(key, limit)
        except Exception as fault:
            self._failed(fault)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _stop(self, pair: Pair) -> str:
        """Record the event after a call and queue the pair, or say why not."""
        cuda = self._cuda
        if cuda.is_current_stream_capturing():
            self._quiet_until = self.clock() + _QUIET_NS
            return "capturing"
        if cuda.current_stream() != pair.stream:
            return "stream_changed"
        pair.ended.record(pair.stream)
        if pair.peak != UNKNOWN:
            after = self._peak(pair.key[0])
            pair.peak = after if after > pair.peak else UNKNOWN
        queue = self._queues.setdefault(pair.key, deque())
        queue.append(pair)
        if sum(map(len, tuple(self._queues.values()))) > PENDING:
            self._drop(queue.popleft() if queue else pair, "overflow")
        return ""

    def _look(self, key: Key, limit: int) -> None:
        """Read the complete events at the head of one queue, then of the others, at most so many."""
        if self.clock() < self._quiet_until:
            return
        queues = self._queues
        left = limit
        for queue in chain((queues[key],), (queue for other, queue in tuple(queues.items()) if other != key)):
            while left and queue:
                left -= 1
                if not self._read(queue):
                    break
            if not left:
                return

    def _read(self, queue: deque[Pair]) -> bool:
        """Read the head of a queue if it is complete; several threads may do so at once."""
        try:
            pair = queue.popleft()
        except IndexError:
            return False
        try:
            done = bool(pair.ended.query())
            if done:
                self._write(pair)
        finally:
            if pair.record is not None:
                queue.appendleft(pair)
        return done

    def _write(self, pair: Pair) -> None:
        if pair.record is None:
            return
        seat, start, end, page = pair.record
        duration = _nanoseconds(pair.begun.elapsed_time(pair.ended))
        if duration < 0:
            self._drop(pair, "implausible")
            return
        first = UNKNOWN if pair.first is None else _nanoseconds(pair.begun.elapsed_time(pair.first))
        delay = UNKNOWN if pair.base is None else pair.base.delay(pair.begun, pair.submitted)
        seat.time((start, end, duration, delay, first, pair.peak, DEVICE_EVENT, page))
        pair.record = None
        pool = self._pools[pair.key[0]]
        pool.extend((pair.begun, pair.ended))
        if pair.first is not None:
            pool.append(pair.first)

    def _drop(self, pair: Pair, why: str) -> None:
        if pair.record is not None:
            seat, start, end, page = pair.record
            seat.time((start, end, end - start, UNKNOWN, UNKNOWN, UNKNOWN, why, page))
            pair.record = None

    def _event(self, device: int) -> Any:
        pool = self._pools.get(device)
        if pool is None:
            pool = self._pools.setdefault(device, deque(maxlen=_POOLED))
        try:
            return pool.pop()
        except IndexError:
            return self._cuda.Event(enable_timing=True)

    def _peak(self, device: int) -> int:
        """Return the most bytes that torch's allocator held so far on a device, -1 where it does not tell."""
        if not self._peaks:
            return UNKNOWN
        try:
            return int(self._cuda.max_memory_allocated(device))
        except Exception as fault:
            if is_signalled(fault):
                raise
            self._peaks = False  # an allocator of the user's own
            return UNKNOWN

    def _capturing(self) -> bool:
        try:
            return bool(self._cuda.is_current_stream_capturing())
        except Exception as fault:
            self._failed(fault)
            return True

    def _failed(self, fault: Exception) -> str:
        """Stop timing on the device: after an error of CUDA no event of this process tells anything.

        Raises:
            Exception: what the handler of a signal raised.
        """
        if is_signalled(fault):
            raise fault
        self.off = "error"
        for queue in tuple(self._queues.values()):
            while queue:
                self._drop(queue.popleft(), "error")
        return self.off


def _nanoseconds(milliseconds: float) -> int:
    """Return whole nanoseconds, -1 for what is no duration."""
    return round(milliseconds * _NS_PER_MS) if 0 <= milliseconds < _NS_PER_MS * 1e3 else UNKNOWN
