"""The loop: read every device, see which calls ran, and write down what became of time and energy."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, Literal

from modelmon.devices.backend import BackendLost, DeviceLost
from modelmon.notices import warn
from modelmon.sampling.accounts import Account
from modelmon.sampling.audience import Audience
from modelmon.sampling.claims import Claim
from modelmon.sampling.feeds import PATIENCE_NS
from modelmon.sampling.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from weakref import ReferenceType

    from modelmon.attribution import Settlement
    from modelmon.devices.backend import GpuBackend
    from modelmon.parts import DevicePart
    from modelmon.recorder import Recorder
    from modelmon.spending import Share

SECOND: Final = 1_000_000_000
SLOW_NS: Final = 10 * SECOND
"""How often the slow tier is read."""
QUIET_NS: Final = 30 * SECOND
"""So long after the last call readings become rare."""
RARE_HZ: Final = 0.2
RETRY_NS: Final = 60 * SECOND
"""How long to leave a driver alone that could not be opened; it is tried again only where CUDA is in use by then."""


class Sampler:
    """Read devices for the recorders of this process; one thread at a time calls ``tick``.

    Attributes:
        audience: the recorders that are served.
        hertz: readings a second while there are calls.
        period: nanoseconds until the next reading is due.
    """

    def __init__(
        self,
        make: Callable[[Callable[[], int]], GpuBackend],
        clock: Callable[[], int],
        hertz: float,
        directory: str | None,
    ) -> None:
        """Prepare; the driver is opened at the first tick.

        Args:
            make: returns a backend that is open, given the clock; the one named ``null`` where there is no driver.
            clock: monotonic nanoseconds, by which devices are read.
            hertz: readings a second.
            directory: of the machine, or None.
        """
        self.audience = Audience(self._seen, clock)
        self.hertz = hertz
        self.period = round(SECOND / hertz)
        self._make = make
        self._clock = clock
        self._directory = directory
        self._backend: GpuBackend | None = None
        self._devices: list[Watched] = []
        self._account = Account()
        self._open_at = self._slow_at = 0
        self._last = self._called = -1
        self._gone = False

    # -- who is served -----------------------------------------------------------------------------------------------

    def serve(self, recorder: ReferenceType[Recorder]) -> None:
        """Follow a recorder's calls, and show it what is known of devices."""
        self.audience.serve(recorder)
        self._called = self._clock()

    def count(self, name: str, what: str) -> None:
        """Count a trouble of the thread's own."""
        recorder = self.audience.first
        if recorder is not None:
            recorder.count(name, what)

    def section(self, part: Share) -> AbstractContextManager[None]:
        """Return a context within which this thread's CPU time is the library's own."""
        recorder = self.audience.first
        return nullcontext() if recorder is None else recorder.section(part)

    def rouse(self) -> None:
        """Have the thread started again at the next call."""
        recorder = self.audience.first
        if recorder is not None:
            recorder.rouse()

    # -- the loop ----------------------------------------------------------------------------------------------------

    def tick(self, *, last: bool = False) -> None:
        """Read every device once, and settle what is known by now.

        Args:
            last: settle everything, also for calls that still run; nothing comes after it.
        """
        begun = self._clock()
        if self._last >= 0:
            self._account.overruns += max((begun - self._last) // max(self.period, 1) - 1, 0)
        self._last = begun
        if self._opened(begun):
            self._read(begun)
        for device in self._devices:
            device.shown = device.claim.held()
        self._settle(begun, 0 if last else PATIENCE_NS)
        self._pace(begun)
        self._account.tick(self._clock() - begun)
        self.audience.write(self._account, self._devices)

    def close(self) -> None:
        """Let go of the driver and of every claim; called by the thread that ticks, or when it is gone."""
        backend, self._backend = self._backend, None
        try:
            if backend is not None:
                backend.close()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of claims alone, where the driver is the parent's of a forked child, or holds up the thread."""
        for device in self._devices:
            device.claim.drop()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _opened(self, now: int) -> bool:
        if self._backend is not None:
            return True
        if self._gone or now < self._open_at or (self._open_at and not _in_use()):
            return False
        self._open_at = now + RETRY_NS
        backend = self._make(self._clock)
        if backend.name == "null":
            return False
        devices = backend.devices()
        parents = {device.parent for device in devices}
        self._devices = [
            Watched(device, Claim(device.id, self._directory), divided=device.id in parents) for device in devices
        ]
        self._backend = backend
        return True

    def _read(self, now: int) -> None:
        tier: Literal["fast", "slow"] = "slow" if now >= self._slow_at else "fast"
        if tier == "slow":
            self._slow_at = now + SLOW_NS
        backend = self._backend
        for device in self._devices:
            if backend is None:
                return
            try:
                device.take(backend.read(device.id, tier), tier)
            except DeviceLost as error:
                device.lost = error.code
            except BackendLost as error:
                self._give_up(error.code)
                return
            except Exception as error:
                device.lost = type(error).__name__
                self._account.failed("read", device.lost)
                warn(
                    f"gpu:{type(error).__name__}", f"reading {device.id.id} failed: {error!r}; further ones are counted"
                )
        if backend is not None:
            self._account.note(backend, self._devices)

    def _give_up(self, code: str) -> None:
        self._backend, self._gone = None, True
        for device in self._devices:
            device.lost = code
        warn(
            "gpu:lost",
            f"the driver of graphics processors is gone ({code}); they are read again after a restart",
            once=True,
        )

    def _settle(self, now: int, patience: int) -> None:
        if not self._devices:
            return
        for batch in self.audience.visit():
            for device in self._devices:
                if not device.divided:
                    device.attribution.calls(*batch)
        until = self.audience.ready(now + 1, patience)
        if until < 0:
            return
        running = self.audience.running(until)
        settled: list[tuple[Watched, Settlement]] = []
        for device in self._devices:
            one = device.attribution.settle(until, () if device.divided else running)
            device.learn(one.powers)
            if device.lost:
                device.attribution.forget()
            settled.append((device, one))
        self.audience.settle(until, settled)

    def _pace(self, now: int) -> None:
        if self.audience.active:
            self._called = now
        rare = self._backend is None or now - self._called > QUIET_NS
        self.period = round(SECOND / (min(self.hertz, RARE_HZ) if rare else self.hertz))

    def _seen(self) -> tuple[Mapping[str, float], Mapping[str, DevicePart]]:
        """Return what is known now: current values by name, and devices by UUID."""
        now = self._clock()
        shown = {device.id.id: device.part(now, self.period) for device in list(self._devices) if device.shown}
        return {"gpu_available": float(self._backend is not None)}, shown


def _in_use() -> bool:
    """Tell whether this process uses CUDA by now; PyTorch is asked only where the program imported it."""
    torch = sys.modules.get("torch")
    try:
        return torch is not None and bool(torch.cuda.is_initialized())
    except Exception:
        return False
