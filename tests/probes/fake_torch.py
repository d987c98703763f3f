"""A torch without a device: streams, events and an allocator on one clock that tests move by hand."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any


class Stream:
    """Stand for a stream: work on it ends one after the other."""

    handles = 0

    def __init__(self, device: Device, index: int = 0) -> None:
        """Be idle, on one device."""
        Stream.handles += 1
        self.fake, self.cuda_stream = device, 256 * Stream.handles
        self.device = SimpleNamespace(index=index)
        self.busy_until = 0


class Event:
    """Stand for an event; what torch forbids, and waiting, is an error of the test."""

    def __init__(self, device: Device) -> None:
        """Be new."""
        self.fake, self.at, self.stream, self.queries, self.records = device, None, None, 0, 0
        device.events.append(self)

    def record(self, stream: Stream) -> None:
        """Happen when the stream gets there."""
        self.fake.check()
        assert not self.fake.capturing, "recorded while the stream is captured"
        assert self.stream is None or self.stream.device.index == stream.device.index, "an event of another device"
        self.stream, self.at = stream, max(self.fake.now, stream.busy_until)
        self.records += 1

    def query(self) -> bool:
        """Tell whether it has happened, unless the test says no so many times first."""
        self.fake.check()
        assert not self.fake.capturing, "asked while the stream is captured"
        self.queries += 1
        if self.fake.refusals:
            self.fake.refusals -= 1
            return False
        return self.at is not None and self.fake.now >= self.at

    def elapsed_time(self, later: Event) -> float:
        """Return milliseconds between two events that happened."""
        self.fake.check()
        assert self.fake.now >= self.at
        assert self.fake.now >= later.at
        return (later.at - self.at) / 1e6 if self.fake.elapsed is None else self.fake.elapsed

    def synchronize(self) -> None:
        """Fail: nobody may wait."""
        raise AssertionError


class Device:
    """Hold what the fake devices do; all times are in nanoseconds."""

    def __init__(self) -> None:
        """Be initialised and idle."""
        self.now = 1_000_000_000
        self.events: list[Event] = []
        self.stream = Stream(self)
        self.initialized, self.capturing, self.synchronized = True, False, 0
        self.refusals, self.elapsed, self.error = 0, None, None
        self.peak, self.reserved = 0, {0: 1}
        self.steps = 0

    def clock(self) -> int:
        """Read the host's clock, which moves by as much as the test says at each reading."""
        self.now += self.steps
        return self.now

    def check(self) -> None:
        """Raise what the test wants raised."""
        if self.error is not None:
            raise self.error

    def work(self, nanoseconds: int) -> None:
        """Submit work to the current stream, which takes so long."""
        self.stream.busy_until = max(self.now, self.stream.busy_until) + nanoseconds

    def synchronize(self, device: int | None = None) -> None:
        """Wait, as only ``sync="device"`` may."""
        self.check()
        self.synchronized += 1
        if device in {None, self.stream.device.index}:
            self.now = max(self.now, self.stream.busy_until)

    def is_capturing(self) -> bool:
        """Tell whether the current stream is captured into a graph."""
        self.check()
        return self.capturing

    def max_memory_allocated(self, _device: int) -> int:
        """Return the allocator's peak."""
        if self.peak is None:
            raise RuntimeError
        return self.peak

    def module(self) -> Any:
        """Return a module torch with these devices."""
        torch: Any = ModuleType("torch")
        torch.cuda = SimpleNamespace(
            is_initialized=lambda: self.initialized,
            is_current_stream_capturing=self.is_capturing,
            current_stream=lambda: self.stream,
            current_device=lambda: self.stream.device.index,
            device_count=lambda: len(self.reserved),
            memory_reserved=self.reserved.__getitem__,
            max_memory_allocated=self.max_memory_allocated,
            synchronize=self.synchronize,
            Stream=lambda device: Stream(self, device),
            Event=self.event,
        )
        return torch

    def event(self, *, enable_timing: bool) -> Event:
        """Return a new event."""
        assert enable_timing
        return Event(self)
