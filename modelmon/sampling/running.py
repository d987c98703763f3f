"""The one sampler of this process: started by whoever needs it first, gone in a forked child."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from modelmon.clocks import SystemClock
from modelmon.exiting import at_exit, ending
from modelmon.forking import load, renew_in_child
from modelmon.notices import warn
from modelmon.ticking import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable
    from weakref import ReferenceType

    from modelmon.devices.backend import GpuBackend
    from modelmon.exiting import Waiter
    from modelmon.recorder import Recorder
    from modelmon.sampling.sampler import Sampler

EXIT_S: Final = 0.3
"""How long the end of the program, or of a monitor, waits for a last reading."""


class Running:
    """Run a sampler on a thread of its own."""

    def __init__(self, hertz: float, clock: Callable[[], int], directory: str | None) -> None:
        """Prepare; nothing is loaded and no driver called before the thread runs."""
        self._hertz = hertz
        self._clock = clock
        self._directory = directory
        self._waiting: list[ReferenceType[Recorder]] = []
        self._sampler: Sampler | None = None
        self._last = self._over = False
        self._ticker = Ticker(0.0, self._tick, failed=self._complain, name="modelmon-gpu", part="gpu")

    def start(self, recorder: Recorder, hertz: float) -> bool:
        """Serve a recorder; return whether the thread runs."""
        self._waiting.append(weakref.ref(recorder))
        self._over = False
        self._hertz = max(self._hertz, hertz)
        at_exit(self.begin)  # type: ignore[arg-type]  # a bound method
        if not self._ticker.running:
            self._ticker.seconds = 0.0
        return self._ticker.start()

    def begin(self) -> Waiter | None:
        """Begin a last reading; return what waits for it, for a moment."""
        if not self._ticker.running:
            return None
        self._last = True
        asked = self._ticker.ask()
        return lambda timeout: asked.wait(min(timeout, EXIT_S)) or True

    def release(self, recorder: Recorder, timeout: float) -> bool:
        """Serve a recorder no more, after a last reading; return whether any is left to be served."""
        if self._ticker.running:
            self._last = True
            self._ticker.run_now(min(timeout, EXIT_S))
        self._waiting = [held for held in self._waiting if held() not in {None, recorder}]
        sampler = self._sampler
        if (sampler is not None and sampler.audience.release(recorder)) or self._waiting:
            return True
        self._over = True  # so whatever a driver that is slow makes of the waiting, the thread lets go when it ends
        ended = self._ticker.stop(min(timeout, EXIT_S))
        if sampler is not None:
            (sampler.close if ended else sampler.abandon)()
        return False

    def abandon(self) -> None:
        """Forget everything, in a forked child."""
        if self._sampler is not None:
            self._sampler.abandon()

    def _tick(self) -> None:
        sampler = self._sampler
        if self._over:
            if sampler is not None:
                sampler.close()
            return
        if sampler is None:
            sampler = self._sampler = load("modelmon.sampling.sampler").Sampler(
                _make, self._clock, self._hertz, self._directory
            )
            self._ticker.keeper = sampler
        sampler.hertz = self._hertz
        waiting, self._waiting = self._waiting, []
        for recorder in waiting:
            sampler.serve(recorder)
        last, self._last = self._last, False
        sampler.tick(last=last)
        self._ticker.seconds = sampler.period / 1e9

    def _complain(self, error: BaseException) -> None:
        self._ticker.seconds = max(self._ticker.seconds, 1.0)
        if self._sampler is not None:
            with suppress(Exception):
                self._sampler.count("internal_errors", f"gpu:{type(error).__name__}")
        warn("gpu:tick", f"modelmon could not read graphics processors: {error!r}; further failures are counted only")


class _Process:
    """Hold the sampler of this process, if there is one."""

    def __init__(self) -> None:
        self.held: Running | None = None
        renew_in_child(self)

    def renew(self) -> None:
        held, self.held = self.held, None
        if held is not None:
            held.abandon()


_process: Final = _Process()


def follow(recorder: Recorder, hertz: float, directory: str | None) -> None:
    """Have a recorder's calls followed from now on."""
    if _process.held is None:
        _process.held = Running(hertz, SystemClock.monotonic_ns, directory)
    if not _process.held.start(recorder, hertz) and not ending():
        warn("gpu:no_thread", "no thread could be started, so graphics processors are not read")


def leave(recorder: Recorder, timeout: float) -> None:
    """Follow a recorder no more; the thread ends with the last of them."""
    held = _process.held
    if held is not None and not held.release(recorder, timeout):
        _process.held = None


def _make(clock: Callable[[], int]) -> GpuBackend:
    backend: GpuBackend = load("modelmon.devices.selection").choose("auto", clock)
    return backend
